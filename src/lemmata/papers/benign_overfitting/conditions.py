"""How sharp the conditions on the start are: both transitions located over n and d, against both predicted limits.

At fixed κ the test error stays small between two limits: below v0c the output layer grows (at v0 = v0c by 27 %, by the
conservation of ‖w‖² − v²), and above σ0* the start's noise drowns the signal. Both are found by where measured curves
cross a level, with intervals, at every n and d. Setting: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139; both limits are
derived in ``theory.py``. Names: ``v0`` output scale, ``init`` σ0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Estimate, Finding, all_of, at, claim, exponent, factor, need, threshold, usable, within
from lemmata.lab import Experiment, Size
from lemmata.papers.benign_overfitting import setting, theory
from lemmata.papers.benign_overfitting.setting import LARGE
from lemmata.parameters import parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import derived

GROWTH = float(theory.output_growth(1.0, 1.0))
"""|v_T|/v0 at v0 = v0c: 1.27."""
HARM = 0.1
"""Test error that a start must not bring about."""
QUIET = 1e-3
KAPPA = 12.5
ORDERS = {"v0": {"n": 0.25, "d": -0.25}, "init": {"n": 0.5, "d": -1.0}}
"""Exponents of both limits where n·SNR² ≪ 1, at fixed κ: v0c ~ (n/d)^(1/4), σ0* ~ n·SNR²/√d ~ n^(1/2)/d."""


def at_kappa(kappa: float, *, n: int, d: int, sigma_p: float) -> Mapping[str, float]:
    """‖μ‖ of a point given by κ."""
    return {"signal": float(theory.signal_at_kappa(kappa, n, d, sigma_p))}


BODY = derived(
    setting.RUN, at_kappa, kappa=parameter("κ = n‖μ‖⁴/(σp⁴d)", above=0, scale="log", default=KAPPA)
)  # fmt: skip
V0, INIT = tuple(np.geomspace(0.02, 0.5, 6).round(4).tolist()), tuple(np.geomspace(QUIET, 0.1, 9).round(6).tolist())
SIZES = {
    "smoke": Size(n=(20, 40), d=(2000,), v0=(0.05, 0.1, LARGE), init=(QUIET, 0.02), seeds=2),
    "laptop": Size(n=(20, 40, 80), d=(2000, 8000, 32000), v0=V0, init=INIT, seeds=8),
    "paper": Size(
        n=(20, 40, 80, 160), d=(2000, 8000, 32000, 128000), v0=tuple(np.geomspace(0.005, 2, 16).tolist()),
        init=tuple(np.geomspace(1e-4, 0.3, 20).tolist()), seeds=20, **setting.LONG,
    ),
}  # fmt: skip


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Growth of the output layer and test error, from the configuration alone."""
    found = setting.predict(data)
    growth = found["norm_output_predicted"] / (np.sqrt(2 * data.m) * data.v0)
    return {
        "test_error_predicted": found["test_error_predicted"],
        "growth_predicted": growth.assign_attrs(long_name="predicted |v_T|/v₀", units="1"),
    }


def growth(data: xr.Dataset) -> xr.DataArray:
    """|v_T|/v0, measured."""
    found: xr.DataArray = data.norm_output / (np.sqrt(2 * data.m) * data.v0)
    return found.assign_attrs(long_name="growth |v_T|/v₀", units="1")


def limits(data: xr.Dataset, name: str) -> tuple[Estimate, Estimate]:
    """Where a limit lies, measured and predicted: ``"v0"`` from a quiet start, ``"init"`` at a large output layer."""
    if name == "v0":
        part = at(data, init=QUIET)
        pairs, level = (growth(usable(part)), part.growth_predicted), GROWTH
    else:
        part = at(data, v0=LARGE)
        pairs, level = (usable(part).test_error, part.test_error_predicted), HARM
    need(pairs[0], seed=2, **{name: 2})
    measured, predicted = (array.reset_coords(drop=True) for array in pairs)
    # Of a few seeds the predicted one has no spread; the same number for each makes it an estimate.
    return threshold(measured, level, name), threshold(predicted.broadcast_like(measured), level, name)


def _found_where_predicted(data: xr.Dataset, name: str, symbol: str, allowed: float) -> Finding:
    measured, predicted = limits(data, name)
    parts = [factor(allowed, measured, predicted.value, expected="1", point=True,
                    format=f"{symbol} ×{{least:.3f}} to ×{{most:.3f}} of the predicted, worst")]  # fmt: skip
    for axis, order in ORDERS[name].items():
        if data.sizes.get(axis, 1) > 2:
            each = exponent(measured, axis)
            pooled = Estimate(each.each.mean([dim for dim in each.each.dims if dim != "seed"]))
            said = float(exponent(predicted, axis).value.mean())
            parts.append(
                within(0.05, pooled, said, format=f"∝ {axis}^{float(pooled.value):.3f}, off by {{:+.3f}}",
                       expected=f"{axis}^{said:.3f} here, {axis}^{order:g} for n·SNR² ≪ 1")
            )  # fmt: skip
    return all_of(*parts, detail=("measured", measured))


@claim("the output layer begins to grow at the predicted output scale, over n and d", "derived here")
def output_limit(data: xr.Dataset) -> Finding:
    """v0 at which the output layer grows by 27 %, against the prediction, with exponents in n and d."""
    return _found_where_predicted(data, "v0", "v0c", 1.1)


@claim("a start becomes harmful at the predicted filter scale, over n and d", "derived here")
def filter_limit(data: xr.Dataset) -> Finding:
    """σ0 at which the test error at a large output scale reaches 0.1, against the prediction, with exponents."""
    return _found_where_predicted(data, "init", "σ0*", 1.25)


CLAIMS = (output_limit, filter_limit)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Growth over v0 at a quiet start and test error over σ0 at a large output scale, a curve per d, at the first n."""
    one = data.isel(n=0) if "n" in data.dims else data
    figure, axes = new_figure(
        1, 2, title=f"Both limits of the start, n = {int(one.n)}, κ = {float(one.kappa):g}", width=5
    )
    hue = "d" if "d" in one.dims else None
    shared: dict[str, Any] = {"hue": hue, "log": "xy"}
    quiet, large = one.isel(init=0) if "init" in one.dims else one, one.isel(v0=-1) if "v0" in one.dims else one
    if "v0" in quiet.dims:
        curves(axes[0, 0], growth(quiet), "v0", theory=quiet.growth_predicted, legend=False,
               title=f"growth of the output layer; dotted: ×{GROWTH:.2f}", **shared)  # fmt: skip
        axes[0, 0].axhline(GROWTH, color="0.5", ls=":")
        axes[0, 0].set_xticks(quiet.v0.values, [f"{v0:.2g}" for v0 in quiet.v0.values])
        axes[0, 0].set_xticks([], minor=True)
    if "init" in large.dims:
        curves(axes[0, 1], large.test_error, "init", theory=large.test_error_predicted,
               title=f"test error at v₀ = {float(large.v0):g}; dotted: {HARM:g}", **shared)  # fmt: skip
        axes[0, 1].axhline(HARM, color="0.5", ls=":")
    return {"conditions": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
