"""How a point moves, given gradients: gradient descent with its usual companions, and any optimiser of torch.

    g <- dL(theta + rho dL / |dL|)              (sharpness-aware, Foret et al. 2021, arXiv 2010.01412; rho = 0 is plain)
    g <- g + weight_decay * theta
    g <- g / |g|                                (normalised)
    u <- momentum * u + g,   theta <- theta - eta * u     (Nesterov: theta <- theta - eta * (g + momentum * u))

All of it is linear in the gradient, or uses its length alone, and is therefore rotation equivariant: it runs on every
engine. Methods that treat coordinates one by one are not, and run on the direct engine only.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import split, uniform
from lemmata.dynamics.backtracking import Backtracking
from lemmata.dynamics.engine import Engine, Point
from lemmata.dynamics.rule import Rule
from lemmata.parameters import check, parameter


@dataclass
class _Memory:
    """What gradient descent remembers: the velocity of momentum, the last accepted points of backtracking."""

    velocity: Point | None
    guard: Backtracking | None


@dataclass(frozen=True)
class GD(Rule):
    """Gradient descent with a step size per cell, full batch unless told otherwise.

    Args:
        step_size: eta > 0, or ``"auto"``: ``c`` times the step that the network calls stable for the data's scale.
        c: fraction of the stable step that ``"auto"`` takes, above 0.
        momentum: in [0, 1). nesterov: look ahead by it.
        weight_decay: lambda >= 0, added to the gradient of every trained parameter.
        batch_size: samples per step, drawn without replacement, new at every step; None is the full batch.
        label_noise: probability in [0, 1) that a label is flipped, drawn anew at every step.
        sam_radius: rho >= 0 of sharpness-aware minimisation.
        normalised: every step has length eta.
        head_ratio: step size of the head over that of the filters, above 0.
        backtrack: a step that raises the loss is taken back and the cell's step size halved; full batch, no momentum.

    Raises:
        ValueError: for a value outside its range.

    ``step_size``, ``c``, ``momentum``, ``weight_decay``, ``label_noise``, ``sam_radius`` and ``head_ratio`` may be
    ``(c,)`` tensors, one value per cell.
    """

    step_size: float | Tensor | Literal["auto"] = parameter(
        "step size η", above=0, choices=("auto",), scale="log", per_cell=True, default="auto"
    )
    c: float | Tensor = parameter(
        "step size as a fraction of the stable one", above=0, scale="log", per_cell=True, default=0.5
    )
    momentum: float | Tensor = parameter("momentum", least=0, below=1, per_cell=True, default=0.0)
    nesterov: bool = parameter("Nesterov's momentum", bool, default=False)
    weight_decay: float | Tensor = parameter("weight decay λ", least=0, per_cell=True, default=0.0)
    batch_size: int | None = parameter(
        "samples per step, all if not given", int, units="samples", least=1, optional=True, default=None
    )
    label_noise: float | Tensor = parameter(
        "probability of a label flipped anew at every step", least=0, below=1, per_cell=True, default=0.0
    )
    sam_radius: float | Tensor = parameter(
        "radius ρ of sharpness-aware minimisation", least=0, per_cell=True, default=0.0
    )
    normalised: bool = parameter("steps of length η", bool, default=False)
    head_ratio: float | Tensor = parameter(
        "step size of the head over that of the filters", above=0, scale="log", per_cell=True, default=1.0
    )
    backtrack: bool = parameter("steps that raise the loss are taken back", bool, default=False)

    equivariant: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)
        steady = self.batch_size is None and all(
            isinstance(x, int | float) and x == 0 for x in (self.momentum, self.label_noise, self.sam_radius)
        )
        if self.backtrack and not steady:
            raise ValueError(
                "backtrack was asked for with momentum, batches, label noise or SAM, whose loss may rise on the way; "
                "leave one of them out"
            )

    @property
    def decays(self) -> bool:  # type: ignore[override]
        """Whether weights decay in any cell."""
        return isinstance(self.weight_decay, Tensor) or self.weight_decay > 0

    @property
    def plain(self) -> bool:
        """Whether this is full-batch gradient descent and nothing else, in every cell."""
        return not (self.decays or self.normalised or self.backtrack or self.batch_size is not None) and all(
            not isinstance(x, Tensor) and x == 0 for x in (self.momentum, self.label_noise, self.sam_radius)
        )

    @property
    def memoryless(self) -> bool:  # type: ignore[override]
        """Whether a step is decided by one gradient at one point: no momentum, SAM or backtracking in any cell."""
        return not self.backtrack and all(
            not isinstance(x, Tensor) and x == 0 for x in (self.momentum, self.sam_radius)
        )

    @property
    def retracts(self) -> bool:  # type: ignore[override]
        """Whether a step may be taken back."""
        return self.backtrack

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return "gradient descent"

    def step_sizes(self, engine: Engine) -> Tensor:
        """eta ``(c,)`` of every cell."""
        curvature = engine.sample.curvature
        if isinstance(self.step_size, str):
            return self.c * engine.net.stable_step(curvature) * engine.objective.step_scale(engine.net)
        return torch.ones_like(curvature) * self.step_size

    def view(self, seeds: Tensor, step: int, labels: Tensor) -> tuple[Tensor, Tensor]:
        """This step's labels ``(c, n)`` and weights of the samples ``(c, n)``."""
        n = labels.shape[1]
        weights = torch.full_like(labels, 1 / n)
        if self.batch_size is not None and self.batch_size < n:
            order = uniform(split(seeds, "batch"), str(step), (n,)).argsort(1).argsort(1)
            weights = (order < self.batch_size).to(labels.dtype) / self.batch_size
        if isinstance(self.label_noise, Tensor) or self.label_noise > 0:
            flips = uniform(split(seeds, "label noise"), str(step), (n,)) < per_cell(self.label_noise, labels)
            labels = torch.where(flips, -labels, labels)
        return labels, weights

    def start(self, point: Point, eta: Tensor) -> _Memory:
        """What the rule remembers at step 0."""
        moves = isinstance(self.momentum, Tensor) or self.momentum > 0
        velocity = {name: torch.zeros_like(value) for name, value in point.items()} if moves else None
        return _Memory(velocity, Backtracking(eta) if self.backtrack else None)

    def revise(self, point: Point, loss: Tensor, gradient: Point, memory: _Memory) -> tuple[Point, Tensor, Point]:
        """The point to go on from, with its loss ``(c,)`` and gradient: ``point``, or the one accepted before."""
        return (point, loss, gradient) if memory.guard is None else memory.guard.revise(point, loss, gradient)

    def move(
        self, engine: Engine, point: Point, gradient: Point, memory: _Memory, view: tuple[Tensor, Tensor], eta: Tensor
    ) -> tuple[Point, _Memory]:
        """One step. Cells with ``eta`` = 0 stay where they are.

        Args:
            gradient: at ``point``; view: this step's labels and weights; eta: ``(c,)``.
        """
        if memory.guard is not None:
            eta = eta * memory.guard.factor
        if isinstance(self.sam_radius, Tensor) or self.sam_radius > 0:
            length = engine.squared_norm(gradient).sqrt().clamp_min(torch.finfo(eta.dtype).tiny)
            reach = torch.as_tensor(self.sam_radius, dtype=eta.dtype, device=eta.device) / length
            ahead = {name: value + per_cell(reach, value) * gradient[name] for name, value in point.items()}
            _, gradient = engine.gradient(ahead, *view)
        if self.decays:
            gradient = {name: g + per_cell(self.weight_decay, g) * point[name] for name, g in gradient.items()}
        if self.normalised:
            length = engine.squared_norm(gradient).sqrt().clamp_min(torch.finfo(eta.dtype).tiny)
            gradient = {name: g / per_cell(length, g) for name, g in gradient.items()}
        velocity = memory.velocity
        if velocity is not None:
            velocity = {name: per_cell(self.momentum, g) * velocity[name] + g for name, g in gradient.items()}
            ahead = {name: g + per_cell(self.momentum, g) * velocity[name] for name, g in gradient.items()}
            gradient = ahead if self.nesterov else velocity
        eta_head = eta * torch.as_tensor(self.head_ratio, dtype=eta.dtype, device=eta.device)
        moved = {}
        for name, value in point.items():
            step = eta_head if name in engine.moving_head else eta
            moved[name] = value - per_cell(step, value) * gradient[name]
        return moved, _Memory(velocity, memory.guard)


_COORDINATE_WISE = (
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Rprop",
    "SGD",
    "ASGD",
)


@dataclass(frozen=True)
class TorchRule(Rule):
    """A coordinate-wise optimiser of ``torch.optim``, on the direct engine.

    Args:
        optimizer: its name, e.g. ``"Adam"``. One that couples coordinates (LBFGS, Muon) would couple the cells of a
            tile and is refused; AdamPP has a rule of its own, :class:`~lemmata.ParameterFree`.
        lr: learning rate, above 0, the same in every cell of a tile.
        options: further arguments, as ``(name, value)`` pairs.

    Raises:
        ValueError: for an optimiser outside the list, or lr <= 0.
    """

    optimizer: str = parameter("optimiser", str, choices=_COORDINATE_WISE, default="Adam")
    lr: float = parameter("learning rate", above=0, scale="log", default=1e-3)
    options: tuple[tuple[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return self.optimizer

    def step_sizes(self, engine: Engine) -> Tensor:
        """The learning rate of every cell ``(c,)``."""
        return torch.full_like(engine.sample.curvature, self.lr)

    def start(self, point: Point, eta: Tensor) -> Any:
        """The optimiser, on tensors of its own."""
        held = {name: value.clone().requires_grad_() for name, value in point.items()}
        return held, getattr(torch.optim, self.optimizer)(list(held.values()), lr=self.lr, **dict(self.options))

    def move(
        self, engine: Engine, point: Point, gradient: Point, memory: Any, view: tuple[Tensor, Tensor], eta: Tensor
    ) -> tuple[Point, Any]:
        """One step of the optimiser. Cells with ``eta`` = 0 stay where they are."""
        held, optimizer = memory
        for name, value in held.items():
            value.grad = gradient[name]
        optimizer.step()
        moving = eta > 0
        moved = {}
        for name, value in held.items():
            keep = torch.where(moving.reshape(-1, *[1] * (value.ndim - 1)), value.detach(), point[name])
            value.data.copy_(keep)
            moved[name] = keep
        return moved, memory
