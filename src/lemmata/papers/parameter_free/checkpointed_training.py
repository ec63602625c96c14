"""Trainings of hours, one at a time, on Hugging Face ``accelerate``, resumed from checkpoints.

A *recipe* says what is trained; this file trains it. Nothing is random but what counters give (first weights, order of
samples, augmentation: see :mod:`lemmata.cells`), so a checkpoint is the step, the weights, the optimiser and what was
recorded, and a training that was killed goes on bit for bit. A batch is drawn whole and then shared among processes:
which samples a step takes does not depend on how many there are.
"""

import json
import math
import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lemmata.papers.parameter_free.methods import METHODS, Knobs, knob_of, scale_of, training_mode

if TYPE_CHECKING:
    from torch import Tensor, nn


CHECKPOINT, JOB, RESULT = "checkpoint.pt", "job.pickle", "result.json"


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
        optimiser_options: options of :class:`~lemmata.papers.parameter_free.methods.Method`.
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


class Training:
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
    one, recorded = Training(job, checkpoint), set(recorded_steps(job.recipe).tolist())
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


def main(folder: str) -> None:
    """What every process of a launch runs: the job in ``folder``; the first one leaves the result there."""
    job = pickle.loads((Path(folder) / JOB).read_bytes())
    found = train(job, Path(folder))
    if int(os.environ.get("RANK", "0")) == 0:
        (Path(folder) / RESULT).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
