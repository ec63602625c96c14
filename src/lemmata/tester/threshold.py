"""``Threshold``: a quantity crosses a level along an axis, at a place that follows a law.

1. Explore, seeds 0–3: the root at one point, then at all others, started from the expected law through the first.
2. Measure, fresh seeds: two cells per seed at root·e^(±0.06). For the crossing of the mean curve these give influence
   values per seed (``claims.threshold``). Between the two the curve is a parabola, whose bend is measured once, by a
   third cell for each seed of the first look, and shared by all points: a straight line is off by more where exploring
   misplaced the root by more, which moves exponents by 0.002 however many seeds there are (measured). For the mean of
   each seed's own crossing a third cell at the seed's own estimated root is needed: without it intervals of 95 % cover
   83 % (measured).
3. Judge the law (``lawful.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Setting, Stations, said
from lemmata.tester.expression import Expression
from lemmata.tester.law import Law
from lemmata.tester.lawful import check_law, judge_law
from lemmata.tester.looks import FIRST
from lemmata.tester.roots import TINY, Exploring, locate, scout

HALF_WIDTH = 0.06
"""Distance of the two cells from the root, in log axis."""
FARTHEST = 2.0
"""Half widths from the centre beyond which a root is not extrapolated."""


@dataclass(frozen=True)
class Threshold(Conjecture):
    """``of`` crosses ``at`` along ``along`` where ``law`` says.

        Threshold("test_error", at=0.1, along="signal", law="C * n**a * d**b",
                  expect={"a": -1/4, "b": 1/4}, tolerance=0.02)

    Args:
        of: the quantity, positive.
        at: the level.
        along: an axis that changes numbers only, positive.
        law: product of powers of the other axes, see :mod:`lemmata.tester.law`.
        expect: parameter → number.
        tolerance: how far an exponent may be from it (for the constant: relative); one number or one per parameter.
        form_tolerance: how far any point may be from a law of this form, relative.
        statistic: ``"mean"``: where the mean over seeds crosses; ``"each"``: the mean of each seed's own crossing.
        correction: a further term of the law's logarithm, e.g. ``"1/n"``; an assumption that the report states.
        between: where to look for the crossing, ``(low, high)``.
        start: where to look first; the run's own value of ``along`` by default.
    """

    of: str
    at: float
    along: str
    law: str
    expect: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | Mapping[str, float] = 0.02
    form_tolerance: float = 0.02
    statistic: Literal["mean", "each"] = "mean"
    correction: str | None = None
    between: tuple[float, float] | None = None
    start: float | None = None

    @property
    def statement(self) -> str:
        """In one line."""
        return f"{self.of} crosses {self.at:g} at {self.along} = {self.law}"

    def tolerances(self) -> dict[str, float]:
        """Tolerance of every expected parameter."""
        given = self.tolerance
        return {name: given[name] if isinstance(given, Mapping) else given for name in self.expect}

    def check(self, setting: Setting) -> None:
        """Level, axes, law and expectations fit together."""
        if not self.at > 0:
            raise ValueError(f"at = {self.at} was asked for; a crossing is found in logarithms, give a positive level")
        if self.along in setting.axes:
            raise ValueError(
                f"{self.along!r} is an axis of the grid and the one along which the crossing is found; drop it"
            )
        check_law(self.law, self.expect, self.tolerance, self.correction, self.shapes(setting), setting)
        if self.between is not None and not 0 < self.between[0] < self.between[1]:
            raise ValueError(f"between = {self.between} was asked for; give two positive numbers, the smaller first")
        start = self.first(setting)
        if not (isinstance(start, int | float) and start > 0):
            raise ValueError(
                f"where to look for {self.along} is not known ({start!r}); give start= or between=(low, high)"
            )

    def shapes(self, setting: Setting) -> list[dict[str, Any]]:
        """The points at which a crossing is looked for."""
        return setting.points(without=(self.along,))

    def first(self, setting: Setting) -> Any:
        """Where to look first."""
        if self.between is not None:
            return float(np.sqrt(self.between[0] * self.between[1]))
        return self.start if self.start is not None else setting.runner.value(self.along)

    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """Roots of the mean of the exploring seeds; points without one are left out and listed.

        Raises:
            ValueError: too few points are left for the law, or the quantity is not monotone.
        """
        explored = Exploring(ask, setting.explore, self.along, self.at)
        evaluate = explored.evaluate
        shapes = self.shapes(setting)
        law = self._law(setting)
        design, offset = law.design([setting.known(shape) for shape in shapes])
        pull = offset + design @ np.array([0.0, *(self.expect.get(name, 0.0) for name in law.free)])
        order = sorted(range(len(shapes)), key=lambda i: abs(pull[i] - np.median(pull)))
        first, found = order[0], None
        for first in order[:3]:
            found = scout(evaluate, shapes[first], self.along, float(self.first(setting)), self.between, self.of)
            if found is not None:
                break
        if found is None:
            raise ValueError(
                f"{self.of} does not cross {self.at:g} along {self.along} at {said(shapes[first])}; give between="
            )
        guesses = found.root + pull - pull[first]
        if self.between is not None:
            guesses = np.clip(guesses, *np.log(self.between))
        roots = locate(evaluate, shapes, self.along, guesses, found.slope, 7.0)
        kept = [i for i in range(len(shapes)) if np.isfinite(roots[i])]
        if len(kept) <= len(law.names):
            raise ValueError(
                f"{self.of} crosses {self.at:g} at {len(kept)} of {len(shapes)} points: too few for {self.law!r}; "
                f"look elsewhere with between=, or take another level"
            )
        roots = explored.settle(shapes, roots, found.slope)
        missing = [said(shapes[i]) for i in range(len(shapes)) if i not in kept]
        notes = (
            (f"no crossing at {len(missing)} of {len(shapes)} points, left out: {'; '.join(missing[:5])}",)
            if missing
            else ()
        )
        return self._stations([shapes[i] for i in kept], roots[kept], notes)

    def measure(self, stations: Stations, ask: Ask, seeds: Sequence[int]) -> np.ndarray:
        """The quantity on either side of every root ``(2·shape, seed)``; below them each seed's own log root."""
        pair = super().measure(stations, ask, seeds)
        if self.statistic == "mean":
            return pair
        place = stations.place
        y = np.log(np.maximum(pair, TINY)) - np.log(self.at)
        near, far = y[0::2], y[1::2]
        x = np.clip(
            place[:, None] - HALF_WIDTH - near * 2 * HALF_WIDTH / (far - near), *(place[:, None] + s for s in (-1, 1))
        )
        x = np.where(np.isfinite(x), x, place[:, None])
        points = [
            {**shape, self.along: float(np.exp(x[i, k])), "seed": seed}
            for i, shape in enumerate(stations.shapes)
            for k, seed in enumerate(seeds)
        ]
        third = np.log(np.maximum(ask(points).reshape(x.shape), TINY)) - np.log(self.at)
        return np.concatenate([pair, _inverse_parabola(place, near, far, x, third)])

    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """The law of the thresholds."""
        y = self.log_thresholds(stations, values)
        extra = self.correction and Expression(self.correction)
        known = [setting.known(shape) for shape in stations.shapes]
        column = (extra.text, np.array([extra(point) for point in known], float)) if extra else None
        found = judge_law(
            self._law(setting), f"{self.along}*", self.expect, self.tolerances(), self.form_tolerance,
            stations.shapes, known, y, alpha, column,
        )  # fmt: skip
        named = found.dataset.rename(logarithm="log_threshold")
        named["found"] = named.log_threshold.notnull().all("seed")
        which = "crossing of the mean curve" if self.statistic == "mean" else "mean of each seed's own crossing"
        return replace(found, dataset=named, notes=(*found.notes, f"threshold: {which}", *stations.notes))

    def log_thresholds(self, stations: Stations, values: np.ndarray) -> np.ndarray:
        """Log thresholds ``(shape, seed)``, whose mean over seeds is the estimate.

        Raises:
            ValueError: the quantity vanishes beside a root, or moves the other way.
        """
        count = 2 * len(stations.shapes)
        if self.statistic == "each":
            own: np.ndarray = values[count:]
            return own
        pair = values[:count].reshape(-1, 2, values.shape[1])
        means = pair.mean(2)
        if (means <= 0).any():
            where = said(stations.shapes[int(np.argwhere(means <= 0)[0, 0])])
            raise ValueError(f"{self.of} is 0 at {where}: it has no logarithm; raise `at`, or measure it exactly")
        y = np.log(means)
        root, slope = _on_parabola(y, np.log(self.at), stations.bend)
        share = (root / HALF_WIDTH + 1) / 2
        root = root + stations.place
        moved = pair / means[:, :, None] - 1
        found: np.ndarray = (
            root[:, None] - ((1 - share)[:, None] * moved[:, 0] + share[:, None] * moved[:, 1]) / slope[:, None]
        )
        return found

    def recentred(self, setting: Setting, stations: Stations, values: np.ndarray) -> Stations | None:
        """Stations around the measured roots, where one lies too far from where exploring put it.

        Raises:
            ValueError: neighbouring slopes have both signs: the quantity is not monotone near a root.
        """
        y = np.log(np.maximum(values[: 2 * len(stations.shapes)].mean(1), TINY)).reshape(-1, 2)
        slope = y[:, 1] - y[:, 0]
        usual = np.sign(np.median(slope))
        if (np.sign(slope) != usual).any():
            i = int(np.argmax(np.sign(slope) != usual))
            near = f"{self.along} = {np.exp(stations.place[i]):.3g} at {said(stations.shapes[i])}"
            raise ValueError(f"{self.of} is not monotone near {near}; give between=(low, high)")
        root = self.log_thresholds(stations, values).mean(1)
        off = np.abs(root - stations.place) > FARTHEST * HALF_WIDTH
        if not off.any():
            return None
        moved = np.where(off, np.clip(root, stations.place - 0.5, stations.place + 0.5), stations.place)
        note = f"{int(off.sum())} of {len(off)} roots had drifted from where exploring put them; measured anew"
        return self._stations(list(stations.shapes), moved, (*stations.notes, note))

    def bent(self, stations: Stations, values: np.ndarray, ask: Ask, seeds: Sequence[int]) -> Stations:
        """The same stations with the bend of the mean curve, the median over points, from cells at their centres."""
        if self.statistic == "each":
            return stations
        centres = [{**shape, self.along: float(np.exp(x))} for shape, x in zip(stations.shapes, stations.place)]
        middle = ask([{**point, "seed": seed} for point in centres for seed in seeds]).reshape(len(centres), -1)
        sides = values[: 2 * len(centres)].reshape(len(centres), 2, -1)
        every = np.concatenate([sides, middle[:, None]], 1)
        whole = np.isfinite(every).all((0, 1))
        if not whole.any() or (every[..., whole].mean(2) <= 0).any():
            return stations
        low, high, centre = np.log(every[..., whole].mean(2)).T
        return replace(stations, bend=float(np.median(low + high - 2 * centre)) / HALF_WIDTH**2)

    def cells_to_bend(self, stations: Stations) -> int:
        """One per point."""
        return 0 if self.statistic == "each" else len(stations.shapes)

    def cells_per_seed(self, stations: Stations) -> int:
        """Two per point, three for ``statistic="each"``."""
        return (2 if self.statistic == "mean" else 3) * len(stations.shapes)

    def cells_per_seed_before(self, setting: Setting) -> int:
        """As if every point had a crossing."""
        return (2 if self.statistic == "mean" else 3) * len(self.shapes(setting))

    def cells_to_explore(self, setting: Setting) -> int:
        """Three steps for every point; the bend is not looked for before the first look, and is counted here."""
        bend = FIRST * len(self.shapes(setting)) if self.statistic == "mean" else 0
        return len(setting.explore) * (8 + 3 * len(self.shapes(setting))) + bend

    def _law(self, setting: Setting) -> Law:
        return Law.parse(self.law, setting.names)

    def _stations(self, shapes: Sequence[Mapping[str, Any]], roots: np.ndarray, notes: tuple[str, ...]) -> Stations:
        sides = (-HALF_WIDTH, HALF_WIDTH)
        points = [
            {**shape, self.along: float(np.exp(root + side))} for shape, root in zip(shapes, roots) for side in sides
        ]
        return Stations(tuple(points), tuple(shapes), np.asarray(roots), notes)


def _on_parabola(y: np.ndarray, target: float, bend: float) -> tuple[np.ndarray, np.ndarray]:
    """Where y(x) = chord + bend (x² − h²)/2 meets a target, x from the centre; and its slope there; ``(shape, 2)``."""
    slope = (y[:, 1] - y[:, 0]) / (2 * HALF_WIDTH)
    middle = y.mean(1) - target - bend * HALF_WIDTH**2 / 2
    x = -middle / slope
    for _ in range(20):  # Newton's steps, from where a straight line meets it
        x = np.clip(x - (middle + slope * x + bend * x**2 / 2) / (slope + bend * x), -4 * HALF_WIDTH, 4 * HALF_WIDTH)
    return x, slope + bend * x


def _inverse_parabola(
    place: np.ndarray, near: np.ndarray, far: np.ndarray, x: np.ndarray, third: np.ndarray
) -> np.ndarray:
    """Where a seed's curve through three cells crosses: axis as a quadratic in log quantity; ``x`` where that fails."""
    f = np.stack([near, far, third])
    p = np.stack(
        [
            np.broadcast_to(place[:, None] - HALF_WIDTH, x.shape),
            np.broadcast_to(place[:, None] + HALF_WIDTH, x.shape),
            x,
        ]
    )
    out = np.zeros_like(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            out += p[i] * f[j] * f[k] / ((f[i] - f[j]) * (f[i] - f[k]))
    good = np.isfinite(out) & (np.abs(out - x) < 0.5)
    return np.where(good, out, np.where(np.isfinite(third), x, np.nan))
