"""A sample: what one tile of cells trains on, in whatever coordinates.

A sample holds the K distinct data vectors of each cell, the initial filters, the labels, and *how patches read the
vectors*: patch ``s`` of sample ``i`` is a sign times one of the K vectors. So a network needs the inner products
``A = W X^T`` alone, and every engine can hand it those. The ground truth (true labels, which vectors are signal, which
are noise, the law of a fresh noise patch) stays with the sample, for the probes.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lemmata.cells import normal, per_cell


@dataclass(frozen=True)
class Shared:
    """A patch that every sample takes from the same vector, with its own sign: ``sign_i * x_vector``."""

    vector: int
    sign: Tensor  # (c, n)

    def read(self, A: Tensor) -> Tensor:
        """Pre-activations ``(c, r, n)`` from inner products ``A`` ``(c, r, k)``."""
        return A[..., self.vector : self.vector + 1] * self.sign.unsqueeze(-2)

    def direction(self, A: Tensor) -> Tensor:
        """Inner products ``(c, r)`` with the vector itself."""
        return A[..., self.vector]

    def write(self, gradient: Tensor, into: Tensor) -> None:
        """Adds a gradient ``(c, r, n)`` with respect to the pre-activations to one with respect to ``A``."""
        into[..., self.vector] += (gradient * self.sign.unsqueeze(-2)).sum(-1)


@dataclass(frozen=True)
class Own:
    """A patch that sample ``i`` takes from its own vector ``x_{start + i}``."""

    start: int
    n: int

    def read(self, A: Tensor) -> Tensor:
        """Pre-activations ``(c, r, n)``, a view of ``A`` ``(c, r, k)``."""
        return A[..., self.start : self.start + self.n]

    def write(self, gradient: Tensor, into: Tensor) -> None:
        """Adds a gradient ``(c, r, n)`` with respect to the pre-activations to one with respect to ``A``."""
        into[..., self.start : self.start + self.n] += gradient


Patch = Shared | Own


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

    vectors: Tensor  # (c, j, d)
    labels: Tensor  # (c, j), ±1


@dataclass(frozen=True)
class Sample:
    """Data and initial filters of ``c`` cells; see the module's docstring.

    Attributes:
        vectors: ``(c, k, d)``, the distinct data vectors X.
        filters: ``(c, r, d)``, the initial filters W(0), in the same coordinates.
        signal: the patch that carries the signal.
        noise: the patch that carries the noise.
        labels: ``(c, n)``, the observed labels, ±1; ``true_labels`` before any flip.
        fresh_noise: the law of the noise patch of a test point.
        curvature: ``(c,)``, the scale S^2 that the step-size rule ``"auto"`` divides by: squared length of the signal
            plus squared length of the noise over n.
        position: ``(c, n)``, where the signal patch stands in the sample: 0 or 1.
        witnesses: real test patches, if the data has any; otherwise test points carry the signal itself.
    """

    vectors: Tensor
    filters: Tensor
    signal: Patch
    noise: Patch
    labels: Tensor
    true_labels: Tensor
    fresh_noise: FreshNoise
    curvature: Tensor
    position: Tensor
    witnesses: Witnesses | None = None

    def lift(self, d: int, seeds: Tensor) -> "Sample":
        """The same sample in R^d: every vector moved by one random isometry per cell, all inner products kept.

        Raises:
            ValueError: if d is smaller than the number of coordinates at hand.
        """
        held = self.vectors.shape[-1]
        if d < held:
            raise ValueError(f"lift to d = {d} was asked for, but the sample has {held} coordinates; take d >= {held}")
        frame = torch.linalg.qr(normal(seeds, "lift", (d, held))).Q.mT.to(self.vectors)  # (c, held, d)
        witnesses = self.witnesses and replace(self.witnesses, vectors=self.witnesses.vectors @ frame)
        return replace(self, vectors=self.vectors @ frame, filters=self.filters @ frame, witnesses=witnesses)
