"""Data with two orthogonal signals, one per class, beside a patch of Gaussian noise: what denoisers are trained on.

    y = ±1,   x = [mu_y, xi],   <mu_+, mu_-> = 0,   |mu_+| = |mu_-|,   xi ~ N(0, sigma_p^2 (I - P_mu)),

with P_mu the projection on both signals: Han, Huang, Cao, Zou 2024 (arXiv 2412.01021, definition 2.1). Our names:
``signal`` is |mu|, ``sigma_p`` is sigma. The quantity in control is n SNR^2 = n |mu|^2 / (sigma^2 d). The law is
rotation invariant, so the signals lie along the first two axes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.coordinates import compresses, gaussian_rows
from lemmata.data.labels import labels
from lemmata.data.patches import ByClass, Own
from lemmata.data.sample import DiffusionSample, FreshNoise
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class TwoSignals:
    """``n`` samples of dimension ``d`` with signals of length ``signal`` and noise level ``sigma_p``.

    Args:
        n: samples, at least 1.
        d: dimension of a patch, at least 3; any size (10^9 is fine) unless the engine is ``direct``.
        signal: length of both signals |mu|, above 0.
        sigma_p: standard deviation of a noise coordinate, above 0.
        balanced: as many samples of either class as n allows (n odd: one more of a random class), not coin tosses.
        diffusion_noises: fixed standard Gaussian vectors drawn for each patch of each sample, for
            :class:`~lemmata.objectives.denoising.FixedNoiseDenoising`.

    Raises:
        ValueError: for a value outside its range.

    ``signal``, ``sigma_p`` and (in compressed coordinates) ``d`` may be ``(c,)`` tensors, one value per cell.
    """

    n: int = parameter("training samples n", int, units="samples", least=1)
    d: int | Tensor = parameter("dimension d", int, least=3, scale="log", per_cell="compressed")
    signal: float | Tensor = parameter("signal strength ‖μ‖", above=0, scale="log", per_cell=True)
    sigma_p: float | Tensor = parameter("noise level σp", above=0, scale="log", per_cell=True, default=1.0)
    balanced: bool = parameter("balanced classes", bool, default=True)
    diffusion_noises: int = parameter("fixed noises per patch", int, least=0, default=0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def gaussians(self) -> int:
        """Gaussian data vectors: n noise patches and the fixed diffusion noises."""
        return self.n * (1 + 2 * self.diffusion_noises)

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist; otherwise sampling takes explicit ones."""
        return compresses(self.gaussians + filters, 2, int(torch.as_tensor(self.d).min()))

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        rows = self.gaussians + filters
        held = 2 + rows if coordinates == "compressed" and self.compresses(filters) else int(self.d)
        return 6 * rows * held + 2 * (2 + self.gaussians) ** 2 + 12 * filters * (2 + self.gaussians)

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> DiffusionSample:
        """Draws one data set and one set of initial filters per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter.
            coordinates: ``"compressed"`` or ``"explicit"``.

        Returns:
            A :class:`~lemmata.data.sample.DiffusionSample` in float64. Data vectors: mu_+, mu_-, xi_1 .. xi_n, then the
            fixed diffusion noises (k = 2 + n + 2 n diffusion_noises).
        """
        n, cells = self.n, seeds.shape[0]
        rows = gaussian_rows(seeds, "rows", self.gaussians + init.shape[1], 2, self.d, coordinates=coordinates)
        noise = per_cell(self.sigma_p, rows) * rows[:, :n]
        noise[..., :2] = 0
        mu = torch.zeros_like(rows[:, :1]).repeat(1, 2, 1)
        mu[:, 0, 0] = mu[:, 1, 1] = torch.as_tensor(self.signal, dtype=rows.dtype, device=rows.device)
        truth = labels(seeds, n, self.balanced)
        ones = torch.ones(cells, dtype=torch.float64, device=seeds.device)
        signal, sigma_p, d = (
            ones * torch.as_tensor(x, device=seeds.device) for x in (self.signal, self.sigma_p, self.d)
        )
        return DiffusionSample(
            vectors=torch.cat([mu, noise, rows[:, n : self.gaussians]], dim=1),
            filters=rows[:, self.gaussians :] * init.unsqueeze(2),
            signal=ByClass(0, 1, truth),
            noise=Own(2, n),
            labels=truth,
            true_labels=truth,
            position=torch.zeros(cells, n, dtype=torch.int64, device=seeds.device),
            fresh_noise=FreshNoise(sigma_p, avoids=(0, 1)),
            curvature=signal**2 / 2 + sigma_p**2 * d / n,  # each signal is carried by half of the samples
            dimension=d,
            diffusion_noises=self.diffusion_noises,
        )
