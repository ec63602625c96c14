"""Which initialisation ruins benign overfitting: test error over the scales of both layers at the start.

A loud start, σ0σp√d·v0√m ≳ 1, leaves noise in the output that training does not remove, however large κ is; for v0
below v* the output layer grows to the same size whatever v0 was. Setting: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139;
both limits are derived in :mod:`lemmata.papers.benign_overfitting.theory`. Names: ``v0`` output scale, ``init`` σ0.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab import readings
from lemmata.lab.claims import Claim, Finding, NotMeasurable, converged
from lemmata.lab.experiment import SIZES, Experiment
from lemmata.papers.benign_overfitting import setting as family
from lemmata.papers.benign_overfitting import theory as benign

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid


def grid(size: str) -> "Grid":
    """Output scale by filter scale."""
    from lemmata.sweep import Grid

    v0, init, seeds = {
        "smoke": ((0.003, 0.03, 0.3, 3.0), (1e-3, 1e-2, 1e-1), 2),
        "laptop": ((0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), 20),
        "paper": (np.geomspace(1e-3, 10, 33), np.geomspace(1e-4, 0.1, 25), 20),
    }[size]
    return Grid((family.axis("v0", v0), family.axis("init", init), family.axis("seed", range(seeds))))


def body(size: str, **changes: Any) -> "Body":
    """Training at the sample size and signal of the map."""
    return family.training(size, **{"n": 40, "signal": 5.0, **changes})


def loudness(dataset: "xr.Dataset") -> "xr.DataArray":
    """σ0σp√d·v0√m: the order of the start's noise in the output on a fresh point."""
    v0, init, sigma_p, d, m = readings.setting(dataset, "v0", "init", "sigma_p", "d", "m")
    return (v0 * init * (sigma_p * d**0.5 * m**0.5)).rename("loudness").assign_attrs(symbol="σ₀σp√d·v₀√m")


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Growth of the output layer and the error with the start's noise, as theory has them."""
    import xarray as xr

    found = family.predictions(dataset)
    v0, m = readings.setting(dataset, "v0", "m")
    growth = (found["norm_output_predicted"] / (np.sqrt(2 * m) * v0)).assign_attrs(long_name="predicted |v_T|/v₀")
    return found.assign(growth_predicted=growth, loudness=xr.DataArray(loudness(dataset)))


def _growth(dataset: "xr.Dataset") -> "xr.DataArray":
    v0, m = readings.setting(dataset, "v0", "m")
    growth = converged(dataset).dataset["norm_output"].mean("seed") / (np.sqrt(2 * m) * v0)
    return growth.assign_attrs(long_name="growth of the output layer |v_T|/v₀", units="1")


# -- claims ----------------------------------------------------------------------------------------------------------


def growth_is_predicted(dataset: "xr.Dataset") -> Finding:
    """Worst relative error of the predicted growth |v_T|/v0 over quiet starts."""
    growth = _growth(dataset)
    quiet = growth.where(dataset["init"] <= 0.03)
    if not bool(quiet.notnull().any()):
        raise NotMeasurable("no cell has σ0 ≤ 0.03")
    off = abs(dataset["growth_predicted"] / quiet - 1)
    worst = off.isel({str(k): int(v) for k, v in off.fillna(-1).argmax(...).items()})
    return Finding(
        holds=float(off.max()) < 0.05,
        measured=f"off by {float(off.max()):.1%} at most",
        predicted=f"|v_T|/v₀ from {float(quiet.min()):.2f} to {float(quiet.max()):.0f}",
        tolerance="< 5 % for σ0 ≤ 0.03",
        detail=f"worst at v0 = {float(worst['v0']):g}, σ0 = {float(worst['init']):g}",
    )


def loud_corner_is_harmful(dataset: "xr.Dataset") -> Finding:
    """Smallest test error where the start's noise is as large as the signal's output."""
    error = converged(dataset).dataset["test_error"].mean("seed").where(dataset["loudness"] >= 1)
    if not bool(error.notnull().any()):
        raise NotMeasurable("no cell has σ0σp√d·v0√m ≥ 1")
    return Finding(
        holds=float(error.min()) >= 0.1,
        measured=f"test error at least {float(error.min()):.2f}",
        predicted="bounded below",
        tolerance="≥ 0.1 where σ0σp√d·v0√m ≥ 1",
    )


def small_starts_are_alike(dataset: "xr.Dataset") -> Finding:
    """Largest ratio of test errors between output scales below the boundary v*."""
    v0, n, signal, d, m, sigma_p = readings.setting(dataset, "v0", "n", "signal", "d", "m", "sigma_p")
    limit = benign.balanced_scale(n, signal, d, m, sigma_p)
    small = converged(dataset).dataset["test_error"].mean("seed").where(v0 < limit, drop=True)
    if small.sizes["v0"] < 2:
        raise NotMeasurable(f"fewer than two output scales lie below v* = {limit:.3g}")
    spread = float((small.max("v0") / small.min("v0")).max())
    return Finding(
        holds=spread < 3,
        measured=f"varies by at most ×{spread:.1f}",
        predicted="no dependence on v0",
        tolerance="within ×3 for v0 < v*, at every σ0",
    )


def harm_is_predicted(dataset: "xr.Dataset") -> Finding:
    """Predicted over measured test error, wherever the measured one is at least 0.02."""
    error = converged(dataset).dataset["test_error"].mean("seed")
    ratio = (dataset["test_error_predicted"] / error).where(error >= 0.02)
    if not bool(ratio.notnull().any()):
        raise NotMeasurable("no cell has a test error of at least 0.02")
    low, high = float(ratio.min()), float(ratio.max())
    return Finding(
        holds=low > 1 / 1.5 and high < 1.5,
        measured=f"predicted/measured from {low:.2f} to {high:.2f}",
        predicted="1",
        tolerance="×1.5 either way where the error is ≥ 0.02",
    )


CLAIMS = (
    Claim(
        "growth-predicted",
        "the output layer grows as the conservation of ‖w‖² − v² asks",
        "derived here",
        growth_is_predicted,
        SIZES,
    ),
    Claim("loud-start-harms", "a loud start harms however large κ is", "derived here", loud_corner_is_harmful, SIZES),
    Claim(
        "small-starts-alike",
        "below the boundary the output scale at the start does not matter",
        "derived here",
        small_starts_are_alike,
    ),
    Claim("harm-predicted", "the harm done by a loud start is predicted", "derived here", harm_is_predicted),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """The map over both scales, and its rows as curves."""
    return {"init_map": init_map(dataset), "init_curves": init_curves(dataset)}


def init_map(dataset: "xr.Dataset") -> "Figure":
    """Test error, with where the start is as loud as the signal and where the output layer begins to grow."""
    import xarray as xr

    from lemmata.report.maps import heat_map
    from lemmata.report.statistics import seed_interval
    from lemmata.report.style import new_figure

    chosen, note = readings.one_of_each(dataset, "v0", "init")
    error = seed_interval(chosen["test_error"])["mean"]
    n, signal, d, m, sigma_p = (float(value) for value in readings.setting(chosen, "n", "signal", "d", "m", "sigma_p"))
    v0, init, boundary = chosen["v0"], chosen["init"], chosen["v0c"]
    path = benign.training_path(
        v0.values, n, signal, d, m, sigma_p=sigma_p, steps=readings.setting(dataset, "steps")[0]
    )
    # Solved for σ0 at the output scale that the layer has at the end, so that the line holds in both regimes.
    limit = benign.output_limit(n, signal, d, m, 1.0, sigma_p, margin=path.margin) / path.output
    orders = 1 / (sigma_p * d**0.5 * m**0.5 * v0)
    lines = {
        "predicted: the start as loud as the signal": xr.DataArray(limit, dims="v0", coords={"v0": v0}),
        "σ₀σp√d·v₀√m = 1": orders.where((orders >= init.min()) & (orders <= init.max())),
    }
    kappa = float(np.max(chosen["kappa"]))
    title = f"A loud start ruins what κ = {kappa:g} would allow{note}"
    figure, axes = new_figure(title=title, width=6.4, height=4.4)
    if "init" not in error.dims or "v0" not in error.dims:
        error = error.expand_dims([name for name in ("v0", "init") if name not in error.dims])
    heat_map(
        axes[0, 0],
        error,
        "v0",
        "init",
        log_colour=True,
        lines=lines if v0.ndim else {},
        hatched=readings.unusable(chosen).broadcast_like(error),
        title=f"n = {n:g}, ‖μ‖ = {signal:g}; the output layer grows left of v₀c ≈ {float(boundary.mean()):.2g}",
    )
    return figure


def init_curves(dataset: "xr.Dataset") -> "Figure":
    """Test error against the output scale, a curve for each filter scale."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = readings.one_of_each(dataset, "v0", "init")
    hue = "init" if "init" in chosen.dims else None
    figure, axes = new_figure(
        1, 2, title="Harm and growth are predicted; errors below 0.01 in their order only" + note, width=5.8
    )
    curves(
        axes[0, 0],
        chosen["test_error"],
        "v0",
        hue,
        log="xy",
        theory=chosen["test_error_predicted"],
        legend=False,
        title="Test error: harm from a loud start",
    )
    axes[0, 0].set_ylim(top=1)
    v0, m = readings.setting(chosen, "v0", "m")
    growth = (chosen["norm_output"] / (np.sqrt(2 * m) * v0)).assign_attrs(long_name="growth |v_T|/v₀", units="1")
    curves(
        axes[0, 1], growth, "v0", hue, log="xy", theory=chosen["growth_predicted"], title="Growth of the output layer"
    )
    return figure


EXPERIMENT = Experiment(
    name="benign-overfitting-init",
    paper=family.PAPER,
    shows="Test error over both initialisation scales: a loud start harms, a small output layer forgets its scale.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 1, "laptop": 15, "paper": 400},
)
