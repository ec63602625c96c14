"""When and why a cell stops: it reached the loss or the small gradient asked for, diverged, or took all its steps."""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

DIVERGED_AT = 1e4
"""A cell whose loss is not a number, or is above this many times its first value, has diverged."""


class Status(IntEnum):
    """Why a cell stopped."""

    ALL_STEPS = 0
    REACHED_LOSS = 1
    DIVERGED = 2
    CONVERGED = 3


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

    def judge(self, loss: Tensor, step: int, gradient_norm: Tensor | None = None) -> None:
        """Marks the cells that ended: ``loss`` and ``gradient_norm`` ``(c,)`` are those after ``step`` steps."""
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
        self.status_step = torch.where(ended > 0, step, self.status_step)
        self.status = self.status + ended
