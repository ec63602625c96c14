"""Signal-noise data: two patches, one carries the label, the other carries Gaussian noise.

    y = ±1,   x = [y mu, xi],   xi ~ N(0, sigma_p^2 (I - mu mu^T / |mu|^2))  or  N(0, sigma_p^2 I),

the distribution of Cao, Chen, Belkin, Gu 2022 (arXiv 2202.06526) and of the line of work after it. Our names:
``signal`` is |mu|, ``sigma_p`` is sigma_p, ``flip`` the probability that an observed label is the opposite of the true
one (Kou, Chen, Chen, Gu 2023, arXiv 2303.04145). The law is rotation invariant, so mu lies along the first axis.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lemmata.cells import normal, per_cell, permutation, uniform
from lemmata.check import require, require_whole
from lemmata.data.coordinates import compresses, gaussian_rows
from lemmata.data.sample import FreshNoise, Own, Shared, TwoPatchSample


@dataclass(frozen=True)
class SignalNoise:
    """``n`` samples of dimension ``d`` with signal length ``signal`` and noise level ``sigma_p``.

    Args:
        n: samples, at least 1.
        d: dimension of a patch, at least 2; any size (10^9 is fine) unless the engine is ``direct``.
        signal: length of the signal |mu|, above 0.
        sigma_p: standard deviation of a noise coordinate, above 0.
        noise: ``"orthogonal"`` to the signal, or ``"isotropic"``.
        flip: probability in [0, 0.5) that an observed label is flipped; the signal patch keeps the true label.
        balanced: as many samples of either class as n allows (n odd: one more of a random class), not coin tosses.
        shuffle_patches: the signal patch stands first or second at random. Seen only by a network whose patches have
            output weights of their own.

    Raises:
        ValueError: for a value outside its range.

    ``signal``, ``sigma_p``, ``flip`` and (in compressed coordinates) ``d`` may be ``(c,)`` tensors, one value per cell.
    """

    n: int
    d: int | Tensor
    signal: float | Tensor
    sigma_p: float | Tensor = 1.0
    noise: Literal["orthogonal", "isotropic"] = "orthogonal"
    flip: float | Tensor = 0.0
    balanced: bool = True
    shuffle_patches: bool = False

    value_fields: ClassVar[tuple[str, ...]] = ("signal", "sigma_p", "flip")

    def __post_init__(self) -> None:
        require_whole("n", self.n, 1, "the number of samples")
        require_whole("d", self.d, 2, "the dimension of a patch")
        require("signal", self.signal, lambda x: x > 0, "above 0")
        require("sigma_p", self.sigma_p, lambda x: x > 0, "above 0")
        require("flip", self.flip, lambda x: 0 <= x < 0.5, "in [0, 0.5)")
        require("noise", self.noise, lambda x: x in ("orthogonal", "isotropic"), "'orthogonal' or 'isotropic'")

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist, d >= 1 + n + filters; otherwise sampling takes explicit ones."""
        return compresses(self.n + filters, 1, int(torch.as_tensor(self.d).min()))

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        rows = self.n + filters
        held = 1 + rows if coordinates == "compressed" and self.compresses(filters) else int(self.d)
        return 6 * rows * held + 2 * (1 + self.n) ** 2 + 6 * filters * (1 + self.n)

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> TwoPatchSample:
        """Draws one data set and one set of initial filters per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter.
            coordinates: ``"compressed"`` or ``"explicit"``.

        Returns:
            A :class:`TwoPatchSample` in float64. Data vectors: mu, then xi_1 .. xi_n (k = 1 + n).
        """
        n, cells = self.n, seeds.shape[0]
        rows = gaussian_rows(seeds, "rows", n + init.shape[1], 1, self.d, coordinates=coordinates)
        orthogonal = self.noise == "orthogonal"
        noise = per_cell(self.sigma_p, rows) * rows[:, :n]
        if orthogonal:
            noise[..., 0] = 0
        mu = torch.zeros_like(noise[:, :1])
        mu[..., 0] = per_cell(self.signal, mu[..., 0])
        truth = labels(seeds, n, self.balanced)
        flipped = uniform(seeds, "flip", (n,)) < per_cell(self.flip, truth)
        first = torch.zeros(cells, n, dtype=torch.int64, device=seeds.device)
        position = (uniform(seeds, "position", (n,)) < 0.5).to(torch.int64) if self.shuffle_patches else first
        ones = torch.ones(cells, dtype=torch.float64, device=seeds.device)
        return TwoPatchSample(
            vectors=torch.cat([mu, noise], dim=1),
            filters=rows[:, n:] * init.unsqueeze(2),
            signal=Shared(0, truth),
            noise=Own(1, n),
            labels=torch.where(flipped, -truth, truth),
            true_labels=truth,
            fresh_noise=FreshNoise(ones * self.sigma_p, avoids=(0,) if orthogonal else ()),
            curvature=ones * (self.signal**2 + self.sigma_p**2 * self.d / n),
            position=position,
        )


def labels(seeds: Tensor, n: int, balanced: bool) -> Tensor:
    """Labels ``(c, n)``, ±1 in float64: coin tosses, or as many of either class as n allows, in random order."""
    if not balanced:
        return torch.where(uniform(seeds, "labels", (n,)) < 0.5, 1.0, -1.0).to(torch.float64)
    alternating = 1.0 - 2.0 * (torch.arange(n, device=seeds.device) % 2).to(torch.float64)
    sign = torch.sign(normal(seeds, "odd class", (1,)))
    return alternating[permutation(seeds, "labels", n)] * sign
