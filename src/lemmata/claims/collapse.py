"""How far curves collapse onto one when plotted against one variable: a misfit in its logarithm, with an interval.

Every curve is read at several levels: where, in log κ, does it cross 0.3, 0.1, 0.03, 0.01? Curves collapse if, level
by level, all cross at the same place. With r̄ the mean over seeds of the P distances from the level's mean over curves,

    misfit² = (‖r̄‖² − E‖noise‖²) / P:

0 is perfect, 0.1 means that curves lie about 10 % of κ apart. Noise is drawn by redrawing seeds with all their curves
and levels; the interval is the set of misfits θ for which the ‖r̄‖² seen is not extreme among those of θ·√P·r̄/‖r̄‖ +
noise. The quality S of Houdayer and Hartmann 2004 (Phys. Rev. B 70, 014418) takes the points of a curve as independent
and rejects true collapses where seeds are shared along it; it serves the tests as a foil.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims.claim import NotMeasurable
from lemmata.claims.estimate import Interval
from lemmata.claims.slices import say
from lemmata.claims.threshold import Statistic, threshold

LEVELS = (0.3, 0.1, 0.03, 0.01)


@dataclass(frozen=True)
class Misfit(Interval):
    """How far curves are from one; an interval in log κ.

    Args:
        p: probability of distances as large as these if the curves were one.
        farthest: the curve that is farthest from the others, where, and by how much.
        read: number of (curve, level) pairs that could be read.
    """

    p: float = float("nan")
    farthest: str = ""
    read: int = 0

    def __str__(self) -> str:
        return f"{super().__str__()} in the logarithm, p = {self.p:.2g}, {self.read} crossings read"


def collapse(
    quantity: xr.DataArray,
    against: xr.DataArray,
    along: str,
    *,
    levels: Sequence[float] = LEVELS,
    statistic: Statistic = "mean",
    level: float = 0.95,
    draws: int = 1999,
    seeds: str = "seed",
) -> Misfit:
    """The misfit of all curves of a quantity against a variable.

    Args:
        quantity: ``(..., along, seed)``; every other dimension numbers curves.
        against: the variable, ``(..., along)``, positive.
        along: the axis along which a curve runs.
        levels: where curves are read; those that fewer than two curves cross are left out.
        draws: redrawn sets of seeds for the interval and the p-value; the draws are fixed.

    Raises:
        NotMeasurable: no level is crossed by two curves, or there are fewer than four seeds.
    """
    read = {}
    for value in levels:
        try:
            each = threshold(quantity, value, along, of=against, statistic=statistic, seeds=seeds).each
        except NotMeasurable:
            continue
        curves: Any = each.stack(of_curves=[dim for dim in each.dims if dim != seeds]).transpose("of_curves", seeds)
        read[value] = curves
    if not read:
        raise NotMeasurable(f"no level of {', '.join(map(say, levels))} is crossed along {along}")
    y = np.stack([curves.values for curves in read.values()], 1)  # (curve, level, seed)
    present = np.isfinite(y).all(2)
    present &= present.sum(0) >= 2
    if not present.any() or y.shape[2] < 4:
        raise NotMeasurable("needs a level that two curves cross in every seed, and four seeds or more")
    y = np.where(present[:, :, None], y, 0.0)
    residual = (y - y.sum(0) / np.maximum(present.sum(0), 1)[:, None])[present]  # (pair, seed)
    value, low, high, p = _misfit(residual, level, draws)
    pairs = np.argwhere(present)
    far = int(np.argmax(np.abs(residual.mean(1))))
    index = next(iter(read.values())).indexes["of_curves"]
    names = [str(name) for name in index.names]
    label = index[pairs[far, 0]]
    where = ", ".join(
        f"{name} = {say(part)}" for name, part in zip(names, label if isinstance(label, tuple) else (label,))
    )
    moved = np.expm1(residual.mean(1)[far])
    farthest = f"{where} at {say(list(read)[pairs[far, 1]])}: {moved:+.1%}"
    return Misfit(
        xr.DataArray(value), xr.DataArray(low), xr.DataArray(high), p=p, farthest=farthest, read=len(residual)
    )


def _misfit(residual: np.ndarray, level: float, draws: int) -> tuple[float, float, float, float]:
    """Misfit, its interval by inverting a test, and the p-value of none, from residuals ``(pair, seed)``."""
    pairs, seeds = residual.shape
    mean = residual.mean(1)
    seen = float(mean @ mean)
    centred = (residual - mean[:, None]) * np.sqrt(seeds / (seeds - 1))
    shares = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
    noise = centred @ shares.T  # (pair, draw)
    square = (noise**2).sum(0)
    along = (mean / np.sqrt(seen) if seen > 0 else mean) @ noise  # noise in the direction seen

    def at_least_as_far(theta: float) -> float:
        return (1 + np.count_nonzero(theta**2 + 2 * theta * along + square >= seen)) / (draws + 1)

    def at_most_as_far(theta: float) -> float:
        return (1 + np.count_nonzero(theta**2 + 2 * theta * along + square <= seen)) / (draws + 1)

    tail, top = (1 - level) / 2, float(np.sqrt(seen) + 4 * np.sqrt(square.max()) + 1e-12)
    low = _where(lambda theta: at_least_as_far(theta) > tail, top)
    high = _where(lambda theta: at_most_as_far(theta) <= tail, top)
    value = np.sqrt(max(seen - square.mean(), 0.0))
    scale = np.sqrt(pairs)
    return value / scale, min(low, value) / scale, max(high, value) / scale, float(at_least_as_far(0.0))


def _where(holds: Any, top: float) -> float:
    """The smallest theta from 0 to ``top`` at which a condition that turns true once is true, to 1e-4 of ``top``."""
    low, high = 0.0, top
    if holds(low):
        return low
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
