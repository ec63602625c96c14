"""The constructed networks in scikit-learn's form: fit is one forward pass over the table as a prompt.

Reference: He, Cao, Chen, Wu, Fan, Liu (2025), arXiv 2501.01312. A pass costs n² numbers a layer, and 1 + k(τ + 2)
layers: these are for seeing what the network does on a table of one's own, not for large ones.
"""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from lemmata.draws import cell_seeds, normal
from lemmata.papers.spectral.construction import PowerIteration


class TransformerPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Principal components by a network with written weights.

    Args:
        n_components: k, at most min(n, d).
        power_steps: τ, products with the covariance per component.
        seed: of the start vectors.

    Attributes:
        components_: ``(k, d)`` unit vectors, the entry of largest size positive.
        explained_variance_: ``(k,)`` with divisor n - 1.
        mean_: ``(d,)``.
        layers_: attention layers of the network.

    Raises:
        ValueError: k beyond min(n, d), and what scikit-learn refuses in a table.
    """

    def __init__(self, n_components: int = 1, power_steps: int = 50, seed: int = 0) -> None:
        self.n_components = n_components
        self.power_steps = power_steps
        self.seed = seed

    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """One pass over the table ``(n, d)``."""
        table: NDArray = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        n, d = table.shape
        if not 1 <= self.n_components <= min(n, d):
            raise ValueError(
                f"n_components = {self.n_components} was asked for of {n} samples of {d} features; "
                f"take 1 to {min(n, d)}"
            )
        what = PowerIteration(d, self.n_components, self.power_steps)
        built = what.components(_starts(self.seed, self.n_components, d))
        vectors, values = (part[0, 0].numpy() for part in what.read(built(torch.tensor(table)[None, None]), n))
        signs = np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1))
        self.components_, self.explained_variance_ = vectors * np.where(signs == 0, 1, signs), values
        self.mean_, self.layers_, self._n_features_out = table.mean(0), len(built.network.blocks), self.n_components
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """Coordinates along the components, ``(n, k)``."""
        check_is_fitted(self)
        table: NDArray = validate_data(self, X, dtype=np.float64, reset=False)
        coordinates: NDArray = (table - self.mean_) @ self.components_.T
        return coordinates

    def inverse_transform(self, X: ArrayLike) -> NDArray:
        """Points ``(n, d)`` from coordinates ``(n, k)``."""
        check_is_fitted(self)
        points: NDArray = np.asarray(X) @ self.components_ + self.mean_
        return points


class TransformerSpectralClustering(ClusterMixin, BaseEstimator):
    """Two clusters, by the side of the first principal axis, from a network with written weights.

    Args:
        power_steps: τ, products with the covariance.
        sharpness: slope of the soft sign, in units of one over the root mean square distance to the mean.
        seed: of the start vector.

    Attributes:
        labels_: ``(n,)`` 0 or 1; the first sample is in cluster 0.
        scores_: ``(n,)`` the soft signs in [-1, 1].

    Raises:
        ValueError: what scikit-learn refuses in a table.
    """

    def __init__(self, power_steps: int = 50, sharpness: float = 50.0, seed: int = 0) -> None:
        self.power_steps = power_steps
        self.sharpness = sharpness
        self.seed = seed

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """One pass over the table ``(n, d)``."""
        table: NDArray = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        what = PowerIteration(table.shape[1], 1, self.power_steps)
        scale = float(np.sqrt(np.square(table - table.mean(0)).sum(1).mean())) or 1.0
        built = what.clusters(_starts(self.seed, 1, table.shape[1]), self.sharpness / scale)
        self.scores_ = built(torch.tensor(table)[None, None])[0, 0, :, 0].numpy()
        side = self.scores_ > 0
        self.labels_ = (side != side[0]).astype(np.int64)
        return self


def _starts(seed: int, k: int, d: int) -> torch.Tensor:
    return normal(cell_seeds(0, [seed]), "starts", (k, d))
