"""Adam++ and AdamW++: Adam whose learning rate is the distance moved so far over the root of the step count.

    m_t = beta1_t m_{t-1} + (1 - beta1_t) g_t,               beta1_t = beta1 lam^t,
    s_t = sqrt((t + 1) v_t)                                  v_t = beta2 v_{t-1} + (1 - beta2) g_t^2   "ema"
        | sqrt((t + 1) max_{i<=t} v_i)                                                               "ema_max"
        | sqrt(sum_{i<=t} g_i^2)                                                                     "sum"
    x_{t+1} = x_t - c eta_t m_t / (s_t + eps),               eta_t as in :mod:`lemmata.optim.distance`.

Reference: Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444, Algorithm Adam++; "sum" is its case 1, "ema_max" its case
2, and "ema" case 2 without the maximum, with which the authors report their experiments. Names: c is ``lr``, lam
``momentum_decay``, delta ``eps``. The bias corrections m / (1 - prod beta1_i) and v / (1 - beta2^(t+1)) are ours:
without the second, s_0 is sqrt(1 - beta2) |g_0|, first steps are 32 times too long, and the distance compounds them.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from lemmata.optim.batch import Coefficients
from lemmata.optim.distance import DistanceOptimizer, Group
from lemmata.optim.scale import has_started

Variant = Literal["ema", "ema_max", "sum"]
Distance = Literal["global", "group", "tensor"]


class AdamPP(DistanceOptimizer):
    """Adam++: put it where Adam stood, and leave ``lr`` at 1.

    ``x <- x - lr_t * mhat / (sqrt(vhat) + eps / sqrt(t + 1))`` with ``lr_t = lr * eta_t / sqrt(t + 1)``, ``eta_t``
    being the largest RMS displacement from the start so far. It keeps three tensors per parameter (Adam: two).

    While gradients keep their sign ``eta`` grows by a factor of about ``exp(2 sqrt(t))``: from 1e-6 it needs some 70
    steps to its final size, more under noise. When training stalls, read off ``effective_lr()`` and ``eta``. An ``eta``
    still at ``eta0`` after a hundred steps means that the parameters do not move: a schedule that starts near zero,
    bfloat16 rounding, or ``eta0`` far too small. An ``eta`` far above the RMS size of the weights means that it ran
    away (``eta`` never falls): set ``max_eta`` or ``growth_rate``. ``eta`` NaN: a gradient was not finite.

    The O(1/sqrt(T)) rate of the paper (convex, eta-weighted average, ``momentum_decay`` < 1) is conditional on bounded
    iterates: its bound contains the largest distance to the optimum along the path, and ``eta_T``.

    Args:
        params: parameters, or groups of them; a group's own ``lr`` keeps its ratio to the others exactly.
        lr: the multiplier c, at least 0; 0.5 to 4 works alike in the paper, its theory wants at most 1. Schedulers act
            on it. A warning is given once where it is below 0.1 and eta has not moved after 200 steps.
        betas: decay of the first and second moments, in [0, 1).
        eps: added to ``s_t``; positive.
        weight_decay: at least 0; coupled (added to the gradient) unless ``decoupled_weight_decay``.
        variant: which ``s_t`` (above). "sum" takes no ``beta2``.
        eta0: first scale; a number, or "auto" for ``1e-6 * max(1, rms(x_0))``. It must lie below the distance to a
            solution, from which there is no way back; too small costs steps only.
        momentum_decay: lam in (0, 1]; the convergence theorem wants it below 1, experiments use 1.
        bias_correction: False is the paper's literal recursion, which diverges with "ema" and "ema_max".
        decoupled_weight_decay: ``x <- (1 - weight_decay * lr_t) x`` instead. Decay too moves x away from x_0.
        distance: one scale for all parameters ("global", the paper), per "group" or per "tensor" (ours).
        x0_dtype: dtype x_0 is kept in; None keeps the parameters' own, which is exact.
        max_eta: upper limit of eta, or None.
        growth_rate: upper limit of eta_t / eta_{t-1}, above 1.
        maximize: ascend instead.
        foreach: False updates tensor by tensor; None and True on lists.
        fused: one pass per large tensor, compiled at the first step, which takes seconds and needs what
            ``torch.compile`` needs.
        capturable: keeps every scalar on the device, for CUDA graphs and ``torch.compile(optimizer.step)``.
        differentiable: lets autograd go through :meth:`step`.
        process_group: where each rank holds its own shard of the parameters: sums the squared distance and d over
            this group, in one all-reduce a step. Under DDP leave it out: all ranks compute the same. Inside a
            ``ZeroRedundancyOptimizer`` it is taken from there.

    Raises:
        ValueError: an option out of range, or options that exclude each other.
        RuntimeError: from :meth:`step`, for sparse gradients, or a parameter cut or extended without its state.

    References:
        Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444. Decoupled decay: Loshchilov, Hutter (2019), arXiv 1711.05101.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = AdamPP(model.parameters())
        >>> model(torch.ones(4, 2)).square().mean().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        variant: Variant = "ema",
        eta0: float | Literal["auto"] = 1e-6,
        momentum_decay: float = 1.0,
        bias_correction: bool = True,
        decoupled_weight_decay: bool = False,
        distance: Distance = "global",
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
        """``lr * eta / sqrt(t + 1)`` of the next step: what ``lr`` is in Adam.

        0-d, or ``(parameters of the group,)`` with ``distance="tensor"``. Log this one; the group's "lr" is only c.
        """
        chosen = self.param_groups[group]
        taken = [self.state[p]["step"] for p in chosen["params"] if has_started(self.state, p)]
        most = torch.stack(taken).max() if taken and chosen["capturable"] else max(taken, default=0)
        return self._scale(group) * chosen["lr"] / (most + 1) ** 0.5

    def _moments(self, group: Group) -> tuple[str | None, str, str | None]:
        return "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["variant"] == "ema_max" else None

    def _coefficients(self, group: Group, step: Any, lr: Any, eta: Any) -> Coefficients:
        """Adam's bias corrections, and the step count under the root of s_t, folded into ``rate`` and ``eps``.

        The running mean of g^2 gives "sum" the form of the others: s_t^2 = (t + 1) * mean. Its weights 1 / (t + 1)
        leave nothing to correct.
        """
        (beta1, beta2), lam, correct = group["betas"], group["momentum_decay"], group["bias_correction"]
        fading = lam ** (step - 1) if lam < 1 else 1.0
        bias1 = 1 - beta1**step * (lam ** (step * (step - 1) / 2) if lam < 1 else 1.0) if correct else 1.0
        if group["variant"] == "sum":
            square_weight, bias2 = 1 / step, 1.0
        else:
            square_weight, bias2 = 1 - beta2, 1 - beta2**step if correct else 1.0
        lr_t = lr * eta / step**0.5
        decoupled = group["decoupled_weight_decay"]
        return Coefficients(
            momentum_weight=1 - beta1 * fading,
            square_decay=1 - square_weight,
            square_weight=square_weight,
            rate=lr_t * bias2**0.5 / bias1,
            eps=group["eps"] * (bias2 / step) ** 0.5,
            decay=group["weight_decay"] * lr_t if decoupled and group["weight_decay"] else 0.0,
            coupled_decay=0.0 if decoupled else group["weight_decay"],
            maximize=group["maximize"],
        )


class AdamWPP(AdamPP):
    """AdamW++: :class:`AdamPP` with decoupled weight decay, 1e-2 unless given.

    The paper trains its language models with it; no convergence proof covers it. With ``weight_decay * sum(lr_t)``
    near 1 the decay alone moves x by the size of x_0, and eta with it: log :attr:`eta`.

    Reference: Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        **options: Any,
    ) -> None:
        if not options.setdefault("decoupled_weight_decay", True):
            raise ValueError("AdamWPP: decoupled_weight_decay=False makes it AdamPP; use that.")
        super().__init__(params, lr, betas, eps, weight_decay, **options)
