"""The plan of a sweep: body, cells, tiles and what stands beside the results, found once and handed on.

planned = plan(run, Grid.of(n=(10, 20), seed=range(8)))
print(planned)             # cells, tiles, memory and expected time, which is measured only now
dataset = sweep(planned, store="o/data.zarr")
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.table import Table

from lemmata.sweep.as_body import as_body
from lemmata.sweep.body import Body, shape_of
from lemmata.sweep.coordinates import Coordinate, coordinates_of
from lemmata.sweep.grid import RESERVED, Grid
from lemmata.sweep.points import Points
from lemmata.sweep.progress import duration
from lemmata.sweep.tile import Cells, Tile, cut, tile_shape

SHAPES_MEASURED = 4
"""Shapes of tiles of which a piece is run to say how long a sweep takes."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sweep will do; made by :func:`plan`. Prints as a few lines, and as a table in rich.

    Args:
        body: what runs.
        grid: where.
        tile_shape: lengths of a tile along the grid's dimensions.
        configuration: full description of the body, as JSON reads it back.
        coordinates: every parameter and dimension, as they are stored.
        workers: tiles that run at once.
    """

    body: Body
    grid: Cells
    tile_shape: tuple[int, ...]
    configuration: dict[str, Any]
    coordinates: tuple[Coordinate, ...]
    workers: int = 1

    @cached_property
    def cut(self) -> tuple[Tile, ...]:
        """The tiles, in order."""
        return tuple(cut(self.grid, self.tile_shape, self.body.shape_axes(self.grid.span())))

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.cut)

    @property
    def cells(self) -> int:
        return self.grid.cells

    @cached_property
    def tile_bytes(self) -> int:
        """Working memory of the largest tile."""
        return max(self.body.bytes_per_cell(tile.points[0]) * tile.cells for tile, _ in self._shapes)

    @property
    def dataset_bytes(self) -> int:
        """The results, uncompressed."""
        variables = self.body.variables.values()
        sizes = [np.dtype(v.dtype).itemsize * int(np.prod(shape_of(v, self.body))) for v in variables]
        return sum(sizes) * self.cells

    @property
    def memory_bytes(self) -> int:
        """Working memory of all tiles that run at once."""
        return self.tile_bytes * min(self.workers, self.tiles)

    @cached_property
    def seconds(self) -> float:
        """Expected time of the whole sweep on ``workers`` workers; asking measures it.

        It is the body's own estimate for the first tile of each shape, scaled to all cells of that shape; of many
        shapes a few are measured, and the others lie between them as their memory does.
        """
        shapes = sorted(self._shapes, key=lambda shape: self.body.bytes_per_cell(shape[0].points[0]))
        picked = sorted({round(k) for k in np.linspace(0, len(shapes) - 1, min(len(shapes), SHAPES_MEASURED))})
        sizes = [float(self.body.bytes_per_cell(tile.points[0])) for tile, _ in shapes]
        measured = [self.body.estimate_seconds(shapes[k][0].points) / shapes[k][0].cells for k in picked]
        if len({sizes[k] for k in picked}) < len(picked):  # memory tells them not apart
            per_cell = np.interp(range(len(shapes)), picked, measured)
        else:
            per_cell = np.interp(sizes, [sizes[k] for k in picked], measured)
        alone = sum(seconds * cells for seconds, (_, cells) in zip(per_cell.tolist(), shapes))
        return alone / min(self.workers, self.tiles)

    @cached_property
    def _shapes(self) -> tuple[tuple[Tile, int], ...]:
        """The first tile of each shape, and how many cells have that shape."""
        names = set(self.body.shape_axes(self.grid.span()))
        firsts: dict[tuple[Any, ...], list[Any]] = {}
        for tile in self.cut:
            point = self.grid.point([side[0] for side in tile.sides])
            found = firsts.setdefault(tuple(point[name] for name in point if name in names), [tile, 0])
            found[1] += tile.cells
        return tuple((tile, cells) for tile, cells in firsts.values())

    def _lines(self) -> Iterator[tuple[str, str]]:
        sides = " × ".join(f"{size} {name}" for name, size in self.grid.dims.items())
        tile = " × ".join(f"{size} {name}" for name, size in zip(self.grid.names, self.tile_shape))
        yield "cells", f"{self.cells:,} = {sides}"
        yield "tiles", f"{self.tiles:,} of at most {int(np.prod(self.tile_shape)):,} cells = {tile}"
        yield "memory", f"{_bytes(self.memory_bytes)} at work, {_bytes(self.dataset_bytes)} of results"
        if how := self.body.in_use(self.cut[0].points[0]):
            yield "steps", how
        try:
            yield "time", f"about {duration(self.seconds)} with {self.workers} worker{'s' * (self.workers > 1)}"
        except Exception as error:  # the sweep will meet it too, and say which tile
            yield "time", f"not known, a first piece failed with {type(error).__name__}"

    def __str__(self) -> str:
        return "\n".join(f"{name:<7} {text}" for name, text in self._lines())

    def __rich__(self) -> Table:
        table = Table(show_header=False, box=None)
        for name, text in self._lines():
            table.add_row(f"[bold]{name}", text)
        return table


def plan(body: Body | Any, grid: Cells, *, cells_per_tile: int | None = None, workers: int = 1) -> Plan:
    """What ``sweep(body, grid)`` will do; nothing runs and nothing is written.

    Args:
        body: a :class:`~lemmata.Run`, or a body of your own, see :class:`~lemmata.sweep.Body`.
        grid: a :class:`~lemmata.Grid`, or :class:`~lemmata.sweep.Points`.
        cells_per_tile: most cells to batch; ``None`` fits tiles in 256 MB each, about 32 of them, see
            :func:`~lemmata.sweep.tile.tile_shape`.
        workers: tiles that run at once, for the expected time.

    Raises:
        ValueError, TypeError: the body, the grid or the arguments do not fit.
    """
    body = as_body(body)
    if not isinstance(grid, Grid | Points):
        raise TypeError(f"a sweep goes over a lemmata.Grid and was given {grid!r}; write Grid.of(n=(10, 20))")
    if workers < 1:
        raise ValueError(f"workers is {workers}; give the number of tiles that run at once, 1 or more")
    _check_dimensions(body)
    body.check(grid.span())
    unknown = [name for name in body.shape_axes(grid.span()) if name not in grid.span().names]
    if unknown:
        raise ValueError(f"shape axis {unknown[0]!r} is not an axis of the grid, which has {', '.join(grid.names)}")
    coordinates = coordinates_of(body, grid)
    _check_variables(body, grid, coordinates)
    shape = tile_shape(body, grid, cells_per_tile)
    return Plan(body, grid, shape, _configuration(body), coordinates, workers)


explain = plan
"""The same, for those who only want to read it."""


def _check_dimensions(body: Body) -> None:
    for name, values in ((name, np.asarray(values)) for name, values in body.coordinates.items()):
        if values.ndim != 1 or not values.size:
            raise ValueError(f"coordinate {name!r} has shape {values.shape}; give one value per position")
        if values.dtype.kind not in "fiubU" or (values.dtype.kind == "f" and np.isnan(values).any()):
            raise ValueError(f"coordinate {name!r} holds {values.dtype} or NaN; give numbers or strings")


def _check_variables(body: Body, grid: Cells, coordinates: tuple[Coordinate, ...]) -> None:
    """Refuse variables whose names or dimensions do not fit."""
    if not body.variables:
        raise ValueError("the body names no variables; give at least one, or there is nothing to store")
    extra = set(body.coordinates)
    taken = {*(coordinate.name for coordinate in coordinates), *RESERVED}
    own = {*grid.names, *grid.varied(), *RESERVED, *body.parameters()}
    clash = sorted((extra & own) | (set(body.variables) & taken))
    if clash:
        raise ValueError(f"the body's {clash[0]!r} is also an axis, a coordinate or a reserved name; rename it")
    for name, variable in body.variables.items():
        if not name.isidentifier():
            raise ValueError(f"variable {name!r} is no name; use letters, digits and _")
        missing = [dim for dim in variable.dims if dim not in extra]
        if missing:
            raise ValueError(f"variable {name!r} has dimension {missing[0]!r}; add its values to the coordinates")
        if np.dtype(variable.dtype).kind not in "fib":
            raise ValueError(f"variable {name!r} is {variable.dtype}; use a float, a signed integer or bool")


def _configuration(body: Body) -> dict[str, Any]:
    """The body's configuration as JSON reads it back (tuples become lists)."""
    try:
        return json.loads(json.dumps(body.configuration()))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the body's configuration is not JSON ({error}); describe it in numbers, strings, lists, dicts"
        ) from error


def _bytes(count: float) -> str:
    power = 0
    while count >= 1000 and power < 4:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
