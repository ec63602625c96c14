"""One large network a cell as the body of a sweep, resumed from checkpoints, on one GPU or many.

A subclass names its parameters and makes the task of the cell that it is set to; steps, pieces, precision, processes
and checkpoints are here. How a network is trained is in :mod:`lemmata.loops.loop`.
"""

import functools
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from lemmata.loops.launch import launched
from lemmata.loops.loop import PRECISIONS, Plan, Training, company
from lemmata.loops.task import NetworkTask, steps_at
from lemmata.parameters import Parameter, check, parameter
from lemmata.status import Status
from lemmata.sweep.body import Body, Variable
from lemmata.sweep.grid import Grid


@dataclass(frozen=True, kw_only=True)
class NetworkBody(Body):
    """Trains one network a cell; every cell is a tile.

    Args:
        records: how many times scores are recorded, evenly, the last time after the last step.
        clip: largest norm of the gradient, None for no limit.
        checkpoint_every: steps between checkpoints.
    """

    scores_of: ClassVar[Mapping[str, str]] = {}
    """Name of each score and what it is; those that end a training as diverged where they are not finite."""
    readings_of: ClassVar[Mapping[str, str]] = {}
    """Name of each reading (of the optimiser, of the task) and what it is."""

    steps: int = parameter("steps t", int, units="steps", least=1, axis=False)
    micro_batch: int | None = parameter("rows a device takes at once", int, least=1, optional=True, default=None,
                                        axis=False)  # fmt: skip
    processes: int = parameter("processes of accelerate launch, one per GPU", int, least=1, default=1, axis=False)
    precision: str = parameter("bf16 for mixed precision, or no", str, choices=PRECISIONS, default="no", axis=False)
    records: int = 20
    clip: float | None = None
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        check(self)

    @abstractmethod
    def task(self, seed: int, device: torch.device) -> NetworkTask:
        """The task of the one cell that this body is set to."""

    @property
    def batch(self) -> int:
        """Rows of a step, which processes must be able to share; 0 where that may not be."""
        return 0

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Scores and readings at each recorded step, and why a cell ended."""
        along = {**self.scores_of, **self.readings_of}
        return {
            **{name: Variable(("step",), long_name=text) for name, text in along.items()},
            "status": Variable(long_name="why the cell ended: 0 took all steps, 2 diverged", dtype="int8"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Evenly spaced steps, the last one among them."""
        return {"step": np.array(steps_at(self.records, self.steps))}

    def labels(self) -> dict[str, Parameter]:
        """Of the recorded steps."""
        return {"step": Parameter("step t", int, units="steps")}

    def check(self, grid: Grid) -> None:
        """Refuses axes and values that do not fit, and processes that cannot share a batch."""
        super().check(grid)
        if self.processes > 1 and (not self.batch or self.batch % self.processes):
            raise ValueError(
                f"{self.processes} processes cannot share batches of {self.batch or 'several sizes'}; "
                f"take {'a divisor of it' if self.batch else '1'}"
            )

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """All axes: one cell a tile."""
        return grid.names

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Not known before it runs; a tile holds one cell whatever it takes."""
        return 2**28

    def plan(self) -> Plan:
        """How it is trained."""
        return Plan(
            steps=self.steps,
            record=steps_at(self.records, self.steps),
            micro_batch=self.micro_batch,
            clip=self.clip,
            precision=self.precision,
            checkpoint_every=self.checkpoint_every,
        )

    def cell(self, point: Mapping[str, Any]) -> "NetworkBody":
        """The body set to one point."""
        return self.at({name: value for name, value in point.items() if name != "seed"})  # type: ignore[return-value]

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From two steps after a first one."""
        return sum(_seconds_per_step(self.cell(point)) * self.steps / self.processes for point in points)

    def run(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> dict[str, np.ndarray]:
        """Every cell, from its checkpoint in ``scratch`` if there is one."""
        found = []
        for place, point in enumerate(points):
            one, folder = self.cell(point), scratch
            if scratch is not None and len(points) > 1:
                folder = scratch / str(place)
                folder.mkdir(exist_ok=True)
            make = functools.partial(one.task, int(point.get("seed", 0)))
            found.append(launched(make, one.plan(), self.processes, folder))
        along = {name: np.array([one[name] for one in found]) for name in (*self.scores_of, *self.readings_of)}
        last = np.array([[one[name][-1] for name in self.scores_of] for one in found])
        ended = np.where(np.isfinite(last).all(1), Status.ALL_STEPS, Status.DIVERGED)
        return {**along, "status": ended.astype(np.int8)}


@functools.lru_cache(maxsize=64)
def _seconds_per_step(one: NetworkBody) -> float:
    among = company(one.precision)
    training = Training(one.task(0, among.device), one.plan(), among)
    training.step(0)  # the first one also loads code
    started = time.perf_counter()
    for step in (1, 2):
        training.step(step)
    return (time.perf_counter() - started) / 2
