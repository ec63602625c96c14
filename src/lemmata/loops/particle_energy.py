"""Energy of a particle Transformer on prompts, and its exact gradient: what a flow descends.

    R = ½ mean_s (⟨readout, T_L(s)⟩ − y_s)²,     Q = R + (λ / (2 · speed)) Σ_{l, m} ‖β_{l, m}‖²,   speed = LM

Reference: Gao et al. 2024, arXiv 2410.23610, section 2.3 and equation (3.2). Three engines give the same numbers: the
compiled kernel, PyTorch by hand with all cells at once, and, for particles without a pullback by hand, autograd.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.loops import particle_kernel
from lemmata.modules.particle_transformer import ParticleTransformer
from lemmata.parameters import check, parameter

MEMORY = 2**28
"""Bytes that one cell may keep in PyTorch between the way forward and the way back."""


class Value(NamedTuple):
    """Risk R and energy Q ``(c,)`` in float64, outputs ``(c, s)``, and the gradient of Q ``(c, L, M, P)``."""

    risk: Tensor
    energy: Tensor
    outputs: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class ParticleEnergy:
    """The energy of c networks, each on prompts of its own.

    Args:
        transformer: what the layers are.
        tokens: ``(c, s, n, d)``; targets: ``(c, s)``; readout: ``(n, d)``, a fixed linear map.
        decay: λ, one number or ``(c,)``.
        engine: ``"kernel"``, ``"torch"``, or ``"auto"``: the kernel where it computes this network.
        memory: bytes per cell that PyTorch may keep; above, half steps are computed again on the way back, and prompts
            taken in chunks.

    Raises:
        ValueError: tokens narrower than 2, shapes that do not fit each other, or a kernel where there is none.
    """

    transformer: ParticleTransformer
    tokens: Tensor
    targets: Tensor
    readout: Tensor
    decay: float | Tensor = parameter("weight decay λ", default=0.0, least=0, scale="log", per_cell=True)
    engine: str = parameter(
        "engine of the gradient", str, default="auto", choices=("auto", "kernel", "torch"), axis=False
    )
    memory: int = field(default=MEMORY)

    def __post_init__(self) -> None:
        check(self)
        if self.tokens.ndim != 4 or self.tokens.shape[-1] < 2:
            raise ValueError(
                f"tokens of shape {tuple(self.tokens.shape)} were given; they are (c, prompts, tokens, width) with a "
                "width of at least 2, one coordinate for the input and one for the output"
            )
        if self.targets.shape != self.tokens.shape[:2] or self.readout.shape != self.tokens.shape[2:]:
            raise ValueError(
                f"targets {tuple(self.targets.shape)} and readout {tuple(self.readout.shape)} were given to tokens "
                f"{tuple(self.tokens.shape)}; targets are (c, prompts), the readout (tokens, width)"
            )
        if self.engine == "kernel" and not particle_kernel.takes(self.transformer, self.tokens):
            raise ValueError(
                "engine='kernel' was asked for, which computes whole-matrix attention and tanh neurons on a CPU with a "
                "C compiler; take engine='auto'"
            )

    @property
    def by_kernel(self) -> bool:
        """Whether the compiled kernel computes it."""
        return self.engine != "torch" and particle_kernel.takes(self.transformer, self.tokens)

    def of(self, cells: Tensor) -> "ParticleEnergy":
        """The same for some of the cells, given by index."""
        decay = self.decay[cells] if isinstance(self.decay, Tensor) and self.decay.ndim else self.decay
        return replace(self, tokens=self.tokens[cells], targets=self.targets[cells], decay=decay)

    def at(self, theta: Tensor) -> Value:
        """Risk, energy and gradient at particles ``(c, L, M, P)``."""
        ridge = torch.as_tensor(self.decay, dtype=torch.float64, device=theta.device).expand(theta.shape[0])
        ridge = ridge / self.transformer.speed(*theta.shape[1:3])
        if self.by_kernel:
            given = (self.transformer, theta, self.tokens, self.targets, self.readout)
            risk, square, outputs, gradient = particle_kernel.energy_terms(*given, ridge)
        else:
            risk, outputs, gradient = self._by_torch(theta)
            gradient += per_cell(ridge, theta) * theta
            square = theta.double().square().sum((1, 2, 3))
        return Value(risk, risk + 0.5 * ridge * square, outputs, gradient)

    def outputs(self, theta: Tensor) -> Tensor:
        """What the networks answer, ``(c, s)``."""
        with torch.no_grad():
            return self._read(self.transformer.forward(theta, self.tokens))

    def adjoint(self, theta: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Tokens, and p = ∂(½(ŷ − y)²)/∂T of each prompt, around every half step: 1 + L·H tensors ``(c, s, n, d)``."""
        p = self.readout * (self.outputs(theta) - self.targets)[..., None, None]
        return self.transformer.adjoint(theta, self.tokens, p)

    def force(self, theta: Tensor) -> Tensor:
        """The velocity of every particle, −speed · ∂Q/∂β = −η E⟨p, ∂_β f⟩ − λβ, ``(c, L, M, P)``."""
        return -self.transformer.speed(*theta.shape[1:3]) * self.at(theta).gradient

    def _read(self, tokens: Tensor) -> Tensor:
        return (tokens * self.readout).sum((-2, -1))

    def _by_torch(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s = self.tokens.shape[1]
        keep, chunk = self._plan(theta)
        gradient, outputs = None, []
        with torch.no_grad():
            for tokens, targets in zip(self.tokens.split(chunk, 1), self.targets.split(chunk, 1)):
                out, pull = self.transformer.pullback(theta, tokens, keep)
                outputs.append(self._read(out))
                residual = outputs[-1] - targets
                _, found = pull(self.readout * (residual / s)[..., None, None])
                gradient = found if gradient is None else gradient.add_(found)
        assert gradient is not None
        whole = torch.cat(outputs, 1)
        return 0.5 * (whole - self.targets).double().square().mean(1), whole, gradient

    def _plan(self, theta: Tensor) -> tuple[bool, int]:
        """Whether to keep what particles computed, and how many prompts to take at a time."""
        (layers, particles), (s, n, d) = theta.shape[1:3], self.tokens.shape[1:]
        of_layer = [n * d + particles * f.floats(n, d) for f in self.transformer.particles]
        whole = layers * sum(of_layer) * s * theta.element_size()
        if whole <= self.memory:
            return True, s
        one_prompt = (layers * len(of_layer) * n * d + 2 * max(of_layer)) * theta.element_size()
        return False, max(1, min(s, self.memory // one_prompt))
