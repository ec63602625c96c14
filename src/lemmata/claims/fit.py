"""Linear laws in logarithms, fitted once per seed: the intervals then need nothing but that seeds are independent.

For points i and seeds k, y[i, k] = X[i] · β + ...; each seed gives β_k = (XᵀWX)⁻¹XᵀW y_k, and intervals are Student's
over the K numbers β_k: points of a seed may be correlated and of unequal spread in any way. Residuals r_k = y_k − Xβ_k
say whether the law has the right form: point by point, by a quadratic term (:func:`drift_columns`), or all together by
Hotelling's T² (Hotelling 1931) in the directions that residuals span, where K is large enough for it.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special

from lemmata.claims.estimate import Estimate

LEAST_SEEDS_FOR_WEIGHTS = 32
"""With fewer seeds, weights from estimated variances make intervals too short (95 % cover 90 % at 8, 93 % at 24)."""


@dataclass(frozen=True)
class Fit:
    """Parameters and residuals, one number per seed each.

    Args:
        names: parameters.
        parameters: ``(parameter, seed)``.
        residuals: ``(point, seed)``.
    """

    names: tuple[str, ...]
    parameters: np.ndarray
    residuals: np.ndarray

    def estimate(self, name: str, level: float = 0.95, family: int = 1) -> Estimate:
        """The interval of a parameter, of ``family`` intervals that hold together."""
        each = xr.DataArray(self.parameters[self.names.index(name)], dims="seed")
        return Estimate(each, level=level, family=family)

    def misfit(self, level: float = 0.95, family: int = 1) -> Estimate:
        """Residuals of all points, ``(point,)``, whose intervals hold together (``family`` such sets)."""
        each = xr.DataArray(self.residuals, dims=("point", "seed"))
        return Estimate(each, level=level, family=family * len(self.residuals))

    @property
    def form(self) -> float:
        """p-value of all mean residuals being zero; NaN where there are too few seeds for it."""
        points, seeds = self.residuals.shape
        rank = points - len(self.names)
        if rank < 1 or seeds <= rank + 1:
            return float("nan")
        basis = np.linalg.svd(self.residuals, full_matrices=False)[0][:, :rank]
        z = basis.T @ self.residuals
        mean, covariance = z.mean(1), np.atleast_2d(np.cov(z))
        squared = seeds * mean @ np.linalg.lstsq(covariance, mean, rcond=None)[0]
        return float(special.fdtrc(rank, seeds - rank, (seeds - rank) / (rank * (seeds - 1)) * squared))


def fit(names: tuple[str, ...], design: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Fit:
    """One weighted linear fit per seed.

    Args:
        names: of the columns of ``design``.
        design: ``(point, parameter)``.
        y: ``(point, seed)``, without missing values.
        weights: ``(point,)``; all equal by default.

    Raises:
        ValueError: the columns are linearly dependent, or there are fewer points than parameters.
    """
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError(f"{len(design)} points do not tell {', '.join(names)} apart; vary the axes independently")
    weighted = design * (np.ones(len(design)) if weights is None else weights)[:, None]
    each = np.linalg.solve(weighted.T @ design, weighted.T @ y)
    return Fit(names, each, y - design @ each)


def inverse_variances(y: np.ndarray) -> np.ndarray | None:
    """Weights per point: inverse variances over seeds, half way (in logarithms) to their mean; none for few seeds."""
    if y.shape[1] < LEAST_SEEDS_FOR_WEIGHTS:
        return None
    variance = np.log(np.maximum(y.var(1, ddof=1), 1e-30))
    weights: np.ndarray = np.exp(-0.5 * (variance - variance.mean()))
    return weights


def drift_columns(log_axis: np.ndarray) -> np.ndarray:
    """A quadratic term ``(point,)`` whose coefficient is the change of the local exponent over the axis' range."""
    span = np.ptp(log_axis)
    column: np.ndarray = (log_axis - log_axis.mean()) ** 2 / (2 * span)
    return column
