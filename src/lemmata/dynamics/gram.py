"""The gram engine: only inner products move, so the ambient dimension never enters a step.

Filters stay in the span of their start and of the data, W = C W_0 + B X, and the loss sees W through A = W X^T and
Q = W W^T alone. With G = X X^T, A_0 = W_0 X^T and Q_0 = W_0 W_0^T,

    A = C A_0 + B G,      Q = C (Q_0 C^T + A_0 B^T) + B A^T,
    dL/dC = 2 (dL/dQ) C,  dL/dB = dL/dA + 2 (dL/dQ) B,

and any rule that is linear in the gradient moves (C, B) as it would move W. One gradient step in (C, B) is the step

    M = I - 2 eta dL/dQ,   N = -eta dL/dA,
    A <- M A + N G,   Q <- M Q M^T + M A N^T + (M A N^T)^T + N G N^T

of (A, Q), held as coefficients so that W can be read off and rounding does not accumulate in A and Q. An objective that
does not read Q leaves C a number per cell (1 unless weights decay), costs one (r, k) x (k, k) product a step, and Q is
formed only when a probe asks. Vectors that the loss reads and no gradient reaches (keys held fixed) stand last and have
no coefficients: B is (r, k'), with k' <= k.
"""

import torch
from torch import Tensor

from lemmata.data.sample import Sample
from lemmata.dynamics.engine import Engine, Point
from lemmata.nets.net import Net
from lemmata.objectives.objective import Objective


class GramEngine(Engine):
    """Moves the coefficients of the filters on their start and on the data: ``"carry"`` C and ``"coefficients"`` B."""

    def __init__(self, sample: Sample, net: Net, objective: Objective, decays: bool):
        super().__init__(sample, net, objective)
        X, W = sample.vectors, sample.filters
        self.reached = X[..., : objective.reached(sample), :]  # (c, k', d)
        self.G = self.reached @ X.mT  # (c, k', k)
        self.A_start = W @ X.mT  # (c, r, k)
        self.Q_start = W @ W.mT  # (c, r, r)
        self.decays = decays

    def initial_filters(self) -> Point:
        """B = 0, and C = I if the objective reads Q, 1 per cell if weight decay alone moves it, absent otherwise."""
        point = {"coefficients": torch.zeros_like(self.A_start[..., : self.G.shape[-2]])}
        if self.objective.reads_filter_gram:
            point["carry"] = torch.eye(self.Q_start.shape[-1]).to(self.Q_start).expand_as(self.Q_start).clone()
        elif self.decays:
            point["carry"] = torch.ones_like(self.A_start[..., :1, :1])
        return point

    def inner_products(self, point: Point) -> Tensor:
        """A ``(c, r, k)``."""
        start = self.A_start
        if "carry" in point:
            start = self._carried(point, start)
        B = point["coefficients"]
        added = torch.baddbmm(start.flatten(0, -3), B.flatten(0, -3), self.G.flatten(0, -3))  # one pass over A
        return added.reshape(self.A_start.shape)

    def filter_gram(self, point: Point, A: Tensor) -> Tensor:
        """Q ``(c, r, r)``."""
        B = point["coefficients"]
        A, A_start = (rows[..., : B.shape[-1]] for rows in (A, self.A_start))
        start, cross = self.Q_start, A_start @ B.mT
        if "carry" not in point:
            return start + cross + B @ A.mT
        return self._carried(point, self._carried(point, start).mT + cross) + B @ A.mT

    def witness_products(self, point: Point) -> Tensor | None:
        """Inner products ``(c, r, j)`` with the sample's witnesses."""
        if self.sample.witnesses is None:
            return None
        V = self.sample.witnesses.vectors
        start = self.sample.filters @ V.mT
        if "carry" in point:
            start = self._carried(point, start)
        return start + point["coefficients"] @ (self.reached @ V.mT)

    def gradient(self, point: Point, labels: Tensor, weights: Tensor) -> tuple[Tensor, Point]:
        """The loss ``(c,)`` and its gradient in the coordinates of ``point``."""
        products = self.products(point, labels, weights)
        loss, gradient = self.objective.gradient(products)
        found = {name: gradient.head[name] for name in self.moving_head}
        found["coefficients"] = gradient.A[..., : self.G.shape[-2]]
        if gradient.Q is not None:
            twice = gradient.Q + gradient.Q.mT
            found["coefficients"] = found["coefficients"] + twice @ point["coefficients"]
            found["carry"] = twice @ point["carry"]
        elif "carry" in point:
            found["carry"] = torch.zeros_like(point["carry"])
        return loss, found

    def filters_squared_norm(self, direction: Point) -> Tensor:
        """Squared length ``(c,)`` of the filters ``C W_0 + B X`` with the coefficients in ``direction``."""
        B = direction["coefficients"]
        squared = (B @ self.G[..., : B.shape[-1]] * B).flatten(1).sum(1)
        if "carry" in direction:
            carried = self._carried(direction, self.A_start[..., : B.shape[-1]])
            squared = squared + 2 * (carried * B).flatten(1).sum(1)
            own = self._carried(direction, self.Q_start) * self._carry_matrix(direction)
            squared = squared + own.flatten(1).sum(1)
        return squared

    def filters(self, point: Point) -> Tensor:
        """W ``(c, r, d)`` in the sample's coordinates."""
        start = self.sample.filters
        if "carry" in point:
            start = self._carried(point, start)
        return start + point["coefficients"] @ self.reached

    def _carried(self, point: Point, rows: Tensor) -> Tensor:
        carry = point["carry"]
        return carry @ rows if self.objective.reads_filter_gram else carry * rows

    def _carry_matrix(self, point: Point) -> Tensor:
        carry = point["carry"]
        return carry if self.objective.reads_filter_gram else carry * torch.eye(self.Q_start.shape[-1]).to(carry)
