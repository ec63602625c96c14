"""How particles start: drawn by (layer, index), so that a small network is a block of any larger one.

    i.i.d.:  β_{l, m} independent over layers and indices             path:  β_{l, m} = β_m, one draw for all layers

The path start isolates the error of finite depth, as all depths then share one law at every t. Laws: uniform on the
ball of radius R in all numbers of a particle, the paper's bounded support; and Gaussian, with the spreads that the
particles name, whose support is not bounded. Reference: Gao et al. 2024, arXiv 2410.23610, section 3.1, "Choice of ρ₀".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.draws import normal, split, uniform
from lemmata.modules.particle_transformer import ParticleTransformer
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class ParticleStart:
    """The law ρ₀ of particles, and whether layers share their draws.

    Args:
        law: ``"gaussian"`` or ``"ball"``.
        mode: ``"iid"`` or ``"path"``.
        radius: R of the ball.
    """

    law: str = parameter("law of a particle's start", str, default="gaussian", choices=("gaussian", "ball"))
    mode: str = parameter("draws over layers", str, default="iid", choices=("iid", "path"))
    radius: float = parameter("radius R of the ball", default=3.0, above=0)

    def __post_init__(self) -> None:
        check(self)

    def draw(
        self,
        transformer: ParticleTransformer,
        seeds: Tensor,
        width: int,
        layers: int,
        particles: int,
        first: Tensor | int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Particles ``first`` to ``first + particles - 1`` of every layer of the reference of each seed.

        Args:
            seeds: ``(c,)``; first: the block's first index, one or ``(c,)``.

        Returns:
            ``(c, layers, particles, P)``: bitwise those that a larger network has at the same layers and indices.

        Raises:
            ValueError: fewer than one layer or particle, or a negative index.
        """
        first = torch.as_tensor(first, dtype=torch.int64, device=seeds.device).expand(seeds.shape)
        if layers < 1 or particles < 1 or int(first.min()) < 0:
            raise ValueError(
                f"{layers} layers of {particles} particles from index {int(first.min())} were asked for; a network has "
                "at least one of each, and indices from 0"
            )
        index = first.unsqueeze(1) + torch.arange(particles, device=seeds.device)  # (c, m)
        own = [self._layer(transformer, seeds, width, 0 if self.mode == "path" else l, index) for l in range(layers)]
        drawn = torch.stack(own, 1)
        if transformer.parametrisation == "standard":
            drawn[..., transformer.homogeneous(width)] *= (layers * particles) ** -0.5
        return drawn.to(dtype)

    def _layer(self, transformer: ParticleTransformer, seeds: Tensor, width: int, layer: int, index: Tensor) -> Tensor:
        c, m = index.shape
        size = transformer.size(width)
        keys = split(seeds, f"particles/{layer}").unsqueeze(1) + index  # (c, m), mixed once more by the draws
        keys = split(keys.reshape(-1), "index")
        direction = normal(keys, "start", (size,))
        if self.law == "ball":
            distance = self.radius * uniform(keys, "distance", (1,)) ** (1 / size)
            drawn = direction / direction.norm(dim=1, keepdim=True) * distance
        else:
            spread = torch.cat([particle.spread(width) for particle in transformer.particles])
            drawn = direction * spread.to(direction.device)
        return drawn.view(c, m, size)
