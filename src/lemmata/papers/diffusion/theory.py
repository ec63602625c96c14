"""What is predicted for denoisers and classifiers on data with two orthogonal signals.

The control is n SNR^2 = n |mu|^2 / (sigma^2 d). Han, Huang, Cao, Zou 2024 (arXiv 2412.01021) prove that a tied
quadratic denoiser learns signal and noise both, with |<w, mu>| / |<w, xi>| of the order of n SNR^2, and that a
classifier with the same activation learns only the one or only the other. Beyond the orders, derived here:

- *Early ratio.* At small weights the gradient of the denoising loss is
  -(2 alpha beta / sqrt m)(|w|^2 xbar + 2 <w, xbar> w) with xbar the mean patch, so the ratio tends to n SNR^2 / 2.
- *Symmetric stationary point.* All neurons share a = <w_r, mu_j> and b = <w_r, xi_i>, and Q = v (I - J/m) + w2 J with
  w2 the squared length of the mean neuron, which lies in the span of the data: three unknowns.
- *Classification race.* At small weights <w, mu> grows by the factor 1 + eta |mu|^2 / (2m) a step and <w, xi> by
  1 + eta sigma^2 d / (nm): the transition is near n SNR^2 = 2.

The stationary ratio behaves like 2 n SNR^2 for small n SNR^2 and saturates between 1.2 and 1.5 above 5: the theorem's
order holds up to constants in a range of about two decades, it is not a proportionality.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

MARGIN = 2.25
"""Margin at which a sample's logistic loss is 0.1."""


def constant_order(t: ArrayLike, least: float = 0.1) -> np.ndarray:
    """Whether alpha_t = e^-t and beta_t = sqrt(1 - e^-2t) are both of constant order, above ``least``.

    Published: Condition 3.1 (5) of the paper takes them so; at t near 0 or large its theorem says nothing.
    """
    alpha, beta = np.exp(-np.asarray(t, float)), np.sqrt(-np.expm1(-2 * np.asarray(t, float)))
    return (alpha > least) & (beta > least)


def early_ratio(n_snr2: ArrayLike) -> np.ndarray:
    """Signal over noise of a denoiser that has left its start and is still small: n SNR^2 / 2. Derived here."""
    return np.asarray(n_snr2) / 2


def race_rates(
    n: ArrayLike, signal: ArrayLike, d: ArrayLike, m: ArrayLike, step_size: ArrayLike, sigma_p: ArrayLike = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Growth per step of <w, mu> and of <w, xi> in the quadratic classifier at small weights. Derived here."""
    step, n, m = np.asarray(step_size), np.asarray(n), np.asarray(m)
    return step * np.asarray(signal) ** 2 / (2 * m), step * np.asarray(sigma_p) ** 2 * np.asarray(d) / (n * m)


def race_transition() -> float:
    """n SNR^2 at which signal and noise grow at one rate, for balanced classes."""
    return 2.0


def race_ratio(
    n: ArrayLike,
    signal: ArrayLike,
    d: ArrayLike,
    m: ArrayLike,
    init: ArrayLike,
    step_size: ArrayLike,
    sigma_p: ArrayLike = 1.0,
    margin: float = MARGIN,
) -> np.ndarray:
    """Signal over noise of the quadratic classifier when its margins reach ``margin``. Derived here.

    Both parts grow geometrically from Gaussian starts of standard deviations init |mu| and init sigma sqrt(d) until the
    mean over neurons of their squares, which is the margin, is ``margin``. As all samples then share one slope of the
    loss, its decay slows both alike, and the race ends where exponential growth would end it. No fitted constants.
    """
    signal_rate, noise_rate = race_rates(n, signal, d, m, step_size, sigma_p)
    grow_signal, grow_noise = np.log1p(signal_rate), np.log1p(noise_rate)
    start_signal = np.log(np.asarray(init) * np.asarray(signal))
    start_noise = np.log(np.asarray(init) * np.asarray(sigma_p) * np.sqrt(np.asarray(d)))
    low, high = np.zeros(np.broadcast(grow_signal, start_signal, start_noise).shape), np.float64(0.0)
    # The end of the race lies before either part alone has reached the margin.
    ends = [(0.5 * math.log(margin) - start) / rate for start, rate in
            ((start_signal, grow_signal), (start_noise, grow_noise))]  # fmt: skip
    high = np.maximum(np.minimum(*ends), 0.0) + low
    for _ in range(80):
        middle = 0.5 * (low + high)
        reached = np.exp(2 * (start_signal + middle * grow_signal)) + np.exp(2 * (start_noise + middle * grow_noise))
        low, high = np.where(reached < margin, middle, low), np.where(reached < margin, high, middle)
    return np.exp(start_signal - start_noise + high * (grow_signal - grow_noise))


@dataclass(frozen=True)
class StationaryPoint:
    """A symmetric stationary point of the denoising loss.

    Attributes:
        signal: a = <w_r, mu_j>; noise: b = <w_r, xi_i>, or its mean over samples; ratio: a / b.
        spread: v, the squared length that every neuron has orthogonal to the data, times m / (m - 1).
        squared_norm: Q_rr = v (1 - 1/m) + w2.
        excess: loss - d.
        gradient: length of the gradient in the unknowns, of the order of rounding where the solver converged.
    """

    signal: np.ndarray
    noise: np.ndarray
    ratio: np.ndarray
    spread: np.ndarray
    squared_norm: np.ndarray
    excess: np.ndarray
    gradient: np.ndarray


def stationary_point(
    n: ArrayLike,
    signal: ArrayLike,
    d: ArrayLike,
    m: ArrayLike,
    t: ArrayLike,
    sigma_p: ArrayLike = 1.0,
) -> StationaryPoint:
    """The symmetric stationary point for noise patches of exactly their expected lengths, orthogonal to each other.

    All arguments broadcast. Derived here.

    Args:
        n: samples; signal: |mu|; d: dimension; m: neurons; t: diffusion time, above 0; sigma_p: noise level.

    Raises:
        ValueError: t <= 0.
    """
    n, signal, d, m, t, sigma_p = np.broadcast_arrays(*(np.asarray(x, float) for x in (n, signal, d, m, t, sigma_p)))
    shape = n.shape
    flat = [x.ravel() for x in (n, signal, d, m, t, sigma_p)]
    # Two signals of weight 1/2 each, n noises of weight 1/n each: one unknown for either kind.
    length = np.stack([flat[1] ** 2 / 2, flat[5] ** 2 * (flat[2] - 2) / flat[0]], axis=1)
    weights = np.ones_like(length)
    found = _solve(weights, length, flat[3], flat[4])
    return StationaryPoint(*(np.reshape(x, shape) for x in found))


def stationary_point_of_gram(
    gram: np.ndarray, weights: np.ndarray, m: int, t: float
) -> tuple[np.ndarray, StationaryPoint]:
    """The symmetric stationary point for the data at hand: all neurons share their k inner products with the data.

    Args:
        gram: ``(k, k)`` Gram matrix of the data vectors; weights: ``(k,)``, how much of the samples reads each.
        m: neurons; t: diffusion time, above 0.

    Returns:
        The inner products ``(k,)``, and the point as if the first two vectors were the signals.

    Raises:
        ValueError: t <= 0, or a Gram matrix that is not positive definite.
    """
    gram, weights = np.asarray(gram, float), np.asarray(weights, float)
    if np.linalg.eigvalsh(gram)[0] <= 0:
        raise ValueError("the Gram matrix of the data is not positive definite; leave out vectors that others span")
    inverse = np.linalg.inv(gram)
    start = _solve(np.ones((1, 2)), 1 / np.array([[inverse[:2, :2].sum(), inverse[2:, 2:].sum()]]), np.array([m]),
                   np.array([t]))  # fmt: skip
    guess = np.concatenate([np.full(2, start[0][0]), np.full(len(gram) - 2, start[1][0]), start[3]])
    loss = lambda x: _loss(x[..., :-1], x[..., -1], weights, _quadratic(x[..., :-1], inverse), m, t)  # noqa: E731
    x, gradient = _newton(loss, guess[None])
    a = x[0, :-1]
    noise, w2 = a[2:].mean(), _quadratic(a, inverse)
    squared = x[0, -1] * (1 - 1 / m) + w2
    values = (a[:2].mean(), noise, a[:2].mean() / noise, x[0, -1], squared, loss(x)[0], gradient[0])
    return a, StationaryPoint(*map(np.asarray, values))


def _quadratic(a: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    return np.einsum("...i,ij,...j->...", a, inverse, a)


def _solve(weights: np.ndarray, length: np.ndarray, m: np.ndarray, t: np.ndarray) -> tuple:
    """The fields of :class:`StationaryPoint`, for ``(c, 2)`` weights and squared lengths times weights."""
    if not (t > 0).all():
        raise ValueError(f"a stationary point was asked for at t = {t.min():g}; diffusion times are above 0")
    w2 = lambda a: (a**2 / length).sum(-1)  # noqa: E731

    def loss(x: np.ndarray) -> np.ndarray:
        return _loss(x[..., :2], x[..., 2], weights, w2(x[..., :2]), m, t)

    size = m ** (1 / 6)  # at which f has the size of the noise
    order = np.minimum(2 * length[:, 0] / length[:, 1], 1.3)
    start = np.stack([0.5 * order * size, 0.5 * size, size], axis=1)
    x, gradient = _newton(loss, start)
    a, b, v = x.T
    return a, b, a / b, v, v * (1 - 1 / m) + w2(x[:, :2]), loss(x), gradient


def _loss(
    a: np.ndarray, v: np.ndarray, weights: np.ndarray, w2: np.ndarray, m: np.ndarray | int, t: np.ndarray | float
) -> np.ndarray:
    """Denoising loss minus d at inner products ``a`` ``(c, j)``, the same for all neurons; complex arguments pass."""
    alpha, b2 = np.exp(-np.asarray(t)), -np.expm1(-2 * np.asarray(t))
    q, o = v * (1 - 1 / m) + w2, w2 - v / m  # Q_rr and Q_rs
    p = (alpha * a.T).T
    first, second, fourth = ((weights * p**i).sum(-1) for i in (1, 2, 4))
    total = weights.sum(-1)
    fit = -4 * np.sqrt(b2 * m) * q * first
    own = q * (fourth + 6 * b2 * q * second + 3 * b2**2 * q**2 * total)
    other = fourth + 2 * b2 * (q + 2 * o) * second + b2**2 * (q**2 + 2 * o**2) * total
    return 0.5 * (fit + own + (m - 1) * o * other)


def _newton(loss, x: np.ndarray, iterations: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Minimises ``c`` functions of ``j`` unknowns at once by Newton's method with absolute curvatures and backtracking.

    Gradients are complex-step derivatives, exact to rounding (Squire, Trapp 1998, "Using complex variables to estimate
    derivatives of real functions").
    """
    count = x.shape[1]
    tiny = 1e-40j * np.eye(count)

    def slope(x: np.ndarray) -> np.ndarray:
        return np.stack([loss(x + tiny[i]).imag / 1e-40 for i in range(count)], axis=-1)

    for _ in range(iterations):
        gradient, h = slope(x), 1e-6
        hessian = np.stack([(slope(x + h * e) - slope(x - h * e)) / (2 * h) for e in np.eye(count)], axis=-1)
        value, vector = np.linalg.eigh(0.5 * (hessian + np.swapaxes(hessian, 1, 2)))
        along = np.einsum("cij,ci->cj", vector, gradient) / np.maximum(
            np.abs(value), 1e-8 * np.abs(value).max(1)[:, None]
        )
        step = np.einsum("cij,cj->ci", vector, along)
        step *= np.minimum(1, 0.5 * np.linalg.norm(x, axis=1) / np.maximum(np.linalg.norm(step, axis=1), 1e-300))[
            :, None
        ]
        before, size = loss(x), np.ones(len(x))
        for _ in range(40):
            worse = ~(loss(x - size[:, None] * step) <= before + 1e-14 * np.abs(before))
            if not worse.any():
                break
            size = np.where(worse, size / 2, size)
        else:
            size = np.where(worse, 0.0, size)
        x = x - size[:, None] * step
        if np.linalg.norm(step, axis=1).max() < 1e-11:
            break
    return x, np.linalg.norm(slope(x), axis=1)
