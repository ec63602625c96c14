"""``Collapse``: curves of a quantity become one when plotted against one variable.

Exploring finds, for every curve, where it passes the highest and the lowest level; measuring takes cells between these
two; the misfit of ``claims.collapse`` and its interval are judged. A p-value alone is no verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import NotMeasurable, collapse
from lemmata.claims.band import Band
from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Row, Setting, Stations, said
from lemmata.tester.expression import Expression
from lemmata.tester.roots import Exploring, locate, scout

MARGIN = 0.12
"""Log distance along the axis by which a curve is measured beyond its outermost levels."""


@dataclass(frozen=True)
class Collapse(Conjecture):
    """All curves of ``of`` along an axis are one against a variable.

        Collapse("test_error", against="n * signal**4 / d", along="signal", tolerance=0.1)

    Args:
        of: the quantity, positive, falling or rising along the axis.
        against: formula of axes, increasing along ``along``.
        along: the axis along which a curve runs; the grid's axes number the curves.
        levels: where curves are read.
        tolerance: largest misfit, in the logarithm of ``against``.
        positions: cells of a curve.
        start: where to look first; the run's own value of ``along`` by default.
    """

    of: str
    against: str
    along: str
    levels: tuple[float, ...] = (0.3, 0.1, 0.03)
    tolerance: float = 0.1
    positions: int = 8
    start: float | None = None

    @property
    def statement(self) -> str:
        """In one line."""
        return f"{self.of} is one curve of {self.against}"

    def first(self, setting: Setting) -> Any:
        """Where to look first."""
        return self.start if self.start is not None else setting.runner.value(self.along)

    def check(self, setting: Setting) -> None:
        """Curves, levels and the variable fit together."""
        if self.along in setting.axes:
            raise ValueError(f"{self.along!r} is the axis along which curves run; drop it from the grid")
        if len(setting.points()) < 2:
            raise ValueError("a collapse needs two curves or more; give an axis with several values")
        if len(self.levels) < 2 or min(self.levels) <= 0 or self.positions < 4 or self.tolerance < 0:
            raise ValueError("a collapse needs two positive levels, four positions and a tolerance from 0")
        start = self.first(setting)
        if not (isinstance(start, int | float) and start > 0):
            raise ValueError(f"where to look for {self.along} is not known ({start!r}); give start=")
        low, high = (self._variable(setting, {**setting.points()[0], self.along: start * by}) for by in (1.0, 1.1))
        if not 0 < low < high:
            raise ValueError(f"{self.against!r} must be positive and increase with {self.along}")

    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """Where every curve passes the outermost levels.

        Raises:
            ValueError: fewer than two curves do.
        """
        shapes = setting.points()
        ends = []
        for level in (max(self.levels), min(self.levels)):
            evaluate = Exploring(ask, setting.explore, self.along, level).evaluate
            found = scout(evaluate, shapes[0], self.along, float(self.first(setting)), None, self.of)
            if found is None:
                raise ValueError(f"{self.of} does not cross {level:g} along {self.along} at {said(shapes[0])}")
            target = self._variable(setting, {**shapes[0], self.along: float(np.exp(found.root))})
            guesses = np.array([self._where(setting, shape, target, found.root) for shape in shapes])
            ends.append(locate(evaluate, shapes, self.along, guesses, found.slope, 7.0))
        low, high = np.sort(np.stack(ends), axis=0)
        there = np.isfinite(low) & np.isfinite(high)
        if there.sum() < 2:
            raise ValueError(
                f"{int(there.sum())} of {len(shapes)} curves pass {max(self.levels):g} and {min(self.levels):g}"
            )
        kept = [shape for shape, ok in zip(shapes, there) if ok]
        places = np.linspace(low[there] - MARGIN, high[there] + MARGIN, self.positions, axis=1)
        points = [{**shape, self.along: float(np.exp(x))} for shape, row in zip(kept, places) for x in row]
        missing = "; ".join(said(shape) for shape, ok in zip(shapes, there) if not ok)
        notes = (f"curves that do not pass the levels, left out: {missing}",) if missing else ()
        return Stations(tuple(points), tuple(kept), places, notes)

    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """The misfit against its tolerance."""
        curves, seeds = len(stations.shapes), values.shape[1]
        names = list(stations.shapes[0])
        against = [self._variable(setting, point) for point in stations.points]
        index = xr.DataArray(range(curves), dims="curve", attrs={"curves": [said(shape) for shape in stations.shapes]})
        quantity = xr.DataArray(
            values.reshape(curves, self.positions, seeds),
            {"curve": index, "position": range(self.positions), "seed": range(seeds)},
            name=self.of,
        )
        variable = xr.DataArray(np.reshape(against, (curves, self.positions)), dims=("curve", "position"))
        try:
            found = collapse(quantity, variable, "position", levels=self.levels, level=1 - alpha)
        except NotMeasurable as reason:
            return Judgement((), notes=(str(reason), *stations.notes))
        band = Band(high=self.tolerance)
        holds, place, low, high = band.judge(found)
        row = Row("misfit", place.value, low.value, high.value, str(band), holds)
        number, _, rest = found.farthest.removeprefix("curve = ").partition(" ")
        far = f"{said(stations.shapes[int(number)])} {rest} of {self.against}"
        dataset = xr.Dataset({self.of: quantity, "against": variable})
        for name in names:
            dataset = dataset.assign_coords({name: ("curve", [shape[name] for shape in stations.shapes])})
        notes = (f"p of one curve = {found.p:.3g}; {found.read} crossings read; farthest {far}", *stations.notes)
        return Judgement((row,), (far,) if holds is False else (), notes, dataset)

    def cells_per_seed_before(self, setting: Setting) -> int:
        """All curves."""
        return self.positions * len(setting.points())

    def cells_to_explore(self, setting: Setting) -> int:
        """Three steps for both ends of every curve."""
        return len(setting.explore) * 2 * (8 + 3 * len(setting.points()))

    def _variable(self, setting: Setting, point: Mapping[str, Any]) -> float:
        return float(setting.value(Expression(self.against), setting.known(point)))

    def _where(self, setting: Setting, shape: Mapping[str, Any], target: float, near: float) -> float:
        """Log axis at which the variable has a value, by bisection."""
        low, high = near - 14.0, near + 14.0
        for _ in range(40):
            middle = (low + high) / 2
            below = self._variable(setting, {**shape, self.along: float(np.exp(middle))}) < target
            low, high = (middle, high) if below else (low, middle)
        return (low + high) / 2
