"""One map being computed: tiles in the order of refinement, one in flight, so that it can be given up between two."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import Verdict
from lemmata.explorer.limits import check_work, checked
from lemmata.explorer.refine import cut, groups
from lemmata.explorer.worker import CLICK, TILE, Worker
from lemmata.lab.card import Card
from lemmata.lab.experiment import Experiment
from lemmata.lab.explore import Explore
from lemmata.lab.find import load
from lemmata.lab.run_folder import conclusions
from lemmata.sweep import Body, plan
from lemmata.sweep.body import run_tile
from lemmata.sweep.memory import Memory

TILE_SECONDS = 0.1
"""Work in one tile: a click waits no longer than that, and nor does the next request."""
FIRST_CELLS = 4
LOOKS = 60
"""Records along the life of one cell."""


def default_explore(experiment: Experiment, size: str) -> Explore:
    """What the experiment says of its map; otherwise its two longest axes and its first variable.

    Raises:
        ValueError: an experiment with fewer than two axes of numbers.
    """
    if experiment.explore is not None:
        return experiment.explore
    body, grid = experiment.configure(size)
    axes = sorted((axis for axis in grid.axes if axis.name != "seed"), key=lambda axis: -len(axis.values))
    if len(axes) < 2:
        raise ValueError(f"{experiment.name} has no two axes for a map; run it, and explore the folder of the run")
    names = [axis.name for axis in grid.axes if axis in axes[:2]]
    return Explore(names[0], names[1], next(iter(body.variables)))


class Job:
    """The map of an experiment at given settings.

    Args:
        experiment, size: whose axes' values are taken.
        settings: further parameters, from the page; refused if a page may not set them.
        seeds: how many.

    Raises:
        ValueError: settings outside their ranges or beyond the limits of a live page.
    """

    def __init__(self, experiment: Experiment, size: str, settings: Mapping[str, Any], seeds: int):
        self.experiment, self.size, self.seeds = experiment, size, seeds
        self.explore = default_explore(experiment, size)
        self.changes = checked(experiment, {name: v for name, v in settings.items() if name not in self._axes})
        _, usual = experiment.configure(size, self.changes)
        for axis in usual.axes:  # of further axes the last value stands, where nothing else was said
            if axis.name not in (*self._axes, "seed") and axis.name not in self.changes:
                self.changes[axis.name] = axis.values[-1]
        body, grid = experiment.configure(size, self.changes, seeds)
        self.room = check_work(body, grid)
        self.plan = plan(body, grid)
        self.memory = Memory(self.plan)
        self.total, self.level, self.version = grid.cells, 0, 0
        self.predicted: xr.Dataset | None = None
        self.verdicts: list[Verdict] = []
        self.error, self.finished, self.concluded = "", False, False
        self.seconds = 0.0
        self._cells, self._cancelled, self._lock = FIRST_CELLS, False, threading.Lock()
        self._groups = groups(self.plan, self.explore.x, self.explore.y, self.memory.done)
        self._left: Any = None

    @property
    def _axes(self) -> tuple[str, str]:
        return self.explore.x, self.explore.y

    @property
    def done(self) -> int:
        """Cells that have run."""
        return int(self.memory.done.sum())

    def start(self, worker: Worker) -> None:
        """Begin; tiles come on the worker's thread, and :attr:`version` counts them."""
        self._conclude(worker)
        self._next(worker)

    def cancel(self) -> None:
        """Give up what has not begun."""
        self._cancelled = True

    def dataset(self) -> xr.Dataset:
        """What has been measured, with predictions and verdicts as far as they are known."""
        measured = self._measured()
        return measured if self.predicted is None else measured.merge(self.predicted, compat="override")

    def _measured(self) -> xr.Dataset:
        with self._lock:
            return self.memory.dataset().copy(deep=True)

    def live(self, worker: Worker, point: Mapping[str, Any], then: Any) -> None:
        """Train one cell again with records; ``then`` hears a dataset or an exception. It goes before the tiles."""
        worker.ask(CLICK, then, life, self.plan.body, dict(point))

    def _next(self, worker: Worker) -> None:
        if self._cancelled:
            return
        if self._left is None:
            group = next(self._groups, None)
            if group is None:
                self.finished = True
                self._conclude(worker)
                return
            self.level, self._left = group
        tile = cut(self._left, min(self._cells, self.room))
        worker.ask(TILE, lambda found: self._land(worker, tile, found), timed_tile, self.plan.body, tile.points)

    def _land(self, worker: Worker, tile: Any, found: Any) -> None:
        if self._cancelled:
            return
        if isinstance(found, Exception):
            self.error, self.finished = f"{type(found).__name__}: {found}", True
            self.version += 1
            return
        arrays, seconds = found
        with self._lock:
            self.memory.write(tile, arrays)
        self.seconds += seconds
        self._cells = max(1, min(round(2 * self._cells), round(len(tile.points) * TILE_SECONDS / max(seconds, 1e-4))))
        self._left = self._left.without(self.memory.done)
        self.version += 1
        self._next(worker)

    def _conclude(self, worker: Worker) -> None:
        """Predictions at the beginning, claims at the end; away from the page, as they may take a while."""
        card = self.experiment.card
        if card is not None:
            worker.ask(TILE, self._concluded, concluded, card, self._measured(), self.size)

    def _concluded(self, found: Any) -> None:
        if isinstance(found, Exception):
            self.error = f"no predictions or claims: {type(found).__name__}: {found}"
        else:
            self.predicted, verdicts = found
            self.verdicts = verdicts if self.finished else self.verdicts
        self.concluded = self.finished
        self.version += 1


def timed_tile(body: Body, points: Sequence[dict[str, Any]]) -> tuple[dict[str, np.ndarray], float]:
    """Run a tile, and say how long it took."""
    started = time.perf_counter()
    return run_tile(body, points), time.perf_counter() - started


def concluded(card: Card, dataset: xr.Dataset, size: str) -> tuple[xr.Dataset, list[Verdict]]:
    """Predictions and verdicts of an experiment on a dataset in memory; nothing is written."""
    merged, verdicts = conclusions(load(card), dataset, size)
    return merged.drop_vars([*dataset.data_vars]), verdicts


def life(body: Body, point: dict[str, Any]) -> xr.Dataset:
    """One cell trained again with looks along its steps: each variable over the dimensions it then has."""
    alone = body.at(point).along_steps(LOOKS)
    arrays = run_tile(alone, [{"seed": point.get("seed", 0)}])
    labels = {**alone.labels(), **alone.parameters()}
    coordinates = {
        name: ((name,), np.asarray(values), {"long_name": labels[name].label} if name in labels else {})
        for name, values in alone.coordinates.items()
    }
    variables = {
        name: (
            says.dims,
            arrays[name][0],
            {"long_name": says.long_name, "units": says.units},
        )
        for name, says in alone.variables.items()
    }
    return xr.Dataset(variables, coordinates)
