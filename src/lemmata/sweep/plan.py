"""What a sweep will take, before it is run: cells, tiles, memory and time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from lemmata.sweep.as_body import as_body
from lemmata.sweep.body import Body, check_body, shape_of
from lemmata.sweep.grid import Grid
from lemmata.sweep.progress import duration
from lemmata.sweep.tile import Tile, cut, tile_shape


@dataclass(frozen=True)
class Plan:
    """The answer of :func:`explain`; prints as a few lines, and as a table in rich.

    Args:
        grid: the points.
        tile_shape: lengths of a tile along the grid's axes.
        tiles: number of tiles.
        workers: tiles that run at once.
        tile_bytes: working memory of the largest tile.
        dataset_bytes: the results, uncompressed.
        seconds: expected time of the whole sweep on ``workers`` workers.
        in_use: what takes the steps on this machine, if the body says it by a method of this name.
    """

    grid: Grid
    tile_shape: tuple[int, ...]
    tiles: int
    workers: int
    tile_bytes: int
    dataset_bytes: int
    seconds: float
    in_use: str = ""

    @property
    def cells(self) -> int:
        return self.grid.cells

    @property
    def memory_bytes(self) -> int:
        """Working memory of all tiles that run at once."""
        return self.tile_bytes * min(self.workers, self.tiles)

    def _lines(self) -> Iterator[tuple[str, str]]:
        sides = " × ".join(f"{size} {name}" for name, size in self.grid.dims.items())
        tile = " × ".join(f"{size} {name}" for name, size in zip(self.grid.names, self.tile_shape))
        yield "cells", f"{self.cells:,} = {sides}"
        yield "tiles", f"{self.tiles:,} of at most {int(np.prod(self.tile_shape)):,} cells = {tile}"
        yield "memory", f"{_bytes(self.memory_bytes)} at work, {_bytes(self.dataset_bytes)} of results"
        if self.in_use:
            yield "steps", self.in_use
        yield "time", f"about {duration(self.seconds)} with {self.workers} worker{'s' * (self.workers > 1)}"

    def __str__(self) -> str:
        return "\n".join(f"{name:<7} {text}" for name, text in self._lines())

    def __rich__(self) -> Table:
        table = Table(show_header=False, box=None)
        for name, text in self._lines():
            table.add_row(f"[bold]{name}", text)
        return table


def explain(body: Body | Any, grid: Grid, *, cells_per_tile: int | None = None, workers: int = 1) -> Plan:
    """Cells, tiles, memory and expected time of ``sweep(body, grid)``; nothing is written.

    Time is the body's own estimate for the first tile of each shape, scaled to all cells of that shape and divided
    among the workers.

    Raises:
        ValueError, TypeError: as :func:`~lemmata.sweep.sweep` would; ``workers`` below 1.
    """
    body = as_body(body)
    check_body(body, grid)
    if workers < 1:
        raise ValueError(f"workers is {workers}; give the number of tiles that run at once, 1 or more")
    shape = tile_shape(body, grid, cells_per_tile)
    tiles = cut(grid, shape)
    per_cell = sum(
        np.dtype(variable.dtype).itemsize * int(np.prod(shape_of(variable, body)))
        for variable in body.variables.values()
    )
    return Plan(
        grid=grid,
        tile_shape=shape,
        tiles=len(tiles),
        workers=workers,
        tile_bytes=max(body.bytes_per_cell(tile.points[0]) * tile.cells for tile in _first_of_each_shape(body, tiles)),
        dataset_bytes=per_cell * grid.cells,
        seconds=_seconds(body, grid, tiles) / min(workers, len(tiles)),
        in_use=body.in_use(tiles[0].points[0]) if hasattr(body, "in_use") else "",
    )


def _seconds(body: Body, grid: Grid, tiles: list[Tile]) -> float:
    firsts = _first_of_each_shape(body, tiles)
    cells_of_a_shape = grid.cells / len(firsts)
    return sum(body.estimate_seconds(tile.points) / tile.cells * cells_of_a_shape for tile in firsts)


def _first_of_each_shape(body: Body, tiles: list[Tile]) -> list[Tile]:
    grid, firsts = tiles[0].grid, dict[tuple[int, ...], Tile]()
    shape_axes = body.shape_axes(grid)
    sides = [i for i, name in enumerate(grid.names) if name in shape_axes]
    for tile in tiles:
        firsts.setdefault(tuple(tile.region[i].start for i in sides), tile)
    return list(firsts.values())


def _bytes(count: float) -> str:
    power = 0
    while count >= 1000 and power < 4:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
