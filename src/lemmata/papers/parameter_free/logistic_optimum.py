"""Real tables and the minimum of penalised logistic regression on them, found to rounding.

    f(W) = mean_n [ logsumexp(x_n W) - (x_n W)_{y_n} ] + l2/2 ||W||^2

f* comes from L-BFGS and Newton steps in float64 until the gradient is below 1e-10 in norm, which puts it within
1e-20 / (2 l2) of the truth by strong convexity. L-BFGS: Liu, Nocedal 1989, "On the limited memory BFGS method for large
scale optimization".
"""

import functools
from dataclasses import dataclass

import numpy as np

from lemmata.data.files.bundled import bundled

TABLES = ("breast_cancer", "digits")


@dataclass(frozen=True, eq=False)
class Table:
    """Standardised features with a column of ones ``(n, d)`` and classes ``(n,)`` from 0."""

    x: np.ndarray
    y: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes k."""
        return int(self.y.max()) + 1


@functools.cache
def load_table(name: str) -> Table:
    """``breast_cancer`` (569 x 30, 2 classes) or ``digits`` (1797 x 64, 10 classes) of scikit-learn; constants are 0.

    Raises:
        ModuleNotFoundError: without scikit-learn.
    """
    data, target = bundled(name)
    spread = data.std(0)
    x = (data - data.mean(0)) / np.where(spread > 0, spread, 1.0)
    return Table(np.concatenate([x, np.ones((len(x), 1))], 1), target)


@dataclass(frozen=True, eq=False)
class Optimum:
    """The minimum: its value, the minimiser ``(d, k)`` and the norm of the gradient there."""

    value: float
    at: np.ndarray
    gradient_norm: float

    @property
    def distance(self) -> float:
        """Root mean square of its entries: the distance from W(0) = 0 as eta measures it."""
        return float(np.sqrt(np.mean(self.at**2)))


@functools.cache
def optimum(name: str, l2: float) -> Optimum:
    """The minimum of f with s = 1.

    Raises:
        ArithmeticError: the gradient did not come below 1e-10.
    """
    from scipy.optimize import minimize

    table = load_table(name)
    x, labels = table.x, np.eye(table.classes)[table.y]
    shape = (x.shape[1], table.classes)

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        scores = x @ weights
        top = scores.max(1, keepdims=True)
        log_sum = np.log(np.exp(scores - top).sum(1, keepdims=True)) + top
        value = np.mean(log_sum[:, 0] - (scores * labels).sum(1)) + 0.5 * l2 * (flat**2).sum()
        return value, (x.T @ (np.exp(scores - log_sum) - labels) / len(x) + l2 * weights).ravel()

    options = {"maxcor": 50, "ftol": 0.0, "gtol": 1e-12, "maxiter": 10**4, "maxfun": 10**5}
    at = minimize(value_and_gradient, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options).x
    for _ in range(5):  # L-BFGS stops where differences of f drown in rounding; Newton needs none
        gradient = value_and_gradient(at)[1]
        if np.linalg.norm(gradient) < 1e-12:
            break
        at = at - np.linalg.solve(_hessian(x, at.reshape(shape), l2), gradient)
    value, gradient = value_and_gradient(at)
    norm = float(np.linalg.norm(gradient))
    if not norm < 1e-10:
        raise ArithmeticError(f"the minimum on {name} with l2 = {l2:g} was not found: gradient {norm:g}, wanted 1e-10")
    return Optimum(float(value), at.reshape(shape), norm)


def _hessian(x: np.ndarray, weights: np.ndarray, l2: float) -> np.ndarray:
    (d, k), scores = weights.shape, x @ weights
    share = np.exp(scores - scores.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    blocks = np.empty((d, k, d, k))
    for a in range(k):
        for b in range(k):
            weight = share[:, a] * ((a == b) - share[:, b])
            blocks[:, a, :, b] = (x * weight[:, None]).T @ x / len(x)
    return blocks.reshape(d * k, d * k) + l2 * np.eye(d * k)
