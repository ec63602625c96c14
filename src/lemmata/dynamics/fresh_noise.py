"""Gradient descent on noises drawn anew at every step, exact in law and without the dimension.

A step on noises E (N x d) moves the filters by W <- W - eta (C_x X + C_w W + C_e E). Nothing but inner products enters
the coefficients, and those of a fresh noise with the filters are Gaussian: E U with U an orthonormal basis of the rows
of W. What C_e E has orthogonal to W is Gaussian with row covariance C_e C_e^T,

    C_e E = (C_e E U) U^T + (C_e C_e^T)^(1/2) Z,     Z = r standard Gaussian rows orthogonal to U,

so a step draws N r + r D numbers instead of N d. Of Z's components outside the D coordinates that hold the data only
those along W and the Gram matrix of the rest are ever seen, so R^(d - D) is held in 2r coordinates: W fills at most r
of them, and Z gets a Bartlett factor of Wishart(d - D - r) in the other r. The same law as training in R^d.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lemmata.data.coordinates import gaussian_rows
from lemmata.data.sample import Sample
from lemmata.draws import normal
from lemmata.dynamics.direct import DirectEngine
from lemmata.dynamics.engine import Point
from lemmata.objectives.denoising import FreshNoiseDenoising
from lemmata.probes.failure_point import symmetric_root


class FreshNoiseEngine(DirectEngine):
    """Moves ``"filters"`` W ``(c, r, D)`` or ``(c, r, D + 2r)`` with the gradient on fresh noises.

    Raises:
        ValueError: cells of several dimensions d of which some are too small for the Bartlett factor.
    """

    objective: FreshNoiseDenoising

    def __init__(self, sample: Sample, net: Any, objective: FreshNoiseDenoising):
        held, r = sample.vectors.shape[-1], sample.filters.shape[-2]
        dimension = sample.dimension  # type: ignore[attr-defined]
        outside = int(dimension.min()) - held
        self.held, self.explicit = held, outside <= 2 * r
        if self.explicit and int(dimension.max()) != outside + held:
            raise ValueError(
                f"fresh noises were asked for in cells of several dimensions, the smallest d = {outside + held}; "
                f"make d a shape axis, or raise every d above {held + 2 * r}"
            )
        self.padding = max(0, outside) if self.explicit else 2 * r
        self.degrees = dimension - held
        super().__init__(_padded(sample, self.padding), net, objective)

    def gradient(self, point: Point, labels: Tensor, weights: Tensor) -> tuple[Tensor, Point]:
        """The sampled loss ``(c,)``, its term |eps|^2 replaced by its mean d, and its gradient."""
        assert self.seeds is not None
        p, objective, sample = self.products(point, labels, weights), self.objective, self.sample
        assert p.Q is not None
        W, (r, k) = point["filters"], p.A.shape[-2:]
        alpha, beta = objective.schedule(p.A)
        patches = [_index(patch, k, p.A) for patch in (sample.signal, sample.noise)]  # type: ignore[attr-defined]
        source = torch.cat(patches, -1).repeat_interleave(objective.noises, -1)  # (c, N), which vector is noised
        scale = torch.cat([weights, weights], -1).repeat_interleave(objective.noises, -1) / objective.noises

        basis = torch.linalg.qr(W.mT).Q  # (c, D', r)
        along = normal(self.seeds, "noise along filters", (r, source.shape[-1])).to(W.dtype)  # (E U)^T
        inner = (W @ basis) @ along  # <w_r, eps>, (c, r, N)
        z = alpha * p.A.gather(-1, source.unsqueeze(-2).expand(-1, r, -1)) + beta * inner
        hidden, slope = p.net.activation(z), p.net.activation.derivative(z)
        predicted = p.Q @ hidden / math.sqrt(r)  # <w_r, f>
        fit = scale.unsqueeze(-2) / math.sqrt(r)
        loss = 0.5 * (scale * ((hidden * predicted).sum(-2) / math.sqrt(r))).sum(-1)
        loss = loss - (fit * hidden * inner).sum((-2, -1))
        loss = loss + 0.5 * scale.sum(-1) * sample.dimension  # type: ignore[attr-defined]
        on_z = fit * slope * (predicted - inner)
        on_X = torch.zeros_like(p.A).scatter_add_(-1, source.unsqueeze(-2).expand_as(on_z), alpha * on_z)
        on_W = (fit / math.sqrt(r) * hidden) @ hidden.mT
        on_E = beta * on_z - fit * hidden
        noise = (on_E @ along.mT) @ basis.mT + self._orthogonal(on_E, W, basis)
        return loss, {"filters": on_X @ sample.vectors + on_W @ W + noise}

    def expected_gradient(self, point: Point, labels: Tensor, weights: Tensor) -> tuple[Tensor, Point]:
        """The gradient of the expected loss."""
        return super().gradient(point, labels, weights)

    def _orthogonal(self, on_E: Tensor, W: Tensor, basis: Tensor) -> Tensor:
        """The part of ``on_E @ E`` orthogonal to the filters, ``(c, r, D')``."""
        assert self.seeds is not None
        r, held = W.shape[-2], self.held
        gram = on_E @ on_E.mT
        finite = gram.isfinite().all(-1).all(-1).reshape(-1, 1, 1)
        root = symmetric_root(torch.where(finite, gram, 0.0))
        Z = normal(self.seeds, "noise across", (r, held + (self.padding if self.explicit else r))).to(W.dtype)
        if not self.explicit:
            # Outside the data's coordinates: r axes that contain W, and the Bartlett factor on the other r.
            frame = torch.linalg.qr(W[..., held:].mT, mode="complete").Q  # (c, 2r, 2r)
            beyond = gaussian_rows(self.seeds, "noise beyond", r, 0, self.degrees - r).to(W.dtype)
            Z = torch.cat([Z[..., :held], torch.cat([Z[..., held:], beyond], -1) @ frame.mT], -1)
        return root @ (Z - (Z @ basis) @ basis.mT)


def _index(patch: Any, k: int, like: Tensor) -> Tensor:
    """Which data vector ``(c, n)`` a patch reads, for every sample."""
    return patch.read(torch.arange(k, device=like.device).expand(like.shape[0], 1, k)).squeeze(-2)


def _padded(sample: Sample, by: int) -> Sample:
    pad = lambda x: torch.nn.functional.pad(x, (0, by))  # noqa: E731
    return replace(sample, vectors=pad(sample.vectors), filters=pad(sample.filters))
