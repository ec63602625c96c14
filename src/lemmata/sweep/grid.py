"""Axes and the grid they span: every combination of the axes' values is one cell.

The order of the axes is the order of the dimensions of the dataset; cells are counted in C order, last axis fastest.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESERVED = frozenset({"done"})
"""Names that the store keeps for itself."""


@dataclass(frozen=True)
class Axis:
    """One axis of a grid: distinct finite numbers, strings or truth values, in the order given.

    Args:
        name: the parameter's name; it becomes a dimension of the dataset.
        values: one or more values of one kind (integers beside floats become floats).
        units: written to the coordinate, e.g. ``"1"`` or ``"samples"``.
        long_name: what a figure writes on the axis.

    Raises:
        ValueError: no value, a value twice, a non-finite number, values of different kinds, an unusable name.
        TypeError: a value that is neither number, string nor truth value.
    """

    name: str
    values: tuple[Any, ...]
    units: str = ""
    long_name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(f"an axis is named like a parameter, {self.name!r} is not; use letters, digits and _")
        if self.name in RESERVED:
            raise ValueError(f"axis {self.name!r}: the store keeps this name for itself; choose another")
        object.__setattr__(self, "values", _plain(self.name, self.values))

    @property
    def array(self) -> np.ndarray:
        """The coordinate ``(len(values),)``: int64, float64, bool or string."""
        return np.asarray(self.values)


@dataclass(frozen=True)
class Grid:
    """The product of axes, e.g. ``Grid.of(n=(10, 20), signal=(1.0, 2.0), seed=range(3))`` with 12 cells.

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
        return cls(tuple(Axis(name, _sequence(name, given)) for name, given in values.items()))

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


def _sequence(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"axis {name!r} needs a sequence of values, got {values!r}; write {name}=({values!r},)")
    return tuple(values)


def _plain(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Plain Python values of one kind, so that a point reads the same in every process and in JSON."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in _sequence(name, values)]
    if not plain:
        raise ValueError(f"axis {name!r} has no values; give it one or leave it out")
    wrong = [value for value in plain if not isinstance(value, bool | int | float | str)]
    if wrong:
        raise TypeError(f"axis {name!r} takes numbers, strings or truth values, got {wrong[0]!r}; convert it first")
    kinds = {float if isinstance(value, int) and not isinstance(value, bool) else type(value) for value in plain}
    if len(kinds) > 1:
        raise ValueError(f"axis {name!r} mixes {', '.join(sorted(k.__name__ for k in kinds))}; give values of one kind")
    if any(isinstance(value, float) for value in plain):
        plain = [float(value) for value in plain]
        bad = [value for value in plain if not math.isfinite(value)]
        if bad:
            raise ValueError(f"axis {name!r} holds {bad[0]}; an axis takes finite numbers, leave it out")
    large = [value for value in plain if isinstance(value, int) and not -(2**63) <= value < 2**63]
    if large:
        raise ValueError(f"axis {name!r} holds {large[0]}, beyond 64-bit integers; use a float or a smaller number")
    seen: set[Any] = set()
    for value in plain:
        if value in seen:
            raise ValueError(f"axis {name!r} holds {value!r} twice; give each value once")
        seen.add(value)
    return tuple(plain)
