"""Adam++ and AdaGrad++ on the networks of a run: one optimiser, and so one distance, for every cell.

Their step is as long as *all* parameters together have moved, so that one optimiser over the stacked cells would couple
them. Each cell has its own, which is exact and takes a Python call per cell and step. Reference: Tao, Yuan, Zhou, Cao,
Gu 2024, arXiv 2412.19444; the optimisers are those of :mod:`lemmata.optim`.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lemmata import optim
from lemmata.dynamics.engine import Engine, Point
from lemmata.dynamics.rule import Rule
from lemmata.parameters import check, parameter

_NAMES = ("AdamPP", "AdamWPP", "AdaGradPP")


@dataclass
class _Memory:
    """Stacked parameters and gradients, whose rows the optimisers of the cells hold."""

    held: Point
    gradients: Point
    optimisers: list[Optimizer]


@dataclass(frozen=True)
class ParameterFree(Rule):
    """An optimiser whose step is the distance moved so far, on the direct engine.

    Args:
        optimizer: ``"AdamPP"``, ``"AdamWPP"`` or ``"AdaGradPP"``.
        lr: the multiplier c, above 0; 1 is the paper's. eta0: the first distance, above 0. Either may be a ``(c,)``
            tensor.
        options: further arguments, as ``(name, value)`` pairs.

    Raises:
        ValueError: for another optimiser, or a value outside its range.
    """

    optimizer: str = parameter("optimiser", str, choices=_NAMES, default="AdamPP")
    lr: float | Tensor = parameter("multiplier c of the distance", above=0, scale="log", default=1.0, per_cell=True)
    eta0: float | Tensor = parameter("first distance η₀", above=0, scale="log", default=1e-6, per_cell=True)
    options: tuple[tuple[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return self.optimizer

    def step_sizes(self, engine: Engine) -> Tensor:
        """The multiplier of every cell ``(c,)``."""
        like = engine.sample.curvature
        return torch.as_tensor(self.lr, dtype=like.dtype, device=like.device).expand_as(like).clone()

    def start(self, point: Point, eta: Tensor) -> _Memory:
        """An optimiser for each cell, on its rows of tensors of its own."""
        held = {name: value.clone() for name, value in point.items()}
        gradients = {name: torch.zeros_like(value) for name, value in point.items()}
        scales = torch.as_tensor(self.eta0, dtype=torch.float64).expand(len(eta)).tolist()
        optimisers = []
        for cell, (multiplier, eta0) in enumerate(zip(eta.tolist(), scales)):
            rows = []
            for name, value in held.items():
                row = value[cell].detach().requires_grad_()  # shares its memory with the stack, as its gradient does
                row.grad = gradients[name][cell]
                rows.append(row)
            options = {"lr": multiplier or 1.0, "eta0": eta0, **dict(self.options)}
            optimisers.append(getattr(optim, self.optimizer)(rows, **options))
        return _Memory(held, gradients, optimisers)

    def move(
        self, engine: Engine, point: Point, gradient: Point, memory: Any, view: tuple[Tensor, Tensor], eta: Tensor
    ) -> tuple[Point, Any]:
        """One step of each cell's optimiser. Cells with ``eta`` = 0 stay where they are."""
        with torch.no_grad():
            for name, value in memory.gradients.items():
                value.copy_(gradient[name])
        for moves, optimiser in zip((eta > 0).tolist(), memory.optimisers):
            if moves:
                optimiser.step()
        return {name: value.clone() for name, value in memory.held.items()}, memory
