"""Unlabelled pairs of real images beside Gaussian noise: the augmentation keeps the image and draws new noise.

    x_i = [image_i - mean, xi_i],   x~_i = [image_i - mean, xi~_i],   xi~_i = c xi_i + sqrt(1 - c^2) xi'_i,

the counterpart of :class:`~lemmata.SignalNoisePairs` for :class:`~lemmata.ImageNoise`. How Zhang, Cao 2024 (arXiv
2409.18685) build their experiment on MNIST is not public; this is our reading of it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.coordinates import compresses, gaussian_rows, pad_to
from lemmata.data.files.images import Images
from lemmata.data.image_noise import centre, order
from lemmata.data.pairs import PairSample, augment
from lemmata.data.patches import Own
from lemmata.data.sample import FreshNoise
from lemmata.parameters import check, parameter, require_whole


@dataclass(frozen=True)
class ImagePairs:
    """``pairs`` images of two classes, each with two noise patches of dimension ``d``.

    Args:
        images: of exactly two classes, which stay hidden. The mean of all images is taken off.
        pairs: how many images, at least 2, half of either class; at least one of either class must be left for testing.
        sigma_p: standard deviation of a noise coordinate, above 0.
        d: dimension of the noise patch, at least the number of pixels.
        correlation: c in [0, 1] between the noise patches of a pair.

    Raises:
        ValueError: for a value outside its range, or images of other than two classes.

    ``sigma_p`` and ``correlation`` may be ``(c,)`` tensors, one value per cell.
    """

    images: Images
    pairs: int = parameter("unlabelled pairs n₀", int, units="pairs", least=2)
    sigma_p: float | Tensor = parameter("noise level σp", above=0, scale="log", per_cell=True, default=1.0)
    d: int = parameter("dimension d of the noise patch", int, least=1, default=500)
    correlation: float | Tensor = parameter(
        "correlation of the two noises of a pair", least=0, most=1, per_cell=True, default=0.0
    )

    def __post_init__(self) -> None:
        check(self)
        require_whole("d", self.d, self.images.x.shape[1], "the dimension of the noise patch, not below the pixels'")
        classes, counts = np.unique(self.images.y, return_counts=True)
        if len(classes) != 2:
            raise ValueError(f"{self.images.source} has {len(classes)} classes; two are needed, keep two of them")
        if (self.pairs + 1) // 2 >= counts.min():
            raise ValueError(
                f"pairs = {self.pairs} were asked for and the smaller class has {counts.min()} images, of which one "
                f"must be left for testing; take pairs <= {2 * (counts.min() - 1)}"
            )

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist, d >= pixels + 2 pairs + filters; otherwise explicit ones are taken."""
        return compresses(2 * self.pairs + filters, self.images.x.shape[1], self.d)

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
        rows, pixels = 2 * self.pairs + filters, self.images.x.shape[1]
        held = pixels + rows if coordinates == "compressed" and self.compresses(filters) else self.d
        return 8 * rows * held + 24 * self.pairs**2 + 18 * filters * self.pairs

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> PairSample:
        """Draws images, noise and initial filters per cell.

        Args:
            seeds: ``(c,)``.
            init: ``(c, r)`` standard deviation of the coordinates of each initial filter.
            coordinates: ``"compressed"`` or ``"explicit"``.

        Returns:
            A :class:`PairSample` in float64. Data vectors: the images, then both sets of noise (k = 3n).
        """
        n, pixels = self.pairs, self.images.x.shape[1]
        rows = gaussian_rows(seeds, "pairs", 2 * n + init.shape[1], pixels, self.d, coordinates=coordinates)
        centred, y = centre(self.images, seeds.device)
        plus, minus, _ = order(y, seeds)
        chosen = torch.cat([plus[:, : (n + 1) // 2], minus[:, : n // 2]], dim=1)
        pictures = pad_to(centred, rows)[chosen]
        first, second = augment(per_cell(self.sigma_p, rows) * rows[:, : 2 * n], self.correlation)
        ones = torch.ones(len(seeds), dtype=torch.float64, device=seeds.device)
        spread = torch.as_tensor(self.sigma_p) ** 2 * self.d / n * (1 + torch.as_tensor(self.correlation))
        return PairSample(
            vectors=torch.cat([pictures, first, second], dim=1),
            filters=rows[:, 2 * n :] * init.unsqueeze(2),
            labels=y[chosen],
            curvature=2 * pictures.square().sum(2).mean(1) + ones * spread,
            signal=Own(0, n),
            noise=Own(n, n),
            partner=Own(2 * n, n),
            true_labels=y[chosen],
            fresh_noise=FreshNoise(ones * self.sigma_p),
        )
