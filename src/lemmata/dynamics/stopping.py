"""When and why a cell stops: it reached what was asked for (a loss, a small gradient, a level of a probe), diverged, or
took all its steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.parameters import check, parameter
from lemmata.probes.probe import Probe
from lemmata.probes.shipped import named
from lemmata.probes.snapshot import Snapshot
from lemmata.status import Status

DIVERGED_AT = 1e4
"""A cell whose loss is not a number, or is above this many times its first value, has diverged."""


@dataclass(frozen=True)
class Until:
    """A cell stops at the first step at which a probe is at least ``level``. The probe is taken at every step.

    Args:
        probe: its name in :data:`~lemmata.PROBES`, or a :class:`~lemmata.Probe`.
        level: a finite number, or a ``(c,)`` tensor with one value per cell.

    Raises:
        ValueError: for an unknown probe, or a level that is no finite number.
    """

    probe: str | Probe
    level: float | Tensor = parameter("level at which a cell stops", per_cell=True)

    def __post_init__(self) -> None:
        named((self.probe,))
        check(self)

    def reached(self, snapshot: Snapshot) -> Tensor:
        """``(c,)`` bool; NaN has reached nothing."""
        return named((self.probe,))[0].measure(snapshot) >= torch.as_tensor(self.level).to(snapshot.loss.device)


@dataclass
class Ends:
    """State of the stopping rules of ``c`` cells, on their device; judging never waits for it.

    Attributes:
        stop_loss: a cell stops at the first step whose loss is at most this; None never stops it.
        stop_gradient: a cell has converged at the first step whose gradient is no longer than this; None never asks.
        limit: ``(c,)``, the loss above which a cell has diverged, known after step 0.
        status: ``(c,)`` int64, :class:`Status`; status_step: ``(c,)`` int64, the step at which it was known.
    """

    stop_loss: float | None
    stop_gradient: float | None
    limit: Tensor
    status: Tensor
    status_step: Tensor
    diverged_at: float = DIVERGED_AT

    @classmethod
    def begin(cls, like: Tensor, steps: int, stop_loss: float | None, stop_gradient: float | None) -> "Ends":
        """All ``c`` cells running; ``like`` is ``(c,)``."""
        status = torch.zeros_like(like, dtype=torch.int64)
        limit = torch.full_like(like, torch.inf)
        return cls(stop_loss, stop_gradient, limit, status, torch.full_like(status, steps))

    @property
    def running(self) -> Tensor:
        """``(c,)`` bool."""
        return self.status == Status.ALL_STEPS

    def judge(
        self, loss: Tensor, step: int, gradient_norm: Tensor | None = None, reached: Tensor | None = None
    ) -> None:
        """Marks the cells that ended: ``loss``, ``gradient_norm`` and ``reached`` ``(c,)`` are those after ``step``."""
        if step == 0:
            self.limit = self.diverged_at * loss.abs().nan_to_num(nan=0.0)
        running = self.running
        diverged = running & ~(loss <= self.limit)
        ended = diverged.to(torch.int64) * Status.DIVERGED
        if self.stop_loss is not None:
            ended += (running & ~diverged & (loss <= self.stop_loss)).to(torch.int64) * Status.REACHED_LOSS
        if self.stop_gradient is not None and gradient_norm is not None:
            converged = running & (ended == 0) & (gradient_norm <= self.stop_gradient)
            ended += converged.to(torch.int64) * Status.CONVERGED
        if reached is not None:
            ended += (running & (ended == 0) & reached).to(torch.int64) * Status.REACHED_LEVEL
        self.status_step = torch.where(ended > 0, step, self.status_step)
        self.status = self.status + ended
