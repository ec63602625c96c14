"""What a rule is: how a point moves, given gradients, whatever its coordinates mean.

A rule that is linear in the gradient, or uses its length alone, is *equivariant* under rotations and runs on every
engine; one that treats coordinates one by one runs on the direct engine only.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from lemmata.dynamics.engine import Engine, Point


class Rule(ABC):
    """Base of the rules, each a frozen dataclass of parameters."""

    equivariant: ClassVar[bool] = False
    """Whether it commutes with rotations of the coordinates."""
    decays: ClassVar[bool] = False
    """Whether it pulls parameters to zero by itself, so that the carry of the start must be kept."""
    memoryless: ClassVar[bool] = False
    """Whether a step is decided by one gradient at one point, as an objective with new noise at every step needs it."""
    retracts: ClassVar[bool] = False
    """Whether a step may be taken back, so that the last one ends with a look at its loss."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What an error message calls it."""

    @abstractmethod
    def step_sizes(self, engine: Engine) -> Tensor:
        """eta ``(c,)`` of every cell."""

    def view(self, seeds: Tensor, step: int, labels: Tensor) -> tuple[Tensor, Tensor]:
        """This step's labels ``(c, n)`` and weights of the samples ``(c, n)``: full batch, labels as they are."""
        return labels, torch.full_like(labels, 1 / labels.shape[1])

    @abstractmethod
    def start(self, point: Point, eta: Tensor) -> Any:
        """What it remembers at step 0, of a point and step sizes ``(c,)``."""

    def revise(self, point: Point, loss: Tensor, gradient: Point, memory: Any) -> tuple[Point, Tensor, Point]:
        """The point to go on from, with its loss ``(c,)`` and gradient: the one given, unless the rule retracts."""
        return point, loss, gradient

    @abstractmethod
    def move(
        self, engine: Engine, point: Point, gradient: Point, memory: Any, view: tuple[Tensor, Tensor], eta: Tensor
    ) -> tuple[Point, Any]:
        """One step, and what is remembered after it. Cells with ``eta`` = 0 stay where they are.

        Args:
            gradient: at ``point``; view: this step's labels and weights; eta: ``(c,)``.
        """
