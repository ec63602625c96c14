"""Where a quantity crosses a level, with an interval over seeds.

Two thresholds carry the same name: the crossing of the mean curve (papers speak of expected errors; the default) and
the mean of each seed's own crossing. They differ where seeds spread. Between the two grid values on either side, the
curve is a straight line in the axis' logarithm and, for quantities in logarithms, in the quantity's. The crossing x* of
the mean curve lies at a share w of the way from one to the other; by the delta method, seed k's influence value is

    x* − [(1 − w)·(Q₀ₖ/Q̄₀ − 1) + w·(Q₁ₖ/Q̄₁ − 1)] / slope,

so that mean and covariance of these numbers over seeds are those of the crossing.
"""

from typing import Any, Literal

import numpy as np
import xarray as xr

from lemmata.claims.claim import NotMeasurable, note
from lemmata.claims.estimate import Estimate
from lemmata.claims.slices import say

Statistic = Literal["mean", "each"]


def threshold(
    quantity: xr.DataArray,
    at: float,
    along: str,
    *,
    of: xr.DataArray | None = None,
    log: bool = True,
    statistic: Statistic = "mean",
    level: float = 0.95,
    seeds: str = "seed",
) -> Estimate:
    """The first place along an axis where a quantity crosses a level, rising or falling.

        kappa = threshold(usable(data).test_error, 0.1, along="signal", of=data.kappa)

    Args:
        quantity: ``(..., along, seed)``; positive where ``log``.
        at: the level.
        along: the axis; its values, or those of ``of``, are positive and increase or decrease along it.
        of: what is read off where the level is crossed, in place of the axis' own values; ``(..., along)``.
        log: interpolate the quantity in logarithms too.
        statistic: ``"mean"``: where the mean over seeds crosses; ``"each"``: mean of every seed's own crossing.

    Returns:
        An estimate in logarithms, ``(...)``; missing where the level is not crossed.

    Raises:
        NotMeasurable: there is no such axis, fewer than two values on it, or no curve crosses.
    """
    if along not in quantity.dims or quantity.sizes[along] < 2:
        raise NotMeasurable(f"needs several values of {along}")
    if seeds not in quantity.dims:
        raise NotMeasurable("needs several seeds")
    # Labels as of the quantity, which may be a part of the dataset that ``of`` was computed on.
    read_off = quantity[along] if of is None else xr.align(quantity, of, join="left", copy=False)[1]
    position = xr.apply_ufunc(np.log, read_off)
    order = [*(dim for dim in quantity.dims if dim not in (along, seeds)), along, seeds]
    quantity = quantity.transpose(*order)
    position = position.broadcast_like(quantity.isel({seeds: 0}, drop=True)).transpose(*order[:-1])
    shape = quantity.shape[:-2]
    curves = quantity.values.astype(float).reshape(-1, *quantity.shape[-2:])
    places = position.values.reshape(-1, quantity.sizes[along])
    one = _mean_crossing if statistic == "mean" else _own_crossings
    found, again = np.full((len(curves), quantity.sizes[seeds]), np.nan), 0
    for k, (x, values) in enumerate(zip(places, curves)):
        found[k], several = one(x, values, at, log)
        again += several
    if np.isnan(found).all():
        raise NotMeasurable(f"{quantity.name or 'the quantity'} crosses {say(at)} nowhere along {along}")
    if again:
        note(f"{again} of {len(curves)} curves cross {say(at)} more than once along {along}; the first crossing counts")
    kept: Any = quantity.isel({along: 0}, drop=True)
    return Estimate(kept.copy(data=found.reshape(*shape, -1)), log=True, level=level, seeds=seeds)


def _scaled(values: np.ndarray, log: bool) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) if log else values


def _segments(y: np.ndarray, target: float) -> np.ndarray:
    """Where a curve without missing values passes from one side of the target to the other (or onto it)."""
    side = np.sign(y - target)
    return np.flatnonzero((side[:-1] != 0) & (side[:-1] != side[1:]))


def _mean_crossing(x: np.ndarray, values: np.ndarray, at: float, log: bool) -> tuple[np.ndarray, bool]:
    """Influence values ``(seeds,)`` of the mean curve's first crossing, and whether there are further ones."""
    nothing = np.full(values.shape[1], np.nan)
    there = np.isfinite(values).any(1) & np.isfinite(x)
    x, values = x[there], values[there]
    if len(x) < 2:
        return nothing, False
    target = float(_scaled(np.asarray(at, float), log))
    segments = _segments(_scaled(np.nanmean(values, 1), log), target)
    if not segments.size:
        return nothing, False
    pair = values[segments[0] : segments[0] + 2]
    whole = np.isfinite(pair).all(0)  # seeds that are missing on one side say nothing about the crossing
    means = pair[:, whole].mean(1)
    y = _scaled(means, log)
    if not whole.any() or not np.isfinite(y).all() or y[0] == y[1]:
        return nothing, False
    first, second = x[segments[0]], x[segments[0] + 1]
    slope = (y[1] - y[0]) / (second - first)
    share = (target - y[0]) / (y[1] - y[0])
    moved = pair / means[:, None] - 1 if log else pair - means[:, None]
    influence = first + share * (second - first) - ((1 - share) * moved[0] + share * moved[1]) / slope
    return np.where(whole, influence, np.nan), len(segments) > 1


def _own_crossings(x: np.ndarray, values: np.ndarray, at: float, log: bool) -> tuple[np.ndarray, bool]:
    """Every seed's own first crossing ``(seeds,)``, and whether any seed has further ones."""
    alone = [_mean_crossing(x, values[:, [k]], at, log) for k in range(values.shape[1])]
    return np.array([found[0] for found, _ in alone]), any(several for _, several in alone)
