"""The phase diagram: test error over sample size and signal strength, for a large and a small output layer.

A network that fits all its training samples generalises where κ = n‖μ‖⁴/(σp⁴d) is large and not where it is small;
a small output scale moves the transition to somewhat larger κ. Shang, Meng, Cao, Zou 2024, arXiv 2410.19139; the
role of κ with a fixed output layer: Kou, Chen, Chen, Gu 2023, arXiv 2303.04145. Names: ``signal`` ‖μ‖, ``v0`` the scale
of the output weights at the start.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Estimate,
    Finding,
    NotMeasurable,
    alike,
    all_of,
    among,
    at,
    at_least,
    at_most,
    between,
    claim,
    exponent,
    extremes,
    factor,
    mean,
    need,
    one_of_each,
    threshold,
    unusable,
    usable,
    within,
)
from lemmata.lab import ALL, Experiment, Explore, Size
from lemmata.papers.benign_overfitting import setting, theory
from lemmata.papers.benign_overfitting.setting import LARGE, SMALL
from lemmata.report.curves import cloud
from lemmata.report.maps import heat_map, threshold_map
from lemmata.report.statistics import seed_interval
from lemmata.report.style import new_figure

LEVEL = 0.1
"""Test error at the transition."""
TREND = 0.2
"""Largest exponent of n in κ at the transition: 40 % from n = 20 to 100."""
BELOW, NEARLY = 10.0, 5.0
"""Prefactor of the lower bound, and what the constants of both exponents may differ by: "nearly matching"."""
CONSTANT = 0.1
"""Test error that is harmful: the constant that Kou et al. 2023 state."""
TINY = 1e-100
"""Errors below are lost to rounding for all that is said here."""
SIZES = {
    "smoke": Size(v0=(SMALL, LARGE), n=(20, 40, 80), signal=(1.0, 2.0, 3.0, 5.0), seeds=3),
    "laptop": Size(
        v0=(SMALL, LARGE), n=tuple(range(10, 101, 10)), signal=tuple(np.arange(1.0, 7.0, 0.5).tolist()), seeds=12
    ),
    "paper": Size(
        v0=(SMALL, 0.02, 0.05, 0.1, LARGE, 2.0),
        n=tuple(range(12, 481, 12)),
        signal=tuple(np.linspace(0.25, 10.0, 40).tolist()),
        seeds=20,
        **setting.LONG,
    ),
}


def kappa_at_level(data: xr.Dataset, level: float = LEVEL) -> Estimate:
    """κ at which the mean test error over seeds falls through ``level``, per v0 and n ≥ 20, with its interval."""
    error = usable(data).test_error
    return threshold(error.where(error.n >= 20, drop=True), level, along="signal", of=setting.kappa(data))


def _crossings(data: xr.Dataset, v0: float) -> Estimate:
    need(data, n=3, signal=2, seed=2)
    found = kappa_at_level(at(data, v0=v0))
    if (count := int(found.value.notnull().sum())) < 3:
        raise NotMeasurable(f"the error crosses {LEVEL} at {count} sample sizes from 20 on; needs 3")
    return found


@claim(f"the test error falls through {LEVEL} at the same κ whatever the sample size", setting.KOU, sizes=ALL)
def kappa_decides(data: xr.Dataset) -> Finding:
    """κ at the transition spreads by at most 40 % over n ≥ 20, at both output scales, and has no trend in n."""
    found = {v0: _crossings(data, v0) for v0 in (LARGE, SMALL)}
    spreads = [alike(1.4, k.value, format=f"×{{:.2f}} at v0 = {v0:g}", expected="") for v0, k in found.items()]
    trends = [
        within(
            TREND, exponent(k, "n"), of=0, format="∝ n^{:+.2f}", where="in the exponent of n", expected="", point=True
        )
        for k in found.values()
    ]
    expected = f"{float(theory.kappa_at_error(LEVEL)):.2f} at all n"
    return all_of(
        *spreads,
        *trends,
        expected=expected,
        detail=[f"κ {k.value.min():.2f} to {k.value.max():.2f}" for k in found.values()],
    )


@claim(f"with a small output layer at the start the error reaches {LEVEL} at a somewhat larger κ", "derived here")
def small_start_needs_more(data: xr.Dataset) -> Finding:
    """κ at the transition, small output scale over large, at every n from 20 on; seeds are paired."""
    ratio = _crossings(data, SMALL).over(_crossings(data, LARGE))
    return between(
        1.1, 1.7, ratio, unit="×", where="at every n ≥ 20", expected="×1.1 to ×1.7", point=True,
        format="×{least:.2f} to ×{most:.2f}, worst",
    )  # fmt: skip


@claim("for κ ≥ 1 the test error is at most exp(−κ/C)", setting.KOU, sizes=ALL)
def exponential_bound(data: xr.Dataset) -> Finding:
    """The smallest C with error ≤ exp(−κ/C) wherever κ ≥ 1 must be the same for all n, up to a factor of two."""
    need(data, n=2)
    error, kappa = usable(data).test_error.mean("seed"), setting.kappa(data)
    constant = among(kappa / -np.log(error), (kappa >= 1) & (error > 0), "κ ≥ 1")
    per_n = constant.max([dim for dim in constant.dims if dim != "n"])
    low, high = float(per_n.min()), float(per_n.max())
    return alike(2, per_n, format=f"C from {low:.2f} to {high:.2f} over n", expected="one C for all n")


@claim("for κ ≥ 1 the test error is at least exp(−κ/C′)/10, nearly as large as the upper bound", setting.ABSTRACT)
def lower_bound(data: xr.Dataset) -> Finding:
    """The largest C′ with error ≥ exp(−κ/C′)/10 wherever κ ≥ 1, at all n and both output scales, beside the upper C.

    Both are such that the bounds hold for whole intervals over seeds.
    """
    need(data, n=2, seed=2)
    error, kappa = mean(usable(data).test_error, log=True), setting.kappa(data)
    here = (kappa >= 1) & (error.value > TINY)
    lower = among(kappa / -np.log(BELOW * error.low), here & (BELOW * error.low < 1), "κ ≥ 1").min()
    upper = among(kappa / -np.log(error.high), here, "κ ≥ 1").max()
    said = f"C′ = {float(lower):.2f} below, C = {float(upper):.2f} above, at all n and v0: ×{{:.1f}}"
    return at_most(
        NEARLY, upper / lower, format=said, expected="of one order", where="between the exponents' constants"
    )


@claim("for κ ≤ 0.2 the test error is at least a constant", setting.ABSTRACT, ALL)
def harmful_side(data: xr.Dataset) -> Finding:
    """Mean test errors where κ is small, at all n and both output scales, with intervals."""
    error = mean(usable(data).test_error)
    few = error.where(among(error.value, setting.kappa(data) <= 0.2, "κ ≤ 0.2").notnull())
    return at_least(CONSTANT, few, format="test error at least {least:.3f}, worst", expected="bounded below")


@claim("a formula without fitted constants gives the test error where it is at least 0.05", "derived here")
def prediction_near_transition(data: xr.Dataset) -> Finding:
    """Predicted over measured test error, wherever the measured one is at least 0.05."""
    error = usable(data).test_error.mean("seed")
    near = among(error, (error >= 0.05) & (error.n >= 20), "n ≥ 20 and a mean test error of at least 0.05")
    said = "predicted/measured from {least:.2f} to {most:.2f}"
    return factor(1.5, data.test_error_predicted / near, where="for n ≥ 20", format=said)


CLAIMS = (
    setting.fits_training_data,
    kappa_decides,
    exponential_bound,
    lower_bound,
    harmful_side,
    small_start_needs_more,
    prediction_near_transition,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The phase diagram, and the collapse of all sample sizes on κ."""
    return {"phase_diagram": phase_diagram(data), "collapse": collapse(data)}


def phase_diagram(data: xr.Dataset) -> Figure:
    """Rows: largest and smallest output scale; columns: test error, and the same cut at the transition."""
    title = "Test error of networks that fit their training data: κ decides"
    chosen, note = one_of_each(data, "v0", "n", "signal")
    scales = extremes(chosen, "v0")
    figure, axes = new_figure(len(scales), 2, title=title + note)
    for row, v0 in zip(axes, scales):
        part = at(chosen, v0=v0)
        error = seed_interval(part.test_error)["mean"].expand_dims(
            [name for name in ("n", "signal") if name not in part.test_error.dims]
        )
        critical = theory.kappa_at_error(LEVEL)
        line = (critical * part.sigma_p**4 * part.d / (part.n * error.signal[0] ** 0)) ** 0.25
        shared: dict[str, Any] = {
            "contours": setting.kappa(part).broadcast_like(error),
            "levels": (0.1, 1, 10, 100),
            "lines": {f"predicted: error {LEVEL}": line} if "n" in line.dims else {},
            "hatched": unusable(part).broadcast_like(error),
        }
        regime = theory.regime(v0, float(part.v0c.mean())).item()
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


def collapse(data: xr.Dataset) -> Figure:
    """Test error against κ: all sample sizes near one curve."""
    chosen, note = one_of_each(data, "v0", "n", "signal")
    scales = extremes(chosen, "v0")
    figure, axes = new_figure(1, len(scales), title="Against κ, sample sizes fall near one curve" + note, sharey=True)
    for ax, v0 in zip(axes[0], scales):
        part = at(chosen, v0=v0)
        error, kappa = seed_interval(part.test_error)["mean"], setting.kappa(part)
        reach = np.geomspace(float(kappa.min()), float(kappa.max()), 200)
        cloud(
            ax,
            kappa,
            error,
            "n",
            log="xy",
            theory=xr.DataArray(theory.error_from_kappa(reach), dims="kappa", coords={"kappa": reach}),
            theory_label="predicted, σ₀ → 0 and m → ∞",
            limits=(1e-12, 0.7),
            legend=ax is axes[0, -1],
            title=f"v₀ = {v0:g}",
        )
    return figure


EXPLORE = Explore(
    *("n", "signal", "test_error"),
    limits=(1e-12, 0.5),
    contours="test_error_predicted",
    levels=(LEVEL,),
    sliders={
        "d": (1e3, 1e9),
        "v0": (1e-3, 5),
        "init": (1e-5, 0.1),
        "sigma_p": (0.3, 3),
        "m": (2, 40),
        "steps": (50, 2000),
    },
)
EXPERIMENT = Experiment(setting.RUN, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, explore=EXPLORE)
