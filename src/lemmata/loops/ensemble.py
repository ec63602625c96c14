"""Many small networks trained as one tensor program: c cells side by side, each with its own numbers and its own end.

The parameters of all cells are one matrix ``(c, P)``, of which the task sees views by name; a step is one backward pass
of the sum of the losses and one update of the matrix. What a cell does depends on its own row, seed and numbers only:

- alone it does what it does in any ensemble;
- a cell that diverges is marked with the step, keeps its last finite parameters and costs the others nothing;
- a training that is killed and run again goes on from its checkpoint, bit for bit as if it had never stopped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.loops import checkpoint
from lemmata.loops.descent import Descent, Spread
from lemmata.loops.task import Parameters, Task
from lemmata.status import Status

LOSS = "train_loss"
_ALIGNED = 16  # numbers; libraries round otherwise where a matrix does not start at a multiple of 64 bytes


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Args:
        parameters: name → ``(c, ...)``; of a diverged cell, the last finite ones.
        records: name → ``(c, t)`` scores after each number of steps in ``steps``, NaN once a cell has diverged, the
            last value once it has stopped; ``"train_loss"`` is the mean of the losses since the record before.
        steps: the t step counts.
        status: ``(c,)`` int8, see :class:`~lemmata.status.Status`.
        status_step: ``(c,)`` int64, steps taken.
    """

    parameters: Parameters
    records: dict[str, Tensor]
    steps: tuple[int, ...]
    status: Tensor
    status_step: Tensor


@dataclass(frozen=True)
class Level:
    """A cell stops at a record where ``score`` is at most (``falls``) or at least ``at``.

    Args:
        at: a number or ``(c,)``.
    """

    score: str
    at: float | Tensor
    falls: bool = True

    def reached(self, values: Tensor) -> Tensor:
        """Where it is, ``(c,)``."""
        at = torch.as_tensor(self.at, dtype=values.dtype, device=values.device)
        return values <= at if self.falls else values >= at


def train(
    task: Task,
    seeds: Tensor,
    descent: Descent,
    *,
    records: tuple[int, ...] | None = None,
    until: Level | None = None,
    path: Path | None = None,
    every: int = 500,
) -> Trained:
    """Train c networks.

    Args:
        task: start, loss and scores of the cells.
        seeds: ``(c,)`` int64, from :func:`lemmata.draws.cell_seeds`, on the device to train on.
        descent: rule and numbers.
        records: step counts at which scores are taken, by default the last one.
        until: a score that ends a cell.
        path: of a checkpoint, written ``every`` so many steps; if it is there the training goes on from it.

    Raises:
        ValueError: records beyond the steps, numbers for another number of cells, parameters of different dtypes or
            cells, or a checkpoint of another training; before any step.
    """
    spread = descent.spread(len(seeds), seeds.device)
    last = int(spread.steps.max()) if len(seeds) else 0
    records = (last,) if records is None else tuple(sorted(set(records)))
    if not records or records[0] < 0 or records[-1] > last:
        raise ValueError(
            f"records at steps {records} of a training of {last} were asked for; take them from 0 to {last}"
        )
    run = _Training(task, seeds, descent, spread, records, until)
    if path is not None:
        run.recall(checkpoint.load(path, seeds.device))
    while run.step < last and run.alive:
        run.record()
        run.take_step()
        if path is not None and run.step % every == 0:
            checkpoint.save(path, run.memory())
    run.record_rest()
    return Trained(run.views(), run.stacked(), records, run.status, run.status_step)


class _Training:
    """The state of one training between two steps."""

    def __init__(
        self, task: Task, seeds: Tensor, descent: Descent, spread: Spread, records: tuple[int, ...], until: Level | None
    ) -> None:
        self.task, self.rule, self.spread, self.until = task, descent.rule, spread, until
        self.names, self.x = _packed(task.start(seeds), len(seeds))
        self.state = self.rule.state(self.x, sum(map(math.prod, self.names.values())))
        self.records_at, self.step, self.alive = records, 0, True
        self.recorded: dict[str, list[Tensor]] = {}
        self.status = torch.full(seeds.shape, int(Status.ALL_STEPS), dtype=torch.int8, device=seeds.device)
        self.status_step = torch.zeros_like(seeds)
        self.active = spread.steps > 0
        self.loss_sum = torch.zeros(len(seeds), dtype=torch.float64, device=seeds.device)
        self.loss_count = torch.zeros_like(self.loss_sum)
        self.used = {
            name: bool(getattr(spread, name).isfinite().any()) for name in ("clip", "stop_loss", "stop_gradient")
        }
        self.made_for = _fingerprint(seeds, descent, spread, records, until, self.names)

    def views(self) -> Parameters:
        """The matrix as named tensors."""
        return _unpacked(self.x, self.names)

    def take_step(self) -> None:
        """One step of every cell that still moves; nothing here waits for the device."""
        x = self.x.detach().requires_grad_()
        loss = self.task.loss(_unpacked(x, self.names), self.step)
        (g,) = torch.autograd.grad(loss.sum(), x)
        loss = loss.detach()
        with torch.no_grad():
            size = torch.linalg.vector_norm(g, dim=1)
            self._end(~(loss.isfinite() & size.isfinite() & (loss <= self.spread.diverged_at)), Status.DIVERGED)
            if self.used["stop_loss"]:
                self._end(loss <= self.spread.stop_loss, Status.REACHED_LOSS)
            if self.used["stop_gradient"]:
                self._end(size <= self.spread.stop_gradient, Status.CONVERGED)
            self.loss_sum += torch.where(self.active, loss, 0)
            self.loss_count += self.active
            if self.used["clip"]:
                g.mul_((self.spread.clip / (size + 1e-6)).clamp_max(1).to(g.dtype).unsqueeze(1))
            rate = torch.where(self.active, self.spread.rate_at(self.step), 0).unsqueeze(1)
            decay = self.spread.weight_decay.unsqueeze(1)
            moved = self.rule.moved(self.x, g, self.state, self.step + 1, rate, decay)
            self.x = torch.where(self.active.unsqueeze(1), moved, self.x)
            self.status_step += self.active
            self.step += 1
            self.active = self.active & (self.step < self.spread.steps)
        if type(self.task).after_step is not Task.after_step:
            with torch.no_grad():
                self.task.after_step(self.views(), self.step - 1)

    def record(self) -> None:
        """Take the scores, if this is a step count to take them at; here the host waits."""
        if self.step not in self.records_at:
            return
        with torch.no_grad():
            values = {**self.task.scores(self.views()), **self.rule.readings(self.state)}
            mean = self.loss_sum / self.loss_count
            if not self.step:
                values[LOSS] = self.task.loss(self.views(), 0)
            else:
                values[LOSS] = torch.where(self.loss_count > 0, mean, self._last(LOSS, mean))
            self.loss_sum.zero_()
            self.loss_count.zero_()
            gone = self.status == Status.DIVERGED
            for name, value in values.items():
                self.recorded.setdefault(name, []).append(value.double().masked_fill(gone, math.nan))
            if self.until is not None:
                if self.until.score not in values:
                    raise ValueError(f"score {self.until.score!r} is waited for; the task has {', '.join(values)}")
                self._end(self.until.reached(values[self.until.score]), Status.REACHED_LEVEL)
        self.alive = bool(self.active.any())

    def record_rest(self) -> None:
        """The records that are left: of the end, if it was reached, and of cells that have all stopped before."""
        for at in self.records_at[len(self.recorded.get(LOSS, [])) :]:
            self.step = at
            self.record()

    def stacked(self) -> dict[str, Tensor]:
        """Records as ``(c, t)``."""
        return {name: torch.stack(values, 1) for name, values in self.recorded.items()}

    def memory(self) -> dict[str, Any]:
        """Everything that decides the rest."""
        kept = (
            "step",
            "x",
            "state",
            "recorded",
            "status",
            "status_step",
            "active",
            "loss_sum",
            "loss_count",
            "made_for",
        )
        return {**{name: getattr(self, name) for name in kept}, "task": self.task.memory()}

    def recall(self, memory: Mapping[str, Any] | None) -> None:
        """Go on from :meth:`memory`.

        Raises:
            ValueError: it is of another training.
        """
        if memory is None:
            return
        if memory["made_for"] != self.made_for:
            raise ValueError("the checkpoint is of a training with other seeds, numbers or parameters; remove it first")
        for name, value in memory.items():
            if name != "task":
                setattr(self, name, value)
        self.task.recall(memory["task"])

    def _end(self, where: Tensor, why: Status) -> None:
        ending = where & self.active
        self.status = self.status.masked_fill(ending, int(why))
        self.active = self.active & ~ending

    def _last(self, name: str, like: Tensor) -> Tensor:
        return self.recorded[name][-1].to(like.dtype) if name in self.recorded else like


def _packed(parameters: Parameters, cells: int) -> tuple[dict[str, tuple[int, ...]], Tensor]:
    """Shapes by name, and the matrix ``(c, P)``."""
    if not parameters:
        raise ValueError("the task starts without parameters; give at least one")
    for name, tensor in parameters.items():
        if not tensor.ndim or tensor.shape[0] != cells:
            raise ValueError(f"parameter {name!r} came as {tuple(tensor.shape)} for {cells} cells; put the cells first")
    dtypes = {tensor.dtype for tensor in parameters.values()}
    if len(dtypes) > 1:
        raise ValueError(f"parameters came as {', '.join(sorted(map(str, dtypes)))}; one training has one dtype")
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in parameters.items()}
    rows = [tensor.detach().reshape(cells, -1) for tensor in parameters.values()]
    return shapes, torch.cat([F.pad(row, (0, -row.shape[1] % _ALIGNED)) for row in rows], 1)


def _unpacked(x: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = x.split([size + -size % _ALIGNED for size in sizes], 1)
    named = zip(shapes.items(), sizes, parts)
    return {name: part[:, :size].view(x.shape[0], *shape) for (name, shape), size, part in named}


def _fingerprint(
    seeds: Tensor,
    descent: Descent,
    spread: Spread,
    records: tuple[int, ...],
    until: Level | None,
    shapes: Mapping[str, tuple[int, ...]],
) -> str:
    numbers = {name: v.tolist() if isinstance(v, Tensor) else v for name, v in vars(spread).items()}
    return repr((seeds.tolist(), repr(descent.rule), numbers, records, repr(until), dict(shapes)))
