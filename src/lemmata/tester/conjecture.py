"""What a conjecture owes: it says what it needs, explores, measures on fresh seeds, and judges. One kind per file.

Exploring finds *where* to measure, on seeds of its own; nothing of it enters an estimate. Measuring asks for the same
stations at every fresh seed. Judging turns ``(station, seed)`` numbers into rows with intervals that hold together
with probability 1 − α.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import Estimate
from lemmata.claims.band import Band
from lemmata.tester.expression import Expression
from lemmata.tester.runner import Runner

WORDS = {True: "consistent", False: "refuted", None: "undecided"}
Ask = Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
"""Points, each with its seed → the quantity ``(c, ...)``, missing where a cell does not count."""


@dataclass(frozen=True)
class Row:
    """One line of a report: a number with its interval beside what is expected.

    Args:
        name: of the exponent, the cell, or what else is measured.
        value, low, high: the estimate and its interval.
        expected: with its tolerance, in words.
        holds: the interval inside: True; disjoint: False; else None.
        counts: whether the verdict needs it; a row that does not count may still refute.
    """

    name: str
    value: float
    low: float
    high: float
    expected: str = ""
    holds: bool | None = None
    counts: bool = True

    @property
    def word(self) -> str:
        """``consistent``, ``refuted``, ``undecided``, or nothing where nothing was expected."""
        if self.counts:
            return WORDS[self.holds]
        return {True: "", False: "refuted", None: "" if not self.expected else "not refuted"}[self.holds]


@dataclass(frozen=True)
class Judgement:
    """What one look says.

    Args:
        rows: the numbers.
        counterexamples: where it fails, the worst first.
        notes: assumptions, drifts, what was left out.
        dataset: the measurements, labelled.
    """

    rows: tuple[Row, ...]
    counterexamples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dataset: xr.Dataset = field(default_factory=xr.Dataset)

    @property
    def holds(self) -> bool | None:
        """False if any row is refuted, True if all that count are consistent."""
        if any(row.holds is False for row in self.rows):
            return False
        counted = [row for row in self.rows if row.counts]
        return True if counted and all(row.holds for row in counted) else None


@dataclass(frozen=True)
class Setting:
    """Where a conjecture is tested.

    Args:
        axes: name → values, the region the statement is about.
        runner: what runs.
        let: abbreviations, ``{"kappa": "n * signal**4 / d"}``, usable in laws and conditions.
        explore: seeds for finding out where to measure.
    """

    axes: Mapping[str, tuple[Any, ...]]
    runner: Runner
    let: Mapping[str, Expression] = field(default_factory=dict)
    explore: tuple[int, ...] = (0, 1, 2, 3)

    @property
    def names(self) -> tuple[str, ...]:
        """All names that have values at a point."""
        return (*self.axes, *self.runner.recorded, *self.let)

    def known(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point and the abbreviations that can be computed there."""
        values = dict(point)
        for name, expression in self.let.items():
            if all(needed in values or self.runner.value(needed) is not None for needed in expression.names):
                values[name] = self.value(expression, values)
        return values

    def value(self, expression: Expression, point: Mapping[str, Any]) -> Any:
        """A formula at a point; names that are no axes are what the run is set to."""
        values = dict(point)
        for name in expression.names:
            if name not in values and (found := self.runner.value(name)) is not None:
                values[name] = found
        return expression(values)

    def points(self, without: Sequence[str] = (), where: Expression | None = None) -> list[dict[str, Any]]:
        """Every combination of the axes' values but some axes, where a condition holds.

        Raises:
            ValueError: the condition holds nowhere.
        """
        names = [name for name in self.axes if name not in without]
        every = [dict(zip(names, values)) for values in itertools.product(*(self.axes[name] for name in names))]
        found = [point for point in every if where is None or self.value(where, self.known(point))]
        if not found:
            raise ValueError(f"{where.text if where else 'the grid'} holds at none of the {len(every)} points")
        return found


@dataclass(frozen=True)
class Stations:
    """Where to measure: every station at every fresh seed.

    Args:
        points: the stations, without seeds.
        shapes: the points that stations belong to, one after the other.
        place: ``(shape,)`` what exploring found there, e.g. the logarithm of a threshold.
        notes: what exploring left out.
        bend: second derivative of the logarithm of the quantity near these places, measured at the first look.
    """

    points: tuple[Mapping[str, Any], ...]
    shapes: tuple[Mapping[str, Any], ...]
    place: np.ndarray = field(default_factory=lambda: np.zeros(0))
    notes: tuple[str, ...] = ()
    bend: float = 0.0


class Conjecture(ABC):
    """A statement about a quantity; frozen dataclasses inherit it."""

    of: str
    along: str

    @property
    @abstractmethod
    def statement(self) -> str:
        """The statement in one line."""

    @abstractmethod
    def check(self, setting: Setting) -> None:
        """Refuse what cannot be tested, before any cell runs; raises ``ValueError`` naming it."""

    @abstractmethod
    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """Find out where to measure."""

    @abstractmethod
    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """Rows whose intervals hold together with probability 1 − α, from ``values`` of :meth:`measure`."""

    def measure(self, stations: Stations, ask: Ask, seeds: Sequence[int]) -> np.ndarray:
        """The quantity at every station and seed, ``(station, seed, ...)``."""
        found = ask([{**point, "seed": seed} for point in stations.points for seed in seeds])
        return found.reshape(len(stations.points), len(seeds), *found.shape[1:])

    def first(self, setting: Setting) -> Any:
        """Where on an axis beyond the grid's, ``along``, exploring starts; ``None`` without such an axis."""
        return None

    def cells_per_seed(self, stations: Stations) -> int:
        """Cells that one more seed costs."""
        return len(stations.points)

    def cells_to_explore(self, setting: Setting) -> int:
        """About how many cells exploring takes, before anything ran."""
        return 0

    def cells_per_seed_before(self, setting: Setting) -> int:
        """About how many cells a seed will cost, before anything ran; asked of those that explore, others know."""
        return len(setting.points())

    def recentred(self, setting: Setting, stations: Stations, values: np.ndarray) -> Stations | None:
        """Other stations, if the first look shows that these are misplaced."""
        return None

    def bent(self, stations: Stations, values: np.ndarray, ask: Ask, seeds: Sequence[int]) -> Stations:
        """The stations with what only the first look measures, from :meth:`cells_to_bend` cells for each of its seeds.

        Args:
            values: what :meth:`measure` found at these seeds.
        """
        return stations

    def cells_to_bend(self, stations: Stations) -> int:
        """Cells of the first look beyond those of all looks, per seed."""
        return 0

    def describe(self) -> dict[str, Any]:
        """All fields, as JSON."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


def log_means(values: np.ndarray, of: str, points: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Influence values ``(station, seed)`` of the logarithm of means over seeds.

    Raises:
        ValueError: a mean is not positive, with the point.
    """
    means = values.mean(1, keepdims=True)
    if (means <= 0).any():
        where = said(points[int(np.argmax(means[:, 0] <= 0))])
        raise ValueError(
            f"{of} is {float(means.min()):g} at {where}: it has no logarithm; leave the point out by where="
        )
    found: np.ndarray = np.log(means) + values / means - 1
    return found


def row_of(
    name: str, estimate: Estimate, expected: float, tolerance: float, *, counts: bool = True, digits: str = ".4g"
) -> Row:
    """An estimate of one number against ``expected ± tolerance``."""
    band = Band(expected - tolerance, expected + tolerance)
    holds, place, low, high = band.judge(estimate)
    return Row(name, place.value, low.value, high.value, f"{expected:{digits}} ± {tolerance:g}", holds, counts)


def said(point: Mapping[str, Any]) -> str:
    """``"n = 10, d = 32000"``."""
    return ", ".join(
        f"{name} = {value:g}" if isinstance(value, int | float) else f"{name} = {value}"
        for name, value in point.items()
    )
