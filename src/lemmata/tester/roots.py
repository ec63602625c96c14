"""Where the mean of a few exploring seeds crosses a level along one axis: a scout at one point, then all others.

Cells of one seed share their draws along an axis that changes numbers only, so that a seed's quantity is a smooth
function there and no root finder for noise is needed: bracketing, then Illinois steps (Dowell and Jarratt 1971) in
log axis and log quantity.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CLOSE = 0.25
"""Width in log axis of a bracket in which a straight line finds the root well enough to measure there."""
ROUNDS = 14
SURE = 0.03
"""Standard error of a root, in log axis, that is good enough to measure around it."""
TINY = 1e-300
LADDER = (0.25, 0.5, 1.0, 2.0, 4.0)
REACH = 8
"""Times that a scout makes its ladder longer by a factor of four."""
Evaluate = Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
"""Points without seeds → log(quantity/level), mean over the exploring seeds."""


class Exploring:
    """log(quantity/level) of the mean over exploring seeds, as scouts and searches ask for it.

    Args:
        ask: points, each with its seed → the quantity.
        seeds: exploring seeds.
        axis, level: where what is crossed.
    """

    def __init__(
        self, ask: Callable[[Sequence[Mapping[str, Any]]], np.ndarray], seeds: Sequence[int], axis: str, level: float
    ):
        self.ask, self.seeds, self.axis, self.level = ask, tuple(seeds), axis, level
        self.seen: dict[tuple[Any, ...], list[tuple[float, np.ndarray]]] = {}

    def evaluate(self, points: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """``(point,)``, within ±3; missing where no seed counts."""
        values = self.ask([{**point, "seed": seed} for point in points for seed in self.seeds])
        rows = values.reshape(len(points), len(self.seeds))
        for point, row in zip(points, rows):
            self.seen.setdefault(self._shape(point), []).append((np.log(point[self.axis]), row))
        return np.clip(self._log_mean(rows), -3.0, 3.0)

    def settle(self, shapes: Sequence[Mapping[str, Any]], roots: np.ndarray, slope: float) -> np.ndarray:
        """Roots of points whose seeds spread widely, placed better by twice as many exploring seeds again.

        A root that is misplaced costs a look, as it is measured anew on fresh seeds; a few cells here are cheaper.
        """
        wide = []
        for i, (shape, root) in enumerate(zip(shapes, roots)):
            near = (
                min(self.seen[self._shape(shape)], key=lambda seen: abs(seen[0] - root)) if np.isfinite(root) else None
            )
            if near is not None and (near[1] > 0).all():
                spread = np.log(near[1]).std(ddof=1) / abs(slope)
                wide += [i] if spread / len(self.seeds) ** 0.5 > SURE else []
        if not wide:
            return roots
        more = range(max(self.seeds) + 1, max(self.seeds) + 1 + 2 * len(self.seeds))
        points = [{**shapes[i], self.axis: float(np.exp(roots[i])), "seed": seed} for i in wide for seed in more]
        f = self._log_mean(self.ask(points).reshape(len(wide), -1))
        moved = np.where(np.isfinite(f), np.clip(-f / slope, -0.5, 0.5), 0.0)
        settled = roots.copy()
        settled[wide] += moved * 2 / 3  # the mean of all seeds
        return settled

    def _log_mean(self, rows: np.ndarray) -> np.ndarray:
        there = np.isfinite(rows)
        mean = np.where(there.any(1), np.where(there, rows, 0).sum(1) / np.maximum(there.sum(1), 1), np.nan)
        return np.asarray(np.log(np.maximum(mean, TINY)) - np.log(self.level))

    def _shape(self, point: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(sorted((name, value) for name, value in point.items() if name not in (self.axis, "seed")))


@dataclass(frozen=True)
class Scout:
    """What one point shows of the crossing: where, how steep, and in which direction."""

    root: float
    slope: float


def scout(
    evaluate: Evaluate,
    shape: Mapping[str, Any],
    axis: str,
    start: float,
    between: tuple[float, float] | None,
    what: str,
) -> Scout | None:
    """The crossing at one point, by a ladder of values around a start, made longer until it crosses.

    Raises:
        ValueError: it crosses more than once.
    """
    ladder = (
        np.log(start) + np.log(LADDER) if between is None else np.linspace(np.log(between[0]), np.log(between[1]), 9)
    )
    x = ladder
    f = evaluate([{**shape, axis: float(np.exp(place))} for place in x])
    for _ in range(0 if between is not None else REACH):
        if np.any(np.sign(f[:-1]) != np.sign(f[1:])):
            break
        low, high = x[0] - np.log([16.0, 4.0]), x[-1] + np.log([4.0, 16.0])
        if np.isfinite(f).all() and abs(f[-1]) < abs(f[0]) - 0.05:
            low = low[:0]
        elif np.isfinite(f).all() and abs(f[0]) < abs(f[-1]) - 0.05:
            high = high[:0]
        new = np.r_[low, high]
        g = evaluate([{**shape, axis: float(np.exp(place))} for place in new])
        order = np.argsort(np.r_[x, new])
        x, f = np.r_[x, new][order], np.r_[f, g][order]
    there = np.isfinite(f)
    x, f = x[there], f[there]
    crossing = np.flatnonzero(np.sign(f[:-1]) != np.sign(f[1:]))
    if not crossing.size:
        return None
    if crossing.size > 1:
        low, high = np.exp(x[crossing[0]]), np.exp(x[crossing[-1] + 1])
        raise ValueError(
            f"{what} is not monotone from {axis} = {low:.3g} to {high:.3g} at {dict(shape)}; give between=(low, high)"
        )
    k = crossing[0]
    slope = (f[k + 1] - f[k]) / (x[k + 1] - x[k])
    return Scout(float(x[k] - f[k] / slope), float(slope))


@dataclass
class _Search:
    """The bracket of one point."""

    x: float
    low: float = np.nan
    high: float = np.nan
    f_low: float = np.nan
    f_high: float = np.nan
    side: int = 0
    root: float = np.nan
    done: bool = False
    step: float = 0.15

    def hear(self, f: float, falls: bool) -> None:
        """Take in log(quantity/level) at x, and choose the next x."""
        g = f if falls else -f
        if not np.isfinite(g):
            self.done = True
            return
        if g > 0:
            self.low, self.f_low = self.x, g
            if self.side == 1 and np.isfinite(self.f_high):
                self.f_high /= 2
            self.side = 1
        else:
            self.high, self.f_high = self.x, g
            if self.side == -1 and np.isfinite(self.f_low):
                self.f_low /= 2
            self.side = -1
        if np.isfinite(self.low) and np.isfinite(self.high):
            new = (self.low * self.f_high - self.high * self.f_low) / (self.f_high - self.f_low)
            self.root, near = new, min(abs(new - self.low), abs(new - self.high))
            self.done = abs(self.high - self.low) < CLOSE or near < CLOSE / 8
            self.x = new
        else:
            self.x += self.step if g > 0 else -self.step
            self.step *= 2


def locate(
    evaluate: Evaluate, shapes: Sequence[Mapping[str, Any]], axis: str, guesses: np.ndarray, slope: float, reach: float
) -> np.ndarray:
    """Log roots ``(shape,)`` of all points side by side; NaN where none is found.

    Args:
        guesses: logarithms ``(shape,)``.
        slope: of log quantity in log axis near a root; its sign says whether the quantity falls.
        reach: log distance from a guess beyond which a point is given up.
    """
    searches = [_Search(float(guess)) for guess in guesses]
    for round_ in range(ROUNDS):
        todo = [i for i, search in enumerate(searches) if not search.done]
        if not todo:
            break
        f = evaluate([{**shapes[i], axis: float(np.exp(searches[i].x))} for i in todo])
        for i, value in zip(todo, f):
            search, came_from = searches[i], searches[i].x
            search.hear(float(value), slope < 0)
            if round_ == 0 and not search.done and abs(slope) > 0.05:  # a step beyond where the slope puts the root
                jump = abs(value / slope)
                search.x = came_from + np.sign(search.x - came_from) * (1.3 * min(jump, 2.0) + 0.05)
            if abs(search.x - guesses[i]) > reach and not np.isfinite(search.root):
                search.done = True
    return np.array([search.root for search in searches])
