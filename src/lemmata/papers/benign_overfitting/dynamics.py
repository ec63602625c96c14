"""How the two layers grow: a large output layer stays where it was, a small one grows with the hidden layer.

From a small start both layers come to ‖W‖ ≈ ‖v‖, whichever is ahead, then both grow and keep that ratio, because
‖w_r‖² − v_r² is conserved by gradient flow: with u the part of a filter that moves, u ≈ v0 sinh(ht), |v| ≈ v0 cosh(ht),
‖W‖/‖v‖ ≈ √(v0² sinh² + σ0²d)/(v0 cosh). The layer that is behind grows first: the hidden one, as in the abstract, where
σ0√d < v0; the output one where σ0√d > v0. Shang, Meng, Cao, Zou 2024, arXiv 2410.19139. Names: ``norm_hidden`` ‖W‖,
``norm_output`` ‖v‖, ``signal_learning`` ⟨w, jμ⟩, ``noise_memorisation`` ⟨w, ξ⟩.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Estimate,
    Finding,
    above,
    all_of,
    at,
    at_least,
    at_most,
    below,
    claim,
    extremes,
    factor,
    mean,
    need,
    one_of_each,
    threshold,
    usable,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.benign_overfitting import setting, theory
from lemmata.papers.benign_overfitting.setting import LARGE, SMALL
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RECORD = (*range(0, 100, 2), *range(100, 600, 20), 600, *range(700, 2001, 100))
"""Steps looked at: closely while a small start grows exponentially, then ever less."""
LOUD, QUIET = 1e-3, 1.25e-5
"""σ0 with σ0√d nine times the small output scale, and a ninth of it, at d = 2000."""
AHEAD, MET = 2.0, 0.9
"""Ratio of the norms by which the one order, and the other, counts as come together."""
PROBES = (
    *("train_loss", "signal_learning", "signal_learning_mean", "noise_memorisation", "noise_memorisation_mean"),
    *("norm_hidden", "norm_output", "active_fraction"),
)
RUN = replace(setting.RUN, probes=PROBES, record=tuple(step for step in RECORD if step <= setting.RUN.steps))
SIZES = {
    "smoke": Size(init=(LOUD, QUIET), v0=(SMALL, LARGE), seeds=2),
    "laptop": Size(init=(LOUD, QUIET), v0=(SMALL, 0.02, 0.1, LARGE), seeds=10),
    "paper": Size(
        init=(LOUD, QUIET),
        v0=(0.001, SMALL, 0.02, 0.05, 0.1, 0.2, LARGE, 2.0),
        seeds=50,
        changes={"record": RECORD},
        **setting.LONG,
    ),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Norms and activations along the two-number model of training, started at the initial filters' norm."""
    steps = data.step.values

    def follow(*values: np.ndarray) -> tuple[Any, ...]:
        v0, n, signal, d, m, init, sigma_p = np.broadcast_arrays(*values)
        path = theory.training_path(v0, n, signal, d, m, sigma_p=sigma_p, steps=int(steps[-1]), keep=True)
        hidden, output = path.hidden[steps], path.output[steps]
        per_step = hidden / theory.feature_scale(n, signal, d, sigma_p)
        learnt, memorised = per_step * signal**2, per_step * 2 * sigma_p**2 * d / n
        # The measured mean is over all filters and samples of a class, of which the fraction p is active.
        found = np.sqrt(2 * m * (hidden**2 + init**2 * d)), np.sqrt(2 * m) * output, learnt, theory.ACTIVE * memorised
        return tuple(np.moveaxis(part, 0, -1) for part in found)

    values = [data[name] for name in ("v0", "n", "signal", "d", "m", "init", "sigma_p")]
    parts = xr.apply_ufunc(follow, *values, output_core_dims=[["step"]] * 4)
    measured = ("norm_hidden", "norm_output", "signal_learning_mean", "noise_memorisation_mean")
    return {f"{name}_predicted": part.assign_coords(step=data.step) for name, part in zip(measured, parts)}


@claim("a large output layer hardly moves while the hidden layer learns", setting.ABSTRACT, sizes=ALL)
def large_output_stays(data: xr.Dataset) -> Finding:
    """Change of the output layer's norm from the first to the last step."""
    norm = at(usable(data), v0=LARGE, init=LOUD).norm_output.mean("seed")
    predicted = at(data, v0=LARGE, init=LOUD).norm_output_predicted
    return within(
        0.05,
        norm.isel(step=-1),
        of=norm.isel(step=0),
        relative=True,
        format="‖v‖ changes by {:+.1%}",
        expected=f"{float(predicted[-1] / predicted[0] - 1):+.1%}",
    )


@claim("from a small start both layers grow together and keep their ratio", setting.ABSTRACT, sizes=ALL)
def small_start_keeps_ratio(data: xr.Dataset) -> Finding:
    """Worst distance of the ratio of norms from 1 after step 60, and growth since."""
    part = at(usable(data), v0=SMALL, init=LOUD)
    late = among_late(part)
    hidden, output = late.norm_hidden.mean("seed"), late.norm_output.mean("seed")
    growth = min(float(norm[-1] / norm[0] - 1) for norm in (hidden, output))
    off = abs(hidden / output - 1)
    return all_of(
        at_most(0.03, off, where="from step 60 on", format="‖W‖/‖v‖ within {:.1%} of 1", expected="ratio 1"),
        above(0.3, growth, format="both grow by {:.0%} or more since", expected="growth"),
    )


def among_late(part: xr.Dataset) -> xr.Dataset:
    """The records from step 60 on."""
    late = part.sel(step=part.step >= 60)
    need(late, step=2)
    return late


def _meeting(part: xr.Dataset, level: float) -> tuple[Estimate, float]:
    """Step at which ‖W‖/‖v‖ passes a level, mean over every seed's own, and the predicted step."""
    part = part.sel(step=part.step > 0)
    ratio = part.norm_hidden / part.norm_output
    predicted = (part.norm_hidden_predicted / part.norm_output_predicted).expand_dims(seed=1)
    expected = threshold(predicted, level, "step", statistic="each")
    return threshold(ratio, level, "step", statistic="each"), float(expected.value)


def _grown(part: xr.Dataset, name: str, when: float) -> Estimate:
    """By which factor a norm has grown at the recorded step nearest to one."""
    later = part[name].sel(step=when, method="nearest") / part[name].isel(step=0)
    return mean(later, log=True)


@claim("the hidden layer grows first, to the norm of the output layer, where it starts below it", setting.ABSTRACT, ALL)
def hidden_grows_first(data: xr.Dataset) -> Finding:
    """Growth of either layer when the ratio has come to one half, and when it comes to 0.9, against the prediction."""
    part = at(usable(data), v0=SMALL, init=QUIET)
    half, _ = _meeting(part, 0.5)
    met, expected = _meeting(part, MET)
    when = float(half.value)
    return all_of(
        at_least(4, _grown(part, "norm_hidden", when), format="‖W‖ ×{:.1f} by the ratio 1/2", expected="first"),
        at_most(1.2, _grown(part, "norm_output", when), format="‖v‖ ×{:.2f} by then", expected="hardly yet"),
        factor(1.1, met, expected, format=f"ratio {MET:g} at ×{{:.3f}} of step {expected:.1f}, predicted"),
    )


@claim("the output layer grows first where the hidden layer starts above it", "derived here, against the abstract", ALL)
def output_grows_first(data: xr.Dataset) -> Finding:
    """Growth of either layer when the ratio has fallen to two, and when it does, against the prediction."""
    part = at(usable(data), v0=SMALL, init=LOUD)
    met, expected = _meeting(part, AHEAD)
    when = float(met.value)
    return all_of(
        at_least(4, _grown(part, "norm_output", when), format="‖v‖ ×{:.1f} by the ratio 2", expected="first"),
        at_most(1.25, _grown(part, "norm_hidden", when), format="‖W‖ ×{:.2f} by then", expected="hardly yet"),
        factor(1.1, met, expected, format=f"ratio {AHEAD:g} at ×{{:.3f}} of step {expected:.1f}, predicted"),
    )


@claim("‖W‖² − ‖v‖² stays what it was", "known for gradient flow on homogeneous networks", sizes=ALL)
def norm_gap_conserved(data: xr.Dataset) -> Finding:
    """Drift of the difference of squared norms along training."""
    part = at(usable(data), v0=SMALL, init=LOUD)
    gap = theory.norm_gap(part.norm_hidden, part.norm_output)
    drift = abs(gap - gap.isel(step=0)).max("step") / part.norm_output.isel(step=-1) ** 2
    said = "drifts by {:.2%} of the final ‖v‖²"
    return below(0.01, drift, where="at this step size", format=said, expected="0 for gradient flow")


@claim("two numbers per filter predict the norms of both layers at the end", "derived here", sizes=ALL)
def final_norms_predicted(data: xr.Dataset) -> Finding:
    """Worst relative error of the predicted norms at the last step."""
    last = usable(data).isel(step=-1)
    return all_of(
        *(
            within(0.05, data[f"{name}_predicted"].isel(step=-1), of=last[name].mean("seed"), relative=True,
                   where="at every v0", format=f"{word} off by {{:+.1%}} at most")
            for name, word in (("norm_hidden", "‖W‖"), ("norm_output", "‖v‖"))
        ),
        expected="two-number model of training",
    )  # fmt: skip


CLAIMS = (
    large_output_stays,
    hidden_grows_first,
    output_grows_first,
    small_start_keeps_ratio,
    norm_gap_conserved,
    final_norms_predicted,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Trajectories, and the ratio of the norms."""
    return {"trajectories": trajectories(data), "ratio": ratio(data)}


def trajectories(data: xr.Dataset) -> Figure:
    """Rows: largest and smallest start; columns: what the filters learn, and the two norms."""
    chosen, note = one_of_each(data, "v0", "step", of="norm_output")
    scales = extremes(chosen, "v0")
    figure, axes = new_figure(
        len(scales), 2, title="A large output layer stays, a small one grows with the hidden layer" + note
    )
    pairs = (
        (
            "pre-activation, mean over filters",
            {"signal ⟨w, jμ⟩": "signal_learning_mean", "noise ⟨w, ξ⟩₊": "noise_memorisation_mean"},
        ),
        ("norm of the layer", {"hidden ‖W‖": "norm_hidden", "output ‖v‖": "norm_output"}),
    )
    for row, v0 in zip(axes, scales):
        part = at(chosen, v0=v0)
        for ax, (label, named) in zip(row, pairs):
            which = xr.DataArray(list(named), dims="quantity", attrs={"long_name": ""})
            measured = xr.concat([part[name] for name in named.values()], which).assign_attrs(
                long_name=label, units="1"
            )
            theory = xr.concat([part[f"{name}_predicted"] for name in named.values()], which)
            above = measured.where(measured > 0)
            curves(
                ax, above, "step", "quantity", log="y", theory=theory.where(theory > 0), title=f"v₀ = {v0:g}: {label}"
            )
    return figure


def ratio(data: xr.Dataset) -> Figure:
    """The ratio of the layers' norms over steps, a panel for each scale of the filters at the start."""
    chosen, note = one_of_each(data, "init", "v0", "step", of="norm_output")
    inits = extremes(chosen, "init")
    title = "Started small, the two layers come to equal norms from either side, and stay there" + note
    figure, axes = new_figure(1, len(inits), title=title, width=5.4, sharey=True)
    for ax, init in zip(axes[0], inits):
        part = at(chosen, init=init)
        part = part.sel(step=part.step > 0) if "step" in part.dims else part
        measured = (part["norm_hidden"] / part["norm_output"]).assign_attrs(long_name="ratio of norms ‖W‖/‖v‖")
        theory = part["norm_hidden_predicted"] / part["norm_output_predicted"]
        hue = "v0" if "v0" in measured.dims else None
        heading = f"filters at the start: σ₀√d = {init * float(np.max(part.d)) ** 0.5:.2g}"
        curves(ax, measured, "step", hue, log="xy", theory=theory, title=heading, legend=ax is axes[0, -1])
    return figure


EXPERIMENT = Experiment(RUN, SIZES, claims=CLAIMS, predict=predict, figures=figures)
