"""Trainings of hours as the body of a sweep: one cell a tile, resumed from checkpoints, on one GPU or many.

With ``processes`` above 1 every cell runs under ``accelerate launch`` (one process per GPU; settings of
``accelerate config`` apply), while the sweep stays in the one process that owns the store. How a cell is trained is in
:mod:`lemmata.papers.parameter_free.checkpointed_training`.
"""

import functools
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.papers.parameter_free import checkpointed_training
from lemmata.papers.parameter_free.checkpointed_training import (
    JOB,
    RESULT,
    Job,
    Recipe,
    Training,
    recorded_steps,
    train,
)
from lemmata.papers.parameter_free.methods import check_methods, check_tuning, knob_of
from lemmata.sweep.body import Variable

if TYPE_CHECKING:
    from lemmata.sweep import Grid

PRECISIONS = ("no", "bf16")


@dataclass(frozen=True)
class CheckpointedBody:
    """Trains one network a cell; axes ``net``, ``schedule``, ``optimiser``, ``tuning``, ``seed``.

    Args:
        recipe: what is trained.
        processes: of ``accelerate launch``; 1 trains in this process.
        precision: ``no`` (float32) or ``bf16`` (automatic mixed precision; parameters stay float32).
        checkpoint_every: steps between checkpoints.
    """

    recipe: Recipe
    processes: int = 1
    precision: str = "no"
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if self.recipe.steps < 1 or self.recipe.micro_batch < 1:
            raise ValueError(
                f"{self.recipe.steps} steps in pieces of {self.recipe.micro_batch} were asked for; take 1 or more"
            )

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The recipe's scores and the scale at each recorded step."""
        scores = {name: Variable(("step",), long_name=text) for name, text in self.recipe.scores.items()}
        return {
            **scores,
            "eta": Variable(("step",), long_name="distance scale η, or d of Prodigy and D-Adaptation"),
            "knob": Variable(long_name="learning rate, or first scale η₀, d₀"),
            "status": Variable(long_name="why the cell ended: 0 took all steps, 2 diverged", dtype="int8"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Evenly spaced steps, the last one among them."""
        return {"step": recorded_steps(self.recipe)}

    def configuration(self) -> dict[str, Any]:
        """Everything that decides the numbers, and the number of processes, which decides their rounding."""
        return {**self.recipe.describe(), "precision": self.precision, "processes": self.processes}

    def shape_axes(self, grid: "Grid") -> tuple[str, ...]:
        """All axes: one cell a tile. Refuses what cannot run before anything does."""
        axes = {axis.name: axis.values for axis in grid.axes}
        check_methods(axes["optimiser"], self.recipe.knobs)
        check_tuning(axes["tuning"], self.recipe.knobs)
        for name, known in (("net", self.recipe.nets), ("schedule", ("constant", "cosine"))):
            for value in axes[name]:
                if value not in known:
                    raise ValueError(f"{name} {value!r} was asked for; there are {', '.join(known)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r} was asked for; there are {', '.join(PRECISIONS)}")
        if self.processes < 1 or self.recipe.batch % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share batches of {self.recipe.batch}; take a divisor of it"
            )
        return grid.names

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Not known before it runs; a tile holds one cell whatever it takes."""
        return 2**28

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From two steps after a first; the schedule and the optimiser hardly change it."""
        (point,) = points
        return _seconds_per_step(self.recipe, point["net"], point["optimiser"]) * self.recipe.steps / self.processes

    def run(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> dict[str, np.ndarray]:
        """One cell, from its checkpoint in ``scratch`` if there is one."""
        (point,) = points
        job = Job(self.recipe, tuple(point.items()), self.precision, self.checkpoint_every)
        found = train(job, scratch) if self.processes == 1 else _launch(job, scratch, self.processes)
        last = np.array([found[name][-1] for name in self.recipe.scores])
        return {
            **{name: np.array([found[name]], dtype=float) for name in (*self.recipe.scores, "eta")},
            "knob": np.array([knob_of(point, self.recipe.knobs)]),
            "status": np.array([0 if np.isfinite(last).all() else 2], np.int8),
        }


@functools.cache
def _seconds_per_step(recipe: Recipe, net: str, optimiser: str) -> float:
    point = {"net": net, "optimiser": optimiser, "schedule": "constant", "tuning": 0, "seed": 0}
    one = Training(Job(recipe, tuple(point.items())))
    one.step(0)
    started = time.perf_counter()
    for step in (1, 2):
        one.step(step)
    return (time.perf_counter() - started) / 2


def _launch(job: Job, scratch: Path | None, processes: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = scratch if scratch is not None else Path(temporary)
        (folder / JOB).write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
        command += ["-m", checkpointed_training.__name__, str(folder)]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            said = ended.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise RuntimeError(f"accelerate launch ended with {ended.returncode} and said: {said[0]}")
        return json.loads((folder / RESULT).read_text())
