"""Signal-noise data: two patches, one carries the label, the other carries Gaussian noise.

    y = ±1,   x = [y mu, xi],   xi ~ N(0, sigma_p^2 (I - mu mu^T / |mu|^2))  or  N(0, sigma_p^2 I),

the distribution of Cao, Chen, Belkin, Gu 2022 (arXiv 2202.06526) and of the line of work after it. Our names:
``signal`` is |mu|, ``sigma_p`` is sigma_p, ``flip`` the probability that an observed label is the opposite of the true
one (Kou, Chen, Chen, Gu 2023, arXiv 2303.04145). The law is rotation invariant, so mu lies along the first axis.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.coordinates import compresses, gaussian_rows, pad_to, rows_beside
from lemmata.data.labels import labels, nested_labels
from lemmata.data.patches import Own, Shared
from lemmata.data.sample import FreshNoise, TwoPatchSample
from lemmata.draws import uniform
from lemmata.parameters import check, parameter, require_whole


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

    n: int = parameter("training samples n", int, units="samples", least=1)
    d: int | Tensor = parameter("dimension d", int, least=2, scale="log", per_cell="compressed")
    signal: float | Tensor = parameter("signal strength ‖μ‖", above=0, scale="log", per_cell=True)
    sigma_p: float | Tensor = parameter("noise level σp", above=0, scale="log", per_cell=True, default=1.0)
    noise: Literal["orthogonal", "isotropic"] = parameter(
        "noise against the signal", str, choices=("orthogonal", "isotropic"), default="orthogonal"
    )
    flip: float | Tensor = parameter("probability of a flipped label", least=0, below=0.5, per_cell=True, default=0.0)
    balanced: bool = parameter("balanced classes", bool, default=True)
    shuffle_patches: bool = parameter("signal patch first or second at random", bool, default=False)

    def __post_init__(self) -> None:
        check(self)

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
        rows = gaussian_rows(seeds, "rows", self.n + init.shape[1], 1, self.d, coordinates=coordinates)
        truth = labels(seeds, self.n, self.balanced)
        return self._around(seeds, truth, rows[:, : self.n], rows[:, self.n :] * init.unsqueeze(2))

    def beside(self, seeds: Tensor, filters: Tensor, drawn: int | None = None) -> TwoPatchSample:
        """Draws one data set per cell that is independent of filters trained before.

        The coordinates at hand become fixed axes, in whose directions fresh noise is plain Gaussian: the joint law of
        data and filters is that of R^d, at a cost that does not depend on d.

        Args:
            seeds: ``(c,)``.
            filters: ``(c, r, D)`` with the signal along the first axis.
            drawn: how many samples to draw before all but the first n are dropped; data sets with one ``drawn`` are
                nested. By default n.

        Returns:
            A :class:`TwoPatchSample` as from :meth:`sample` that starts at ``filters``. Balanced labels alternate.

        Raises:
            ValueError: if the filters have more than d coordinates, or ``drawn`` is below n.
        """
        drawn = self.n if drawn is None else drawn
        require_whole("drawn", drawn, self.n, "the number of samples drawn, of which n are kept,")
        rows = rows_beside(seeds, filters, drawn, self.n, self.d)
        truth = nested_labels(seeds, drawn, self.balanced)[:, : self.n]
        return self._around(seeds, truth, rows, pad_to(filters, rows))

    def _around(self, seeds: Tensor, truth: Tensor, rows: Tensor, filters: Tensor) -> TwoPatchSample:
        """The sample with noise sigma_p times ``rows`` ``(c, n, D)``, made orthogonal to the signal if asked."""
        n, cells = self.n, seeds.shape[0]
        orthogonal = self.noise == "orthogonal"
        noise = per_cell(self.sigma_p, rows) * rows
        if orthogonal:
            noise[..., 0] = 0
        mu = torch.zeros_like(noise[:, :1])
        mu[..., 0] = per_cell(self.signal, mu[..., 0])
        flipped = uniform(seeds, "flip", (n,)) < per_cell(self.flip, truth)
        first = torch.zeros(cells, n, dtype=torch.int64, device=seeds.device)
        position = (uniform(seeds, "position", (n,)) < 0.5).to(torch.int64) if self.shuffle_patches else first
        ones = torch.ones(cells, dtype=torch.float64, device=seeds.device)
        return TwoPatchSample(
            vectors=torch.cat([mu, noise], dim=1),
            filters=filters,
            signal=Shared(0, truth),
            noise=Own(1, n),
            labels=torch.where(flipped, -truth, truth),
            true_labels=truth,
            fresh_noise=FreshNoise(ones * self.sigma_p, avoids=(0,) if orthogonal else ()),
            curvature=ones * (self.signal**2 + self.sigma_p**2 * self.d / n),
            position=position,
        )
