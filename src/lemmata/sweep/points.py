"""Points off the product grid: a list of cells, taken wherever a grid is.

    Points.of([{"n": 10, "signal": 2.0}, {"n": 20, "signal": 1.5}], seeds=range(8))

The dataset has one dimension ``point``, beside ``seed`` if seeds are given; every parameter of the points is a
coordinate over ``point``. Points of one shape share tiles, wherever they stand in the list.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lemmata.sweep.grid import Axis, Grid, check_name
from lemmata.sweep.values import distinct, plain


@dataclass(frozen=True)
class Points:
    """A list of points, each at every seed if there are any.

    Args:
        points: parameters by name, the same names in each.
        seeds: values of the axis ``seed``; none leaves it to the points or the body.

    Raises:
        ValueError: no point, a point twice or with other names, ``seed`` in both; or as :class:`~lemmata.Axis` says.
    """

    points: tuple[dict[str, Any], ...]
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        given = [dict(point) for point in self.points]
        if not given or not given[0]:
            raise ValueError("a list of points needs a point with a parameter; give one, e.g. [{'n': 10}]")
        names = tuple(given[0])
        for number, point in enumerate(given):
            if set(point) != set(names):
                raise ValueError(
                    f"point {number} has {', '.join(point) or 'no parameters'} and point 0 has {', '.join(names)}; "
                    "give all of them the same ones"
                )
        columns = {}
        for name in names:
            check_name(name)
            columns[name] = plain(name, [point[name] for point in given])
        points = tuple({name: columns[name][row] for name in names} for row in range(len(given)))
        seen: dict[tuple[Any, ...], int] = {}
        for number, point in enumerate(points):
            if (first := seen.setdefault(tuple(point.values()), number)) != number:
                raise ValueError(f"point {number} is point {first} again, {point}; give each once")
        seeds = distinct("seed", self.seeds) if len(tuple(self.seeds)) else ()
        if seeds and "seed" in names:
            raise ValueError("seed is given in the points and as seeds; give it once")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "seeds", seeds)

    @classmethod
    def of(cls, points: Iterable[Mapping[str, Any]], seeds: Iterable[int] = ()) -> "Points":
        """A list of points from any mappings and any range of seeds."""
        return cls(tuple(dict(point) for point in points), tuple(seeds))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The dimensions of the dataset."""
        rows = object.__new__(Axis)  # the one axis that may carry the name the store keeps
        for name, value in (("name", "point"), ("values", tuple(range(len(self.points)))), ("units", "")):
            object.__setattr__(rows, name, value)
        object.__setattr__(rows, "long_name", "point of the list")
        return (rows, Axis("seed", self.seeds)) if self.seeds else (rows,)

    @property
    def names(self) -> tuple[str, ...]:
        return ("point", "seed") if self.seeds else ("point",)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.points), len(self.seeds)) if self.seeds else (len(self.points),)

    @property
    def dims(self) -> dict[str, int]:
        """Dimension names and their lengths."""
        return dict(zip(self.names, self.shape))

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def point(self, index: Sequence[int]) -> dict[str, Any]:
        """The parameters of one cell, from its place in the list and, with seeds, the place of its seed."""
        point = dict(self.points[index[0]])
        return {**point, "seed": self.seeds[index[1]]} if self.seeds else point

    def span(self) -> Grid:
        """The product of all values that each parameter takes."""
        axes = {name: tuple(dict.fromkeys(point[name] for point in self.points)) for name in self.points[0]}
        seed = {"seed": self.seeds} if self.seeds else {}
        return Grid.of(**axes, **seed)

    def varied(self) -> dict[str, tuple[str, tuple[Any, ...]]]:
        """Each parameter that varies: the dimension along which it does, and its values there."""
        found = {name: ("point", tuple(point[name] for point in self.points)) for name in self.points[0]}
        return {**found, "seed": ("seed", self.seeds)} if self.seeds else found

    def combinations(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Every combination that occurs of those parameters that are among ``names``."""
        wanted = set(names)
        seen = {}
        for point in self.points:
            part = {name: value for name, value in point.items() if name in wanted}
            seen[tuple(part.values())] = part
        for part in seen.values():
            for seed in self.seeds if "seed" in wanted and self.seeds else (None,):
                yield part if seed is None else {**part, "seed": seed}
