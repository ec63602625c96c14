"""Real images beside Gaussian noise: the signal patch is an image, the noise patch N(0, sigma_p^2 I).

    x = [image_i - mean, xi_i],   xi_i ~ N(0, sigma_p^2 I_d),   y = ±1 by class,

the construction by which papers of the signal-noise line try their claims on MNIST. The images, zero-padded to the
dimension of the noise, are data vectors like any others: their real Gram matrix enters, the Gaussian part is sampled in
compressed coordinates around the pixels' axes. Training images are drawn per cell; the others are its test points.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.coordinates import compresses, gaussian_rows, pad_to, rows_beside
from lemmata.data.files.images import Images
from lemmata.data.patches import Own
from lemmata.data.sample import FreshNoise, TwoPatchSample, Witnesses
from lemmata.draws import uniform
from lemmata.parameters import check, parameter, require_whole


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
        seen: images, half of either class, that an earlier training has seen and that are no test points. Training
            images are drawn among them; by default n.

    Raises:
        ValueError: for a value outside its range, or images of other than two classes.

    ``sigma_p`` may be a ``(c,)`` tensor, one value per cell.
    """

    images: Images
    n: int = parameter("training samples n", int, units="samples", least=2)
    sigma_p: float | Tensor = parameter("noise level σp", above=0, scale="log", per_cell=True, default=1.0)
    d: int = parameter("dimension d of the noise patch", int, least=1, default=500)
    tests: int = parameter("test images", int, units="images", least=2, default=200)
    seen: int | None = parameter(
        "images that the best head sees", int, units="images", least=1, optional=True, default=None
    )

    def __post_init__(self) -> None:
        check(self)
        require_whole("d", self.d, self.images.x.shape[1], "the dimension of the noise patch, not below the pixels'")
        classes, counts = np.unique(self.images.y, return_counts=True)
        if len(classes) != 2:
            raise ValueError(f"{self.images.source} has {len(classes)} classes; two are needed, keep two of them")
        if self.seen is not None:
            require_whole(
                "seen", self.seen, self.n, "the number of images seen before, the n training images among them,"
            )
        if (self._used + 1) // 2 >= counts.min():
            raise ValueError(
                f"n = {self._used} training images were asked for and the smaller class has {counts.min()}, of which "
                f"one must be left for testing; take n <= {2 * (counts.min() - 1)}"
            )

    @property
    def _used(self) -> int:
        return self.n if self.seen is None else self.seen

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
        rows = gaussian_rows(
            seeds, "rows", self.n + init.shape[1], self.images.x.shape[1], self.d, coordinates=coordinates
        )
        return self._around(seeds, rows[:, : self.n], rows[:, self.n :] * init.unsqueeze(2))

    def beside(self, seeds: Tensor, filters: Tensor, drawn: int | None = None) -> TwoPatchSample:
        """Draws images and noise per cell that are independent of filters trained before, but for the images.

        Args:
            seeds: ``(c,)``; one seed gives the same order of images here and in :class:`~lemmata.ImagePairs`.
            filters: ``(c, r, D)`` with the pixels along the first axes.
            drawn: how many noise patches to draw before all but n are dropped; data sets with one ``drawn`` are nested.

        Returns:
            A :class:`TwoPatchSample` as from :meth:`sample` that starts at ``filters``; the classes alternate.

        Raises:
            ValueError: if the filters have more than d coordinates, or ``drawn`` is below n.
        """
        drawn = self.n if drawn is None else drawn
        require_whole("drawn", drawn, self.n, "the number of noise patches drawn, of which n are kept,")
        rows = rows_beside(seeds, filters, drawn, self.n, self.d)
        return self._around(seeds, rows, pad_to(filters, rows), alternate=True)

    def _around(self, seeds: Tensor, rows: Tensor, filters: Tensor, alternate: bool = False) -> TwoPatchSample:
        """The sample with noise sigma_p times ``rows`` ``(c, n, D)``; the classes one after the other, or in turn."""
        n = self.n
        centred, y = centre(self.images, seeds.device)
        centred = pad_to(centred, rows)
        plus, minus, shuffled = order(y, seeds)
        turn = torch.arange(n, device=seeds.device)
        turn = turn // 2 + (turn % 2) * ((n + 1) // 2) if alternate else turn
        train = torch.cat([plus[:, : (n + 1) // 2], minus[:, : n // 2]], dim=1)[:, turn]
        rest = torch.cat([plus[:, (self._used + 1) // 2 :], minus[:, self._used // 2 :]], dim=1)
        drawn = shuffled.gather(1, rest).argsort(1)[:, : self.tests]
        test = rest.gather(1, drawn)
        noise = per_cell(self.sigma_p, rows) * rows
        ones = torch.ones(len(seeds), dtype=torch.float64, device=seeds.device)
        length = centred[train].square().sum(2).mean(1)
        return TwoPatchSample(
            vectors=torch.cat([centred[train], noise], dim=1),
            filters=filters,
            labels=y[train],
            curvature=length + ones * self.sigma_p**2 * self.d / n,
            signal=Own(0, n),
            noise=Own(n, n),
            true_labels=y[train],
            position=torch.zeros_like(train),
            fresh_noise=FreshNoise(ones * self.sigma_p),
            witnesses=Witnesses(centred[test], y[test]),
        )


def centre(images: Images, device: torch.device) -> tuple[Tensor, Tensor]:
    """All images without their mean ``(N, p)``, and their labels ``(N,)``: +1 for the larger class."""
    x = torch.as_tensor(images.x, device=device)
    y = torch.where(torch.as_tensor(images.y, device=device) == images.classes[1], 1.0, -1.0).double()
    return x - x.mean(0), y


def order(y: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of either class in random order, ``(c, N+)`` and ``(c, N-)``, and the uniforms behind it ``(c, N)``."""
    shuffled = uniform(seeds, "images", (len(y),))
    plus, minus = (torch.where(y == sign, shuffled, 2.0).argsort(1) for sign in (1.0, -1.0))
    count = int((y > 0).sum())
    return plus[:, :count], minus[:, : len(y) - count], shuffled
