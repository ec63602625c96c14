"""Two Gaussian clusters of equal size on average, to be told apart up to a swap of their names.

    x_i = m + y_i μ + ξ_i,   y_i = ±1 fair,   ||μ|| = snr,   μ in a uniform direction,   m, ξ_i ~ N(0, I_d)

Reference: the two-class mixture of He, Cao, Chen, Wu, Fan, Liu (2025), arXiv 2501.01312; the law of its centre and of
its separation is ours. A token is a point; there is no query.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import normal, uniform
from lemmata.parameters import check, parameter
from lemmata.prompts.prompt import PromptLaw, Prompts


@dataclass(frozen=True)
class Clusters(Prompts):
    """Prompts of points with the cluster each came from.

    Args:
        points: ``(c, b, n, d)``.
        labels: ``(c, b, n)``, ±1.
        middle: ``(c, b, d)``, m.
        half_axis: ``(c, b, d)``, μ.
    """

    points: Tensor
    labels: Tensor
    middle: Tensor
    half_axis: Tensor

    @property
    def tokens(self) -> Tensor:
        """The points."""
        return self.points

    @property
    def targets(self) -> Tensor:
        """The labels."""
        return self.labels

    @property
    def oracle(self) -> Tensor:
        """Labels ``(c, b, n)`` by Bayes' rule of who knows m and μ: the sign of <x - m, μ>."""
        return ((self.points - self.middle.unsqueeze(2)) * self.half_axis.unsqueeze(2)).sum(-1).sign()


def accuracy(said: Tensor, labels: Tensor) -> Tensor:
    """Share of points on which signs agree, the better of the two namings of the clusters; ``(..., n)`` → ``(...)``."""
    right = ((said > 0) == (labels > 0)).to(labels.dtype).mean(-1)
    return torch.maximum(right, 1 - right)


@dataclass(frozen=True)
class TwoClusters(PromptLaw[Clusters]):
    """The mixture; the separation of a prompt is uniform between ``snr`` and ``most_snr``.

    Args:
        n, d: points and dimension.
        snr: half the distance of the centres over the standard deviation.
        most_snr: None for ``snr`` itself.

    Raises:
        ValueError: a number outside its range.
    """

    n: int = parameter("points n", int, units="points", least=2, default=50)
    d: int = parameter("dimension d", int, units="dimensions", least=1, default=2)
    snr: float | Tensor = parameter("separation snr (half distance over σ)", least=0, per_cell=True, default=2.0)
    most_snr: float | Tensor | None = parameter(
        "largest separation", least=0, per_cell=True, optional=True, default=None
    )

    def __post_init__(self) -> None:
        check(self)

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> Clusters:
        """See :meth:`PromptLaw.draw`."""
        direction = normal(seeds, f"{name}/direction", (prompts, self.d))
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        low = per_cell(self.snr, direction)
        half_axis = direction * low
        if self.most_snr is not None:
            share = uniform(seeds, f"{name}/snr", (prompts, 1))
            half_axis = direction * (low + (per_cell(self.most_snr, direction) - low) * share)
        middle = normal(seeds, f"{name}/middle", (prompts, self.d))
        labels = (uniform(seeds, f"{name}/labels", (prompts, self.n)) < 0.5).double() * 2 - 1
        noise = normal(seeds, f"{name}/noise", (prompts, self.n, self.d))
        points = middle.unsqueeze(2) + labels.unsqueeze(-1) * half_axis.unsqueeze(2) + noise
        return Clusters(points.to(dtype), labels.to(dtype), middle.to(dtype), half_axis.to(dtype))
