"""Axes and the grid they span: every combination of the axes' values is one cell.

The order of the axes is the order of the dimensions of the dataset; cells are counted in C order, last axis fastest.
"""

import itertools
import keyword
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.sweep.values import distinct, parse_values, sequence, spread

__all__ = ["RESERVED", "Axis", "Grid", "parse_values"]

RESERVED = frozenset({"done", "point"})
"""Names that the store keeps for itself."""


@dataclass(frozen=True)
class Axis:
    """One axis of a grid: distinct finite numbers, strings or truth values, in the order given.

    Args:
        name: the parameter's name; it becomes a dimension of the dataset.
        values: one or more values of one kind (integers beside floats become floats); numbers as they are meant, see
            :mod:`lemmata.sweep.values`.
        units: written to the coordinate, e.g. ``"1"`` or ``"samples"``; those of the parameter, if not given.
        long_name: what a figure writes on the axis; the parameter's label, if not given.

    Raises:
        ValueError: no value, a value twice, a non-finite number, values of different kinds, an unusable name.
        TypeError: a value that is neither number, string nor truth value; units or a long name that are no text.
    """

    name: str
    values: tuple[Any, ...]
    units: str = ""
    long_name: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        for what in ("units", "long_name"):
            if not isinstance(getattr(self, what), str):
                raise TypeError(f"axis {self.name!r}: {what} = {getattr(self, what)!r} was given; give a text")
        if isinstance(self.values, dict | set):
            raise TypeError(f"axis {self.name!r} was given a {type(self.values).__name__}; give its values in order")
        object.__setattr__(self, "values", distinct(self.name, self.values))

    @property
    def array(self) -> np.ndarray:
        """The coordinate ``(len(values),)``: int64, float64, bool or string."""
        return np.asarray(self.values)


@dataclass(frozen=True)
class Grid:
    """The product of axes, e.g. ``Grid.of(n=(10, 20), signal=Grid.log(0.5, 8, 10), seed=range(3))`` with 60 cells.

    Raises:
        ValueError: no axis, or two axes of one name.
    """

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(self.axes))
        if not self.axes:
            raise ValueError("a grid needs an axis, none was given; add one, e.g. Grid.of(seed=range(3))")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"axis {twice[0]!r} was given twice; join its values in one axis")

    @classmethod
    def of(cls, **values: Iterable[Any]) -> "Grid":
        """A grid from ``name=values``; use :class:`Axis` where units or a long name are wanted."""
        return cls(tuple(Axis(name, sequence(name, given)) for name, given in values.items()))

    @staticmethod
    def log(low: float, high: float, count: int) -> tuple[float, ...]:
        """``count`` values in equal ratios from ``low`` to ``high``, both included; twelve significant digits each."""
        return spread(low, high, count, "log")

    @staticmethod
    def linear(low: float, high: float, count: int) -> tuple[float, ...]:
        """``count`` evenly spaced values from ``low`` to ``high``, both included; twelve significant digits each."""
        return spread(low, high, count, "linear")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def dims(self) -> dict[str, int]:
        """Dimension names and their lengths."""
        return dict(zip(self.names, self.shape))

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def point(self, index: Sequence[int]) -> dict[str, Any]:
        """The parameters of one cell, from one index per axis."""
        return {axis.name: axis.values[i] for axis, i in zip(self.axes, index)}

    def span(self) -> "Grid":
        """The product of all values that a parameter takes: this grid itself."""
        return self

    def varied(self) -> dict[str, tuple[str, tuple[Any, ...]]]:
        """Each parameter that varies: the dimension along which it does, and its values there."""
        return {axis.name: (axis.name, axis.values) for axis in self.axes}

    def combinations(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Every combination of values of those axes that are among ``names``; one empty point if none is."""
        wanted = [axis for axis in self.axes if axis.name in set(names)]
        for values in itertools.product(*(axis.values for axis in wanted)):
            yield dict(zip((axis.name for axis in wanted), values))


def check_name(name: str) -> None:
    """Refuse what is no name of a parameter, or one that the store keeps for itself."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"an axis is named like a parameter, {name!r} is not; use letters, digits and _")
    if name in RESERVED:
        raise ValueError(f"axis {name!r}: the store keeps this name for itself; choose another")
