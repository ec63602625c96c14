"""What a sweep asks of the thing it runs: a *body* turns points of the grid into arrays, and describes itself.

A body is a frozen dataclass whose fields are parameters; it must name its ``variables`` and ``run``, and inherits the
rest::

    @dataclass(frozen=True)
    class Walk(Body):
        steps: int = parameter("steps t", int, units="steps", least=1, default=100)
        drift: float = parameter("drift per step", per_cell=True, default=0.0)
        variables: ClassVar = {"distance": Variable(units="1", long_name="distance from the start")}

        def run(self, points):
            steps = self.column(points, "steps")
            noise = [np.random.default_rng(p["seed"]).normal(size=t).sum() for p, t in zip(points, steps)]
            return {"distance": np.array(noise) + self.column(points, "drift") * steps}

A tile is a pure function of its points: :meth:`Body.run` may depend on the points it is given and on the body's own
frozen fields, never on the tile they came in, the order of tiles, the clock or global random state. Then a sweep cut
otherwise, run on other workers, or killed and resumed, gives the same dataset.

A body that trains for hours with checkpoints gives ``run`` a second parameter, ``scratch``::

    def run(self, points, scratch: Path | None = None): ...

It is handed a folder of its own beside the store (``NAME.scratch/TILE``), the same one when a killed sweep is run
again, removed once the tile is marked done; ``None`` when the sweep has no store. Such a body takes
``cells_per_tile=1``. On a cluster the folder must be visible to all workers, as the parent names it by its path.
"""

import dataclasses
import inspect
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.parameters import Parameter, check_known, parameters_of
from lemmata.status import Status
from lemmata.sweep.grid import Grid

SEED = Parameter("seed", int, least=0, most=2**62, per_cell=True)
"""The axis of random draws: cells of one seed share them, whatever their other parameters."""
_PIECE = 8  # cells timed for an estimate
_SHORT = 0.2  # seconds below which one cell says too little about many


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


def endings() -> dict[str, Variable]:
    """``status`` and ``status_step``: why each cell ended (:class:`~lemmata.status.Status`), and at which step."""
    why = ", ".join(f"{status.value} {status.name.lower()}" for status in Status).replace("_", " ")
    return {
        "status": Variable(long_name=f"why the cell ended: {why}", dtype="int8"),
        "status_step": Variable(units="steps", long_name="step at which the cell ended", dtype="int64"),
    }


class Body(ABC):
    """A function from points to arrays; a frozen dataclass, so that workers can be sent a copy."""

    @property
    @abstractmethod
    def variables(self) -> Mapping[str, Variable]:
        """What :meth:`run` returns, by name."""

    @abstractmethod
    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile: for each variable an array ``(c, *dims)`` with ``c = len(points)``."""

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Values of each dimension beyond the grid's own, one-dimensional; none."""
        return {}

    def parameters(self) -> dict[str, Parameter]:
        """What a user may set, by name: the fields that are parameters, and ``seed``."""
        return {**parameters_of(self), "seed": SEED}

    def value(self, name: str) -> Any:
        """What a parameter is set to; None if it is not. The seed is 0 where nobody gives one."""
        return getattr(self, name, 0 if name == "seed" else None)

    def at(self, changes: Mapping[str, Any]) -> "Body":
        """The body with some of its parameters changed.

        Raises:
            ValueError: a name that is no parameter, or a value outside its range.
        """
        check_known(changes, self.parameters(), type(self).__name__)
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if name != "seed"})  # type: ignore[type-var]

    def column(self, points: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
        """A parameter of every cell ``(c,)``: what its point says, or else what the body is set to."""
        return np.asarray([point[name] if name in point else self.value(name) for point in points])

    def configuration(self) -> dict[str, Any]:
        """Full description of what runs, as JSON; stored, and compared when the sweep is run again."""
        return described(self)

    def check(self, grid: Grid) -> None:
        """Refuse axes that are no parameters, and values outside their ranges, all of them before anything runs.

        Raises:
            ValueError: the first one found.
        """
        known = {name: says for name, says in self.parameters().items() if says.axis}
        for axis in grid.axes:
            for value in axis.values:
                check_known({axis.name: value}, known, type(self).__name__)

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """Axes that change tensor shapes: a tile holds one value of each. The others batch inside a tile."""
        known = self.parameters()
        return tuple(name for name in grid.names if known[name].per_cell is not True)

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Peak working memory of one cell; 1 MiB unless the body knows better."""
        return 2**20

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """Expected time of one tile, from one of its cells and, if that is short, a few of them."""
        single = _seconds(self, points[:1])
        if single > _SHORT or len(points) == 1:
            return single * len(points)
        piece = points[:_PIECE]
        single, several = _seconds(self, points[:1]), _seconds(self, piece)  # the first run also loads code
        return single + max(0.0, several - single) / (len(piece) - 1) * (len(points) - 1)

    def in_use(self, point: Mapping[str, Any]) -> str:
        """What takes the steps at a point, for plan and store: compiled kernel or engine; nothing to say."""
        return ""

    def computed_from(self) -> tuple[str, ...]:
        """Parameters from which :meth:`computed` computes others; none."""
        return ()

    def computed(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Further parameters of a cell that follow from those of its point; stored as coordinates."""
        return {}

    def labels(self) -> dict[str, Parameter]:
        """Labels and units of coordinates that are no parameters: further dimensions, what is computed; none."""
        return {}

    def along_steps(self, count: int) -> "Body":
        """The body with about ``count`` looks along its training, where it can; itself where it cannot."""
        return self

    @property
    def wants_scratch(self) -> bool:
        """Whether :meth:`run` takes a folder for checkpoints."""
        return "scratch" in inspect.signature(self.run).parameters


def _seconds(body: Body, points: Sequence[dict[str, Any]]) -> float:
    started = time.perf_counter()
    run_tile(body, points)
    return time.perf_counter() - started


def described(value: Any) -> Any:
    """A value as JSON can hold it; a dataclass as its fields and, under ``kind``, its class."""
    if hasattr(value, "describe"):
        return value.describe()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [described(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def shape_of(variable: Variable, body: Body) -> tuple[int, ...]:
    """Lengths of the dimensions beyond the grid's own."""
    return tuple(len(body.coordinates[dim]) for dim in variable.dims)


def run_tile(body: Body, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> dict[str, np.ndarray]:
    """Run one tile and check what came back. Runs on the worker; every executor is handed this function.

    Raises:
        ValueError: a variable missing, unknown, of the wrong shape or of a dtype that would lose what was measured.
    """
    if body.wants_scratch:
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
