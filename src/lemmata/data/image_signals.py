"""Real images as the signal patches of a denoiser's data, at a signal-to-noise ratio of one's choice.

    x = [snr sigma_p sqrt(d) image_i / |image_i|, xi_i],   xi_i ~ N(0, sigma_p^2 I_d),   d = number of pixels,

the Noisy-MNIST of Han, Huang, Cao, Zou 2024 (arXiv 2412.01021): an image beside a Gaussian patch of its own size. Every
signal patch is a vector of its own and classes are not orthogonal, so the theory of two signals does not apply to the
letter. The coordinates are the pixels, whatever the engine, so that filters can be looked at.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.files.images import Images
from lemmata.data.patches import Own
from lemmata.data.sample import DiffusionSample, FreshNoise
from lemmata.draws import normal, uniform
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class ImageSignals:
    """``n`` images of two classes, half of either, each beside a noise patch of its size.

    Args:
        images: of exactly two classes, no image black; the larger class is y = +1.
        n: training images, even, at most twice the smaller class.
        snr: length of every signal patch over sigma_p sqrt(d), above 0.
        sigma_p: standard deviation of a noise coordinate, above 0.

    Raises:
        ValueError: for a value outside its range, or images that do not serve.

    ``snr`` and ``sigma_p`` may be ``(c,)`` tensors, one value per cell.
    """

    images: Images
    n: int = parameter("training samples n", int, units="samples", least=2)
    snr: float | Tensor = parameter("signal-to-noise ratio SNR", above=0, scale="log", per_cell=True, default=0.2)
    sigma_p: float | Tensor = parameter("noise level σp", above=0, scale="log", per_cell=True, default=1.0)

    def __post_init__(self) -> None:
        check(self)
        classes, counts = np.unique(self.images.y, return_counts=True)
        if len(classes) != 2:
            raise ValueError(f"{self.images.source} has {len(classes)} classes; two are needed, keep two of them")
        if self.n % 2 or self.n > 2 * counts.min():
            raise ValueError(
                f"n = {self.n} training images were asked for, half of either class, and the smaller class has "
                f"{counts.min()}; take an even n of at most {2 * counts.min()}"
            )
        black = np.flatnonzero(np.linalg.norm(self.images.x, axis=1) == 0)
        if len(black):
            raise ValueError(f"image {black[0]} of {self.images.source} is black and has no direction; remove it")

    @property
    def d(self) -> int:
        """Number of pixels."""
        return self.images.x.shape[1]

    def compresses(self, filters: int) -> bool:
        """No: the coordinates are the pixels."""
        return False

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        return (6 * self.n + 4 * filters) * self.d + 12 * self.n**2 + 24 * filters * self.n

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> DiffusionSample:
        """Draws training images, noise and initial filters per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter.
            coordinates: is not looked at.

        Returns:
            A :class:`~lemmata.data.sample.DiffusionSample` in float64. Data vectors: the images, then the noise
            (k = 2n).
        """
        n, device = self.n, seeds.device
        x = torch.as_tensor(self.images.x / np.linalg.norm(self.images.x, axis=1, keepdims=True), device=device)
        y = torch.where(torch.as_tensor(self.images.y, device=device) == self.images.classes[1], 1.0, -1.0).double()
        shuffled = uniform(seeds, "images", (len(y),))
        chosen = [torch.where(y == sign, shuffled, 2.0).argsort(1)[:, : n // 2] for sign in (1.0, -1.0)]
        train = torch.cat(chosen, dim=1)  # (c, n)
        rows = normal(seeds, "rows", (n + init.shape[1], self.d))
        ones = torch.ones(len(seeds), dtype=torch.float64, device=device)
        sigma_p = ones * torch.as_tensor(self.sigma_p, device=device)
        signal = per_cell(self.snr, rows) * per_cell(sigma_p, rows) * self.d**0.5 * x[train]
        return DiffusionSample(
            vectors=torch.cat([signal, per_cell(sigma_p, rows) * rows[:, :n]], dim=1),
            filters=rows[:, n:] * init.unsqueeze(2),
            signal=Own(0, n),
            noise=Own(n, n),
            labels=y[train],
            true_labels=y[train],
            position=torch.zeros_like(train),
            fresh_noise=FreshNoise(sigma_p),
            curvature=torch.linalg.eigvalsh(signal @ signal.mT)[:, -1] / n + sigma_p**2 * self.d / n,
            dimension=ones * self.d,
        )


def enlarged(images: Images, side: int) -> Images:
    """Square images brought to ``side`` x ``side`` pixels, bilinearly.

    Raises:
        ValueError: the images are not square.
    """
    held = round(images.x.shape[1] ** 0.5)
    if held**2 != images.x.shape[1]:
        raise ValueError(f"{images.source} has {images.x.shape[1]} pixels an image, which is no square; crop them")
    square = torch.as_tensor(images.x).reshape(-1, 1, held, held)
    larger = torch.nn.functional.interpolate(square, size=(side, side), mode="bilinear", align_corners=False)
    return Images(larger.reshape(len(images.x), -1).numpy(), images.y, images.source)
