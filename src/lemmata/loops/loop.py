"""One large torch network, trained for hours: micro-batches, several devices, resumed from checkpoints bit for bit.

A :class:`~lemmata.loops.task.NetworkTask` says what is trained. Nothing is random but what counters give, so the step,
the weights, the optimiser and what was recorded are all there is to a training. A batch is drawn whole and then shared
among processes and cut into pieces: which samples a step takes depends on neither. A single process in full precision
needs torch alone; more of them, or mixed precision, go through Hugging Face ``accelerate`` (extra ``train``).
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lemmata.loops import checkpoint
from lemmata.loops.task import NetworkTask

History = dict[str, list[float]]
"""Score or reading → its values at the recorded steps."""
PRECISIONS = ("no", "bf16")
"""``no``: float32. ``bf16``: automatic mixed precision; parameters stay float32."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a task is trained.

    Args:
        steps: how many.
        record: step counts after which scores are recorded, increasing.
        micro_batch: rows that a device takes at once; None for all of its share.
        clip: largest norm of the gradient, None for no limit.
        precision: one of :data:`PRECISIONS`.
        checkpoint_every: steps between checkpoints.
    """

    steps: int
    record: tuple[int, ...]
    micro_batch: int | None = None
    clip: float | None = None
    precision: str = "no"
    checkpoint_every: int = 500


class Alone:
    """What the loop needs of ``accelerate``, for one process and full precision."""

    num_processes, process_index, is_main_process = 1, 0, True

    def __init__(self, device: torch.device | str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def prepare(self, *things: Any) -> tuple[Any, ...]:
        """The model and the optimiser as they are."""
        return things

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """Full precision."""
        return contextlib.nullcontext()

    def no_sync(self, model: nn.Module) -> contextlib.AbstractContextManager[None]:
        """There is nobody to exchange gradients with."""
        return contextlib.nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Gradients."""
        loss.backward()

    def clip_grad_norm_(self, parameters: Any, most: float) -> None:
        """In place."""
        nn.utils.clip_grad_norm_(parameters, most)

    def unwrap_model(self, model: nn.Module) -> nn.Module:
        """The model as it is."""
        return model

    def reduce(self, sums: Tensor, reduction: str) -> Tensor:
        """One share is the sum."""
        return sums

    def wait_for_everyone(self) -> None:
        """There is nobody to wait for."""

    def free_memory(self) -> None:
        """Nothing is kept."""


def company(precision: str = "no", processes: int = 1) -> Any:
    """What the processes of a training share: :class:`Alone`, or an ``Accelerator``."""
    if precision == "no" and processes == 1:
        return Alone()
    from accelerate import Accelerator  # an extra, and seconds to import

    return Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())


class Training:
    """A task with its optimiser under way, from a checkpoint if there is one."""

    def __init__(self, task: NetworkTask, plan: Plan, among: Any, path: Path | None = None) -> None:
        self.task, self.plan, self.among, self.path = task, plan, among, path
        self.optimiser = task.optimiser()
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.first, self.history = 0, History()
        kept = None if path is None else checkpoint.load(path, among.device)
        if kept is not None:
            self.first, self.history = kept["step"], kept["history"]
            task.model.load_state_dict(kept["model"])
            self.optimiser.load_state_dict(kept["optimiser"])
            task.recall(kept["memory"])
        self.model, self.stepper = among.prepare(task.model, self.optimiser)
        set_mode(self.optimiser, "train")

    def run(self) -> History:
        """All steps that are left; see :func:`train` for what is returned."""
        for step in range(self.first, self.plan.steps):
            self.step(step)
            if step + 1 in self.plan.record:
                self.record()
                if not all(math.isfinite(self.history[name][-1]) for name in self.task.scores_of):
                    break
            if (step + 1) % self.plan.checkpoint_every == 0:
                self.save(step + 1)
        self.among.free_memory()
        return {name: padded(values, len(self.plan.record)) for name, values in self.history.items()}

    def step(self, step: int) -> None:
        """One update: the rows of this process in pieces of ``micro_batch``, their gradients added."""
        share = self.task.rows(step) // self.among.num_processes
        start, size = self.among.process_index * share, self.plan.micro_batch or share
        pieces = [slice(start + a, start + min(a + size, share)) for a in range(0, share, size)]
        factor = self.task.multiplier(step)
        for group, rate in zip(self.optimiser.param_groups, self.rates):
            group["lr"] = rate * factor
        self.model.train()
        self.stepper.zero_grad()
        for piece in pieces:
            # Processes exchange gradients once a step, with the last piece.
            exchange = contextlib.nullcontext() if piece is pieces[-1] else self.among.no_sync(self.model)
            with self.among.autocast(), exchange:
                loss = self.task.loss(self.model, step, piece)
                self.among.backward(loss if len(pieces) == 1 else loss * ((piece.stop - piece.start) / share))
        if self.plan.clip is not None:
            self.among.clip_grad_norm_(self.model.parameters(), self.plan.clip)
        self.stepper.step()
        self.task.after_step(step)

    def record(self) -> None:
        """Scores on the test data, shared among the processes, and readings."""
        set_mode(self.optimiser, "eval")
        bare = self.among.unwrap_model(self.model)
        bare.eval()
        with torch.no_grad(), self.among.autocast():
            sums = self.task.scores(bare, self.among.process_index, self.among.num_processes)
        sums = self.among.reduce(sums, "sum")
        set_mode(self.optimiser, "train")
        values = dict(zip(self.task.scores_of, (sums[:, 0] / sums[:, 1]).tolist()))
        for name, value in {**values, **self.task.readings(self.optimiser)}.items():
            self.history.setdefault(name, []).append(value)

    def save(self, step: int) -> None:
        """Write the checkpoint, by the first process."""
        self.among.wait_for_everyone()
        if self.path is not None and self.among.is_main_process:
            model = self.among.unwrap_model(self.model).state_dict()
            state = {"step": step, "history": self.history, "memory": self.task.memory(), "model": model}
            checkpoint.save(self.path, {**state, "optimiser": self.optimiser.state_dict()})


def train(
    make: Callable[[torch.device], NetworkTask], plan: Plan, path: Path | None = None, processes: int = 1
) -> History:
    """Train one network; in each process of a launch alike.

    Args:
        make: device → the task, its network on that device.
        path: of the checkpoint, from which a training that was killed goes on.
        processes: how many take part, this one among them.

    Returns:
        Score or reading → values at the recorded steps; NaN from the step on at which a score was not finite.
    """
    among = company(plan.precision, processes)
    return Training(make(among.device), plan, among, path).run()


def padded(values: Sequence[float], length: int) -> list[float]:
    """Values, and NaN for those that a training that diverged did not come to."""
    return [*values, *[math.nan] * (length - len(values))]


def set_mode(optimiser: Any, mode: Literal["train", "eval"]) -> None:
    """Optimisers that average (Schedule-Free) have another point for scores than for gradients; nothing for others."""
    switch = getattr(optimiser, mode, None)
    if switch is not None:
        switch()
