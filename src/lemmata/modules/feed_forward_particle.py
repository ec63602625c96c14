"""The feed-forward particle: one hidden neuron, token by token.

    h(T; a, b, β)_q = a σ(bᵀ T_q + β)

1-homogeneous in a. The paper's growth condition asks h(0; w) = 0, which β breaks for a σ with σ(β) ≠ 0: leave it out
and give the tokens a row of ones (:func:`~lemmata.modules.particles.with_ones`). Reference: Gao et al. 2024,
arXiv 2410.23610, equation (2.3) and appendix G, whose verified σ is ``"huber"``: 0, z²/2 on [0, 1], z − 1/2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.modules.particles import Particle, Pullback
from lemmata.parameters import check, parameter


def _gelu_slope(z: Tensor) -> Tensor:
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * density


def _huber(z: Tensor) -> Tensor:
    ramp = z.clamp(0, 1)
    return 0.5 * ramp * ramp + (z - 1).clamp_min(0)


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z).square()),
    "gelu": (F.gelu, _gelu_slope),
    "relu": (torch.relu, lambda z: (z > 0).to(z.dtype)),
    "huber": (_huber, lambda z: z.clamp(0, 1)),
}
"""σ and its derivative, by name."""


@dataclass(frozen=True)
class FeedForward(Particle):
    """Numbers of a particle in order: a ``(d,)``, b ``(d,)``, and β where it has a bias.

    Args:
        activation: σ.
        bias: whether it has a β of its own.
    """

    activation: str = parameter("activation σ", str, default="tanh", choices=tuple(ACTIVATIONS))
    bias: bool = parameter("a bias of its own", bool, default=True)

    def __post_init__(self) -> None:
        check(self)

    def size(self, width: int) -> int:
        """2d numbers, and the bias."""
        return 2 * width + self.bias

    def homogeneous(self, width: int) -> slice:
        """The outgoing weights a."""
        return slice(0, width)

    def spread(self, width: int) -> Tensor:
        """1 for a, 1/√d for b and β."""
        spread = super().spread(width)
        spread[:width] = 1.0
        return spread

    def floats(self, tokens: int, width: int) -> int:
        """One pre-activation and one activation a token."""
        return 2 * tokens

    def act(self, tokens: Tensor, theta: Tensor) -> Tensor:
        """Σ_m h(T; w_m); see :meth:`Particle.act`."""
        c, s, n, d = tokens.shape
        rows = tokens.reshape(c, s * n, d)
        return torch.bmm(ACTIVATIONS[self.activation][0](self._before(rows, theta)), theta[..., :d]).view_as(tokens)

    def pullback(self, tokens: Tensor, theta: Tensor) -> tuple[Tensor, Pullback]:
        """By hand: two products each way."""
        c, s, n, d = tokens.shape
        sigma, slope = ACTIVATIONS[self.activation]
        rows = tokens.reshape(c, s * n, d)
        before = self._before(rows, theta)
        after = sigma(before)

        def pull(p: Tensor) -> tuple[Tensor, Tensor]:
            p_rows = p.reshape(c, s * n, d)
            change = 1 - after * after if self.activation == "tanh" else slope(before)
            d_before = torch.bmm(p_rows, theta[..., :d].transpose(1, 2)) * change
            d_tokens = torch.bmm(d_before, theta[..., d : 2 * d])
            parts = [torch.bmm(after.transpose(1, 2), p_rows), torch.bmm(d_before.transpose(1, 2), rows)]
            if self.bias:
                parts.append(d_before.sum(1).unsqueeze(-1))
            return d_tokens.view_as(tokens), torch.cat(parts, -1)

        return torch.bmm(after, theta[..., :d]).view_as(tokens), pull

    def _before(self, rows: Tensor, theta: Tensor) -> Tensor:
        """bᵀT + β: rows ``(c, s n, d)`` → ``(c, s n, m)``."""
        d = rows.shape[-1]
        weights = theta[..., d : 2 * d].transpose(1, 2)
        if not self.bias:
            return torch.bmm(rows, weights)
        return torch.baddbmm(theta[..., 2 * d].unsqueeze(1), rows, weights)
