"""Cutting a grid into tiles: hyper-rectangles of one shape, the unit of work, of storage and of resuming.

A tile has length 1 along every shape axis. Value axes are filled from the last one backwards, so that cells near each
other in the dataset share a tile, and cut into nearly equal pieces; the last tile along an axis may be shorter.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lemmata.sweep.body import Body
from lemmata.sweep.grid import Grid

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
        grid: the grid it was cut from.
        index: position in the sweep, from 0.
        region: one slice per grid axis.
    """

    grid: Grid
    index: int
    region: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(side.stop - side.start for side in self.region)

    @property
    def cells(self) -> int:
        return math.prod(self.shape)

    @property
    def points(self) -> tuple[dict[str, Any], ...]:
        """The cells' parameters, in C order over the region."""
        return tuple(map(self.grid.point, itertools.product(*(range(s.start, s.stop) for s in self.region))))

    def __str__(self) -> str:
        span = []
        for axis, side in zip(self.grid.axes, self.region):
            first, last = axis.values[side.start], axis.values[side.stop - 1]
            span.append(f"{axis.name}={first}" if first == last else f"{axis.name}={first}..{last}")
        return f"tile {self.index} ({', '.join(span)})"


def tile_shape(body: Body, grid: Grid, cells_per_tile: int | None = None) -> tuple[int, ...]:
    """Lengths of a tile along the grid's axes.

    With ``cells_per_tile=None``: as many cells as fit in 256 MB of the largest shape, but few enough that the sweep
    has about 32 tiles, unless that takes a tile below 64 cells. The number of workers plays no part, so that a store
    can be resumed on another machine.

    Raises:
        ValueError: ``cells_per_tile`` is not a positive integer.
    """
    shape_axes = set(body.shape_axes(grid))
    if cells_per_tile is None:
        largest = max(body.bytes_per_cell(point) for point in shape_points(body, grid))
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


def shape_points(body: Body, grid: Grid) -> Iterator[dict[str, Any]]:
    """One point for each combination of the shape axes, with the first value of every other axis."""
    shape_axes = set(body.shape_axes(grid))
    sides = [range(len(axis.values)) if axis.name in shape_axes else range(1) for axis in grid.axes]
    return (grid.point(index) for index in itertools.product(*sides))


def cut(grid: Grid, shape: tuple[int, ...]) -> list[Tile]:
    """All tiles of a grid in C order, each of ``shape`` but for the last along an axis."""
    sides = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(grid.shape, shape)
    ]
    return [Tile(grid, index, region) for index, region in enumerate(itertools.product(*sides))]
