"""Which initialisation ruins benign overfitting: test error over the scales of both layers at the start.

A loud start, σ0σp√d·v0√m ≳ 1, leaves noise in the output that training does not remove, however large κ is; for v0
below v* the output layer grows to the same size whatever v0 was. Setting: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139;
both limits are derived in ``theory.py``. Names: ``v0`` output scale, ``init`` σ0.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Finding,
    NotMeasurable,
    alike,
    among,
    at_least,
    claim,
    factor,
    one_of_each,
    unusable,
    usable,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.benign_overfitting import setting, theory
from lemmata.report.curves import curves
from lemmata.report.maps import heat_map
from lemmata.report.statistics import seed_interval
from lemmata.report.style import new_figure

SIZES = {
    "smoke": Size(v0=(0.003, 0.03, 0.3, 3.0), init=(1e-3, 1e-2, 1e-1), seeds=2),
    "laptop": Size(v0=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), init=(1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), seeds=20),
    "paper": Size(
        v0=tuple(np.geomspace(1e-3, 10, 33).tolist()),
        init=tuple(np.geomspace(1e-4, 0.1, 25).tolist()),
        seeds=20,
        **setting.LONG,
    ),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Growth of the output layer, the error with the start's noise, and σ0σp√d·v0√m, the order of that noise."""
    found = setting.predict(data)
    growth = found["norm_output_predicted"] / (np.sqrt(2 * data.m) * data.v0)
    loudness = data.v0 * data.init * (data.sigma_p * data.d**0.5 * data.m**0.5)
    return {
        **found,
        "growth_predicted": growth.assign_attrs(long_name="predicted |v_T|/v₀", units="1"),
        "loudness": loudness.assign_attrs(long_name="loudness of the start", units="1", symbol="σ₀σp√d·v₀√m"),
    }


@claim("the output layer grows as the conservation of ‖w‖² − v² asks", "derived here", sizes=ALL)
def growth_predicted(data: xr.Dataset) -> Finding:
    """Worst relative error of the predicted growth |v_T|/v0 over quiet starts."""
    growth = usable(data).norm_output.mean("seed") / (np.sqrt(2 * data.m) * data.v0)
    quiet = among(growth, data.init <= 0.03, "σ0 ≤ 0.03")
    expected = f"|v_T|/v₀ from {float(quiet.min()):.2f} to {float(quiet.max()):.0f}"
    return within(0.05, data.growth_predicted, of=quiet, relative=True, where="for σ0 ≤ 0.03", expected=expected)


@claim("a loud start harms however large κ is", "derived here", sizes=ALL)
def loud_start_harms(data: xr.Dataset) -> Finding:
    """Smallest test error where the start's noise is as large as the signal's output."""
    error = among(usable(data).test_error.mean("seed"), data.loudness >= 1, "σ0σp√d·v0√m ≥ 1")
    said = "test error at least {least:.2f}"
    return at_least(0.1, error, where="where σ0σp√d·v0√m ≥ 1", format=said, expected="bounded below")


@claim(
    "below the boundary the output scale at the start does not matter",
    "derived here",
    known="v0 = 0.1 lies just below v* = 0.107; up to v*/2 the errors are within ×2.5",
)
def small_starts_alike(data: xr.Dataset) -> Finding:
    """Largest ratio of test errors between output scales below the boundary v*."""
    limit = theory.balanced_scale(data.n, data.signal, data.d, data.m, data.sigma_p)
    small = usable(data).test_error.mean("seed").where(data.v0 < limit, drop=True)
    if small.sizes.get("v0", 1) < 2:
        raise NotMeasurable(f"fewer than two output scales lie below v* = {float(limit.max()):.3g}")
    where = "for v0 < v*, at every σ0"
    return alike(3, small, over="v0", where=where, format="varies by at most ×{:.1f}", expected="no dependence on v0")


@claim("the harm done by a loud start is predicted", "derived here")
def harm_predicted(data: xr.Dataset) -> Finding:
    """Predicted over measured test error, wherever the measured one is at least 0.02."""
    error = usable(data).test_error.mean("seed")
    ratio = data.test_error_predicted / among(error, error >= 0.02, "a test error of at least 0.02")
    said = "predicted/measured from {least:.2f} to {most:.2f}"
    return factor(1.5, ratio, where="where the error is ≥ 0.02", format=said)


CLAIMS = (growth_predicted, loud_start_harms, small_starts_alike, harm_predicted)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The map over both scales, and its rows as curves."""
    return {"init_map": init_map(data), "init_curves": init_curves(data)}


def init_map(data: xr.Dataset) -> Figure:
    """Test error, with where the start is as loud as the signal and where the output layer begins to grow."""
    chosen, note = one_of_each(data, "v0", "init")
    error = seed_interval(chosen.test_error)["mean"]
    n, signal, d, m, sigma_p = (float(chosen[name]) for name in ("n", "signal", "d", "m", "sigma_p"))
    v0, init, boundary = chosen.v0, chosen.init, chosen.v0c
    path = theory.training_path(np.atleast_1d(v0), n, signal, d, m, sigma_p=sigma_p, steps=int(data.steps))
    # Solved for σ0 at the output scale that the layer has at the end, so that the line holds in both regimes.
    limit = theory.output_limit(n, signal, d, m, 1.0, sigma_p, margin=path.margin) / path.output
    orders = 1 / (sigma_p * d**0.5 * m**0.5 * v0)
    lines = {}
    if v0.ndim:
        lines = {
            "predicted: the start as loud as the signal": xr.DataArray(limit, dims="v0", coords={"v0": v0}),
            "σ₀σp√d·v₀√m = 1": orders.where((orders >= init.min()) & (orders <= init.max())),
        }
    title = f"A loud start ruins what κ = {float(np.max(chosen.kappa)):g} would allow{note}"
    figure, axes = new_figure(title=title, width=6.4, height=4.4)
    error = error.expand_dims([name for name in ("v0", "init") if name not in error.dims])
    heat_map(
        axes[0, 0],
        error,
        "v0",
        "init",
        log_colour=True,
        lines=lines,
        hatched=unusable(chosen).broadcast_like(error),
        title=f"n = {n:g}, ‖μ‖ = {signal:g}; the output layer grows left of v₀c ≈ {float(boundary.mean()):.2g}",
    )
    return figure


def init_curves(data: xr.Dataset) -> Figure:
    """Test error against the output scale, a curve for each filter scale."""
    chosen, note = one_of_each(data, "v0", "init")
    hue = "init" if "init" in chosen.dims else None
    title = "Harm and growth are predicted; errors below 0.01 in their order only" + note
    figure, (axes,) = new_figure(1, 2, title=title, width=5.8)
    shared: dict[str, Any] = {"x": "v0", "hue": hue, "log": "xy"}
    curves(axes[0], chosen.test_error, theory=chosen.test_error_predicted, legend=False,
           title="Test error: harm from a loud start", **shared)  # fmt: skip
    axes[0].set_ylim(top=1)
    growth = chosen.norm_output / (np.sqrt(2 * chosen.m) * chosen.v0)
    growth = growth.assign_attrs(long_name="growth |v_T|/v₀", units="1")
    curves(axes[1], growth, theory=chosen.growth_predicted, title="Growth of the output layer", **shared)
    return figure


EXPERIMENT = Experiment(setting.RUN, SIZES, claims=CLAIMS, predict=predict, figures=figures)
