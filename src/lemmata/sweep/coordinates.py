"""Every parameter of a cell as a coordinate of the dataset, with its label and units.

An axis of the grid if it varies there, a scalar if the body is set to it, absent if it is not set. Parameters of a list
of points lie along ``point``; those that a body computes from others, over the axes they depend on. So a claim reads
``dataset.sigma_p`` whatever was swept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lemmata.parameters import Parameter
from lemmata.sweep.body import Body
from lemmata.sweep.tile import Cells


@dataclass(frozen=True, eq=False)
class Coordinate:
    """One coordinate: an index where its only dimension carries its name.

    Args:
        dims: the dimensions it lies along.
        values: one per position.
        units, long_name: as its parameter says.
    """

    name: str
    dims: tuple[str, ...]
    values: np.ndarray
    units: str = ""
    long_name: str = ""

    @property
    def is_index(self) -> bool:
        return self.dims == (self.name,)


def coordinates_of(body: Body, grid: Cells) -> tuple[Coordinate, ...]:
    """All coordinates of a sweep: dimensions first, then parameters that vary along them, scalars, what is computed."""
    known, varied = body.parameters(), grid.varied()
    found: dict[str, Coordinate] = {}
    for axis in grid.axes:
        bare = Coordinate(axis.name, (axis.name,), axis.array, axis.units, axis.long_name)
        found[axis.name] = _named(bare, known)
    for name, values in body.coordinates.items():
        found[name] = _named(Coordinate(name, (name,), np.asarray(values)), {**body.labels(), **known})
    for name, (dim, along) in varied.items():
        if name != dim:
            found[name] = _named(Coordinate(name, (dim,), np.asarray(along)), known)
    for coordinate in _computed(body, grid, known):
        found[coordinate.name] = coordinate
    for name in known:
        value = body.value(name)
        if name not in found and isinstance(value, bool | int | float | str):
            found[name] = _named(Coordinate(name, (), np.asarray(value)), known)
    return tuple(found.values())


def _named(bare: Coordinate, known: Mapping[str, Parameter]) -> Coordinate:
    """With units and label of its parameter where it has none of its own."""
    if bare.name not in known:
        return bare
    says = known[bare.name]
    return replace(bare, units=bare.units or says.units, long_name=bare.long_name or says.label)


def _computed(body: Body, grid: Cells, known: Mapping[str, Parameter]) -> Iterator[Coordinate]:
    """What the body computes, over the axes it asks for, without those along which nothing changes."""
    varied = grid.varied()
    asked = [name for name in body.computed_from() if name in varied]
    dims = tuple(dim for dim in grid.names if dim in {varied[name][0] for name in asked})
    sizes = [grid.dims[dim] for dim in dims]
    values: dict[str, list[Any]] = {}
    for index in np.ndindex(*sizes):
        place = dict(zip(dims, index))
        point = {name: varied[name][1][place[varied[name][0]]] for name in asked}
        for name, value in body.computed(point).items():
            values.setdefault(name, []).append(value)
    for name, given in values.items():
        array, kept = np.asarray(given).reshape(sizes), list(dims)
        for dim in dims:
            along = kept.index(dim)
            first = np.take(array, [0], along)
            if array.shape[along] > 1 and (array == first).all():
                array = first.squeeze(along)
                kept.remove(dim)
        yield _named(Coordinate(name, tuple(kept), array), {**body.labels(), **known})
