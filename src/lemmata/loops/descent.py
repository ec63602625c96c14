"""How c networks are trained: the rule, and numbers that cells may differ in: rate, decay, clipping, stopping.

The learning rate of step k = 0, 1, .. is ``rate * m(k)`` with

    m(k) = min(1, (k + 1) / warmup) * (floor + (1 - floor) (1 + cos π t) / 2),   t = (k - warmup) / (steps - warmup)

for the cosine schedule (t within [0, 1]), and the first factor alone for the constant one.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.loops.rules import AdamW, Rule
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class Descent:
    """Settings of a training; every number may be a ``(c,)`` tensor.

    Args:
        steps: how many each cell takes.
        rule: what a step does.
        rate: learning rate at multiplier 1.
        weight_decay: as the rule takes it.
        warmup: steps over which the rate rises linearly from 0.
        schedule: what it does after.
        floor: smallest multiplier of the cosine.
        clip: largest norm of a cell's gradient; longer ones are scaled down to it, as ``clip_grad_norm_`` does.
        stop_loss: a cell stops where its loss is at most this.
        stop_gradient: a cell stops where the norm of its gradient is at most this.
        diverged_at: a cell has diverged where its loss is above this, or not finite.

    Raises:
        OutOfRange: a number outside its range.
    """

    steps: int | Tensor = parameter("training steps", int, units="steps", least=0, per_cell=True)
    rule: Rule = dataclasses.field(default_factory=AdamW)
    rate: float | Tensor = parameter("learning rate", least=0, scale="log", per_cell=True, default=1e-3)
    weight_decay: float | Tensor = parameter("weight decay", least=0, per_cell=True, default=0.0)
    warmup: int | Tensor = parameter("steps of linear warm-up", int, units="steps", least=0, per_cell=True, default=0)
    schedule: Literal["constant", "cosine"] = parameter(
        "schedule of the learning rate", str, choices=("constant", "cosine"), default="constant"
    )
    floor: float | Tensor = parameter("smallest share of the rate", least=0, most=1, per_cell=True, default=0.0)
    clip: float | Tensor | None = parameter(
        "largest gradient norm", above=0, per_cell=True, optional=True, default=None
    )
    stop_loss: float | Tensor | None = parameter("loss to stop at", per_cell=True, optional=True, default=None)
    stop_gradient: float | Tensor | None = parameter(
        "gradient norm to stop at", least=0, per_cell=True, optional=True, default=None
    )
    diverged_at: float | Tensor | None = parameter(
        "loss above which a cell has diverged", per_cell=True, optional=True, default=None
    )

    def __post_init__(self) -> None:
        check(self)

    def spread(self, cells: int, device: torch.device) -> "Spread":
        """The numbers as ``(c,)`` float64 tensors.

        Raises:
            ValueError: a tensor that has not one entry per cell.
        """
        numbers = {}
        for name, otherwise in _OTHERWISE.items():
            value = getattr(self, name)
            value = torch.as_tensor(otherwise if value is None else value, dtype=torch.float64, device=device)
            if value.ndim and value.shape != (cells,):
                raise ValueError(f"{name} came with shape {tuple(value.shape)} for {cells} cells; give one per cell")
            numbers[name] = value.expand(cells).contiguous()
        warming = int(numbers["warmup"].max()) if cells else 0
        return Spread(self.schedule, warming, **numbers)


_OTHERWISE = {
    "steps": 0, "rate": 0, "weight_decay": 0, "warmup": 0, "floor": 0, "clip": math.inf, "stop_loss": -math.inf,
    "stop_gradient": -math.inf, "diverged_at": math.inf,
}  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """The same, one number per cell: each tensor ``(c,)`` float64."""

    schedule: str
    warming: int  # the longest warm-up
    steps: Tensor
    rate: Tensor
    weight_decay: Tensor
    warmup: Tensor
    floor: Tensor
    clip: Tensor
    stop_loss: Tensor
    stop_gradient: Tensor
    diverged_at: Tensor

    def rate_at(self, step: int) -> Tensor:
        """Learning rates of step number ``step`` from 0, ``(c,)``."""
        rate = self.rate
        if step < self.warming:
            rate = rate * ((step + 1) / self.warmup.clamp_min(1)).clamp_max(1)
        if self.schedule == "constant":
            return rate
        t = ((step - self.warmup) / (self.steps - self.warmup).clamp_min(1)).clamp(0, 1)
        return rate * (self.floor + (1 - self.floor) * (1 + (math.pi * t).cos()) / 2)
