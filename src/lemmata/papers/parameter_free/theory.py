"""What is proved about AdaGrad++, as numbers that a run can be held against.

For convex f, x_{t+1} = x_t - c eta_t g_t / h_t with h_t = s_t + eps, s_t = sqrt(sum_{i<=t} g_i^2) (elementwise), eta_t
nondecreasing, and any comparator u, for every T, all sums over t <= T:

    (B1)  sum_t eta_t (f(x_t) - f(u)) <= sum_j max_t (x_tj - u_j)^2 h_Tj / 2c + c/2 sum_t eta_t^2 sum_j g_tj^2 / h_tj
    (B2)  the second term of B1       <= c eta_T^2 ||s_T||_1
    (B3)  f(xbar_T) - f(u)            <= B1 / sum_t eta_t,    xbar_T = sum_t eta_t x_t / sum_t eta_t
    (B4)  max_t sum_{i<t} eta_i / eta_t >= (T / (1 + log(eta_T / eta_0)) - 1) / e

B1: convexity gives eta_t (f(x_t) - f(u)) <= eta_t <g_t, x_t - u> = sum_j h_tj (x_tj - x_{t+1,j}) (x_tj - u_j) / c;
write the product as half of (x_t - u)^2 - (x_{t+1} - u)^2 + (x_t - x_{t+1})^2 and sum by parts, h being nondecreasing.
B2: AdaGrad's lemma, sum_t g_t^2 / s_t <= 2 s_T (Duchi, Hazan, Singer 2011, JMLR 12). B3: Jensen. B4: Lemma 3 of Ivgi,
Hinder, Carmon (2023), arXiv 2302.12022. Together they are the rate of Tao, Yuan, Zhou, Cao, Gu (2024), arXiv
2412.19444, with ||s_T||_1 <= d G sqrt(T) for gradients bounded by G; the constants are derived here, not quoted.
The rate is conditional: max_t |x_t - u| and eta_T stand in it, are read off a run, and are bounded by nothing here.

Arrays are numpy; axis ``t`` are the steps 0, 1, ..., axis ``d`` the coordinates; bounds are ``(t,)``, one for each T.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def weighted_regret_bound(
    iterates: Array, gradients: Array, eta: Array, comparator: Array, lr: float = 1.0, eps: float = 1e-8
) -> Array:
    """Right side of B1, a bound on ``cumsum(eta * (f(x_t) - f(u)))``.

    Args:
        iterates: ``(t, d)``, x_t before each step.
        gradients: ``(t, d)``, of f at x_t, without noise.
        eta: ``(t,)``, the scale each step used; positive, nondecreasing.
        comparator: ``(d,)``, u; the minimiser, say.
        lr: the multiplier c.
        eps: the optimiser's.

    Raises:
        ValueError: shapes that do not fit, or ``eta`` not positive and nondecreasing.
    """
    iterates, gradients = np.asarray(iterates, float), np.asarray(gradients, float)
    if iterates.ndim != 2 or iterates.shape != gradients.shape or np.shape(comparator) != iterates.shape[1:]:
        raise ValueError(
            f"iterates (t, d), gradients (t, d) and comparator (d,) were asked for; got {iterates.shape}, "
            f"{gradients.shape} and {np.shape(comparator)}."
        )
    farthest = np.maximum.accumulate((iterates - comparator) ** 2, axis=0)
    start = (farthest * (_adagrad_scale(gradients) + eps)).sum(axis=1) / (2 * lr)
    return start + step_term(gradients, eta, lr, eps)


def step_term(gradients: Array, eta: Array, lr: float = 1.0, eps: float = 1e-8) -> Array:
    """The second term of B1, ``c / 2 * cumsum(eta^2 * sum_j g^2 / h)``: what the steps themselves cost."""
    eta = _check_eta(eta, len(gradients))
    each = (gradients**2 / (_adagrad_scale(gradients) + eps)).sum(axis=1)
    return np.cumsum(eta**2 * each) * lr / 2


def step_term_bound(gradients: Array, eta: Array, lr: float = 1.0) -> Array:
    """B2: ``c eta_T^2 ||s_T||_1``, a bound on :func:`step_term`."""
    return lr * _check_eta(eta, len(gradients)) ** 2 * _adagrad_scale(gradients).sum(axis=1)


def average_gap_bound(
    iterates: Array, gradients: Array, eta: Array, comparator: Array, lr: float = 1.0, eps: float = 1e-8
) -> Array:
    """B3: bound on ``f(xbar_T) - f(u)`` for the eta-weighted average. Arguments as :func:`weighted_regret_bound`."""
    return weighted_regret_bound(iterates, gradients, eta, comparator, lr, eps) / np.cumsum(eta)


def best_weight_ratio(eta: Array) -> Array:
    """Left side of B4: ``max_{t<=T} sum_{i<t} eta_i / eta_t``, how many steps the average is over in effect."""
    eta = _check_eta(eta)
    return np.maximum.accumulate((np.cumsum(eta) - eta) / eta)


def best_weight_ratio_bound(eta: Array) -> Array:
    """B4: ``(T / (1 + log(eta_T / eta_0)) - 1) / e``, at most :func:`best_weight_ratio`."""
    eta = _check_eta(eta)
    return (np.arange(len(eta)) / (1 + np.log(eta / eta[0])) - 1) / math.e


def growth_steps(eta0: float, distance: float) -> int:
    """Steps until eta reaches ``distance`` (RMS per coordinate) while every gradient keeps its sign and size.

    Then AdaGrad++ and Adam++ move each coordinate by eta_t / sqrt(t + 1), eta_t is what they have moved, and so eta_T
    is eta0 prod_{k=2}^{T} (1 + 1 / sqrt(k)), of order exp(2 sqrt(T)) / sqrt(T). Noise lengthens it. Ours, not the
    paper's.

    Raises:
        ValueError: unless ``0 < eta0 <= distance``.
    """
    if not 0 < eta0 <= distance:
        raise ValueError(f"0 < eta0 <= distance was asked for, got eta0={eta0} and distance={distance}.")
    steps, log_ratio = 0, 0.0
    while log_ratio < math.log(distance / eta0):
        steps += 1
        log_ratio += math.log1p(1 / math.sqrt(steps)) if steps > 1 else 0.0
    return steps


def _adagrad_scale(gradients: Array) -> Array:
    return np.sqrt(np.cumsum(np.asarray(gradients, float) ** 2, axis=0))


def _check_eta(eta: Array, steps: int | None = None) -> Array:
    eta = np.asarray(eta, float)
    if eta.ndim != 1 or (steps is not None and len(eta) != steps):
        raise ValueError(f"eta must have shape ({'t' if steps is None else steps},), got {eta.shape}.")
    if not (eta > 0).all() or (np.diff(eta) < 0).any():
        raise ValueError("eta must be positive and nondecreasing, as the optimiser makes it.")
    return eta
