"""Contrastive pre-training as a power method, and how many labels it saves.

At small weights every softmax of the SimCLR loss is uniform, and gradient descent multiplies each linear filter by
I + ηA in every step,

    A = (1/τ) { (1/n0)(1 − 1/n0) Σ_i (z_i z̃_iᵀ + z̃_i z_iᵀ) − (1/n0²) Σ_{i≠j} (z_i z_jᵀ + z_j z_iᵀ) },

z_i and z̃_i the summed patches of a pair. On signal-noise data with d ≫ n0 and correlation c between the noise patches
of a pair, A restricted to μ̂ and Σ y_i(ξ_i + ξ̃_i) is a 2 × 2 matrix, whose top eigenpair is

    λ1 = (1/τ)(2‖μ‖² + (1 + c)σp²d/n0),    cos²(u1, μ) = 2n0·SNR² / (1 + c + 2n0·SNR²),    SNR = ‖μ‖/(σp√d).

Published (Zhang, Cao 2024, "Understanding the Benefits of SimCLR Pre-Training in Two-Layer Convolutional Neural
Networks", arXiv 2409.18685): pre-training is a matrix power method towards μ; with it n0·SNR² = Ω̃(1) pairs and Ω̃(1)
labels are enough, without it n·SNR^q = Ω̃(1) labels are needed (from Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526). The
constants here are ours: derived, or measured where it says so.

Names: ``pairs`` n0, ``correlation`` c, ``q`` the power of the ReLU that is fine-tuned, ``cos2`` the alignment cos². All
functions broadcast; those of numbers also take and return ``xarray.DataArray``.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Number = Any
"""A float, an array, or anything with numpy's arithmetic, such as ``xarray.DataArray``."""

DIRECT = 2.0
"""n·SNR^q at which direct training's test loss is half of log 2. Measured at q = 3: 1.5 to 3."""
PRETRAINED = 0.75
"""n·SNR^q·d^(q/2−1)·cos^(q−2) at which the test loss after pre-training falls. Measured at q = 3: 0.5 to 1."""
ALIGNED = 0.5
"""n0·SNR²/(1 + c) from which the alignment, 2x/(1 + 2x) there, is at least one half."""


# -- pre-training ----------------------------------------------------------------------------------------------------


def couplings(pairs: int, negatives: str = "first", stop_gradient: bool = False) -> NDArray:
    """C with A = (1/τ) Vᵀ C V, where V stacks the views z_1 .. z_n0, z̃_1 .. z̃_n0. Derived here.

    C_ab + C_ba (C_ab alone where gradients stop at what an anchor is compared with) collects, over anchors a, the
    weight of the anchor times 1[b is its positive] − 1/N for each of the N views b that it is compared with.

    Returns:
        ``(2 n0, 2 n0)``.
    """
    anchors = np.arange(pairs if negatives == "first" else 2 * pairs)
    positive = (anchors + pairs) % (2 * pairs)
    compared = np.zeros((2 * pairs, 2 * pairs))
    compared[np.ix_(anchors, anchors)] = 1
    compared[anchors, anchors] = 0
    compared[anchors, positive] = 1
    one_sided = -compared / np.maximum(compared.sum(1, keepdims=True), 1)
    one_sided[anchors, positive] += 1
    one_sided /= len(anchors)
    return one_sided if stop_gradient else one_sided + one_sided.T


def power_matrix(
    first: NDArray,
    second: NDArray,
    temperature: float = 1.0,
    *,
    negatives: str = "first",
    stop_gradient: bool = False,
) -> NDArray:
    """A, by which early training multiplies every filter: w ← (I + ηA)w. Dot-product similarity.

    Published as the power method's matrix; this form is derived here and checked against training.

    Args:
        first: ``(..., n0, D)`` summed patches z_i; second: the same of the augmentations, z̃_i.
        temperature: τ > 0.
        negatives, stop_gradient: as in :class:`~lemmata.SimCLR`.

    Returns:
        ``(..., D, D)``, symmetric unless gradients are stopped.
    """
    views = np.concatenate([first, second], axis=-2)
    coupled = couplings(first.shape[-2], negatives, stop_gradient) @ views
    return np.swapaxes(views, -1, -2) @ coupled / temperature


def top_direction(matrix: NDArray) -> NDArray:
    """Unit eigenvector ``(..., D)`` of the largest eigenvalue of symmetric matrices ``(..., D, D)``."""
    return np.linalg.eigh(matrix)[1][..., -1]


def top_alignment(pairs: Number, snr: Number, correlation: Number = 0.0) -> Number:
    """cos²(u1, μ) = 2n0·SNR²/(1 + c + 2n0·SNR²), for d ≫ n0. Derived here."""
    gain = 2 * pairs * snr**2
    return gain / (1 + correlation + gain)


def sharp_alignment(pairs: Number, snr: Number, d: Number, correlation: Number = 0.0) -> NDArray:
    """cos²(u1, μ) for any n0/d, both large; 0 where noise hides the signal from the top eigenvector. Derived here.

    With U, V of independent N(0, σp²I) rows, the noise part of A is aUᵀU − bVᵀV, a = (1 + c)/n0, b = (1 − c)/n0, and
    (z − noise)⁻¹ acts like a number on vectors apart from it (Bai, Silverstein 1995). With q = σp² times its trace,

        z(q) = σp²d/q + n0σp²(a/(1 − aq) − b/(1 + bq)),         z'(q) < 0 outside of the noise's eigenvalues,
        λ1 = z(q) = 2‖μ‖²(1 + aq/(1 − aq)),     1/cos² = 1 − 2a‖μ‖²/((1 − aq)² z'(q)).

    For n0 ≪ d this is :func:`top_alignment`. A solution needs z' < 0; where there is none, cos² → 0.

    Returns:
        Array of the arguments' joint shape.
    """
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (pairs, snr, d, correlation)))
    n, ratio, d, c = arrays
    a, b, strength = (1 + c) / n, (1 - c) / n, ratio**2 * d  # in units of σp²

    def z(q: NDArray) -> NDArray:
        return d / q + n * (a / (1 - a * q) - b / (1 + b * q))

    def slope(q: NDArray) -> NDArray:
        return -d / q**2 + n * (a**2 / (1 - a * q) ** 2 + b**2 / (1 + b * q) ** 2)

    edge = _where_changes(lambda q: slope(q) < 0, 1 / a)
    q = _where_changes(lambda q: z(q) > 2 * strength * (1 + a * q / (1 - a * q)), edge)
    found = 1 / (1 - 2 * a * strength / ((1 - a * q) ** 2 * slope(q)))
    return np.where(q < edge * (1 - 1e-9), found, 0.0)


def _where_changes(holds: Callable[[NDArray], NDArray], end: NDArray) -> NDArray:
    """The point of (0, ``end``) up to which a condition holds, by bisection; ``end`` if it holds throughout."""
    low, high = 1e-12 * end, end * (1 - 1e-12)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = np.where(holds(middle), middle, low), np.where(holds(middle), high, middle)
    return low


def growth_steps(level: Number, init: Number, signal: Number, cos2: Number = 1.0, rate: Number = 0.2) -> Number:
    """Steps until mean_r |⟨w_r, μ⟩| = ``level``: ln(level/(σ0‖μ‖cos·√(2/π)))/ln(1 + rate). Derived here.

    ``rate`` is ηλ1. Holds while the softmax is uniform, 2m·level² ≪ τ, for filters N(0, σ0²I) at the start.
    """
    return np.log(level / (init * signal * cos2**0.5 * np.sqrt(2 / np.pi))) / np.log1p(rate)


def linear_phase_ends(m: Number, temperature: Number = 1.0) -> Number:
    """The level √(τ/2m) of |⟨w_r, μ⟩| at which similarities reach order one and the softmax is no longer uniform.

    Beyond it the network tells pairs of one class apart by their noise. Derived here.
    """
    return (temperature / (2 * m)) ** 0.5


def two_class_floor(pairs: Number) -> Number:
    """log(n0/2): the least SimCLR loss of an encoder that sees the two classes and nothing of the noise. Derived here.

    A loss below it proves that noise of the positive pairs has been memorised. First views as negatives.
    """
    return np.log(pairs / 2)


# -- labels ----------------------------------------------------------------------------------------------------------


def warn_unless_superquadratic(q: Number) -> None:
    """Warns where q ≤ 2: thresholds compare growth of small weights at rates ∝ ⟨w, ·⟩^(q−2), the same for q = 2."""
    if np.any(np.asarray(q) <= 2):
        warnings.warn(
            f"q = {q} was asked for; from small weights signal and noise race at rates that grow with the weight only "
            "for q > 2, so the label thresholds do not apply",
            stacklevel=3,
        )


def pairs_sufficient(snr: Number) -> Number:
    """n0 from which Condition 4.1 holds, up to constants and logarithms: max{SNR^-2, 1}. Published, sufficient only."""
    return np.maximum(np.asarray(snr, float) ** -2, 1.0)


def dimension_sufficient(pairs: Number) -> Number:
    """d from which Condition 4.1 holds, up to a constant and logarithms: n0^4. Published."""
    return np.asarray(pairs, float) ** 4


def loss_bound(labels: Number, epsilon: Number, rate: Number) -> Number:
    """6 epsilon + exp(-rate n^2), at some iterate with training loss epsilon. Published: Theorem 4.2; rate unknown."""
    return 6 * epsilon + np.exp(-rate * labels**2)


def growth_rate(signal: Number, step_size: Number, temperature: Number = 1.0) -> Number:
    """lambda_1 = (2 eta/tau) |mu|^2 (1 + o(1)), by which the signal grows a step. Published: Lemma 5.2."""
    return 2 * step_size / temperature * signal**2


def labels_direct(snr: Number, q: Number = 3.0, constant: float = DIRECT) -> Number:
    """n = C·SNR^(−q) labels that training from small random weights needs. Published up to C, which is measured."""
    warn_unless_superquadratic(q)
    return constant * snr ** (-q)


def labels_pretrained(snr: Number, d: Number, cos2: Number, q: Number = 3.0, constant: float = PRETRAINED) -> Number:
    """n = C·SNR^(−q)·d^(1−q/2)·cos^(2−q) labels needed after pre-training, at least 2. Derived here, C measured.

    Signal grows at rate (‖μ‖cos)^(q−2)‖μ‖², noise at σp^(q−2)·σp²d/n, from weights of one size along both.
    """
    warn_unless_superquadratic(q)
    return np.maximum(constant * snr ** (-q) * d ** (1 - q / 2) * cos2 ** (1 - q / 2), 2.0)


def regime(
    pairs: Number, labels: Number, snr: Number, d: Number, q: Number = 3.0, correlation: Number = 0.0
) -> NDArray:
    """``"not needed"``, ``"too few pairs"``, ``"too few labels"`` or ``"helps"``: what pre-training does here.

    Direct training has labels enough; else the top eigenvector is not aligned; else the labels do not do; else it
    helps. The order is the paper's, the constants are :data:`DIRECT`, :data:`ALIGNED` and :data:`PRETRAINED`.
    """
    aligned = pairs * snr**2 >= ALIGNED * (1 + np.asarray(correlation))
    few = labels < labels_pretrained(snr, d, top_alignment(pairs, snr, correlation), q)
    tests = np.broadcast_arrays(labels >= labels_direct(snr, q), ~aligned, few)
    return np.select(tests, ["not needed", "too few pairs", "too few labels"], default="helps")
