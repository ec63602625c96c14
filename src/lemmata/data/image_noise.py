"""Real images beside Gaussian noise: the signal patch is an image, the noise patch N(0, sigma_p^2 I).

    x = [image_i - mean, xi_i],   xi_i ~ N(0, sigma_p^2 I_d),   y = ±1 by class,

the construction by which papers of the signal-noise line try their claims on MNIST. The images, zero-padded to the
dimension of the noise, are data vectors like any others: their real Gram matrix enters, the Gaussian part is sampled in
compressed coordinates around the pixels' axes. Training images are drawn per cell; the others are its test points.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lemmata.cells import per_cell, uniform
from lemmata.check import require, require_whole
from lemmata.data.coordinates import compresses, gaussian_rows
from lemmata.data.images import Images
from lemmata.data.sample import FreshNoise, Own, TwoPatchSample, Witnesses


@dataclass(frozen=True)
class ImageNoise:
    """``n`` images of two classes, each with a noise patch of dimension ``d``.

    Args:
        images: of exactly two classes; the larger class is y = +1. The mean of all images is taken off.
        n: training images, half of either class (n odd: one more of y = +1); at least one image of either class must be
            left for testing.
        sigma_p: standard deviation of a noise coordinate, above 0.
        d: dimension of the noise patch, at least the number of pixels.
        tests: most images used as test points.

    Raises:
        ValueError: for a value outside its range, or images of other than two classes.

    ``sigma_p`` may be a ``(c,)`` tensor, one value per cell.
    """

    images: Images
    n: int
    sigma_p: float | Tensor = 1.0
    d: int = 500
    tests: int = 200

    value_fields: ClassVar[tuple[str, ...]] = ("sigma_p",)

    def __post_init__(self) -> None:
        classes, counts = np.unique(self.images.y, return_counts=True)
        if len(classes) != 2:
            raise ValueError(f"{self.images.source} has {len(classes)} classes; two are needed, keep two of them")
        require_whole("n", self.n, 2, "the number of training images")
        require_whole("d", self.d, self.images.x.shape[1], "the dimension of the noise patch, not below the pixels'")
        require_whole("tests", self.tests, 2, "the number of test images")
        require("sigma_p", self.sigma_p, lambda x: x > 0, "above 0")
        if (self.n + 1) // 2 >= counts.min():
            raise ValueError(
                f"n = {self.n} training images were asked for and the smaller class has {counts.min()}, of which one "
                f"must be left for testing; take n <= {2 * (counts.min() - 1)}"
            )

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist, d >= pixels + n + filters; otherwise sampling takes explicit ones."""
        return compresses(self.n + filters, self.images.x.shape[1], self.d)

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        rows, pixels = self.n + filters, self.images.x.shape[1]
        held = pixels + rows if coordinates == "compressed" and self.compresses(filters) else self.d
        tests = min(self.tests, len(self.images.x) - self.n)
        return (6 * rows + self.n + tests) * held + 8 * self.n**2 + 12 * filters * self.n + 4096 * filters

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> TwoPatchSample:
        """Draws training images, noise and initial filters per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter.
            coordinates: ``"compressed"`` or ``"explicit"``.

        Returns:
            A :class:`TwoPatchSample` in float64. Data vectors: the images, then the noise (k = 2n).
        """
        n, device = self.n, seeds.device
        x = torch.as_tensor(self.images.x, device=device)
        y = torch.where(torch.as_tensor(self.images.y, device=device) == self.images.classes[1], 1.0, -1.0).double()
        rows = gaussian_rows(seeds, "rows", n + init.shape[1], x.shape[1], self.d, coordinates=coordinates)
        centred = torch.nn.functional.pad(x - x.mean(0), (0, rows.shape[2] - x.shape[1]))
        # Random order within either class, first the one class, then the other; training images from the front of each.
        shuffled = uniform(seeds, "images", (len(y),))
        plus, minus = (torch.where(y == sign, shuffled, 2.0).argsort(1) for sign in (1.0, -1.0))
        count = int((y > 0).sum())
        first, second = (n + 1) // 2, n // 2
        train = torch.cat([plus[:, :first], minus[:, :second]], dim=1)
        rest = torch.cat([plus[:, first:count], minus[:, second : len(y) - count]], dim=1)
        drawn = shuffled.gather(1, rest).argsort(1)[:, : self.tests]
        test = rest.gather(1, drawn)
        noise = per_cell(self.sigma_p, rows) * rows[:, :n]
        ones = torch.ones(len(seeds), dtype=torch.float64, device=device)
        length = centred[train].square().sum(2).mean(1)
        return TwoPatchSample(
            vectors=torch.cat([centred[train], noise], dim=1),
            filters=rows[:, n:] * init.unsqueeze(2),
            labels=y[train],
            curvature=length + ones * self.sigma_p**2 * self.d / n,
            signal=Own(0, n),
            noise=Own(n, n),
            true_labels=y[train],
            position=torch.zeros_like(train),
            fresh_noise=FreshNoise(ones * self.sigma_p),
            witnesses=Witnesses(centred[test], y[test]),
        )
