"""Integrals by panels of Gauss-Legendre nodes, running ones too, and over (0, ∞) by the trapezoid in the logarithm.

A function that is smooth but for steep fronts is integrated to high order on panels short enough to hold a front; the
integral up to each node comes from the same values, by the matrix that integrates a panel's interpolant. For functions
like t^a e^(-t z) the trapezoid rule in log t converges geometrically: step 0.38 errs by about 1e-10 (Trefethen,
Weideman 2014, "The exponentially convergent trapezoidal rule").
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ORDER = 16
"""Nodes of a panel."""


@dataclass(frozen=True)
class Panels:
    """Nodes and weights on an interval, panel after panel.

    Args:
        nodes: ``(k,)`` increasing.
        weights: ``(k,)``; ``weights @ f(nodes)`` is the integral.
        within: ``(16, 16)``; row i integrates a panel's interpolant up to its node i.
    """

    nodes: NDArray
    weights: NDArray
    within: NDArray

    def running(self, values: NDArray) -> NDArray:
        """Integral from the left end to each node, of values ``(..., k)`` at the nodes; the same shape."""
        by_panel = values.reshape(*values.shape[:-1], -1, ORDER)
        whole = (values * self.weights).reshape(by_panel.shape).sum(-1)
        before = np.cumsum(whole, axis=-1) - whole
        return (by_panel @ self.within.T + before[..., None]).reshape(values.shape)


@lru_cache(maxsize=64)
def panels(low: float, high: float, count: int) -> Panels:
    """``count`` equal panels of 16 nodes from ``low`` to ``high``."""
    x, weights = np.polynomial.legendre.leggauss(ORDER)
    half = (high - low) / (2 * count)
    left = low + 2 * half * np.arange(count)
    nodes = (left[:, None] + half * (x + 1)).reshape(-1)
    return Panels(nodes, np.tile(weights * half, count), _antiderivative(x, weights) * half)


def _antiderivative(x: NDArray, weights: NDArray) -> NDArray:
    """Values at the nodes → integral of the interpolating polynomial from -1 to each node, by Legendre coefficients."""
    order = len(x)
    values = np.polynomial.legendre.legvander(x, order)  # (node, degree)
    coefficients = (values[:, :order] * weights[:, None]).T * ((2 * np.arange(order) + 1) / 2)[:, None]
    integrals = np.empty((order, order))
    integrals[:, 0] = x + 1
    for k in range(1, order):  # ∫_{-1}^x P_k = (P_{k+1} - P_{k-1}) / (2k + 1)
        integrals[:, k] = (values[:, k + 1] - values[:, k - 1]) / (2 * k + 1)
    return integrals @ coefficients


def log_nodes(low: float, high: float, step: float = 0.38) -> tuple[NDArray, NDArray]:
    """Nodes t and weights for integrals over t of functions that vanish (times t) at both ``low`` and ``high``.

    Args:
        step: largest distance of neighbours in log t.
    """
    count = int(np.ceil(np.log(high / low) / step)) + 1
    t = np.exp(np.linspace(np.log(low), np.log(high), count))
    return t, t * (np.log(high / low) / (count - 1))
