"""Predictions for one-layer attention that learns one-nearest-neighbour: the exact loss, and laws of its decay.

The symmetric network has two parameters: token i is scored ξ1 <x_i, x_q>, the query itself ξ1 - ξ2. With labels of mean
0 and variance 1, independent given the points, and the n cosines u_i independent of density f,

    L = ½ E[ Σ p_i² - 2 p_* + 1 ],   p_i = k(u_i) / Z,   Z = Σ_j k(u_j) + c,   k(u) = e^(ξ1 (u - 1)),   c = e^(-ξ2),

p_* belonging to the largest. Model: Li, Cao, Gao, He, Liu, Klusowski, Fan, Wang (2024), arXiv 2411.10830, sections 2.1
to 2.3 (n is the paper's N). Derived here: the quadrature, whose cost has no n in it, and the laws L = c/ξ1, ξ1 ~
k^(1/3).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lemmata.theory.quadrature import Panels, log_nodes, panels


def cosine_density(u: ArrayLike, d: int) -> NDArray:
    """f(u) of the cosine of a uniform point on S^(d-1) with a fixed one, on [-1, 1]: Γ(d/2)/(√π Γ((d-1)/2))
    (1-u²)^((d-3)/2)."""
    u = np.asarray(u, dtype=float)
    constant = math.exp(math.lgamma(d / 2) - math.lgamma((d - 1) / 2)) / math.sqrt(math.pi)
    with np.errstate(divide="ignore"):
        return constant * np.maximum(1 - u * u, 0) ** ((d - 3) / 2)


def cosine_cdf(u: ArrayLike, d: int) -> NDArray:
    """F(u), the integral of :func:`cosine_density` from -1, to 1e-12."""
    u = np.asarray(u, dtype=float)
    x, weight = np.polynomial.legendre.leggauss(64)
    whole = panels(0.0, math.pi, 4)
    total = whole.weights @ np.sin(whole.nodes) ** (d - 2)
    angle = np.arccos(np.clip(-np.abs(u), -1, 1))  # from e to the farther pole, so that the tail is what is integrated
    tail = math.pi - angle
    nodes = (x + 1) * tail[..., None] / 2
    below = (weight * np.sin(nodes) ** (d - 2)).sum(-1) * tail / 2 / total
    return np.where(u < 0, below, 1 - below)


def tie_constant(n: int, d: int) -> float:
    """c(n, d) = (ln 2 - ½) n (n-1) ∫ f² F^(n-2), so that L ≈ c/ξ1 once only near ties of two points cost."""
    if n < 2:
        return 0.0
    angle = panels(0.0, math.pi, 24)
    u = -np.cos(angle.nodes)
    density, share = cosine_density(u, d), cosine_cdf(u, d)
    return (
        (math.log(2) - 0.5) * n * (n - 1) * float(angle.weights @ (np.sin(angle.nodes) * density**2 * share ** (n - 2)))
    )


def predicted_xi1(k: ArrayLike, rate: ArrayLike, n: int, d: int) -> NDArray:
    """ξ1(k) = (3 c η k / d)^(1/3) after k steps of gradient descent with step size η on the full matrix."""
    return np.cbrt(3 * tie_constant(n, d) * np.asarray(rate, dtype=float) * np.asarray(k, dtype=float) / d)


def predicted_loss(k: ArrayLike, rate: ArrayLike, n: int, d: int) -> NDArray:
    """L(k) = c/ξ1(k) = c^(2/3) (d / (3ηk))^(1/3); infinite at k = 0."""
    with np.errstate(divide="ignore"):
        return tie_constant(n, d) / predicted_xi1(k, rate, n, d)


def shift_error_bound(xi1: ArrayLike, xi2: ArrayLike, n: ArrayLike, delta: ArrayLike) -> NDArray:
    """Mean squared error on prompts whose other points are δ-separated: at most 2 (n e^(-ξ1 δ/2) + e^(-ξ2))²."""
    xi1, xi2, n, delta = (np.asarray(a, dtype=float) for a in (xi1, xi2, n, delta))
    return 2 * (n * np.exp(-xi1 * delta / 2) + np.exp(-xi2)) ** 2


def population(xi1: ArrayLike, xi2: ArrayLike, n: ArrayLike, d: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """L, ∂L/∂ξ1 and ∂L/∂ξ2, elementwise over broadcast arguments.

    By 1/Z = ∫ e^(-tZ) dt and 1/Z² = ∫ t e^(-tZ) dt,

        E Σ p_i² = n ∫ t e^(-tc) A B^(n-1) dt,      B(t) = E e^(-tk),   A(t) = E k² e^(-tk),
        E p_*    = n ∫ e^(-tc) ∫ f(m) k(m) e^(-t k(m)) B_m^(n-1) dm dt,    B_m(t) = E e^(-tk) 1{u <= m}:

    panels of Gauss nodes in the angle, the trapezoid in log t.

    Args:
        xi1: from -20 to 200; xi2: above -20; n: at least 1; d: at least 2.

    Returns:
        Three arrays of the broadcast shape. Relative errors up to ξ1 = 52 are below 1e-6 and 1e-5.
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (xi1, xi2, n, d)))
    found = [_population(*map(float, cell)) for cell in zip(*(a.ravel() for a in arrays))]
    return tuple(np.array(column).reshape(arrays[0].shape) for column in zip(*found))  # type: ignore[return-value]


def panels_for(xi1: float) -> int:
    """How many panels: fronts of e^(-tk) are 1/ξ1 wide in the cosine, and a panel should hold no more than a few."""
    return int(min(80, max(6, 4 + abs(xi1) / 2.5)))


def angles_for(count: int, d: float) -> tuple[Panels, NDArray, NDArray]:
    """Panels in the angle from the antipode, so that running integrals are over u <= m, with u - 1 and the density."""
    angle = panels(0.0, math.pi, count)
    density = np.sin(angle.nodes) ** (d - 2)
    return angle, -2 * np.cos(angle.nodes / 2) ** 2, density / (angle.weights @ density)


def times_for(xi1: float, xi2: float, n: float) -> tuple[NDArray, NDArray]:
    """t and its weights, from where e^(-tZ) is 1 to where it is 0 for every Z."""
    c, extreme = math.exp(-xi2), math.exp(-2 * xi1)
    return log_nodes(1e-9 / (n * max(1.0, extreme) + c), min(60 / min(1.0, extreme), 60 / c))


def _population(xi1: float, xi2: float, n: float, d: float) -> tuple[float, float, float]:
    (angle, less, density), (t, dt) = angles_for(panels_for(xi1), d), times_for(xi1, xi2, n)
    k, w, c = np.exp(xi1 * less), angle.weights * density, math.exp(-xi2)
    kept = np.exp(-t[:, None] * k)  # (t, u)
    below = angle.running(kept * density)  # B_m
    below_slope = angle.running(kept * (density * less * k)) * -t[:, None]
    # Powers by logarithms: numpy's own power is several times slower.
    near = np.exp((n - 2) * np.log(np.maximum(below, 1e-300)))  # B_m^(n-2)
    whole, whole_slope = kept @ w, -t * (kept @ (w * less * k))
    whole_near = np.exp((n - 2) * np.log(np.maximum(whole, 1e-300)))
    square = kept @ (w * k * k)
    square_slope = 2 * (kept @ (w * less * k * k)) - t * (kept @ (w * less * k**3))
    first = kept * near
    nearest = (first * below) @ np.stack([w * k, w * less * k, w * less * k * k], 1)  # (t, 3)
    best, damp = nearest[:, 0], dt * np.exp(-t * c)
    best_slope = nearest[:, 1] - t * nearest[:, 2] + (n - 1) * ((first * below_slope) @ (w * k))
    squares = damp * t * square * whole_near * whole
    squares_slope = damp * t * whole_near * (square_slope * whole + (n - 1) * square * whole_slope)
    return (
        0.5 * (n * squares.sum() - 2 * n * (damp @ best) + 1),
        0.5 * n * squares_slope.sum() - n * (damp @ best_slope),
        c * (0.5 * n * (squares @ t) - n * ((damp * t) @ best)),
    )


def transverse_curvature(
    xi1: float, xi2: float, n: int, d: int, draws: int = 20000, seed: int = 0
) -> tuple[float, float]:
    """Curvature of L across the two-parameter family in its worst direction, by Monte Carlo; value and standard error.

    The direction adds w y_i to the scores (row of the label, column of the query's mark); at w = 0 the curvature is
    E[Var_p(y)² + (ŷ - y_*) κ3_p(y)] over labels ±1, here with the labels' expectation taken by hand.
    """
    u = 2 * np.random.default_rng(seed).beta((d - 1) / 2, (d - 1) / 2, size=(draws, n)) - 1
    scores = np.concatenate([xi1 * u, np.full((draws, 1), xi1 - xi2)], 1)
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    best = p[np.arange(draws), u.argmax(1)]
    p = p[:, :n]
    seen, p2, p4 = p.sum(1), (p**2).sum(1), (p**4).sum(1)
    m4, m3 = 3 * p2**2 - 2 * p4, 3 * best * p2 - 2 * best**3  # E ŷ⁴, E y_* ŷ³
    each = seen**2 - 2 * seen * p2 + m4 + (1 - 3 * seen) * (p2 - best) + 2 * (m4 - m3)
    return float(each.mean()), float(each.std() / math.sqrt(draws))


def max_stable_step(n: int, d: int, xi2: float = 3.0) -> float:
    """Largest step size that does not leave the two-parameter family early: 2 over the curvature near the start."""
    path = ((0.0, xi2), (1.0, xi2), (2.0, xi2), (3.0, max(xi2, 3.5)), (5.0, max(xi2, 5.0)))
    return 2 / max(transverse_curvature(a, b, n, d)[0] for a, b in path)


@dataclass(frozen=True)
class Regime:
    """Whether a start is one that Theorem 1 speaks of.

    Args:
        holds: False if a condition that can be computed fails; None if only the unstated constant C_d is open.
        least_sigma: what σ must exceed by the computable conditions.
        least_n: √d log d, which n must reach up to a constant.
        why: one sentence.
    """

    holds: bool | None
    least_sigma: float
    least_n: float
    why: str


def theorem_regime(n: int, d: int, sigma: float) -> Regime:
    """Theorem 1 asks σ > 2 max{log(nd), -log(1 - (n√d)^(-1/d)), C_d (1 - 2^(-n))} and n ≥ O(√d log d).

    C_d is a polynomial in d that the paper does not state, so a start can be found outside and never inside. The
    exponent -1/d is printed as 1/d, which makes the logarithm meaningless for n√d > 1.
    """
    second = -math.log1p(-((n * math.sqrt(d)) ** (-1 / d)))
    least_sigma, least_n = 2 * max(math.log(n * d), second), math.sqrt(d) * math.log(d)
    if sigma <= least_sigma:
        return Regime(False, least_sigma, least_n, f"σ = {sigma:g} is not above {least_sigma:.3g}, as Theorem 1 asks")
    if n < least_n:
        return Regime(False, least_sigma, least_n, f"n = {n} is below √d log d = {least_n:.3g}")
    return Regime(None, least_sigma, least_n, "all conditions that can be computed hold; C_d is not stated")
