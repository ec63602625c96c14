"""Update rules on the stacked parameters of c networks: one matrix ``(c, P)``, a row per cell, every scalar per row.

With gradient g, rate η_k of step k = 1, 2, .. and weight decay λ, each row on its own:

    SGD     u = g + λ x;  m <- β m + u;                               x <- x - η m
    Adam    u = g + λ x;  m <- β1 m + (1 - β1) u;  v <- β2 v + (1 - β2) u²;
            x <- x - η (m / (1 - β1^k)) / (sqrt(v / (1 - β2^k)) + ε)
    AdamW   the same with u = g, and x <- (1 - η λ) x first
    AdamPP  η times the largest distance so far, max_{i<=k} ||x_i - x_0|| / sqrt(P), over sqrt(k), in Adam's place of η

References: Adam: Kingma, Ba (2015), arXiv 1412.6980. AdamW: Loshchilov, Hutter (2019), arXiv 1711.05101. Adam++: Tao,
Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444; :mod:`lemmata.optim` has it for ordinary modules. Coordinate-wise rules
are exact on the stacked matrix; a norm (the distance, clipping) is taken row by row.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Rule(ABC):
    """How a step moves the rows."""

    @abstractmethod
    def state(self, x: Tensor, coordinates: int) -> State:
        """What the rule remembers, each ``(c, ...)``, for parameters ``(c, P)`` at their start.

        Args:
            coordinates: how many of the P are parameters; the rest are zeros that stay.
        """

    @abstractmethod
    def moved(self, x: Tensor, g: Tensor, state: State, k: int, rate: Tensor, decay: Tensor) -> Tensor:
        """The parameters after step number ``k``, counted from 1; changes ``state``, not ``x``.

        Args:
            rate, decay: ``(c, 1)`` float64, learning rate of this step and weight decay.
        """

    def readings(self, state: State) -> dict[str, Tensor]:
        """Numbers ``(c,)`` that are recorded beside the scores."""
        return {}


@dataclass(frozen=True)
class SGD(Rule):
    """Gradient descent with heavy-ball momentum (0: none), as ``torch.optim.SGD``."""

    momentum: float = 0.0

    def state(self, x: Tensor, coordinates: int) -> State:
        """The velocity, if there is momentum."""
        return {"m": torch.zeros_like(x)} if self.momentum else {}

    def moved(self, x: Tensor, g: Tensor, state: State, k: int, rate: Tensor, decay: Tensor) -> Tensor:
        """See :class:`Rule`."""
        u = torch.addcmul(g, x, decay.to(x.dtype))
        if self.momentum:
            u = state["m"].mul_(self.momentum).add_(u)
        return x - u * rate.to(x.dtype)


@dataclass(frozen=True)
class Adam(Rule):
    """Adam with coupled weight decay, as ``torch.optim.Adam``."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def state(self, x: Tensor, coordinates: int) -> State:
        """First and second moment."""
        return {"m": torch.zeros_like(x), "v": torch.zeros_like(x)}

    def moved(self, x: Tensor, g: Tensor, state: State, k: int, rate: Tensor, decay: Tensor) -> Tensor:
        """See :class:`Rule`."""
        return self._adam(x, torch.addcmul(g, x, decay.to(x.dtype)), state, k, rate)

    def _adam(self, x: Tensor, u: Tensor, state: State, k: int, rate: Tensor) -> Tensor:
        beta1, beta2 = self.betas
        m, v = state["m"].lerp_(u, 1 - beta1), state["v"].mul_(beta2).addcmul_(u, u, value=1 - beta2)
        denominator = (v / (1 - beta2**k)).sqrt_().add_(self.eps)
        return x - (m / denominator).mul_((rate / (1 - beta1**k)).to(x.dtype))


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, as ``torch.optim.AdamW``."""

    def moved(self, x: Tensor, g: Tensor, state: State, k: int, rate: Tensor, decay: Tensor) -> Tensor:
        """See :class:`Rule`."""
        return self._adam(x * (1 - rate * decay).to(x.dtype), g, state, k, rate)


@dataclass(frozen=True)
class AdamPP(Rule):
    """Adam++, a distance per cell; leave the learning rate at 1.

    Args:
        variant: which second moment: its running mean, the maximum of that, or the sum of all squares.
        eta0: first scale.
        decoupled: decay the parameters (AdamW++) instead of adding to the gradient.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    variant: Literal["ema", "ema_max", "sum"] = "ema"
    eta0: float = 1e-6
    decoupled: bool = False

    def state(self, x: Tensor, coordinates: int) -> State:
        """Moments, the start, the scale η and the root of P, ``(c, 1)`` float64."""
        state = {"m": torch.zeros_like(x), "v": torch.zeros_like(x), "x0": x.detach().clone()}
        if self.variant == "ema_max":
            state["top"] = torch.zeros_like(x)
        state["eta"] = torch.full((x.shape[0], 1), self.eta0, dtype=torch.float64, device=x.device)
        state["root"] = torch.full_like(state["eta"], coordinates**0.5)
        return state

    def moved(self, x: Tensor, g: Tensor, state: State, k: int, rate: Tensor, decay: Tensor) -> Tensor:
        """See :class:`Rule`."""
        beta1, beta2 = self.betas
        rate = rate * state["eta"] / k**0.5
        if self.decoupled:
            x = x * (1 - rate * decay).to(x.dtype)
        else:
            g = torch.addcmul(g, x, decay.to(x.dtype))
        m, bias1 = state["m"].lerp_(g, 1 - beta1), 1 - beta1**k
        weight, bias2 = (1 / k, 1.0) if self.variant == "sum" else (1 - beta2, 1 - beta2**k)
        v = state["v"].mul_(1 - weight).addcmul_(g, g, value=weight)
        if self.variant == "ema_max":
            v = torch.maximum(state["top"], v, out=state["top"])
        denominator = v.sqrt().add_(self.eps * (bias2 / k) ** 0.5)
        x = x - (m / denominator).mul_((rate * (bias2**0.5 / bias1)).to(x.dtype))
        distance = torch.linalg.vector_norm(x - state["x0"], dim=1, keepdim=True, dtype=torch.float64)
        torch.maximum(state["eta"], distance / state["root"], out=state["eta"])
        return x

    def readings(self, state: State) -> dict[str, Tensor]:
        """The scale of each cell."""
        return {"eta": state["eta"].squeeze(1)}


RULES: dict[str, Rule] = {"sgd": SGD(), "adam": Adam(), "adamw": AdamW(), "adam++": AdamPP()}
"""The rules by the names that experiments use."""
