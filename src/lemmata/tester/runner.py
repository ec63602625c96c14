"""What runs: anything a user may hand to the tester becomes a function from points to arrays.

A :class:`~lemmata.Run` or a body runs in batches of one shape, whatever list of points is asked for; a plain function
is given the points as they are; a mapping of names to runs is one run with an axis ``run``.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from lemmata.sweep import Grid, Points, each_tile
from lemmata.sweep.as_body import as_body
from lemmata.sweep.executors import resolve
from lemmata.sweep.pool import Pool
from lemmata.sweep.sendable import check_sendable
from lemmata.sweep.tile import TILE_BYTES

Point = Mapping[str, Any]
Values = Mapping[str, np.ndarray]
RUN = "run"
"""The axis along which several runs are told apart."""


class Runner(Protocol):
    """Runs points, and says what there is to measure."""

    @property
    def quantities(self) -> tuple[str, ...] | None:
        """Names of what is measured; ``None``: whatever is asked for."""

    @property
    def recorded(self) -> Mapping[str, np.ndarray]:
        """Dimensions of the measured arrays beyond the cell, e.g. recorded steps, with their values."""

    def value(self, name: str) -> Any:
        """What a parameter is set to where a point does not say; ``None`` if that is not known."""

    def check(self, axes: Mapping[str, Sequence[Any]]) -> None:
        """Raises ``ValueError`` for axes or values that cannot be run."""

    def describe(self) -> Any:
        """What runs, as JSON, to tell one study from another."""

    def __call__(self, points: Sequence[Point]) -> Values:
        """Arrays ``(c, ...)`` by name."""


@dataclass(frozen=True)
class OfFunction:
    """A plain function of a list of points; each point has its parameters and a ``seed``.

    Args:
        function: returns arrays ``(c, ...)`` by name, or one array, which is then what the conjecture is about.
        only: the name of that one array.
        recorded: see :class:`Runner`.
    """

    function: Callable[..., Any]
    only: str
    recorded: Mapping[str, np.ndarray] = field(default_factory=dict)
    quantities = None

    def value(self, name: str) -> Any:
        """Not known."""
        return None

    def check(self, axes: Mapping[str, Sequence[Any]]) -> None:
        """Left to the function."""

    def describe(self) -> Any:
        """Its name."""
        return {"function": getattr(self.function, "__qualname__", type(self.function).__qualname__)}

    def __call__(self, points: Sequence[Point]) -> Values:
        found = self.function([dict(point) for point in points])
        found = found if isinstance(found, Mapping) else {self.only: found}
        arrays = {name: np.asarray(values) for name, values in found.items()}
        for name, array in arrays.items():
            if array.ndim == 0 or len(array) != len(points):
                raise ValueError(f"the function was given {len(points)} points and returned {array.shape} for {name!r}")
        return arrays


@dataclass
class OfBody:
    """A :class:`~lemmata.Run` or a body: points of one shape share a batch, as large as memory allows.

    Args:
        executor: where batches run, as of :func:`lemmata.sweep.sweep`; ``None``: here, without a sweep's bookkeeping,
            which costs as much as a hundred cells. Inside :func:`opened` batches share one pool.
    """

    body: Any
    executor: str | Executor | Pool | None = None
    _shape_axes: tuple[str, ...] = ()

    @property
    def quantities(self) -> tuple[str, ...]:
        """The body's variables."""
        return tuple(self.body.variables)

    @property
    def recorded(self) -> Mapping[str, np.ndarray]:
        """The body's coordinates."""
        return self.body.coordinates

    def value(self, name: str) -> Any:
        """What the body is set to."""
        return self.body.value(name)

    def check(self, axes: Mapping[str, Sequence[Any]]) -> None:
        """The body's own check of a grid; remembers which axes change shapes."""
        grid = Grid.of(**{name: tuple(values) for name, values in axes.items()}, seed=(0,))
        self.body.check(grid)
        self._shape_axes = tuple(self.body.shape_axes(grid))

    def describe(self) -> Any:
        """The body's configuration."""
        return self.body.configuration()

    def __call__(self, points: Sequence[Point]) -> Values:
        out: dict[str, np.ndarray] = {}
        for rows, found in self._done(points):
            for name, values in found.items():
                if name not in out:
                    out[name] = np.empty((len(points), *values.shape[1:]), values.dtype)
                out[name][rows] = values
        return out

    def _done(self, points: Sequence[Point]) -> Iterator[tuple[list[int], Values]]:
        """Batches as they finish: which points, and their arrays."""
        if self.executor is None:
            for rows in self._tiles(points):
                yield rows, self.body.run([dict(points[row]) for row in rows])
        else:
            for tile, found in each_tile(self.body, Points.of(points), executor=self.executor, progress=False):
                yield list(tile.sides[0]), found

    def _tiles(self, points: Sequence[Point]) -> Iterator[list[int]]:
        shapes: dict[tuple[Any, ...], list[int]] = {}
        for row, point in enumerate(points):
            shapes.setdefault(tuple(point.get(name) for name in self._shape_axes), []).append(row)
        for rows in shapes.values():
            most = max(1, TILE_BYTES // max(1, self.body.bytes_per_cell(dict(points[rows[0]]))))
            yield from (rows[first : first + most] for first in range(0, len(rows), most))


@dataclass
class OfSeveral:
    """Several runs as one, told apart by the axis ``run``, whose values are their names."""

    runs: Mapping[str, Runner]

    @property
    def quantities(self) -> tuple[str, ...] | None:
        """What all of them measure."""
        known = [one.quantities for one in self.runs.values() if one.quantities is not None]
        return tuple(name for name in known[0] if all(name in names for names in known)) if known else None

    @property
    def recorded(self) -> Mapping[str, np.ndarray]:
        """Those of the first."""
        return next(iter(self.runs.values())).recorded

    def value(self, name: str) -> Any:
        """That of the first run."""
        return next(iter(self.runs.values())).value(name)

    def check(self, axes: Mapping[str, Sequence[Any]]) -> None:
        """Checks every run."""
        for one in self.runs.values():
            one.check({name: values for name, values in axes.items() if name != RUN})

    def describe(self) -> Any:
        """All of them by name."""
        return {name: one.describe() for name, one in self.runs.items()}

    def __call__(self, points: Sequence[Point]) -> Values:
        out: dict[str, np.ndarray] = {}
        for name, one in self.runs.items():
            mine = [number for number, point in enumerate(points) if point[RUN] == name]
            if not mine:
                continue
            found = one([{key: value for key, value in points[i].items() if key != RUN} for i in mine])
            for key, values in found.items():
                if key not in out:
                    out[key] = np.full((len(points), *values.shape[1:]), np.nan)
                out[key][mine] = values
        return out


def runner(
    run: Any, of: str, executor: str | Executor | None = None, recorded: Mapping[str, Sequence[float]] | None = None
) -> Runner:
    """What a user may hand to the tester: a Run, a body, a function of points, or several of these by name.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(run, Mapping):
        if not run:
            raise TypeError("no run was given; give runs by name, e.g. {'sgd': run1, 'adam': run2}")
        return OfSeveral({str(name): runner(one, of, executor, recorded) for name, one in run.items()})
    if callable(run) and not isinstance(run, type):
        return OfFunction(run, of, {name: np.asarray(values) for name, values in (recorded or {}).items()})
    return OfBody(as_body(run), executor)


@contextmanager
def opened(run: Runner) -> Iterator[None]:
    """Starts the workers that a run names once, for all batches until the end.

    Raises:
        TypeError: a process pool is named, and the body cannot be sent to it.
    """
    every = run.runs.values() if isinstance(run, OfSeveral) else [run]
    named = [one for one in every if isinstance(one, OfBody) and isinstance(one.executor, str)]
    before = [(one, one.executor) for one in named]
    with ExitStack() as stack:
        pools: dict[Any, Pool] = {}
        for one, name in before:
            if name == "processes":
                check_sendable(one.body)
            if name not in pools:
                pools[name] = stack.enter_context(resolve(name))
            one.executor = pools[name]
        try:
            yield
        finally:
            for one, name in before:
                one.executor = name


def seconds_of(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and how long it took."""
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started
