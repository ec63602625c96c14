"""The phase diagram: test error over sample size and signal strength, for a large and a small output layer.

A network that fits all its training samples generalises where κ = n‖μ‖⁴/(σp⁴d) is large and not where it is small;
a small output scale moves the transition to somewhat larger κ. Shang, Meng, Cao, Zou 2024, arXiv 2410.19139; the
role of κ with a fixed output layer: Kou, Chen, Chen, Gu 2023, arXiv 2303.04145. Names: ``signal`` ‖μ‖, ``v0`` the scale
of the output weights at the start.
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

    from lemmata.sweep import Grid

LARGE, SMALL = 0.5, 0.005
"""Output scales of about five and a twentieth of the boundary between the regimes."""
LEVEL = 0.1
"""Test error at the transition."""


def grid(size: str) -> "Grid":
    """Sample size by signal strength at several output scales."""
    from lemmata.sweep import Grid

    n, signal, v0, seeds = {
        "smoke": ((20, 40, 80), (1.0, 2.0, 3.0, 5.0), (SMALL, LARGE), 3),
        "laptop": (range(10, 101, 10), np.arange(1.0, 7.0, 0.5), (SMALL, LARGE), 12),
        "paper": (range(12, 481, 12), np.linspace(0.25, 10.0, 40), (SMALL, 0.02, 0.05, 0.1, LARGE, 2.0), 20),
    }[size]
    axes = {"v0": v0, "n": n, "signal": signal, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


# -- claims ----------------------------------------------------------------------------------------------------------


def kappa_at_level(dataset: "xr.Dataset", level: float = LEVEL) -> "xr.DataArray":
    """κ at which the mean test error over seeds falls through ``level``, per v0 and n ≥ 20; NaN where it does not.

    Interpolated linearly in log κ and log error between the signal strengths on either side.
    """
    kept = converged(dataset).dataset
    error: Any = np.log(kept["test_error"].mean("seed").where(kept["n"] >= 20, drop=True))
    log_kappa = np.log(family.kappa(kept)) + 0 * error
    below = error < np.log(level)
    crossing = below & ~below.shift(signal=1, fill_value=True)
    before_error, before_kappa = error.shift(signal=1), log_kappa.shift(signal=1)
    share = (np.log(level) - before_error) / (error - before_error)
    found = np.exp(before_kappa + share * (log_kappa - before_kappa)).where(crossing)
    return found.isel(signal=crossing.argmax("signal"))


def _crossings(dataset: "xr.Dataset", v0: float) -> np.ndarray:
    if not {"n", "signal", "seed"} <= set(dataset.dims):
        raise NotMeasurable("needs several sample sizes, signal strengths and seeds")
    found = kappa_at_level(at(dataset, v0=v0))
    values = found.values[np.isfinite(found.values)]
    if values.size < 3:
        raise NotMeasurable(f"the error crosses {LEVEL} at {values.size} sample sizes from 20 on; needs 3")
    return found.values


def kappa_decides(dataset: "xr.Dataset") -> Finding:
    """κ at the transition spreads by less than 40 % over n >= 20, at both output scales."""
    spread, texts = 0.0, []
    for v0 in (LARGE, SMALL):
        values = _crossings(dataset, v0)
        low, high = np.nanmin(values), np.nanmax(values)
        spread = max(spread, high / low - 1)
        texts.append(f"{low:.2f} to {high:.2f} at v0 = {v0:g}")
    predicted = f"{float(benign.kappa_at_error(LEVEL)):.2f} at all n"
    return Finding(
        holds=spread < 0.4,
        measured="κ from " + ", ".join(texts),
        predicted=predicted,
        tolerance="varies by < 40 %",
        detail=f"largest variation {spread:.0%}",
    )


def small_start_needs_more(dataset: "xr.Dataset") -> Finding:
    """κ at the transition, small output scale over large, at every n from 20 on."""
    ratio = _crossings(dataset, SMALL) / _crossings(dataset, LARGE)
    low, high = float(np.nanmin(ratio)), float(np.nanmax(ratio))
    return Finding(
        holds=low >= 1.1 and high <= 1.7,
        measured=f"×{low:.2f} to ×{high:.2f}",
        predicted="×1.1 to ×1.7",
        tolerance="at every n ≥ 20",
    )


def fits_training_data(dataset: "xr.Dataset") -> Finding:
    """The largest training loss of all cells."""
    kept = converged(dataset)
    loss = kept.dataset["train_loss"]
    worst = loss.isel({str(dim): int(index) for dim, index in loss.fillna(-1).argmax(...).items()})
    where = ", ".join(f"{dim} = {worst[dim].item():g}" for dim in loss.dims)
    over = int((loss >= 0.02).sum())
    return Finding(
        holds=not over and not kept.left_out,
        measured=f"largest training loss {float(worst):.4f}",
        predicted="→ 0",
        tolerance="< 0.02 in every cell",
        detail="; ".join(filter(None, [f"{over} of {loss.size} cells are above, worst at {where}", kept.note])),
    )


def exponential_bound(dataset: "xr.Dataset") -> Finding:
    """The smallest C with error ≤ exp(−κ/C) wherever κ ≥ 1 must be the same for all n, up to a factor of two."""
    kept = converged(dataset).dataset
    error, kappa = kept["test_error"].mean("seed"), family.kappa(kept)
    constant = (kappa / -np.log(error)).where((kappa >= 1) & (error > 0))
    if "n" not in constant.dims or not bool(constant.notnull().any()):
        raise NotMeasurable("needs several sample sizes and cells with κ ≥ 1")
    per_n = constant.max([dim for dim in constant.dims if dim != "n"]).dropna("n")
    low, high = float(per_n.min()), float(per_n.max())
    return Finding(
        holds=high / low < 2,
        measured=f"C from {low:.2f} to {high:.2f} over n",
        predicted="one C for all n",
        tolerance="within ×2",
    )


def prediction_near_transition(dataset: "xr.Dataset") -> Finding:
    """Predicted over measured test error, wherever the measured one is at least 0.05."""
    kept = converged(dataset).dataset.where(dataset["n"] >= 20)
    measured = kept["test_error"].mean("seed")
    if not bool((measured >= 0.05).any()):
        raise NotMeasurable("no cell with n ≥ 20 has a mean test error of at least 0.05")
    ratio = (dataset["test_error_predicted"] / measured).where(measured >= 0.05)
    low, high = float(ratio.min()), float(ratio.max())
    return Finding(
        holds=low > 1 / 1.5 and high < 1.5,
        measured=f"predicted/measured from {low:.2f} to {high:.2f}",
        predicted="1",
        tolerance="×1.5 either way, n ≥ 20",
    )


CLAIMS = (
    Claim(
        "fits-training-data",
        "every network fits its training data, noise included",
        family.ABSTRACT,
        fits_training_data,
        SIZES,
    ),
    Claim(
        "kappa-decides",
        f"the test error falls through {LEVEL} at the same κ whatever the sample size",
        "Kou et al. 2023, up to constants; fixed output layer",
        kappa_decides,
        SIZES,
    ),
    Claim(
        "exponential-bound",
        "for κ ≥ 1 the test error is at most exp(−κ/C)",
        "Kou et al. 2023, up to constants; fixed output layer",
        exponential_bound,
        SIZES,
    ),
    Claim(
        "small-start-needs-more",
        f"with a small output layer at the start the error reaches {LEVEL} at a somewhat larger κ",
        "derived here",
        small_start_needs_more,
    ),
    Claim(
        "prediction-near-transition",
        "a formula without fitted constants gives the test error where it is at least 0.05",
        "derived here",
        prediction_near_transition,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """The phase diagram, and the collapse of all sample sizes on κ."""
    return {"phase_diagram": phase_diagram(dataset), "collapse": collapse(dataset)}


def phase_diagram(dataset: "xr.Dataset") -> "Figure":
    """Rows: largest and smallest output scale; columns: test error, and the same cut at the transition."""
    from lemmata.report.maps import heat_map, threshold_map
    from lemmata.report.statistics import seed_interval
    from lemmata.report.style import new_figure

    title = "Test error of networks that fit their training data: κ decides"
    chosen, note = readings.one_of_each(dataset, "v0", "n", "signal")
    scales = readings.extremes(chosen)
    figure, axes = new_figure(len(scales), 2, title=title + note)
    for row, v0 in zip(axes, scales):
        part = chosen.sel(v0=v0) if "v0" in chosen.dims else chosen
        error = seed_interval(part["test_error"])["mean"].expand_dims(
            [name for name in ("n", "signal") if name not in part["test_error"].dims]
        )
        n, d, sigma_p = readings.setting(part, "n", "d", "sigma_p")
        line = (benign.kappa_at_error(LEVEL) * sigma_p**4 * d / (n * error["signal"][0] ** 0)) ** 0.25
        shared: dict[str, Any] = {
            "contours": family.kappa(part).broadcast_like(error),
            "levels": (0.1, 1, 10, 100),
            "lines": {f"predicted: error {LEVEL}": line} if "n" in line.dims else {},
            "hatched": readings.unusable(part).broadcast_like(error),
        }
        regime = benign.regime(v0, float(part["v0c"].mean())).item()
        heat_map(
            row[0],
            error,
            "n",
            "signal",
            log_colour=True,
            limits=(1e-12, 0.5),
            title=f"{regime.capitalize()} output layer at the start, v₀ = {v0:g}",
            **shared,
        )
        threshold_map(
            row[1], error, "n", "signal", level=LEVEL, below="benign", above="harmful", title="Cut at 0.1", **shared
        )
    return figure


def collapse(dataset: "xr.Dataset") -> "Figure":
    """Test error against κ: all sample sizes fall on one curve."""
    from lemmata.report.curves import cloud
    from lemmata.report.statistics import seed_interval
    from lemmata.report.style import new_figure

    chosen, note = readings.one_of_each(dataset, "v0", "n", "signal")
    scales = readings.extremes(chosen)
    figure, axes = new_figure(1, len(scales), title="Against κ, all sample sizes fall on one curve" + note, sharey=True)
    import xarray as xr

    for ax, v0 in zip(axes[0], scales):
        part = chosen.sel(v0=v0) if "v0" in chosen.dims else chosen
        error, kappa = seed_interval(part["test_error"])["mean"], family.kappa(part)
        reach = np.geomspace(float(kappa.min()), float(kappa.max()), 200)
        theory = xr.DataArray(benign.error_from_kappa(reach), dims="kappa", coords={"kappa": reach})
        cloud(
            ax,
            kappa,
            error,
            "n",
            log="xy",
            theory=theory,
            theory_label="predicted, σ₀ → 0 and m → ∞",
            limits=(1e-12, 0.7),
            legend=ax is axes[0, -1],
            title=f"v₀ = {v0:g}",
        )
    return figure


EXPERIMENT = Experiment(
    name="benign-overfitting",
    paper=family.PAPER,
    shows="Test error over sample size and signal strength falls where κ = n‖μ‖⁴/(σp⁴d) passes one.",
    grid=grid,
    body=family.training,
    claims=CLAIMS,
    predict=family.predictions,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 2, "laptop": 20, "paper": 40000},
)
