"""Cutting a grid into tiles: cells of one shape that run as one batch, the unit of work, of storage and of resuming.

A tile has one value of every shape axis. On a grid it is a hyper-rectangle and the chunk of the store: value axes are
filled from the last one backwards, so that cells near each other in the dataset share a tile, and cut into nearly equal
pieces; the last tile along an axis may be shorter. Of a list of points, those of one shape are taken together.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lemmata.sweep.body import Body
from lemmata.sweep.grid import Grid
from lemmata.sweep.points import Points

Cells = Grid | Points
"""What a sweep goes over."""
TILE_BYTES = 256 * 2**20
"""Working memory a tile may take by default."""
TILES_WANTED = 32
"""Tiles a sweep is cut into by default where it can be: progress is seen and no worker waits long for the last one."""
CELLS_WANTED = 64
"""Cells below which a tile is not made smaller for the sake of progress, as small batches waste each step."""


@dataclass(frozen=True)
class Tile:
    """Cells run as one batch.

    Args:
        grid: what it was cut from.
        index: position in the sweep, from 0.
        sides: the indices along each dimension; the tile is their product.
        rest: which of the product's cells, in C order, are still to be run, when others are stored; None is all.
    """

    grid: Cells
    index: int
    sides: tuple[Sequence[int], ...]
    rest: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the product."""
        return tuple(map(len, self.sides))

    @property
    def cells(self) -> int:
        """Number of cells that are run."""
        return math.prod(self.shape) if self.rest is None else len(self.rest)

    @property
    def points(self) -> tuple[dict[str, Any], ...]:
        """The parameters of the cells that are run, in C order."""
        everything = tuple(map(self.grid.point, itertools.product(*self.sides)))
        return everything if self.rest is None else tuple(everything[k] for k in self.rest)

    @property
    def region(self) -> tuple[slice, ...] | tuple[np.ndarray, ...]:
        """Where it lies in an array over the dimensions: slices, or an open mesh of indices where it has gaps."""
        if all(isinstance(side, range) for side in self.sides):
            return tuple(slice(side[0], side[-1] + 1) for side in self.sides)
        return np.ix_(*map(np.asarray, self.sides))

    def without(self, done: np.ndarray) -> "Tile | None":
        """What is left of it where some cells, marked in an array over the whole grid, are stored."""
        marks = done[self.region].ravel()
        if marks.all():
            return None
        return replace(self, rest=tuple(np.flatnonzero(~marks).tolist()) if marks.any() else None)

    def __str__(self) -> str:
        span = []
        points = self.points
        for name in points[0]:
            values = list(dict.fromkeys(point[name] for point in points))
            span.append(f"{name}={values[0]}" if len(values) == 1 else f"{name}={values[0]}..{values[-1]}")
        return f"tile {self.index} ({', '.join(span)})"


def tile_shape(body: Body, grid: Cells, cells_per_tile: int | None = None) -> tuple[int, ...]:
    """Lengths of a tile along the dimensions.

    With ``cells_per_tile=None``: as many cells as fit in 256 MB of the largest shape, but few enough that the sweep
    has about 32 tiles, unless that takes a tile below 64 cells. The number of workers plays no part, so that a store
    can be resumed on another machine.

    Raises:
        ValueError: ``cells_per_tile`` is not a positive integer.
    """
    shape_axes = set(body.shape_axes(grid.span()))
    if cells_per_tile is None:
        largest = max(body.bytes_per_cell(point) for point in shape_points(grid, shape_axes))
        wanted = max(CELLS_WANTED, math.ceil(grid.cells / TILES_WANTED))
        cells_per_tile = max(1, min(wanted, TILE_BYTES // max(1, largest)))
    if not isinstance(cells_per_tile, int) or isinstance(cells_per_tile, bool) or cells_per_tile < 1:
        raise ValueError(f"cells_per_tile is {cells_per_tile!r}; give a positive integer, or None to let memory decide")
    shape, room = [], cells_per_tile
    for axis in reversed(grid.axes):
        size = 1 if axis.name in shape_axes else len(axis.values)
        pieces = math.ceil(size / min(size, room))
        shape.append(math.ceil(size / pieces))
        room = max(1, room // shape[-1])
    return tuple(reversed(shape))


def shape_points(grid: Cells, shape_axes: set[str]) -> Iterator[dict[str, Any]]:
    """One point for each combination of the shape axes, with the first value of every other parameter."""
    if isinstance(grid, Points):
        firsts: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in range(len(grid.points)):
            point = grid.point((row, 0))
            firsts.setdefault(tuple(point[name] for name in point if name in shape_axes), point)
        yield from firsts.values()
        return
    sides = [range(len(axis.values)) if axis.name in shape_axes else range(1) for axis in grid.axes]
    yield from (grid.point(index) for index in itertools.product(*sides))


def cut(grid: Cells, shape: tuple[int, ...], shape_axes: Sequence[str] = ()) -> list[Tile]:
    """All tiles in order, each of ``shape`` but for the last along an axis, or the last of a group of points."""
    sides: list[list[Sequence[int]]] = [
        [range(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(grid.shape, shape)
    ]
    if isinstance(grid, Points):
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row, point in enumerate(grid.points):
            groups.setdefault(tuple(point[name] for name in point if name in shape_axes), []).append(row)
        sides[0] = [
            _as_range(rows[start : start + shape[0]])
            for rows in groups.values()
            for start in range(0, len(rows), shape[0])
        ]
    return [Tile(grid, index, region) for index, region in enumerate(itertools.product(*sides))]


def _as_range(rows: list[int]) -> Sequence[int]:
    return range(rows[0], rows[-1] + 1) if rows[-1] - rows[0] == len(rows) - 1 else tuple(rows)
