"""Trainings of hours as the body of a sweep: one cell a tile, on Hugging Face ``accelerate``, resumed from checkpoints.

A *recipe* says what is trained; this file trains it. Nothing is random but what counters give (first weights, order of
samples, augmentation: see :mod:`lemmata.cells`), so a checkpoint is the step, the weights, the optimiser and what was
recorded, and a training that was killed goes on bit for bit. A batch is drawn whole and then shared among processes:
which samples a step takes does not depend on how many there are.

With ``processes`` above 1 every cell runs under ``accelerate launch`` (one process per GPU; settings of
``accelerate config`` apply), while the sweep stays in the one process that owns the store.
"""

import functools
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lemmata.experiments.parameter_free_methods import (
    METHODS,
    Knobs,
    check_methods,
    check_tuning,
    knob_of,
    scale_of,
    training_mode,
)
from lemmata.sweep.body import Variable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lemmata.sweep import Grid

CHECKPOINT, JOB, RESULT = "checkpoint.pt", "job.pickle", "result.json"
PRECISIONS = ("no", "bf16")


class Trainable(Protocol):
    """One training, ready to go: data and network on their device."""

    model: "nn.Module"
    groups: Any
    """What the optimiser is given: parameters, or groups of them."""

    def multiplier(self, step: int) -> float:
        """Of the learning rate at a step."""
        ...

    def loss(self, model: "nn.Module", step: int, rows: slice) -> "Tensor":
        """Mean loss over some rows of the batch of a step."""
        ...

    def scores(self, model: "nn.Module", share: int, of: int) -> "Tensor":
        """Sums of the recorded scores over one share of the test data, and last the number of samples in them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained; frozen, so that workers can be sent a copy.

    Args:
        data: folder of the data set.
        batch: samples a step takes.
        micro_batch: samples of it that a device takes at once.
        records: how many times scores are recorded, evenly, the last time after the last step.
        optimiser_options: options of :class:`~lemmata.experiments.parameter_free_methods.Method`.
        clip: largest norm of the gradient, None for no limit.
    """

    data: str
    knobs: Knobs
    steps: int
    batch: int
    micro_batch: int
    records: int
    nets: tuple[str, ...]
    optimiser_options: tuple[tuple[str, Any], ...]
    clip: float | None = None

    @property
    def scores(self) -> Mapping[str, str]:
        """Name of each recorded score and what it is."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """All of it as JSON."""
        raise NotImplementedError

    def start(self, point: Mapping[str, Any], device: Any) -> Trainable:
        """The training of one cell."""
        raise NotImplementedError


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


def recorded_steps(recipe: Recipe) -> np.ndarray:
    """``records`` steps from ``steps / records`` to ``steps``."""
    return np.unique(np.linspace(0, recipe.steps, recipe.records + 1).round().astype(np.int64)[1:])


@dataclass(frozen=True)
class Job:
    """One cell to train."""

    recipe: Recipe
    point: tuple[tuple[str, Any], ...]
    precision: str = "no"
    checkpoint_every: int = 500


@functools.cache
def _seconds_per_step(recipe: Recipe, net: str, optimiser: str) -> float:
    point = {"net": net, "optimiser": optimiser, "schedule": "constant", "tuning": 0, "seed": 0}
    one = _Training(Job(recipe, tuple(point.items())))
    one.step(0)
    started = time.perf_counter()
    for step in (1, 2):
        one.step(step)
    return (time.perf_counter() - started) / 2


class _Training:
    """Network and optimiser under ``accelerate``."""

    def __init__(self, job: Job, checkpoint: Path | None = None) -> None:
        import torch
        from accelerate import Accelerator

        self.recipe, point = job.recipe, dict(job.point)
        self.accelerator = Accelerator(mixed_precision=job.precision, cpu=not torch.cuda.is_available())
        self.task = self.recipe.start(point, self.accelerator.device)
        options: dict[str, Any] = dict(self.recipe.optimiser_options)
        self.optimiser = METHODS[point["optimiser"]](self.task.groups, knob_of(point, self.recipe.knobs), **options)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.first, self.history = 0, dict[str, list[float]]()
        if checkpoint is not None and checkpoint.exists():
            kept = torch.load(checkpoint, map_location=self.accelerator.device, weights_only=True)
            self.first, self.history = kept["step"], kept["history"]
            self.task.model.load_state_dict(kept["model"])
            self.optimiser.load_state_dict(kept["optimiser"])
        self.model, self.stepper = self.accelerator.prepare(self.task.model, self.optimiser)
        training_mode(self.optimiser, True)

    def step(self, step: int) -> None:
        """One update: the rows of this process in pieces of ``micro_batch``, their gradients added."""
        accelerator, share = self.accelerator, self.recipe.batch // self.accelerator.num_processes
        start = accelerator.process_index * share
        pieces = [
            slice(start + a, start + min(a + self.recipe.micro_batch, share))
            for a in range(0, share, self.recipe.micro_batch)
        ]
        factor = self.task.multiplier(step)
        for group, rate in zip(self.optimiser.param_groups, self.rates):
            group["lr"] = rate * factor
        self.model.train()
        self.stepper.zero_grad()
        for piece in pieces:
            # Processes exchange gradients once a step, with the last piece.
            with accelerator.autocast(), _exchange(accelerator, self.model, piece is pieces[-1]):
                loss = self.task.loss(self.model, step, piece) * ((piece.stop - piece.start) / share)
                accelerator.backward(loss)
        if self.recipe.clip is not None:
            accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.stepper.step()

    def record(self) -> None:
        """Scores on the test data, shared among the processes."""
        import torch

        training_mode(self.optimiser, False)
        bare = self.accelerator.unwrap_model(self.model)
        bare.eval()
        with torch.no_grad(), self.accelerator.autocast():
            sums = self.task.scores(bare, self.accelerator.process_index, self.accelerator.num_processes)
        sums = self.accelerator.reduce(sums, "sum")
        training_mode(self.optimiser, True)
        values = (sums[:-1] / sums[-1]).tolist()
        for name, value in zip((*self.recipe.scores, "eta"), (*values, scale_of(self.optimiser))):
            self.history.setdefault(name, []).append(value)

    def save(self, step: int, path: Path) -> None:
        """Write the checkpoint whole or not at all: a kill while writing leaves the one before."""
        import torch

        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            kept = {
                "step": step,
                "history": self.history,
                "model": self.accelerator.unwrap_model(self.model).state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
            part = path.with_suffix(".part")
            torch.save(kept, part)
            os.replace(part, path)


def _exchange(accelerator: Any, model: Any, on: bool) -> Any:
    import contextlib

    return contextlib.nullcontext() if on else accelerator.no_sync(model)


def train(job: Job, scratch: Path | None = None) -> dict[str, list[float]]:
    """Train one cell; in each process of a launch alike.

    Returns:
        Score name, and ``eta``, → values at the recorded steps; NaN from the step on at which the training diverged.
    """
    checkpoint = scratch / CHECKPOINT if scratch is not None else None
    one, recorded = _Training(job, checkpoint), set(recorded_steps(job.recipe).tolist())
    for step in range(one.first, job.recipe.steps):
        one.step(step)
        if step + 1 in recorded:
            one.record()
            if not all(math.isfinite(one.history[name][-1]) for name in job.recipe.scores):
                break
        if checkpoint is not None and (step + 1) % job.checkpoint_every == 0:
            one.save(step + 1, checkpoint)
    missing = len(recorded) - len(one.history["eta"])
    history = {name: values + [math.nan] * missing for name, values in one.history.items()}
    one.accelerator.free_memory()
    return history


def _launch(job: Job, scratch: Path | None, processes: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = scratch if scratch is not None else Path(temporary)
        (folder / JOB).write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
        command += ["-m", __name__, str(folder)]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            said = ended.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise RuntimeError(f"accelerate launch ended with {ended.returncode} and said: {said[0]}")
        return json.loads((folder / RESULT).read_text())


def main(folder: str) -> None:
    """What every process of a launch runs: the job in ``folder``; the first one leaves the result there."""
    job = pickle.loads((Path(folder) / JOB).read_bytes())
    found = train(job, Path(folder))
    if int(os.environ.get("RANK", "0")) == 0:
        (Path(folder) / RESULT).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
