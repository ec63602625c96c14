"""Gradient descent on vectors drawn anew at every step, exact in law and without the dimension.

An objective that sees e standard Gaussian vectors E (e x d) at every step has a gradient C_x X + C_w W + C_e E whose
coefficients depend on inner products alone. Those of E with the filters are Gaussian: E U with U an orthonormal basis
of the rows of W. What C_e E has orthogonal to W is Gaussian with row covariance C_e C_e^T,

    C_e E = (C_e E U) U^T + (C_e C_e^T)^(1/2) Z,     Z = r standard Gaussian rows orthogonal to U,

so a step draws e r + r D numbers instead of e d. Of Z's components outside the D coordinates that hold the data only
those along W and the Gram matrix of the rest are ever seen, so R^(d - D) is held in 2r coordinates: W fills at most r
of them, and Z gets a Bartlett factor of Wishart(d - D - r) in the other r. The same law as training in R^d.
"""

from dataclasses import replace

import torch
from torch import Tensor

from lemmata.data.coordinates import gaussian_rows
from lemmata.data.sample import Sample
from lemmata.draws import normal
from lemmata.dynamics.direct import DirectEngine
from lemmata.dynamics.engine import Point
from lemmata.nets.net import Net
from lemmata.objectives.objective import Objective
from lemmata.probes.failure_point import symmetric_root


class FreshNoiseEngine(DirectEngine):
    """Moves ``"filters"`` W ``(c, r, D)`` or ``(c, r, D + 2r)`` with the gradient on fresh vectors.

    Raises:
        TypeError: a sample that does not say its dimension.
        ValueError: cells of several dimensions d of which some are too small for the Bartlett factor.
    """

    def __init__(self, sample: Sample, net: Net, objective: Objective):
        held, r = sample.vectors.shape[-1], sample.filters.shape[-2]
        dimension = getattr(sample, "dimension", None)
        if dimension is None:
            raise TypeError(
                f"{type(objective).__name__} draws fresh vectors of R^d, and {type(sample).__name__} does not say d; "
                "give the sample a field dimension (c,)"
            )
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
        """The loss ``(c,)`` on this step's fresh vectors and its gradient."""
        assert self.seeds is not None
        W, vectors = point["filters"], self.sample.vectors
        basis = torch.linalg.qr(W.mT).Q  # (c, D', r)
        fresh = self.objective.fresh_vectors(self.sample)
        along = normal(self.seeds, "noise along filters", (W.shape[-2], fresh)).to(W.dtype)  # (E U)^T
        products = self.products(point, labels, weights)
        loss, on = self.objective.fresh_gradient(products, (W @ basis) @ along)
        noise = (on.on_E @ along.mT) @ basis.mT + self._orthogonal(on.on_E, W, basis)
        head = {name: on.head[name] for name in self.moving_head}
        return loss, {"filters": on.on_X @ vectors + on.on_W @ W + noise, **head}

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


def _padded(sample: Sample, by: int) -> Sample:
    pad = lambda x: torch.nn.functional.pad(x, (0, by))  # noqa: E731
    return replace(sample, vectors=pad(sample.vectors), filters=pad(sample.filters))
