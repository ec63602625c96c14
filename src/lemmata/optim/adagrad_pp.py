"""AdaGrad++: AdaGrad whose learning rate is the distance moved so far.

    s_t = sqrt(sum_{i<=t} g_i^2),    x_{t+1} = x_t - c eta_t g_t / (s_t + eps),

with eta_t as in :mod:`lemmata.optim.distance`. Reference: Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444, Algorithm
AdaGrad++. Names: c is ``lr``, delta ``eps``. The theorem is about the average of iterates weighted by eta_t, which
:class:`lemmata.optim.AveragedIterate` keeps.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from lemmata.optim.batch import Coefficients
from lemmata.optim.distance import DistanceOptimizer, Group


class AdaGradPP(DistanceOptimizer):
    """AdaGrad++: for convex problems, sparse features, and to see the theory at work.

    It keeps two tensors per parameter (AdaGrad: one). What to read off when training stalls: see
    :class:`lemmata.optim.AdamPP`, whose arguments of the same name mean the same.

    The O(1/sqrt(T)) rate of the paper (convex, average weighted by eta) is conditional on bounded iterates: its bound
    contains the largest distance to the optimum along the path, and ``eta_T``.

    Args:
        params: parameters, or groups of them.
        lr: the multiplier c.
        eta0: first scale, or "auto" for ``1e-6 * max(1, rms(x_0))``.
        eps: added to ``s_t``; positive.
        weight_decay: at least 0; not with sparse gradients.
        decoupled_weight_decay: ``x <- (1 - weight_decay * lr * eta_t) x`` instead of adding to the gradient.
        distance: "global", "group" or "tensor".
        x0_dtype, max_eta, growth_rate, maximize, foreach, fused, capturable, differentiable, process_group: as in
            AdamPP.

    Raises:
        ValueError: an option out of range, or options that exclude each other.

    Reference: Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        *,
        eta0: float | Literal["auto"] = 1e-6,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        distance: Literal["global", "group", "tensor"] = "global",
        x0_dtype: torch.dtype | None = None,
        max_eta: float | None = None,
        growth_rate: float = math.inf,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        process_group: Any = None,
    ) -> None:
        given = {**locals()}
        options = {k: v for k, v in given.items() if k not in ("self", "params", "process_group", "__class__")}
        super().__init__(params, options, process_group)

    def effective_lr(self, group: int = 0) -> Tensor:
        """``lr * eta`` of the next step: what ``lr`` is in AdaGrad; one per parameter with ``distance="tensor"``."""
        return self._scale(group) * self.param_groups[group]["lr"]

    def _moments(self, group: Group) -> tuple[str | None, str, str | None]:
        return None, "sum", None

    def _coefficients(self, group: Group, step: Any, lr: Any, eta: Any) -> Coefficients:
        decoupled = group["decoupled_weight_decay"]
        return Coefficients(
            momentum_weight=1.0,
            square_decay=1.0,
            square_weight=1.0,
            rate=lr * eta,
            eps=group["eps"],
            decay=group["weight_decay"] * lr * eta if decoupled and group["weight_decay"] else 0.0,
            coupled_decay=0.0 if decoupled else group["weight_decay"],
            maximize=group["maximize"],
        )

    def _check_sparse(self, group: Group) -> None:
        if group["weight_decay"]:
            raise RuntimeError(
                f"AdaGradPP: weight_decay={group['weight_decay']} would touch every row, but a gradient is sparse; "
                f"put that parameter in a group with weight_decay=0."
            )

    def _move_sparse(self, p: Tensor, distance: Tensor, c: Coefficients) -> Tensor:
        """The same update on the entries that the gradient holds; the others neither move nor change their distance."""
        assert p.grad is not None
        gradient = p.grad.coalesce()
        state, values = self.state[p], gradient.values()
        indices = tuple(gradient.indices())
        accumulated = state["sum"][indices] + values.square()
        state["sum"][indices] = accumulated
        old, origin = p[indices], state["origin"][indices]
        direction = values / (accumulated.sqrt() + c.eps) * c.rate
        new = old + direction if c.maximize else old - direction
        p[indices] = new
        change = (new - origin).double().square().sum() - (old - origin).double().square().sum()
        return (distance.square() + change).clamp(min=0).sqrt()
