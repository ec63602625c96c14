"""How the two layers grow: a large output layer stays where it was, a small one grows with the hidden layer.

From a small start the hidden layer first grows alone until ‖W‖ ≈ ‖v‖, then both grow and keep that ratio, because
‖w_r‖² − v_r² is conserved by gradient flow. Shang, Meng, Cao, Zou 2024, arXiv 2410.19139. Names: ``norm_hidden`` ‖W‖,
``norm_output`` ‖v‖, ``signal_learning`` ⟨w, jμ⟩, ``noise_memorisation`` ⟨w, ξ⟩.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab import readings
from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.lab.experiment import SIZES, Experiment
from lemmata.papers.benign_overfitting import setting as family
from lemmata.papers.benign_overfitting import theory as benign

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

LARGE, SMALL = 0.5, 0.005
RECORD = (*range(0, 100, 2), *range(100, 600, 20), 600, *range(700, 2001, 100))
"""Steps looked at: closely while a small start grows exponentially, then ever less."""
PROBES = (
    *("train_loss", "signal_learning", "signal_learning_mean", "noise_memorisation", "noise_memorisation_mean"),
    *("norm_hidden", "norm_output", "active_fraction"),
)


def grid(size: str) -> "Grid":
    """A few output scales, many seeds."""
    from lemmata.sweep import Grid

    v0, seeds = {
        "smoke": ((SMALL, LARGE), 2),
        "laptop": ((SMALL, 0.02, 0.1, LARGE), 10),
        "paper": ((0.001, SMALL, 0.02, 0.05, 0.1, 0.2, LARGE, 2.0), 50),
    }[size]
    return Grid((family.axis("v0", v0), family.axis("seed", range(seeds))))


def body(size: str, **changes: Any) -> "Body":
    """Training recorded at many steps."""
    return family.training(size, probes=PROBES, **{"n": 40, "signal": 5.0, "record": RECORD, **changes})


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Norms and activations along the two-number model of training, started at the initial filters' norm."""
    import xarray as xr

    names = ("v0", "n", "signal", "d", "m", "init", "sigma_p")
    steps = dataset["step"].values

    def follow(*values: np.ndarray) -> tuple[np.ndarray, ...]:
        v0, n, signal, d, m, init, sigma_p = np.broadcast_arrays(*values)
        path = benign.training_path(v0, n, signal, d, m, sigma_p=sigma_p, steps=int(steps[-1]), keep=True)
        hidden, output = path.hidden[steps], path.output[steps]
        per_step = hidden / benign.feature_scale(n, signal, d, sigma_p)
        learnt, memorised = per_step * signal**2, per_step * 2 * sigma_p**2 * d / n
        # The measured mean is over all filters and samples of a class, of which the fraction p is active.
        found = np.sqrt(2 * m * (hidden**2 + init**2 * d)), np.sqrt(2 * m) * output, learnt, benign.ACTIVE * memorised
        return tuple(np.moveaxis(part, 0, -1) for part in found)

    values = [xr.DataArray(value) for value in readings.setting(dataset, *names)]
    parts = xr.apply_ufunc(follow, *values, output_core_dims=[["step"]] * 4)
    measured = ("norm_hidden", "norm_output", "signal_learning_mean", "noise_memorisation_mean")
    return xr.Dataset({f"{name}_predicted": part for name, part in zip(measured, parts)}).assign_coords(step=steps)


# -- claims ----------------------------------------------------------------------------------------------------------


def large_output_stays(dataset: "xr.Dataset") -> Finding:
    """Change of the output layer's norm from the first to the last step."""
    norm = at(converged(dataset).dataset, v0=LARGE)["norm_output"].mean("seed")
    change = float(norm[-1] / norm[0] - 1)
    predicted = at(dataset, v0=LARGE)["norm_output_predicted"]
    return Finding(
        holds=abs(change) < 0.05,
        measured=f"‖v‖ changes by {change:+.1%}",
        predicted=f"{float(predicted[-1] / predicted[0] - 1):+.1%}",
        tolerance="< 5 %",
    )


def small_start_keeps_ratio(dataset: "xr.Dataset") -> Finding:
    """Worst distance of the ratio of norms from 1 after step 60, and growth since."""
    part = at(converged(dataset).dataset, v0=SMALL)
    late = part.sel(step=part["step"] >= 60)
    if late.sizes["step"] < 2:
        raise NotMeasurable("needs records at several steps from 60 on")
    hidden, output = late["norm_hidden"].mean("seed"), late["norm_output"].mean("seed")
    worst = float(abs(hidden / output - 1).max())
    growth = min(float(norm[-1] / norm[0] - 1) for norm in (hidden, output))
    return Finding(
        holds=worst <= 0.03 and growth > 0.3,
        measured=f"‖W‖/‖v‖ within {worst:.1%} of 1 while both grow by {growth:.0%} or more",
        predicted="ratio 1",
        tolerance="3 % from step 60 on, growth > 30 %",
    )


def norm_gap_is_conserved(dataset: "xr.Dataset") -> Finding:
    """Drift of the difference of squared norms along training."""
    part = at(converged(dataset).dataset, v0=SMALL)
    gap = benign.norm_gap(part["norm_hidden"], part["norm_output"])
    drift = float((abs(gap - gap.isel(step=0)).max("step") / part["norm_output"].isel(step=-1) ** 2).max())
    return Finding(
        holds=drift < 0.01,
        measured=f"drifts by {drift:.2%} of the final ‖v‖²",
        predicted="0 for gradient flow",
        tolerance="< 1 % at this step size",
    )


def final_norms_are_predicted(dataset: "xr.Dataset") -> Finding:
    """Worst relative error of the predicted norms at the last step."""
    kept, errors = converged(dataset).dataset, {}
    for name in ("norm_hidden", "norm_output"):
        last = kept[name].mean("seed").isel(step=-1)
        errors[name] = float(abs(dataset[f"{name}_predicted"].isel(step=-1) / last - 1).max())
    worst = max(errors, key=lambda name: errors[name])
    return Finding(
        holds=errors[worst] < 0.05,
        measured=f"off by {errors[worst]:.1%} at most ({worst})",
        predicted="two-number model of training",
        tolerance="< 5 % at every v0",
    )


CLAIMS = (
    Claim(
        "large-output-stays",
        "a large output layer hardly moves while the hidden layer learns",
        family.ABSTRACT,
        large_output_stays,
        SIZES,
    ),
    Claim(
        "small-start-keeps-ratio",
        "from a small start both layers grow together and keep their ratio",
        family.ABSTRACT,
        small_start_keeps_ratio,
        SIZES,
    ),
    Claim(
        "norm-gap-conserved",
        "‖W‖² − ‖v‖² stays what it was",
        "known for gradient flow on homogeneous networks",
        norm_gap_is_conserved,
        SIZES,
    ),
    Claim(
        "final-norms-predicted",
        "two numbers per filter predict the norms of both layers at the end",
        "derived here",
        final_norms_are_predicted,
        SIZES,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Trajectories, and the ratio of the norms."""
    return {"trajectories": trajectories(dataset), "ratio": ratio(dataset)}


def _first(dataset: "xr.Dataset") -> tuple["xr.Dataset", str]:
    chosen, note = readings.one_of_each(dataset, "v0", "step", of="norm_output")
    return chosen.assign_coords(step=chosen["step"].assign_attrs(long_name="gradient steps")), note


def trajectories(dataset: "xr.Dataset") -> "Figure":
    """Rows: largest and smallest start; columns: what the filters learn, and the two norms."""
    import xarray as xr

    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = _first(dataset)
    scales = readings.extremes(chosen)
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
        part = chosen.sel(v0=v0) if "v0" in chosen.dims else chosen
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


def ratio(dataset: "xr.Dataset") -> "Figure":
    """The ratio of the layers' norms over steps."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = _first(dataset)
    figure, axes = new_figure(width=6.5)
    title = "Started small, the two layers come to equal norms and stay there" + note
    measured = (chosen["norm_hidden"] / chosen["norm_output"]).assign_attrs(long_name="ratio of norms ‖W‖/‖v‖")
    theory = chosen["norm_hidden_predicted"] / chosen["norm_output_predicted"]
    hue = "v0" if "v0" in measured.dims else None
    curves(axes[0, 0], measured, "step", hue, log="y", theory=theory, title=title)
    return figure


EXPERIMENT = Experiment(
    name="benign-overfitting-dynamics",
    paper=family.PAPER,
    shows="A large output layer stays where it was; from a small start both layers grow and keep their ratio.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 2, "laptop": 5, "paper": 30},
)
