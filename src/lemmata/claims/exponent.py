"""With which power a quantity scales with an axis: the slope in logarithms, one fit per seed, Student interval.

The exponent fitted on a range is the *effective* one of that range. :func:`local_exponents` and :func:`drift` say
whether it is the same all along: a single slope hides a law that breaks down at one end.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from lemmata.claims.claim import NotMeasurable, note
from lemmata.claims.estimate import Estimate, mean
from lemmata.claims.fit import drift_columns, fit

Measured = Estimate | xr.DataArray


def exponent(measured: Measured, over: str, *, least: int = 3) -> Estimate:
    """The slope of log(measured) in log(over), for every other coordinate, ``(...)``.

        within(0.02, exponent(threshold(error, 0.1, along="signal"), over="n"), of=-0.25)

    Args:
        measured: an estimate in logarithms (a threshold), or positive numbers ``(..., over, seed)``, whose mean over
            seeds is then meant. Points at which it is missing are left out; so are seeds that miss any other point.
        over: the axis; positive values.
        least: points a fit needs.

    Raises:
        NotMeasurable: no fit has enough points.
    """

    def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return fit(("constant", over), np.c_[np.ones_like(x), x], y).parameters[1]

    return _along(measured, over, max(2, least), slope)


def drift(measured: Measured, over: str) -> Estimate:
    """Change of the local exponent from the first to the last value of the axis, by a quadratic term, ``(...)``.

    Raises:
        NotMeasurable: no fit has three points.
    """

    def bend(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        design = np.c_[np.ones_like(x), x, drift_columns(x)]
        return fit(("constant", over, "drift"), design, y).parameters[2]

    return _along(measured, over, 3, bend)


def local_exponents(measured: Measured, over: str) -> Estimate:
    """Slopes between neighbouring values, ``(..., over)``, labelled by the first; intervals hold together."""
    estimate = _estimate(measured, over)
    x = xr.apply_ufunc(np.log, estimate.each[over].astype(float))
    each = estimate.each.diff(over, label="lower") / x.diff(over, label="lower")
    return Estimate(each, level=estimate.level, seeds=estimate.seeds)


def _estimate(measured: Measured, over: str) -> Estimate:
    estimate = measured if isinstance(measured, Estimate) else mean(measured, log=True)
    if not estimate.log:
        raise ValueError("an exponent is of an estimate in logarithms; make this one with log=True")
    if over not in estimate.each.dims or over not in estimate.each.coords:
        raise NotMeasurable(f"needs several values of {over}")
    return estimate


def _along(
    measured: Measured, over: str, least: int, slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Estimate:
    """One number per seed and entry from the curve ``(over, seed)`` of each."""
    estimate = _estimate(measured, over)
    each = estimate.each.transpose(..., over, estimate.seeds)
    x = np.log(each[over].values.astype(float))
    curves = each.values.reshape(-1, *each.shape[-2:])
    found, short = np.full((len(curves), curves.shape[-1]), np.nan), 0
    for k, curve in enumerate(curves):
        points = np.isfinite(curve).any(1)
        seeds = np.isfinite(curve[points]).all(0)
        if points.sum() < least or not seeds.any():
            short += 1
            continue
        found[k, seeds] = slope(x[points], curve[np.ix_(points, seeds)])
    if short == len(curves):
        raise NotMeasurable(f"needs {least} or more values of {over} at which it can be measured")
    if short:
        note(f"{short} of {len(curves)} curves have fewer than {least} values of {over}")
    kept = each.isel({over: 0}, drop=True)
    return Estimate(kept.copy(data=found.reshape(kept.shape)), level=estimate.level, seeds=estimate.seeds)
