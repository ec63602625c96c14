"""The direct engine: the filters themselves move, by autograd, in whatever coordinates the sample is held.

In explicit coordinates this is training as everyone does it, and the only engine for methods that are not rotation
equivariant (Adam, sign descent). In compressed coordinates the same code is the *compressed* engine.
"""

import torch
from torch import Tensor

from lemmata.dynamics.engine import Engine, Point
from lemmata.objectives.objective import per_cell_loss


class DirectEngine(Engine):
    """Moves ``"filters"`` W ``(c, r, d)``."""

    def initial_filters(self) -> Point:
        """W(0)."""
        return {"filters": self.sample.filters.clone()}

    def inner_products(self, point: Point) -> Tensor:
        """A = W X^T ``(c, r, k)``."""
        return point["filters"] @ self.sample.vectors.mT

    def filter_gram(self, point: Point, A: Tensor) -> Tensor:
        """Q = W W^T ``(c, r, r)``."""
        return point["filters"] @ point["filters"].mT

    def witness_products(self, point: Point) -> Tensor | None:
        """Inner products ``(c, r, j)`` with the sample's witnesses."""
        witnesses = self.sample.witnesses
        return None if witnesses is None else point["filters"] @ witnesses.vectors.mT

    def gradient(self, point: Point, labels: Tensor, weights: Tensor) -> tuple[Tensor, Point]:
        """The loss ``(c,)`` and its gradient, by autograd through the objective's loss."""
        names = ["filters", *self.moving_head]
        with torch.enable_grad():
            leaves = {name: point[name].detach().requires_grad_() for name in names}
            loss = self.objective.loss(self.products(leaves, labels, weights))
            loss = per_cell_loss(self.objective, loss, len(labels))
            found = torch.autograd.grad(loss.sum(), list(leaves.values()), materialize_grads=True, allow_unused=True)
        return loss.detach(), dict(zip(names, found, strict=True))

    def filters_squared_norm(self, direction: Point) -> Tensor:
        """Squared length ``(c,)`` of the filters' part of a direction."""
        return direction["filters"].flatten(1).square().sum(1)

    def filters(self, point: Point) -> Tensor:
        """W ``(c, r, d)``."""
        return point["filters"]
