"""Unlabelled pairs of the signal-noise model: a sample and an augmentation of it that keeps its signal.

    x_i = [y_i mu, xi_i],   x~_i = [y_i mu, xi~_i],   xi~_i = c xi_i + sqrt(1 - c^2) xi'_i,

with y, xi as in :class:`~lemmata.SignalNoise` and xi' an independent copy of xi. With c = 0 this is the augmentation of
Zhang, Cao 2024, "Understanding the Benefits of SimCLR Pre-Training in Two-Layer Convolutional Neural Networks" (arXiv
2409.18685): x~ is drawn from the law of x given its label. With c near 1 the augmentation keeps its noise, as real ones
do. Our names: ``pairs`` is n_0, ``correlation`` is c (ours), ``signal`` is |mu|.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.coordinates import compresses, gaussian_rows
from lemmata.data.labels import labels
from lemmata.data.patches import Own, Patch, Shared
from lemmata.data.sample import FreshNoise, Sample
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class PairSample(Sample):
    """Pairs of samples that share their signal patch. ``labels`` are hidden: no objective on pairs reads them.

    Attributes:
        signal: the patch that both views share.
        noise: the noise patch of the first view.
        partner: the noise patch of the second view, the augmentation.
        true_labels: ``(c, n)``.
        fresh_noise: the law of a noise patch.
    """

    signal: Patch
    noise: Own
    partner: Own
    true_labels: Tensor
    fresh_noise: FreshNoise

    def views(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """What linear filters see of both views, ``(c, r, n)`` each: sums over patches of <w_r, patch>.

        Args:
            A: ``(c, r, k)`` inner products of the filters with the data vectors.
        """
        signal = self.signal.read(A)
        return signal + self.noise.read(A), signal + self.partner.read(A)

    def write_views(self, first: Tensor, second: Tensor, into: Tensor) -> None:
        """Adds gradients ``(c, r, n)`` with respect to both views to one with respect to ``A`` ``(c, r, k)``."""
        self.signal.write(first + second, into)
        self.noise.write(first, into)
        self.partner.write(second, into)

    def view_vectors(self) -> tuple[Tensor, Tensor]:
        """The sums of patches z_i and z~_i themselves, ``(c, n, d)`` each."""
        first, second = self.views(self.vectors.mT)
        return first.mT, second.mT


@dataclass(frozen=True)
class SignalNoisePairs:
    """``pairs`` unlabelled pairs of dimension ``d``.

    Args:
        pairs: how many, at least 2: every pair is the others' negative.
        d: dimension of a patch, at least 2; any size unless the engine is ``direct``.
        signal: length of the signal |mu|, above 0.
        sigma_p: standard deviation of a noise coordinate, above 0.
        correlation: c in [0, 1] between the noise patches of a pair.
        noise: ``"orthogonal"`` to the signal, or ``"isotropic"``.
        balanced: as many pairs of either hidden class as possible, not coin tosses.

    Raises:
        ValueError: for a value outside its range.

    ``signal``, ``sigma_p``, ``correlation`` and (in compressed coordinates) ``d`` may be ``(c,)`` tensors.
    """

    pairs: int = parameter("unlabelled pairs n₀", int, units="pairs", least=2)
    d: int | Tensor = parameter("dimension d", int, least=2, scale="log", per_cell="compressed")
    signal: float | Tensor = parameter("signal strength ‖μ‖", above=0, scale="log", per_cell=True)
    sigma_p: float | Tensor = parameter("noise level σp", above=0, scale="log", per_cell=True, default=1.0)
    correlation: float | Tensor = parameter(
        "correlation of the two noises of a pair", least=0, most=1, per_cell=True, default=0.0
    )
    noise: Literal["orthogonal", "isotropic"] = parameter(
        "noise against the signal", str, choices=("orthogonal", "isotropic"), default="orthogonal"
    )
    balanced: bool = parameter("balanced classes", bool, default=True)

    def __post_init__(self) -> None:
        check(self)

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist, d >= 1 + 2 pairs + filters; otherwise sampling takes explicit ones."""
        return compresses(2 * self.pairs + filters, 1, int(torch.as_tensor(self.d).min()))

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        rows = 2 * self.pairs + filters
        held = 1 + rows if coordinates == "compressed" and self.compresses(filters) else int(self.d)
        return 6 * rows * held + 2 * (1 + 2 * self.pairs) ** 2 + 6 * self.pairs**2 + 6 * filters * rows

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> PairSample:
        """Draws one set of pairs and one set of initial filters per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter.
            coordinates: ``"compressed"`` or ``"explicit"``.

        Returns:
            A :class:`PairSample` in float64. Data vectors: mu, then xi_1 .. xi_n, then xi~_1 .. xi~_n (k = 1 + 2n).
        """
        n = self.pairs
        rows = gaussian_rows(seeds, "pairs", 2 * n + init.shape[1], 1, self.d, coordinates=coordinates)
        orthogonal = self.noise == "orthogonal"
        first, fresh = augment(per_cell(self.sigma_p, rows) * rows[:, : 2 * n], self.correlation)
        noise = torch.cat([first, fresh], dim=1)
        if orthogonal:
            noise[..., 0] = 0
        mu = torch.zeros_like(noise[:, :1])
        mu[..., 0] = per_cell(self.signal, mu[..., 0])
        truth = labels(seeds, n, self.balanced)
        ones = torch.ones(seeds.shape[0], dtype=torch.float64, device=seeds.device)
        spread = torch.as_tensor(self.sigma_p) ** 2 * self.d / n * (1 + torch.as_tensor(self.correlation))
        return PairSample(
            vectors=torch.cat([mu, noise], dim=1),
            filters=rows[:, 2 * n :] * init.unsqueeze(2),
            labels=truth,
            curvature=ones * (2 * torch.as_tensor(self.signal) ** 2 + spread),
            signal=Shared(0, truth),
            noise=Own(1, n),
            partner=Own(1 + n, n),
            true_labels=truth,
            fresh_noise=FreshNoise(ones * self.sigma_p, avoids=(0,) if orthogonal else ()),
        )


def augment(rows: Tensor, correlation: float | Tensor) -> tuple[Tensor, Tensor]:
    """Both noise patches of n pairs, ``(c, n, d)`` each, from 2n independent rows ``(c, 2n, d)``."""
    first, fresh = rows.chunk(2, dim=1)
    kept = per_cell(correlation, rows)
    return first, kept * first + (1 - torch.as_tensor(kept) ** 2).sqrt() * fresh
