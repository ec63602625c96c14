"""What the constructed networks compute, in plain numpy, and how far from the eigenpairs that is.

    v <- S v / ||S v||  from a start u:    tan θ_τ <= tan θ_0 (λ_2/λ_1)^τ,   θ the angle to the first eigenvector
    after each eigenvector  x_i <- x_i - v <v, x_i>   (deflation), and the next start

Reference: He, Cao, Chen, Wu, Fan, Liu (2025), arXiv 2501.01312 (power iteration with deflation, layer by layer); the
bound is standard. The hinge form of s^(-1/2) and its fixed points are worked out here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, exp, lgamma, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Normalise = Callable[[NDArray], NDArray]


def unit(w: NDArray) -> NDArray:
    """w / ||w||, and 0 for w = 0."""
    length = float(np.linalg.norm(w))
    return w / length if length else w


@dataclass(frozen=True)
class Hinges:
    """s^(-1/2) interpolated linearly between knots, as one constant and ReLUs that all add.

        f(s) = f_p + Σ_i b_i max(t_i - s, 0),    b_i > 0 because s^(-1/2) is convex and falls

    Hinges that open to the left keep every term positive: nothing cancels, where sums of max(s - t_i, 0) lose eight
    digits. Beyond the last knot f is constant, below the first it goes on linearly.

    Args:
        knots: ``(p,)``, rising and positive; lengths² that are to be normalised should lie between.
    """

    knots: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.knots) < 2 or self.knots[0] <= 0 or np.any(np.diff(self.knots) <= 0):
            raise ValueError(f"knots {self.knots} were given; take at least two, positive and rising")

    @classmethod
    def geometric(cls, count: int = 24, low: float = 1e-6, high: float = 1e4, near_one: bool = True) -> "Hinges":
        """Knots in equal ratios; near_one adds 0.8, 0.95, 1, 1.05, 1.25, which make length 1 a fixed point."""
        knots = np.geomspace(low, high, count)
        return cls(tuple(np.unique(np.append(knots, (0.8, 0.95, 1.0, 1.05, 1.25) if near_one else ())).tolist()))

    @property
    def constant(self) -> float:
        """f_p, the value at and beyond the last knot."""
        return float(self.knots[-1] ** -0.5)

    @property
    def weights(self) -> NDArray:
        """b_2 .. b_p ``(p - 1,)`` of the knots but the first."""
        t = np.asarray(self.knots)
        slopes = np.append(np.diff(t**-0.5) / np.diff(t), 0.0)
        return np.diff(slopes)

    def __call__(self, s: ArrayLike) -> NDArray:
        """f(s)."""
        s = np.asarray(s, dtype=float)
        return self.constant + np.maximum(np.asarray(self.knots[1:]) - s[..., None], 0) @ self.weights

    def normalise(self, w: NDArray) -> NDArray:
        """w f(||w||²): the direction of w exactly, length one nearly."""
        return w * float(self(w @ w))


def power_iteration(
    points: NDArray,
    starts: NDArray,
    steps: int,
    normalise: Normalise = unit,
    polish: int = 0,
    trace: list[NDArray] | None = None,
) -> tuple[NDArray, NDArray]:
    """Leading eigenpairs by power iteration with deflation.

    Args:
        points: ``(n, d)``.
        starts: ``(k, d)`` start vectors.
        steps: τ products with the covariance per eigenvector; at least 1.
        normalise: what follows each product.
        polish: how often more at the end of each eigenvector.
        trace: if given, gets the iterate ``(d,)`` after each step.

    Returns:
        Vectors ``(k, d)``, and values ``(k,)`` v^T S v with divisor n - 1.
    """
    x = points - points.mean(0)
    n, vectors, values = len(x), [], []
    for start in starts:
        v = start
        for step in range(steps):
            v = normalise(x.T @ (x @ v) / n)
            for _ in range(polish if step == steps - 1 else 0):
                v = normalise(v)
            if trace is not None:
                trace.append(v)
        vectors.append(v)
        values.append(v @ (x.T @ (x @ v)) / (n - 1))
        x = x - np.outer(x @ v, v)
    return np.array(vectors), np.array(values)


def batched_power_iteration(points: NDArray, starts: NDArray, steps: int) -> NDArray:
    """The vectors ``(..., k, d)`` of :func:`power_iteration` with unit lengths, for many clouds ``(..., n, d)``."""
    x = points - points.mean(-2, keepdims=True)
    found = []
    for start in starts:
        v = np.broadcast_to(start, (*x.shape[:-2], len(start)))
        for _ in range(steps):
            w = np.einsum("...nd,...n->...d", x, np.einsum("...nd,...d->...n", x, v))
            length = np.linalg.norm(w, axis=-1, keepdims=True)
            v = w / np.where(length > 0, length, 1)
        found.append(v)
        x = x - np.einsum("...nd,...d->...n", x, v)[..., None] * v[..., None, :]
    return np.stack(found, -2)


def angle_bound(tangent: ArrayLike, ratio: ArrayLike, steps: ArrayLike) -> NDArray:
    """Largest tan θ after τ steps from ``tangent`` at the start: tan θ_0 (λ_2/λ_1)^τ."""
    return np.asarray(tangent, dtype=float) * np.asarray(ratio, dtype=float) ** np.asarray(steps, dtype=float)


def depth(k: int, steps: int, polish: int | None = None) -> int:
    """Attention layers of the construction: 1 + k(τ + 2), or 1 + k(2τ + 2 + polish) with the ReLU normaliser."""
    return 1 + k * (steps + 2) if polish is None else 1 + k * (2 * steps + 2 + polish)


def bayes_accuracy(snr: ArrayLike) -> NDArray:
    """Φ(snr): share of points on the right side of the middle for who knows both centres."""
    return np.vectorize(lambda s: 0.5 * (1 + erf(s / sqrt(2))))(np.asarray(snr, dtype=float))


def random_cosine(d: ArrayLike) -> NDArray:
    """E|cos| of a fixed and a uniform direction in R^d: Γ(d/2)/(√π Γ((d+1)/2))."""
    return np.vectorize(lambda m: exp(lgamma(m / 2) - lgamma((m + 1) / 2)) / sqrt(pi))(np.asarray(d, dtype=float))
