"""Benign overfitting of a two-layer ReLU CNN whose two layers are both trained: scales, conditions and predictions.

The network f(x) = Σ_r v_r [ReLU⟨w_r, yμ⟩ + ReLU⟨w_r, ξ⟩] has 2m filters, m of each output sign, and starts at
w ~ N(0, σ0² I), v = ±v0. Each of the n samples carries a signal patch yμ and a noise patch ξ ~ N(0, σp² I), orthogonal
to μ; full-batch gradient descent with one step size for both layers minimises the logistic loss.

    SNR = ‖μ‖/(σp √d),   κ = n‖μ‖⁴/(σp⁴ d),   S' = √(‖μ‖² + 2pσp²d/n),   v0c = √(Λ/(m S'))

Λ is the training margin reached and p the fraction of (filter, sample of its own class) pairs that end active. A start
v0 ≫ v0c leaves the output layer where it was, v0 ≪ v0c makes both layers grow together, and κ sets the test error.

Setting and order-level statements: Shang, Meng, Cao, Zou (2024), "Initialization Matters: On the Benign Overfitting of
Two-Layer ReLU CNN with Fully Trainable Layers", arXiv 2410.19139; with a fixed output layer: Cao, Chen, Belkin, Gu
(2022), arXiv 2202.06526, and Kou, Chen, Chen, Gu (2023), arXiv 2303.04145. Every docstring says "published" for a
statement of those papers and "derived here" for a formula with constants: ours, and checked against measurements.

Names: ``signal`` ‖μ‖, ``sigma_p`` σp, ``init`` σ0, ``active`` p, ``margin`` Λ. All functions broadcast; those without
quadrature also take and return ``xarray.DataArray``.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lemmata.theory.gaussian import normal_density, normal_tail, relu_moments
from lemmata.theory.signal_noise import kappa, n_snr2, signal_at_kappa, snr

__all__ = ["kappa", "n_snr2", "signal_at_kappa", "snr"]

Number = Any
"""A float, an array, or anything with numpy's arithmetic, such as ``xarray.DataArray``."""

ACTIVE = 0.67
"""Typical p: 1/2 for activations frozen at random, 0.64 to 0.72 measured at the end of training."""


# -- scales ----------------------------------------------------------------------------------------------------------


def feature_scale(n: Number, signal: Number, d: Number, sigma_p: Number = 1.0, active: Number = ACTIVE) -> Number:
    """S' = √(‖μ‖² + 2pσp²d/n): the margin gained per unit of m·v·‖Δw‖. Derived here.

    A filter moves by Δw = a(n/2·μ + sum of the pn/2 noise patches it memorises). A margin collects
    m·v·a(n‖μ‖²/2 + pσp²d), and ‖Δw‖² = a²·(n/2)(n‖μ‖²/2 + pσp²d); S' is the ratio of the first to m·v·‖Δw‖.
    """
    return (signal**2 + 2 * active * sigma_p**2 * d / n) ** 0.5


def margin_split(n: Number, signal: Number, d: Number, sigma_p: Number = 1.0, active: Number = ACTIVE) -> Number:
    """ρ = n·SNR²/(2p): the signal's part of a training margin over the noise's part. Derived here."""
    return n_snr2(n, signal, d, sigma_p) / (2 * active)


def balanced_scale(n: Number, signal: Number, d: Number, m: Number, sigma_p: Number = 1.0) -> Number:
    """v* = (m·√(‖μ‖² + σp²d/n))^(−1/2): the output scale of a balanced network of margin one. Derived here."""
    return (m * feature_scale(n, signal, d, sigma_p, 0.5)) ** -0.5


def v0c(
    n: Number,
    signal: Number,
    d: Number,
    m: Number,
    sigma_p: Number = 1.0,
    active: Number = ACTIVE,
    margin: Number = 1.0,
) -> Number:
    """Output scale v0c = √(Λ/(m S')) that separates the two regimes. Derived here, with its constants.

    For n·SNR² ≪ 1 it is of the order n^(1/4) m^(−1/2) σp^(−1/2) d^(−1/4); growth by 27 % happens exactly at v0 = v0c.
    """
    return (margin / (m * feature_scale(n, signal, d, sigma_p, active))) ** 0.5


def regime(v0: ArrayLike, boundary: ArrayLike) -> NDArray:
    """``"large"`` where v0 exceeds the boundary (see :func:`v0c`), else ``"small"``: array of strings.

    The two regimes are published (Shang et al. 2024); this boundary between them is derived here.
    """
    return np.where(np.asarray(v0) > np.asarray(boundary), "large", "small")


# -- the two layers --------------------------------------------------------------------------------------------------


def norm_gap(norm_hidden: Number, norm_output: Number) -> Number:
    """‖W‖_F² − ‖v‖², conserved by gradient flow; descent with step η drifts by O(η). Known for homogeneous networks.

    It holds for each filter by itself, because f is positively homogeneous of degree one in w_r and in v_r, so that
    ⟨w_r, ∂L/∂w_r⟩ = v_r ∂L/∂v_r.
    """
    return norm_hidden**2 - norm_output**2


def output_growth(v0: Number, boundary: Number) -> Number:
    """|v_T|/v0 = √((1 + √(1 + 4(v0c/v0)⁴))/2) after training to the margin that ``boundary`` was taken at.

    Derived here: ‖Δw‖² = v_T² − v0² is conserved, and v_T‖Δw‖ = v0c² is what the margin asks for.
    """
    return ((1 + (1 + 4 * (boundary / v0) ** 4) ** 0.5) / 2) ** 0.5


class Path(NamedTuple):
    """The two-number model along training; arrays ``(steps + 1, ...)``, or ``(...)`` for the end alone."""

    hidden: NDArray
    """‖Δw_r‖ of one filter: how far it moved."""
    output: NDArray
    """|v_r| of one filter."""
    margin: NDArray
    """Λ, the common training margin."""


def training_path(
    v0: ArrayLike,
    n: ArrayLike,
    signal: ArrayLike,
    d: ArrayLike,
    m: ArrayLike,
    *,
    sigma_p: ArrayLike = 1.0,
    active: ArrayLike = ACTIVE,
    step_size: ArrayLike | None = None,
    steps: int = 600,
    keep: bool = False,
) -> Path:
    """Gradient descent on two numbers per filter, u = ‖Δw‖ and v, with frozen activations and equal margins.

        Λ = m u v S',   u ← u + h v,   v ← v + h u,   h = η S' sigmoid(−Λ)/2,   u(0) = 0, v(0) = v0

    Derived here. It starts from exact alignment and so neglects σ0; the early growth rate of a small start is ηS'/4.

    Args:
        step_size: η; by default 0.5/(m·max(v0, v*)²·(‖μ‖² + σp²d/n)), stable over the whole plane.
        keep: also return every step on a leading axis.
    """
    v0, n, signal, d, m, sigma_p, active = np.broadcast_arrays(v0, n, signal, d, m, sigma_p, active)
    scale = feature_scale(n, signal, d, sigma_p, active)
    if step_size is None:
        largest = np.maximum(v0, balanced_scale(n, signal, d, m, sigma_p))
        step_size = 0.5 / (m * largest**2 * feature_scale(n, signal, d, sigma_p, 0.5) ** 2)
    half_step = np.asarray(step_size) * scale / 2
    u, v = np.zeros(half_step.shape), v0 * np.ones(half_step.shape)
    path = [(u, v)]
    for _ in range(steps):
        force = half_step / (1 + np.exp(m * scale * u * v))
        u, v = u + force * v, v + force * u
        if keep:
            path.append((u, v))
    if keep:
        u, v = (np.stack(part) for part in zip(*path, strict=True))
    return Path(u, v, m * scale * u * v)


# -- test error ------------------------------------------------------------------------------------------------------


def error_from_kappa(kappa: ArrayLike, active: ArrayLike = ACTIVE) -> NDArray:
    """Test error for σ0 → 0 and m → ∞, with no fitted constant: it depends on κ and p only. Derived here.

        error = P(ψ(c₋) − ψ(c₊) > √(κ/(2p))),   ψ(c) = E ReLU(√p c + √(1−p) g),   c₊, c₋, g standard normal

    The filters of one sign memorise overlapping sets of noise patches, so that on a fresh patch they correlate by p:
    c₊ and c₋ are what those of a sign share, ψ averages over the rest. ψ increases, which leaves one integral,
    ∫ φ(c) Q(ψ⁻¹(√(κ/(2p)) + ψ(c))) dc, a sum of positive terms: the relative error is below 1e-4 down to 1e-100.

    Args:
        kappa: κ ≥ 0, any shape; where it is NaN, so is the error.
        active: p in (0, 1), broadcast against ``kappa``.
    """
    kappa, active = np.broadcast_arrays(np.asarray(kappa, float), np.asarray(active, float))
    if np.any(kappa < 0) or not np.all((active > 0) & (active < 1)):
        raise ValueError("the error prediction needs kappa >= 0 and an active fraction strictly between 0 and 1")
    error = np.empty(kappa.shape)
    c = np.arange(-10, 8, 0.1)
    fine = np.arange(-10, 60, 2e-3)
    for p in np.unique(active):
        here = active == p
        psi_c, psi_fine = (relu_moments(np.sqrt(p) * x, np.sqrt(1 - p))[0] for x in (c, fine))
        # Far in the lower tail rounding makes the tabulated ψ flat; its inverse needs it increasing.
        psi_fine = np.maximum.accumulate(psi_fine) + 1e-18 * np.arange(fine.size)
        shifted = np.interp(np.sqrt(kappa[here] / (2 * p))[:, None] + psi_c, psi_fine, fine)
        error[here] = normal_tail(shifted) @ normal_density(c) * 0.1
    return error


def kappa_at_error(error: ArrayLike, active: float = ACTIVE) -> NDArray:
    """The κ at which :func:`error_from_kappa` equals ``error`` (in (1e-30, 0.5)): the predicted transition."""
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 200, 600)])
    return np.interp(-np.log(error), -np.log(error_from_kappa(grid, active)), grid)


def init_noise(output: Number, d: Number, m: Number, init: Number, sigma_p: Number = 1.0) -> Number:
    """Standard deviation of Σ_r v_r ReLU⟨w_r(0), ξ⟩ on a fresh patch: v·σ0σp√(d·2m·(1/2 − 1/(2π))). Derived here.

    ``output`` is the |v_r| at which it is taken: v0, or |v_T| where the output layer has grown.
    """
    return output * init * sigma_p * (d * 2 * m * (0.5 - 0.5 / np.pi)) ** 0.5


def output_limit(
    n: Number,
    signal: Number,
    d: Number,
    m: Number,
    init: Number,
    sigma_p: Number = 1.0,
    active: Number = ACTIVE,
    margin: Number = 1.0,
) -> Number:
    """The v0 at which the start's noise equals the signal Λρ/(1+ρ); above it κ no longer helps. Derived here."""
    rho = margin_split(n, signal, d, sigma_p, active)
    return margin * rho / (1 + rho) / init_noise(1.0, d, m, init, sigma_p)


def predicted_error(
    v0: ArrayLike,
    n: ArrayLike,
    signal: ArrayLike,
    d: ArrayLike,
    m: ArrayLike,
    init: ArrayLike,
    *,
    sigma_p: ArrayLike = 1.0,
    active: ArrayLike = ACTIVE,
    margin: ArrayLike | None = None,
    steps: int = 600,
) -> NDArray:
    """Test error of a finite network with its initialisation noise, from the configuration alone. Derived here.

    The output of m filters of one sign on a fresh patch, given their shared c, is a sum of m rectified normals of mean
    √p c and variance 1 − p + B² (in units of the learned noise A; B is the initial weights' part); its law is taken as
    normal with the exact two moments, and c₊, c₋ are integrated over:

        error = E Q((t + ψ(c₊) − ψ(c₋)) / √((V(c₊) + V(c₋))/m)),   t = √(κ/(2p)),   B = σ0σp√d·t·m·v_T·(1+ρ)/(Λρ)

    It tends to :func:`error_from_kappa` for σ0 → 0, m → ∞, and to Q(signal/init_noise) when the start dominates.

    Args:
        margin: Λ at the end; by default that of :func:`training_path` after ``steps`` steps.
    """
    arrays = np.broadcast_arrays(v0, n, signal, d, m, init, sigma_p, active)
    v0, n, signal, d, m, init, sigma_p, active = (np.asarray(array, float) for array in arrays)
    if margin is None:
        path = training_path(v0, n, signal, d, m, sigma_p=sigma_p, active=active, steps=steps)
        output, margin = path.output, path.margin
    else:
        output = v0 * output_growth(v0, v0c(n, signal, d, m, sigma_p, active, np.asarray(margin)))
    rho = margin_split(n, signal, d, sigma_p, active)
    threshold = np.sqrt(kappa(n, signal, d, sigma_p) / (2 * active))
    initial = init * sigma_p * np.sqrt(d) * threshold * m * output * (1 + rho) / (margin * rho)
    flat = (np.ravel(np.broadcast_to(part, initial.shape)) for part in (threshold, active, initial, m))
    cells, where = np.unique(np.stack(list(flat)), axis=1, return_inverse=True)
    return np.array([_finite_width_error(*cell) for cell in cells.T])[where].reshape(initial.shape)


def _finite_width_error(threshold: float, active: float, initial: float, m: float) -> float:
    # The integrand bends over a width of about 1/√m in c: the trapezoidal rule must resolve that.
    step = min(0.2, max(0.03, 0.6 / m**0.5))
    c = np.arange(-8, 8 + step / 2, step)
    mean, variance = relu_moments(np.sqrt(active) * c, np.sqrt(1 - active + initial**2))
    weight = normal_density(c) * step
    z = (threshold + mean[:, None] - mean) / np.sqrt((variance[:, None] + variance) / m)
    return float(weight @ normal_tail(z) @ weight)


# -- the published conditions, up to constants -----------------------------------------------------------------------
