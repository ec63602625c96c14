"""What theory says of Transformers of particles: rates in depth and width, bounds at a decay, and what they assume.

Theirs: Gao, Cao, Li, He, Wang, Liu, Klusowski, Fan 2024, arXiv 2410.23610 (GCL). Ours where a docstring says so. The
constants C of the theorems may grow exponentially with the training time; none is uniform in it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Values = Any  # a number, or an array of any library that numpy's functions take


def approximation_rate(layers: Values, particles: Values, delta: float = 0.0) -> Values:
    """1/L + √((δ + log(L + 1))/M): outputs, risks and energies differ by C times this (GCL, theorem 3.1).

    With probability 1 − 3 exp(−δ), uniformly over training times up to a fixed one.
    """
    return 1 / layers + np.sqrt((delta + np.log1p(layers)) / particles)


def depth_error(layers: Values, reference: float = np.inf) -> Values:
    """1/L − 1/L_ref: distance to a reference of finite depth, up to a constant, where layers share their draws.

    The first term of the theorem's rate (GCL, theorem 3.1); that a finite reference takes its own error away is ours.
    """
    return 1 / np.asarray(layers, float) - 1 / reference


def width_error(particles: Values, reference: float = np.inf) -> Values:
    """√(1/M − 1/M_ref): distance of the mean of M particles to that of the M_ref they are drawn from, to a constant.

    The second term of the theorem's rate (GCL, theorem 3.1); the finite reference is ours: draws without replacement.
    """
    return np.sqrt(1 / np.asarray(particles, float) - 1 / reference)


def start_fluctuation(layers: Values, particles: Values, mode: str) -> Values:
    """Outputs at s = 0 about their limit, to a constant: M^(−1/2) where layers share draws, (LM)^(−1/2) where not.

    Ours. The theorem's M^(−1/2) is the worst case: independent layers average over depth too.
    """
    return 1 / np.sqrt(particles) if mode == "path" else 1 / np.sqrt(layers * particles)


def independent_cloud_distance(particles: Values) -> Values:
    """Sliced W₂ of two independent clouds of M points, to a constant: M^(−1/2), whatever the dimension."""
    return 1 / np.sqrt(particles)


def interpolator_bound(decay: Values, second_moment: float) -> Values:
    """(λ/2) E‖θ*‖² ≥ min Q for any exact interpolator θ*, hence R = O(λ) at a minimum.

    Ours, from the definition of Q; GCL, theorem 4.1 says R ≤ ε + C₁(…) + C₂λ along a flow that converges.
    """
    return 0.5 * decay * second_moment


def second_moment_bound(decay: Values, radius: float, growth: float, bound: float) -> Values:
    """R² + (2B² + 2B² exp(K(1 + R + R²))²)/λ ≥ E‖β‖² at every training time (GCL, proposition 3.2 ii).

    Args:
        radius: R of the start's support; growth: K of assumption 2 (i); bound: B of assumption 1.
    """
    return radius**2 + (2 * bound**2 + 2 * bound**2 * np.exp(growth * (1 + radius + radius**2)) ** 2) / decay


def homogeneity_defect(
    f: Callable[[np.ndarray], np.ndarray], parameters: np.ndarray, part: slice, factor: float = 3.0
) -> float:
    """max |f(c·θ₁, θ₂) − c f(θ₁, θ₂)|, zero where f is 1-homogeneous in ``part`` (GCL, assumption 4 i)."""
    scaled = np.array(parameters, copy=True)
    scaled[..., part] *= factor
    return float(np.abs(f(scaled) - factor * f(parameters)).max())


def local_lipschitz_estimate(
    slope: Callable[[np.ndarray], np.ndarray], size: int, radius: float, pairs: int = 200, seed: int = 0
) -> float:
    """Largest ‖∇f(θ) − ∇f(θ′)‖ / ‖θ − θ′‖ over close pairs in the ball of a radius: a lower bound on the constant.

    Assumption 3 of GCL lets it grow with the radius, which is what *local* Lipschitz smoothness means.
    """
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(pairs):
        at = rng.normal(size=size)
        at *= radius * rng.uniform() ** (1 / size) / np.linalg.norm(at)
        by = 1e-4 * radius * rng.normal(size=size) / np.sqrt(size)
        worst = max(worst, float(np.linalg.norm(slope(at + by) - slope(at)) / np.linalg.norm(by)))
    return worst
