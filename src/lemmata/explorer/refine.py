"""The order in which a map is computed: every fourth value of both axes, every second, all; one seed, then the others.

A cell does not know its tile, so the coarse map is part of the fine one and nothing is computed twice.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lemmata.sweep import Plan
from lemmata.sweep.tile import Tile

STRIDES = (4, 2, 1)


class Group(NamedTuple):
    """Cells of one shape that a level of the map still asks for, as a tile that may be cut further."""

    level: int
    tile: Tile


def groups(plan: Plan, x: str, y: str, done: np.ndarray) -> Iterator[Group]:
    """What is to be computed, in order; ``done`` marks the cells that have run and is read as the work goes on."""
    grid = plan.grid
    shape_axes = {*plan.body.shape_axes(grid.span())}
    seeds = [(stride, 1) for stride in STRIDES] + [(1, None)]
    for level, (stride, few) in enumerate(seeds):
        chosen = [
            range(0, size, stride) if name in (x, y) else range(size)[: few if name == "seed" else None]
            for name, size in grid.dims.items()
        ]
        pieces = [
            [(k,) for k in side] if name in shape_axes else [side] for name, side in zip(grid.names, chosen)
        ]  # one value of each shape axis
        for index, sides in enumerate(itertools.product(*pieces)):
            left = Tile(grid, index, tuple(tuple(side) for side in sides)).without(done)
            if left is not None:
                yield Group(level, left)


def cut(tile: Tile, cells: int) -> Tile:
    """The first cells of a tile, at most so many."""
    everything = tile.rest if tile.rest is not None else tuple(range(tile.cells))
    return Tile(tile.grid, tile.index, tile.sides, everything[:cells])


def filled(values: np.ndarray) -> np.ndarray:
    """A map ``(y, x)`` in which a missing cell shows the cell of a coarser map that it lies in, if that has run."""
    shown = values.copy()
    rows, columns = np.indices(values.shape)
    for stride in reversed(STRIDES):
        coarse = values[rows - rows % stride, columns - columns % stride]
        shown = np.where(np.isnan(shown), coarse, shown)
    return shown
