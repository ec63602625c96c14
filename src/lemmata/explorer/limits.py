"""What a page may ask for, refused in one sentence before anything runs."""

import math
from collections.abc import Mapping
from typing import Any

from lemmata.lab.card import SIZES
from lemmata.lab.experiment import Experiment
from lemmata.parameters import OutOfRange, Parameter
from lemmata.sweep import Body, Grid
from lemmata.sweep.tile import shape_points

MOST_CELLS = 20_000
MOST_VALUES = 60
"""Values along one axis."""
MOST_BYTES = 2**30
"""Working memory of one tile."""
ROOM = 10
"""How far a parameter that changes the amount of work may go beyond the largest size of the experiment."""


def movable(experiment: Experiment) -> dict[str, Parameter]:
    """The parameters that a page may set: numbers that a grid may vary; no device, path, engine or expression."""
    known = experiment.parameters()
    return {name: says for name, says in known.items() if says.axis and says.kind in (int, float)}


def checked(experiment: Experiment, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values from a page, numbers or texts, as the parameters' own kinds.

    Raises:
        ValueError: a name that may not be set, or a value outside its range or too much work.
    """
    known, found = movable(experiment), {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{name!r} was asked for; a page may set {', '.join(known)}")
        says = known[name]
        number = value if isinstance(value, str) else repr(value)
        if says.kind is int and isinstance(value, float) and math.isfinite(value):
            number = str(round(value))
        found[name] = says.parse(name, number)
        if says.per_cell is False and found[name] is not None and found[name] > (most := _most(experiment, name)):
            raise OutOfRange(name, found[name], f"at most {most:g} on a live page; run larger ones with `lemmata run`")
    return found


def check_work(body: Body, grid: Grid) -> int:
    """The most cells that a tile may hold.

    Raises:
        ValueError: too many cells, too many values along an axis, or a cell that does not fit.
    """
    if grid.cells > MOST_CELLS:
        raise ValueError(f"{grid.cells} cells were asked for; a live page computes at most {MOST_CELLS}, take fewer")
    for axis in grid.axes:
        if len(axis.values) > MOST_VALUES:
            raise ValueError(
                f"{axis.name} was asked for at {len(axis.values)} values; a live page takes at most {MOST_VALUES}"
            )
    body.check(grid)
    largest = max(body.bytes_per_cell(point) for point in shape_points(grid, {*body.shape_axes(grid)}))
    if largest > MOST_BYTES:
        raise ValueError(f"one cell takes {largest / 2**30:.3g} GiB; a live page has {MOST_BYTES / 2**30:.0f} GiB")
    return MOST_BYTES // max(1, largest)


def _most(experiment: Experiment, name: str) -> float:
    """Ten times the largest value that any size has."""
    largest = [experiment.plain.value(name) or 1]
    for size in SIZES:
        value = experiment.sizes[size].values.get(name)
        largest += value if isinstance(value, tuple) else [] if value is None else [value]
    return ROOM * max(float(value) for value in largest)
