"""Paired signal-noise data: every sample is seen twice, by two modalities or by one and its augmentation.

    modality 1:     x_i  = [y_i mu,  xi_i],             xi_i  ~ N(0, sigma_p^2 I_d)
    modality 2:     x~_i = [y_i mu~, xi~_i],            xi~_i ~ N(0, sigma_p2^2 I_d2), independent of xi_i
    augmentation:   x^_i = [y_i mu,  xi_i + eps_i],     eps_i ~ N(0, sigma_aug^2 I_d)

Two modalities share the label and nothing else; an augmented view shares the noise as well. This is the distribution of
Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837). Our names: ``signal`` is |mu|, ``signal_ratio`` is
C = |mu~| / |mu|, and mu stands on the first axis of each modality's space. A single- and a multi-modal data set of one
seed hold the same first modality and the same initial filters for it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.coordinates import compresses, gaussian_rows
from lemmata.data.labels import labels
from lemmata.data.patches import Own, Shared
from lemmata.data.sample import FreshNoise, Sample
from lemmata.draws import uniform
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class PairedSample(Sample):
    """Paired samples of ``g`` modalities: vectors ``(c, g, k, d)``, filters ``(c, g, r, d)``.

    Attributes:
        signal: the patch with the signal, vector 0 of either modality.
        noise: the patch with the noise, vectors 1 .. n.
        augmented: the noise patch of the augmented view, vectors n + 1 .. 2n; None if the other modality is the view.
        negatives: ``(c, n, n)`` bool, True where sample j is a negative of sample i; never on the diagonal.
        noise_scale: ``(c, g)``, standard deviation of a noise coordinate.
        augment_scale: ``(c,)``, standard deviation of a coordinate of eps.
        dimensions: ``(c, g)``, the ambient dimensions d and d2 of a patch, in whatever coordinates.
        avoids: the vectors that the noise is orthogonal to.
    """

    signal: Shared
    noise: Own
    augmented: Own | None
    negatives: Tensor
    noise_scale: Tensor
    augment_scale: Tensor
    dimensions: Tensor
    avoids: tuple[int, ...]

    @cached_property
    def classes(self) -> Tensor:
        """Which class the signal patch of a sample is of, plus or minus, ``(c, 1, n, 2)``."""
        positive = (self.signal.sign > 0).to(self.vectors.dtype)
        return torch.stack([positive, 1 - positive], -1)

    @property
    def modalities(self) -> int:
        """g, 1 or 2."""
        return self.vectors.shape[1]

    def fresh_noise(self, modality: int = 0) -> FreshNoise:
        """The law of the noise patch of a fresh test point."""
        return FreshNoise(self.noise_scale[:, modality], self.avoids)

    @property
    def augmentation(self) -> FreshNoise:
        """The law of a fresh augmentation eps."""
        return FreshNoise(self.augment_scale, self.avoids)


@dataclass(frozen=True)
class PairedSignalNoise:
    """``n`` samples, each seen in two modalities or in one and its augmentation.

    Args:
        n: samples, at least 2.
        d: dimension of a patch of the first modality, at least 2; any size in compressed coordinates.
        signal: |mu|, above 0.
        modality: ``"single"`` pairs a sample with its augmentation, ``"multi"`` with the second modality.
        signal_ratio: C = |mu~| / |mu|, above 0.
        sigma_p: standard deviation of a noise coordinate of the first modality, above 0; sigma_p2: of the second.
        sigma_aug: standard deviation of a coordinate of the augmentation, at least 0.
        d2: dimension of a patch of the second modality; None is d.
        noise: ``"isotropic"`` as in the paper, or ``"orthogonal"`` to the signal; augmentations likewise.
        negatives: ``"opposite"`` contrasts a sample with those of the other label (the theory), ``"all"`` with all
            others (the practice).
        negatives_count: that many of them, drawn once for every sample; None takes all.
        balanced: as many samples of either class as n allows, not coin tosses.

    Raises:
        ValueError: for a value outside its range, or more negatives than there are.

    ``signal``, ``signal_ratio``, ``sigma_p``, ``sigma_p2``, ``sigma_aug`` and (in compressed coordinates) ``d`` may be
    ``(c,)`` tensors, one value per cell.
    """

    n: int = parameter("training pairs n", int, units="pairs", least=2)
    d: int | Tensor = parameter("dimension d", int, least=2, scale="log", per_cell="compressed")
    signal: float | Tensor = parameter("signal strength ‖μ‖", above=0, scale="log", per_cell=True)
    modality: Literal["single", "multi"] = parameter("modalities", str, choices=("single", "multi"), default="single")
    signal_ratio: float | Tensor = parameter("C = ‖μ̃‖/‖μ‖", above=0, scale="log", per_cell=True, default=4.0)
    sigma_p: float | Tensor = parameter(
        "noise level σ of the first modality", above=0, scale="log", per_cell=True, default=1.0
    )
    sigma_p2: float | Tensor = parameter(
        "noise level σ̃ of the second modality", above=0, scale="log", per_cell=True, default=1.0
    )
    sigma_aug: float | Tensor = parameter("noise level of the augmentation", least=0, per_cell=True, default=0.5)
    d2: int | Tensor | None = parameter(
        "dimension d̃ of the second modality, d if not given", int, least=2, scale="log", optional=True, default=None
    )
    noise: Literal["isotropic", "orthogonal"] = parameter(
        "noise against the signal", str, choices=("isotropic", "orthogonal"), default="isotropic"
    )
    negatives: Literal["opposite", "all"] = parameter(
        "negatives, of the other label or all others", str, choices=("opposite", "all"), default="opposite"
    )
    negatives_count: int | None = parameter(
        "negatives drawn for every sample, all of them if not given", int, least=1, optional=True, default=None
    )
    balanced: bool = parameter("balanced classes", bool, default=True)

    def __post_init__(self) -> None:
        check(self)
        if self.negatives_count is not None:
            most = self.n - 1 if self.negatives == "all" else self.n // 2
            if self.negatives_count > most:
                raise ValueError(
                    f"negatives_count = {self.negatives_count} was asked for; of n = {self.n} samples every one has "
                    f"{most} {'others' if self.negatives == 'all' else 'of the other label'}, so take at most {most}"
                )

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist, d >= 1 + 2n + filters; otherwise sampling takes explicit ones."""
        first = compresses(2 * self.n + filters, 1, _least(self.d))
        return first and (self.d2 is None or compresses(self.n + filters, 1, _least(self.d2)))

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        g, k = (2, 1 + self.n) if self.modality == "multi" else (1, 1 + 2 * self.n)
        rows = 2 * self.n + filters
        held = 1 + rows if coordinates == "compressed" and self.compresses(filters) else _most(self.d, self.d2)
        return g * (6 * rows * held + 2 * k**2 + 6 * filters * k + 6 * self.n**2)

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> PairedSample:
        """Draws one data set and the initial filters of every encoder, per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter, of either modality.
            coordinates: ``"compressed"`` or ``"explicit"``.

        Returns:
            A :class:`PairedSample` in float64. Data vectors of a modality: mu, xi_1 .. xi_n, and with one modality
            xi_1 + eps_1 .. xi_n + eps_n.
        """
        n, r = self.n, init.shape[1]
        # One layout of rows whatever the pairing, so that single and multi share noise and filters.
        rows = gaussian_rows(seeds, "rows", 2 * n + r, 1, self.d, coordinates=coordinates)
        noise, filters, eps = rows[:, :n], rows[:, n : n + r], rows[:, n + r :]
        noise, eps = per_cell(self.sigma_p, rows) * noise, per_cell(self.sigma_aug, rows) * eps
        first = [self._signal(noise, self.signal), self._avoid(noise)]
        truth = labels(seeds, n, self.balanced)
        ones = torch.ones(seeds.shape[0], dtype=torch.float64, device=seeds.device)
        curvature = _curvature(self.signal, self.sigma_p, self.d, n)
        if self.modality == "single":
            vectors = torch.cat([*first, self._avoid(noise + eps)], 1).unsqueeze(1)
            filters = (filters * init.unsqueeze(2)).unsqueeze(1)
        else:
            d2 = self.d if self.d2 is None else self.d2
            rows2 = gaussian_rows(seeds, "rows of modality 2", n + r, 1, d2, coordinates=coordinates)
            noise2 = per_cell(self.sigma_p2, rows2) * rows2[:, :n]
            strength = torch.as_tensor(self.signal) * torch.as_tensor(self.signal_ratio)
            second = torch.cat([self._signal(noise2, strength), self._avoid(noise2)], 1)
            vectors = _stack(torch.cat(first, 1), second)
            filters = _stack(filters, rows2[:, n:]) * init[:, None, :, None]
            # Each encoder moves by its own data and the other's features, so the geometric mean sets the pace.
            curvature = (curvature * _curvature(strength, self.sigma_p2, d2, n)) ** 0.5
        scales = [ones * torch.as_tensor(s, dtype=torch.float64) for s in (self.sigma_p, self.sigma_p2)]
        return PairedSample(
            vectors=vectors,
            filters=filters,
            labels=truth,
            curvature=ones * curvature,
            signal=Shared(0, truth.unsqueeze(1)),
            noise=Own(1, n),
            augmented=Own(1 + n, n) if self.modality == "single" else None,
            negatives=self._negatives(seeds, truth),
            noise_scale=torch.stack(scales[: vectors.shape[1]], 1),
            augment_scale=ones * torch.as_tensor(self.sigma_aug, dtype=torch.float64),
            dimensions=torch.stack(
                [ones * self.d, ones * (self.d if self.d2 is None else self.d2)][: vectors.shape[1]], 1
            ),
            avoids=(0,) if self.noise == "orthogonal" else (),
        )

    def _avoid(self, noise: Tensor) -> Tensor:
        """Noise vectors ``(c, n, d)``, without their part along the signal if they are to have none."""
        if self.noise == "isotropic":
            return noise
        return torch.cat([torch.zeros_like(noise[..., :1]), noise[..., 1:]], -1)

    def _signal(self, like: Tensor, length: float | Tensor) -> Tensor:
        """mu ``(c, 1, d)`` along the first axis."""
        mu = torch.zeros_like(like[:, :1])
        mu[..., 0] = per_cell(length, mu[..., 0])
        return mu

    def _negatives(self, seeds: Tensor, truth: Tensor) -> Tensor:
        """``(c, n, n)`` bool."""
        others = ~torch.eye(self.n, dtype=torch.bool, device=seeds.device).expand(seeds.shape[0], -1, -1)
        mask = others if self.negatives == "all" else truth.unsqueeze(1) != truth.unsqueeze(2)
        if self.negatives_count is None:
            return mask.contiguous()
        rank = uniform(seeds, "negatives", (self.n, self.n)).masked_fill(~mask, 2.0).argsort(2).argsort(2)
        return mask & (rank < self.negatives_count)


def _curvature(signal: float | Tensor, sigma: float | Tensor, d: int | Tensor, n: int) -> Tensor:
    signal, sigma = (torch.as_tensor(value, dtype=torch.float64) for value in (signal, sigma))
    return signal**2 + sigma**2 * d / n


def _stack(first: Tensor, second: Tensor) -> Tensor:
    """Two modalities ``(c, rows, d)`` side by side, ``(c, 2, rows, d)``, the shorter vectors padded with zeros."""
    held = max(first.shape[-1], second.shape[-1])
    padded = [torch.nn.functional.pad(rows, (0, held - rows.shape[-1])) for rows in (first, second)]
    return torch.stack(padded, 1)


def _least(d: int | Tensor) -> int:
    return int(torch.as_tensor(d).min())


def _most(d: int | Tensor, d2: int | Tensor | None) -> int:
    return max(int(torch.as_tensor(size).max()) for size in (d, d2) if size is not None)
