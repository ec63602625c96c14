"""What a sweep asks of the thing it runs: a *body* turns points of the grid into arrays, and describes itself.

A tile is a pure function of its points: :meth:`Body.run` may depend on the points it is given and on the body's own
frozen fields, never on the tile they came in, the order of tiles, the clock or global random state. Then a sweep cut
otherwise, run on other workers, or killed and resumed, gives the same dataset.

A body that trains for hours with checkpoints gives ``run`` a second parameter, ``scratch``::

    def run(self, points, scratch: Path | None = None): ...

It is handed a folder of its own beside the store (``NAME.scratch/TILE``), the same one when a killed sweep is run
again, removed once the tile is marked done; ``None`` when the sweep has no store. Such a body takes
``cells_per_tile=1``. On a cluster the folder must be visible to all workers, as the parent names it by its path.
"""

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lemmata.sweep.grid import RESERVED, Grid


@dataclass(frozen=True)
class Variable:
    """A measured quantity: the grid's dimensions come first, then ``dims``.

    Args:
        dims: dimensions beyond the grid's own, e.g. ``("step",)``; the body's ``coordinates`` give their values.
        dtype: ``float64``, ``float32``, a signed integer or ``bool``. Cells not yet run read NaN, -1 or False.
    """

    dims: tuple[str, ...] = ()
    units: str = ""
    long_name: str = ""
    dtype: str = "float64"

    @property
    def fill(self) -> float | int | bool:
        """What a cell reads before it has run."""
        return {"f": math.nan, "i": -1, "b": False}[np.dtype(self.dtype).kind]


class Body(Protocol):
    """A function from points to arrays; typically a frozen dataclass, so that workers can be sent a copy."""

    @property
    def variables(self) -> Mapping[str, Variable]:
        """What :meth:`run` returns, by name."""
        ...

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Values of each dimension beyond the grid's own, one-dimensional."""
        ...

    def configuration(self) -> dict[str, Any]:
        """Full description of what runs, as JSON; stored, and compared when the sweep is run again."""
        ...

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """Axes that change tensor shapes: a tile holds one value of each. The others batch inside a tile."""
        ...

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Peak working memory of one cell."""
        ...

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """Expected time of one tile, measured on a small piece of it."""
        ...

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile: for each variable an array ``(c, *dims)`` with ``c = len(points)``."""
        ...


def check_body(body: Body, grid: Grid) -> None:
    """Refuse a body whose description does not fit itself or the grid."""
    if not isinstance(grid, Grid):
        raise TypeError(f"a sweep goes over a lemmata.Grid and was given {grid!r}; write Grid.of(n=(10, 20))")
    extra = {name: np.asarray(values) for name, values in body.coordinates.items()}
    for name, values in extra.items():
        if values.ndim != 1 or not values.size:
            raise ValueError(f"coordinate {name!r} has shape {values.shape}; give one value per position")
        if values.dtype.kind not in "fiubU" or (values.dtype.kind == "f" and np.isnan(values).any()):
            raise ValueError(f"coordinate {name!r} holds {values.dtype} or NaN; give numbers or strings")
    if not body.variables:
        raise ValueError("the body names no variables; give at least one, or there is nothing to store")
    taken = {*grid.names, *extra, *RESERVED}
    clash = sorted((set(extra) & {*grid.names, *RESERVED}) | (set(body.variables) & taken))
    if clash:
        raise ValueError(f"the body's {clash[0]!r} is also an axis, a coordinate or a reserved name; rename it")
    for name, variable in body.variables.items():
        missing = [dim for dim in variable.dims if dim not in extra]
        if missing:
            raise ValueError(f"variable {name!r} has dimension {missing[0]!r}; add its values to the coordinates")
        if np.dtype(variable.dtype).kind not in "fib":
            raise ValueError(f"variable {name!r} is {variable.dtype}; use a float, a signed integer or bool")
    unknown = [name for name in body.shape_axes(grid) if name not in grid.names]
    if unknown:
        raise ValueError(f"shape axis {unknown[0]!r} is not an axis of the grid, which has {', '.join(grid.names)}")


def configuration_of(body: Body) -> dict[str, Any]:
    """The body's configuration as JSON reads it back (tuples become lists)."""
    try:
        return json.loads(json.dumps(body.configuration()))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the body's configuration is not JSON ({error}); describe it in numbers, strings, lists, dicts"
        ) from error


def shape_of(variable: Variable, body: Body) -> tuple[int, ...]:
    """Lengths of the dimensions beyond the grid's own."""
    return tuple(len(body.coordinates[dim]) for dim in variable.dims)


def wants_scratch(body: Body) -> bool:
    """Whether ``run`` has a parameter called ``scratch``."""
    return "scratch" in inspect.signature(body.run).parameters


def run_tile(body: Body, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> dict[str, np.ndarray]:
    """Run one tile and check what came back. Runs on the worker; every executor is handed this function.

    Raises:
        ValueError: a variable missing, unknown, of the wrong shape or of a dtype that would lose what was measured.
    """
    if wants_scratch(body):
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        found = body.run(points, scratch=scratch)  # type: ignore[call-arg]
    else:
        found = body.run(points)
    if set(found) != set(body.variables):
        raise ValueError(
            f"run returned {', '.join(sorted(found)) or 'nothing'} and the body names "
            f"{', '.join(sorted(body.variables))}; return exactly these"
        )
    arrays = {}
    for name, variable in body.variables.items():
        array, expected = np.asarray(found[name]), (len(points), *shape_of(variable, body))
        if array.shape != expected:
            raise ValueError(f"variable {name!r} came back as {array.shape}, expected {expected} (cells first)")
        if not np.can_cast(array.dtype, variable.dtype, "same_kind"):
            raise ValueError(f"variable {name!r} came back as {array.dtype}, declared {variable.dtype}; convert one")
        arrays[name] = array.astype(variable.dtype, copy=False)
    return arrays
