"""Clouds of points whose principal axes are wanted: n points of R^d, and the eigenpairs of their sample covariance.

    S = 1/(n-1) Σ_i (x_i - x̄)(x_i - x̄)^T = Σ_j λ_j v_j v_j^T,   λ_1 >= λ_2 >= ..

References: He, Cao, Chen, Wu, Fan, Liu (2025), arXiv 2501.01312; their generator (the authors' code) is x = L z with
L = G + 0.1 I, G and z standard normal. A planted spectrum is ours. A token is a point; there is no query.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import normal
from lemmata.parameters import check, parameter
from lemmata.prompts.prompt import PromptLaw, Prompts

Signs = Literal["largest", "raw"]


@dataclass(frozen=True)
class PointClouds(Prompts):
    """Prompts of points and the truth about them.

    Args:
        points: ``(c, b, n, d)``.
        values: ``(c, b, k)`` leading eigenvalues of the sample covariance (divisor n - 1), falling.
        vectors: ``(c, b, k, d)`` their unit eigenvectors.
    """

    points: Tensor
    values: Tensor
    vectors: Tensor

    @property
    def tokens(self) -> Tensor:
        """The points."""
        return self.points

    @property
    def targets(self) -> Tensor:
        """The eigenvectors."""
        return self.vectors


def eigenpairs(points: Tensor, k: int, signs: Signs = "largest") -> tuple[Tensor, Tensor]:
    """Leading eigenpairs of sample covariances, computed in float64 whatever the dtype.

    Args:
        points: ``(..., n, d)``.
        k: how many.
        signs: an eigenvector's sign is free: its entry of largest size is positive, or as LAPACK leaves it ("raw"),
            which jumps between neighbouring matrices.

    Returns:
        Values ``(..., k)``, falling, and unit vectors ``(..., k, d)``.

    Raises:
        ValueError: more than min(n, d) pairs.
    """
    n, d = points.shape[-2:]
    if not 1 <= k <= min(n, d):
        raise ValueError(f"{k} eigenpairs of {n} points in R^{d} were asked for; take 1 to {min(n, d)}")
    centred = points.double() - points.double().mean(-2, keepdim=True)
    values, vectors = torch.linalg.eigh(centred.mT @ centred / max(n - 1, 1))
    values, vectors = values.flip(-1)[..., :k], vectors.flip(-1)[..., :k].mT
    if signs == "largest":
        vectors = vectors * vectors.gather(-1, vectors.abs().argmax(-1, keepdim=True)).sign()
    return values.to(points.dtype), vectors.contiguous().to(points.dtype)


@dataclass(frozen=True)
class _Clouds(PromptLaw[PointClouds]):
    n: int = parameter("points n", int, units="points", least=2, default=20)
    d: int = parameter("dimension d", int, units="dimensions", least=1, default=5)
    k: int = parameter("eigenpairs asked for k", int, least=1, default=2)
    signs: Signs = parameter("signs of the eigenvectors", str, choices=("largest", "raw"), default="largest")

    def __post_init__(self) -> None:
        check(self)
        if self.k > min(self.n, self.d):
            raise ValueError(
                f"k = {self.k} eigenpairs of {self.n} points in R^{self.d} were asked for; "
                f"take 1 to {min(self.n, self.d)}"
            )

    @abstractmethod
    def points(self, seeds: Tensor, name: str, prompts: int) -> Tensor:
        """The points ``(c, b, n, d)`` in float64."""

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> PointClouds:
        """See :meth:`PromptLaw.draw`; eigenpairs are those of the rounded points."""
        points = self.points(seeds, name, prompts).to(dtype)
        return PointClouds(points, *eigenpairs(points, self.k, self.signs))


@dataclass(frozen=True)
class RandomCovariance(_Clouds):
    """x = L z with a fresh L = G + 0.1 I for each prompt, G and z standard normal (the authors' generator).

    Args:
        n, d, k: points, dimension, and leading eigenpairs kept as truth, at most min(n, d).

    Raises:
        ValueError: k > min(n, d), or a number outside its range.
    """

    def points(self, seeds: Tensor, name: str, prompts: int) -> Tensor:
        """See :class:`RandomCovariance`."""
        z = normal(seeds, f"{name}/points", (prompts, self.n, self.d))
        L = normal(seeds, f"{name}/mixing", (prompts, self.d, self.d))
        return _each_times(z, (L + 0.1 * torch.eye(self.d, dtype=L.dtype, device=L.device)).mT)


@dataclass(frozen=True)
class PlantedSpectrum(_Clouds):
    """Eigenvalues largest * ratio^(j-1) along random axes: of the population, or of the sample itself.

    Args:
        largest, ratio: of neighbouring eigenvalues; may vary between cells.
        exact: the sample covariance has exactly this spectrum; needs n > d.
    """

    largest: float | Tensor = parameter("largest eigenvalue λ_1", above=0, per_cell=True, default=8.0)
    ratio: float | Tensor = parameter("ratio of eigenvalues λ_(j+1)/λ_j", above=0, most=1, per_cell=True, default=0.5)
    exact: bool = parameter("spectrum of the sample, not of its law", bool, default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exact and self.n <= self.d:
            raise ValueError(f"{self.n} points in R^{self.d} cannot have a given spectrum; take n > d, or exact=False")

    def points(self, seeds: Tensor, name: str, prompts: int) -> Tensor:
        """See :class:`PlantedSpectrum`."""
        z = normal(seeds, f"{name}/points", (prompts, self.n, self.d))
        if self.exact:
            z = torch.linalg.qr(z - z.mean(-2, keepdim=True)).Q * (self.n - 1) ** 0.5
        axes = torch.linalg.qr(normal(seeds, f"{name}/axes", (prompts, self.d, self.d))).Q
        j = torch.arange(self.d, dtype=z.dtype, device=z.device).expand(len(seeds), 1, 1, self.d)
        scales: Any = (per_cell(self.largest, j) * per_cell(self.ratio, j) ** j).sqrt()
        return _each_times(z * scales, axes.mT)


def _each_times(a: Tensor, b: Tensor) -> Tensor:
    """Products of matrices ``(c, b, ., .)``; ``bmm`` alone, so that a cell does not know its tile."""
    return torch.bmm(a.flatten(0, 1), b.flatten(0, 1)).unflatten(0, a.shape[:2])
