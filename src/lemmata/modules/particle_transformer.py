"""A Transformer of particles: L layers, each a row of half steps that average what M particles do.

    T_{l, h+1} = T_{l, h} + (η/(LM)) Σ_m f_h(T_{l, h}; θ_{l, m, h})        h = 0 (attention), 1 (feed-forward)

η = 1/2 in the paper, so that both half steps together cover Δt = 1/L of depth. A particle is the pair of its parts, one
row of numbers β = (θ, w), and a network the tensor ``(c, L, M, P)`` of its rows, cells first. Its adjoint is exact for
the discrete network: p_L = ∂R/∂T_L, p_h = p_{h+1} + (η/(LM)) [∂_T Σ_m f_h]ᵀ p_{h+1}. Reference: Gao, Cao, Li, He, Wang,
Liu, Klusowski, Fan 2024, arXiv 2410.23610, equations (2.4) and (3.1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particles import Particle, Pullback
from lemmata.parameters import check, parameter

WholePullback = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From p at the end ``(c, s, n, d)`` to p at the start, and the gradient ``(c, L, M, P)``; may be called once."""


@dataclass(frozen=True)
class ParticleTransformer:
    """What the half steps of a layer are, and how they are weighed.

    Args:
        particles: one per half step, in order.
        half_step: η: 1/2 is the paper's.
        parametrisation: ``"mean-field"`` weighs a half step by η/(LM) and moves particles at speed LM;
            ``"lazy"`` by η/√(LM), at speed 1, so that a wide network hardly moves; ``"standard"`` by η, at speed 1,
            with homogeneous parts that start 1/√(LM) smaller. The last two are baselines, not the paper's.
    """

    particles: tuple[Particle, ...] = (Attention(), FeedForward())
    half_step: float = parameter("half step η", default=0.5, above=0, most=1)
    parametrisation: str = parameter(
        "weight of a half step", str, default="mean-field", choices=("mean-field", "lazy", "standard")
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.particles:
            raise ValueError("a Transformer of no particles was asked for; give at least one half step")

    def size(self, width: int) -> int:
        """P, the numbers of one particle: all its parts."""
        return sum(particle.size(width) for particle in self.particles)

    def weight(self, layers: int, particles: int) -> float:
        """What a half step is multiplied by."""
        power = {"mean-field": 1.0, "lazy": 0.5, "standard": 0.0}[self.parametrisation]
        return self.half_step / (layers * particles) ** power

    def speed(self, layers: int, particles: int) -> float:
        """What a gradient is multiplied by, so that a particle of the flow moves at a speed of order one."""
        return float(layers * particles) if self.parametrisation == "mean-field" else 1.0

    def parts(self, theta: Tensor, width: int) -> list[Tensor]:
        """One particle row ``(..., P)`` as the numbers of each half step."""
        return list(theta.split([particle.size(width) for particle in self.particles], -1))

    def homogeneous(self, width: int) -> Tensor:
        """Which of the P numbers are homogeneous ones, ``(P,)`` bool."""
        marks = []
        for particle in self.particles:
            mark = torch.zeros(particle.size(width), dtype=torch.bool)
            mark[particle.homogeneous(width)] = True
            marks.append(mark)
        return torch.cat(marks)

    def check_against(self, tokens: Tensor, theta: Tensor) -> None:
        """Refuse particles that do not fit the tokens, before anything runs.

        Raises:
            ValueError: theta of another size, or a particle whose output has another shape than its tokens.
        """
        _, _, n, d = tokens.shape
        if theta.ndim != 4 or theta.shape[-1] != self.size(d) or theta.shape[0] != tokens.shape[0]:
            raise ValueError(
                f"particles of shape {tuple(theta.shape)} were given to tokens of width {d} in {tokens.shape[0]} cells;"
                f" they must be (c, layers, particles, {self.size(d)}) with as many cells"
            )
        for particle in self.particles:
            probe = torch.zeros(1, 1, n, d)
            out = particle.act(probe, torch.zeros(1, 1, particle.size(d)))
            if out.shape != probe.shape:
                raise ValueError(
                    f"{type(particle).__name__} turned tokens of shape (c, s, n, d) = {tuple(probe.shape)} into "
                    f"{tuple(out.shape)}; a particle's output must have the shape of its tokens"
                )

    def trajectory(self, theta: Tensor, tokens: Tensor) -> list[Tensor]:
        """Tokens at the start and after every half step: 1 + L·H tensors ``(c, s, n, d)``; differentiable."""
        weight, states = self.weight(*theta.shape[1:3]), [tokens]
        for layer in theta.unbind(1):
            for particle, own in zip(self.particles, self.parts(layer, tokens.shape[-1])):
                states.append(states[-1] + weight * particle.act(states[-1], own))
        return states

    def forward(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Tokens after the last layer; differentiable, and without a trajectory where nothing is differentiated."""
        weight = self.weight(*theta.shape[1:3])
        for layer in theta.unbind(1):
            for particle, own in zip(self.particles, self.parts(layer, tokens.shape[-1])):
                tokens = tokens + weight * particle.act(tokens, own)
        return tokens

    def pullback(self, theta: Tensor, tokens: Tensor, keep: bool = True) -> tuple[Tensor, WholePullback]:
        """Tokens after the last layer, and the way back by the discrete adjoint; what comes back is detached.

        Args:
            keep: what particles computed is kept for the way back; otherwise tokens alone are kept and each half step
                is computed again, for about half more time and far less memory.
        """
        weight = self.weight(*theta.shape[1:3])
        steps: list[Pullback] = []
        for layer in theta.unbind(1):
            for particle, own in zip(self.particles, self.parts(layer, tokens.shape[-1])):
                before = tokens
                if keep:
                    moved, pull = particle.pullback(tokens, own)
                    steps.append(pull)
                else:
                    moved = particle.act(tokens, own)
                    steps.append(_again(particle, before, own))
                tokens = torch.add(before, moved, alpha=weight)

        def pull_all(p: Tensor) -> tuple[Tensor, Tensor]:
            found: list[Tensor] = []
            while steps:
                d_tokens, d_theta = steps.pop()(p)
                found.append(d_theta * weight)
                p = torch.add(p, d_tokens, alpha=weight)
            return p, self._stack(found[::-1], theta.shape[1])

        return tokens, pull_all

    def adjoint(self, theta: Tensor, tokens: Tensor, p: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Trajectory, and p before and after every half step, both 1 + L·H tensors ``(c, s, n, d)``, in order of depth.

        Args:
            p: ∂R/∂T_L ``(c, s, n, d)``.
        """
        with torch.no_grad():
            states, weight = self.trajectory(theta, tokens), self.weight(*theta.shape[1:3])
            adjoints, half_steps = [p], len(self.particles)
            for index in reversed(range(len(states) - 1)):
                layer, half = divmod(index, half_steps)
                own = self.parts(theta[:, layer], tokens.shape[-1])[half]
                d_tokens, _ = self.particles[half].pullback(states[index], own)[1](adjoints[-1])
                adjoints.append(adjoints[-1] + weight * d_tokens)
        return states, adjoints[::-1]

    def _stack(self, found: list[Tensor], layers: int) -> Tensor:
        """Per half step ``(c, M, part)`` → ``(c, L, M, P)``."""
        halves = len(self.particles)
        return torch.stack([torch.cat(found[l * halves : (l + 1) * halves], -1) for l in range(layers)], 1)


def _again(particle: Particle, tokens: Tensor, theta: Tensor) -> Pullback:
    """The way back through a half step of which nothing was kept."""
    return lambda p: particle.pullback(tokens, theta)[1](p)
