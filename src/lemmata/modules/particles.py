"""A particle: one head or one neuron of a Transformer whose layers are averages over particles.

A layer moves the tokens by an average of what its particles do, T ← T + (η/(LM)) Σ_m f(T; θ_m), so that a network of
L layers and M particles a layer is an empirical measure over (θ, t), t = l/L the depth. A particle of one's own says
its output, summed over the particles of one layer, how many numbers it holds, and how widely they start:

    class Gate(Particle):
        def size(self, width):
            return 2 * width  # a and b

        def act(self, tokens, theta):  # (c, s, n, d), (c, m, P)
            a, b = theta.chunk(2, -1)  # (c, m, d) each
            gates = torch.sigmoid(torch.einsum("csnd,cmd->csnm", tokens, b))
            return torch.einsum("csnm,cmd->csnd", gates, a)

Reference: Gao, Cao, Li, He, Wang, Liu, Klusowski, Fan 2024, "Global convergence in training large-scale Transformers",
arXiv 2410.23610, sections 2 and 3. Names: ``tokens`` T (rows are tokens; columns in the paper), ``theta`` θ or w.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Pullback = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From p ``(c, s, n, d)`` to (∂_T⟨p, f(T; θ)⟩ ``(c, s, n, d)``, ∂_θ⟨p, f(T; θ)⟩ ``(c, m, P)``), summed over prompts."""


class Particle(ABC):
    """One half step of a layer; a frozen dataclass that holds its choices.

    Shapes: c cells, s prompts, n tokens, d the width of a token, m particles of one layer, P numbers in a particle.
    """

    @abstractmethod
    def size(self, width: int) -> int:
        """P, the numbers in one particle for tokens of this width."""

    @abstractmethod
    def act(self, tokens: Tensor, theta: Tensor) -> Tensor:
        """Σ_m f(T; θ_m): tokens ``(c, s, n, d)``, theta ``(c, m, P)`` → ``(c, s, n, d)``; must not mix cells."""

    def spread(self, width: int) -> Tensor:
        """Standard deviations ``(P,)`` of its Gaussian start, float64; 1/√d unless it says otherwise."""
        return torch.full((self.size(width),), width**-0.5, dtype=torch.float64)

    def homogeneous(self, width: int) -> slice:
        """The numbers in which f is 1-homogeneous, for every real factor; none unless it says otherwise."""
        return slice(0, 0)

    def floats(self, tokens: int, width: int) -> int:
        """Numbers that one particle keeps for one prompt until its pullback."""
        return tokens * (tokens + 3 * width)

    def pullback(self, tokens: Tensor, theta: Tensor) -> tuple[Tensor, Pullback]:
        """What :meth:`act` gives, and the way back through it; by autograd unless a particle knows better."""
        with torch.enable_grad():
            at = tokens.detach().requires_grad_(), theta.detach().requires_grad_()
            out = self.act(*at)

        def pull(p: Tensor) -> tuple[Tensor, Tensor]:
            found = torch.autograd.grad(out, at, p, retain_graph=True, allow_unused=True, materialize_grads=True)
            return found[0], found[1]

        return out.detach(), pull


@dataclass(frozen=True)
class Normed(Particle):
    """A particle that sees its tokens through a layer norm without parameters: f(norm(T); θ). Not in the theory.

    It warns when it is made: the paper has no layer norm. f stays 1-homogeneous where it was, but ‖f‖ ≤ K‖T‖(…)
    (assumption 2 i) fails for tokens near zero, and with it the bounds on the flow.
    """

    inner: Particle

    def __post_init__(self) -> None:
        warnings.warn(
            "a layer norm before a particle is outside the theory: assumption 2 (growth ‖f‖ ≤ K‖T‖) fails near T = 0",
            stacklevel=3,
        )

    def size(self, width: int) -> int:
        """As the particle inside."""
        return self.inner.size(width)

    def spread(self, width: int) -> Tensor:
        """As the particle inside."""
        return self.inner.spread(width)

    def homogeneous(self, width: int) -> slice:
        """As the particle inside."""
        return self.inner.homogeneous(width)

    def act(self, tokens: Tensor, theta: Tensor) -> Tensor:
        """f of the normed tokens."""
        return self.inner.act(F.layer_norm(tokens, tokens.shape[-1:]), theta)


def with_ones(tokens: Tensor) -> Tensor:
    """Tokens ``(..., d)`` with a row of ones, ``(..., d + 1)``, which carries biases as the paper's position rows do.

    With it a particle without a bias of its own has one, and f(0; θ) = 0 holds, as assumption 2 (i) asks. The ones come
    first, so that the last coordinate stays the output's.
    """
    return torch.cat([torch.ones_like(tokens[..., :1]), tokens], -1)
