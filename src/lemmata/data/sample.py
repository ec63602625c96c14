"""A sample: what one tile of cells trains on, in whatever coordinates.

A sample holds the K distinct data vectors of each cell, the initial filters, the labels, and *how patches read the
vectors*: a patch of sample ``i`` is a sign times one of the K vectors. So a network needs the inner products
``A = W X^T`` alone, and every engine can hand it those. The ground truth (true labels, which vectors are signal, which
are noise, the law of a fresh noise patch) stays with the sample, for the probes.
"""

import dataclasses
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.patches import Patch
from lemmata.draws import normal


@dataclass(frozen=True)
class FreshNoise:
    """The law of the noise patch of a fresh test point: Gaussian with covariance ``scale^2 (I - P)``.

    ``P`` projects on the data vectors named in ``avoids`` (orthogonal to each other); with ``avoids=()`` the noise is
    isotropic.
    """

    scale: Tensor  # (c,)
    avoids: tuple[int, ...] = ()

    def covariance(self, A: Tensor, Q: Tensor, vectors_squared: Tensor) -> Tensor:
        """Covariance ``(c, r, r)`` of the inner products of a fresh noise vector with the filters.

        Args:
            A: ``(c, r, k)`` inner products of the filters with the data vectors.
            Q: ``(c, r, r)`` inner products of the filters.
            vectors_squared: ``(c, k)`` squared norms of the data vectors.
        """
        along = A[..., list(self.avoids)] / vectors_squared[:, list(self.avoids)].unsqueeze(1).sqrt()
        return per_cell(self.scale, Q) ** 2 * (Q - along @ along.mT)


@dataclass(frozen=True)
class Witnesses:
    """Real test patches, seen by the probes and never trained on."""

    vectors: Tensor  # (c, j, d), or (c, g, j, d)
    labels: Tensor  # (c, j), ±1


@dataclass(frozen=True)
class Sample:
    """What every engine needs of the data of ``c`` cells. A data model adds what its objectives and probes need.

    Attributes:
        vectors: ``(c, k, d)``, the distinct data vectors X.
        filters: ``(c, r, d)``, the initial filters W(0), in the same coordinates.
        labels: ``(c, n)``, the observed labels, ±1.
        curvature: ``(c,)``, the scale S^2 that the step-size rule ``"auto"`` divides by: squared length of the signal
            plus squared length of the noise over n.
        witnesses: real test patches, if the data has any; otherwise test points carry the signal itself.

    Between cells and vectors there may be further axes that vectors and filters share, such as one of two modalities:
    ``(c, g, k, d)`` and ``(c, g, r, d)``, each with its own inner products.
    """

    vectors: Tensor
    filters: Tensor
    labels: Tensor
    curvature: Tensor
    witnesses: Witnesses | None = field(default=None, kw_only=True)

    def lift(self, d: int, seeds: Tensor) -> Self:
        """The same sample in R^d: every vector moved by one random isometry per cell, all inner products kept.

        Raises:
            ValueError: if d is smaller than the number of coordinates at hand.
        """
        held = self.vectors.shape[-1]
        if d < held:
            raise ValueError(f"lift to d = {d} was asked for, but the sample has {held} coordinates; take d >= {held}")
        frame = torch.linalg.qr(normal(seeds, "lift", (d, held))).Q.mT.to(self.vectors)  # (c, held, d)
        frame = frame.reshape(-1, *[1] * (self.vectors.ndim - 3), held, d)
        witnesses = self.witnesses and replace(self.witnesses, vectors=self.witnesses.vectors @ frame)
        return replace(self, vectors=self.vectors @ frame, filters=self.filters @ frame, witnesses=witnesses)


@dataclass(frozen=True)
class TwoPatchSample(Sample):
    """Labelled samples of two patches, one with the signal and one with noise.

    Attributes:
        signal: the patch that carries the signal.
        noise: the patch that carries the noise.
        true_labels: ``(c, n)``, before any flip.
        position: ``(c, n)``, where the signal patch stands in the sample: 0 or 1.
        fresh_noise: the law of the noise patch of a test point.
    """

    signal: Patch
    noise: Patch
    true_labels: Tensor
    position: Tensor
    fresh_noise: FreshNoise


@dataclass(frozen=True)
class DiffusionSample(TwoPatchSample):
    """Samples of two patches that a denoiser may be trained on.

    Attributes:
        dimension: ``(c,)``, the ambient dimension d of a patch, whatever coordinates the vectors are held in.
        diffusion_noises: how many fixed standard Gaussian vectors each patch of each sample has. They are the last
            ``2 * diffusion_noises * n`` rows of ``vectors``, in the order (patch, noise, sample), signal patches first.
    """

    dimension: Tensor
    diffusion_noises: int = field(default=0, kw_only=True)

    @cached_property
    def reads(self) -> Tensor:
        """``(c, n, k)``: how often the clean patches of each sample read each vector."""
        cells, n = self.labels.shape
        k = self.vectors.shape[-2]
        each = torch.eye(n).to(self.labels).expand(cells, n, n)
        found = self.labels.new_zeros(cells, n, k)
        for patch in (self.signal, self.noise):
            patch.write(each, found)
        return found


def to_dtype(item: Any, dtype: torch.dtype) -> Any:
    """A (nested) dataclass with its floating tensors cast."""
    if isinstance(item, Tensor):
        return item.to(dtype) if item.is_floating_point() else item
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return item
    fields = {f.name: to_dtype(getattr(item, f.name), dtype) for f in dataclasses.fields(item)}
    return dataclasses.replace(item, **fields)
