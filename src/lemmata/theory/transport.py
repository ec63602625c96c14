"""Distances of clouds of points: Wasserstein-2 on a line by sorting, and its average over directions.

    W₂²(x, y) = mean_i (x_(i) − y_(i))²  on a line,        SW₂² = mean over directions u of W₂²(⟨u, x⟩, ⟨u, y⟩)

Between two independent clouds of M points of one law in d dimensions W₂ falls like M^(−1/d) and says nothing in high
dimension; the sliced distance falls like M^(−1/2) in all. References: Rabin, Peyré, Delon, Bernot 2011, "Wasserstein
barycenter and its application to texture mixing"; Fournier, Guillin 2015, arXiv 1312.2128, for the rates.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def directions(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Uniform unit vectors ``(count, dimension)``."""
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def wasserstein_on_a_line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """W₂ of points on a line, ``(..., m)`` and ``(..., k·m)`` → ``(...)``; the smaller cloud's points count k times.

    Raises:
        ValueError: neither number of points is a multiple of the other.
    """
    m, n = x.shape[-1], y.shape[-1]
    if max(m, n) % min(m, n):
        raise ValueError(f"clouds of {m} and {n} points were given; one number must be a multiple of the other")
    x, y = (np.sort(np.repeat(cloud, max(m, n) // cloud.shape[-1], -1), -1) for cloud in (x, y))
    return np.sqrt(np.mean((x - y) ** 2, -1))


def sliced_wasserstein(x: np.ndarray, y: np.ndarray, along: np.ndarray) -> np.ndarray:
    """SW₂ of clouds ``(..., m, d)``, ``(..., k·m, d)`` → ``(...)``, over the directions ``along`` ``(k, d)``."""
    on_lines = [np.moveaxis(cloud @ along.T, -1, -2) for cloud in (x, y)]
    return np.sqrt(np.mean(wasserstein_on_a_line(*on_lines) ** 2, -1))


def exact_wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """W₂ of clouds ``(m, d)`` of equally many points, by optimal assignment; cubic in m."""
    cost = cdist(x, y, "sqeuclidean")
    return float(np.sqrt(cost[linear_sum_assignment(cost)].mean()))
