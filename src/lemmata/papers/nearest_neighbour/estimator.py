"""The attention head as a classifier in scikit-learn's form: the table is the prompt, and nothing is trained.

    p_i = softmax_i ξ (2 <x_i, x_q> - ||x_i||²) = softmax_i (-ξ ||x_i - x_q||²),   class shares Σ_i p_i [y_i = class]

with the norm in the token, so that points need not lie on a sphere, and ξ as large as a long training makes it.
Reference: Li, Cao, Gao, He, Liu, Klusowski, Fan, Wang (2024), arXiv 2411.10830; the norm in the token is ours.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lemmata.modules.attention import AttentionNetwork, Block, apply

_QUERIES = 256  # in one prompt
_AWAY = 1e12  # squared distance at which queries see one another, far beyond any in the data's own unit


class InContextNearestNeighbour(ClassifierMixin, BaseEstimator):
    """One-nearest-neighbour by one softmax head; a finite ``sharpness`` averages over points nearly as near.

    Args:
        sharpness: ξ, in units of one over the mean squared distance to the mean.

    Attributes:
        classes_: the labels that occur.

    Raises:
        ValueError: a sharpness that is not above 0, and what scikit-learn refuses in a table.
    """

    def __init__(self, sharpness: float = 1e6) -> None:
        self.sharpness = sharpness

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the table ``(n, d)`` as the context of every prompt."""
        if not self.sharpness > 0:
            raise ValueError(f"sharpness = {self.sharpness} was asked for; it must be above 0")
        table: NDArray
        table, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, of_class = np.unique(y, return_inverse=True)
        self.mean_ = table.mean(0)
        self.scale_ = float(np.sqrt(np.square(table - self.mean_).sum(1).mean())) or 1.0
        self.context_ = self._tokens(table, np.eye(len(self.classes_))[of_class], 0.0)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Attention on the points of each class, ``(q, classes)``."""
        check_is_fitted(self)
        table: NDArray = validate_data(self, X, dtype=np.float64, reset=False)
        network, weights = self._network()
        found = []
        for part in np.split(table, range(_QUERIES, len(table), _QUERIES)):
            queries = self._tokens(part, np.zeros((len(part), len(self.classes_))), 1.0)
            prompt = torch.tensor(np.concatenate([self.context_, queries]))[None, None]
            found.append(apply(network, weights, prompt)[0, 0, len(self.context_) :].numpy())
        shares: NDArray = np.concatenate(found)
        return shares

    def predict(self, X: ArrayLike) -> NDArray:
        """The class that gets most attention, ``(q,)``."""
        shares = self.predict_proba(X)
        answers: NDArray = self.classes_[shares.argmax(1)]
        return answers

    def _tokens(self, X: NDArray, labels: NDArray, query: float) -> NDArray:
        x = (X - self.mean_) / self.scale_
        size, mark = np.square(x).sum(1, keepdims=True), np.full((len(x), 1), query)
        return np.concatenate([x, labels, size, mark, np.ones_like(mark)], 1)

    def _network(self) -> tuple[AttentionNetwork, dict[str, torch.Tensor]]:
        d, k = len(self.mean_), len(self.classes_)
        size, mark, one = d + k, d + k + 1, d + k + 2
        E = one + 1
        kq = torch.zeros(1, 1, E, E, dtype=torch.float64)
        kq[..., range(d), range(d)] = 2 * self.sharpness
        kq[..., size, one] = -self.sharpness
        kq[..., mark, mark] = -_AWAY * self.sharpness
        value = torch.zeros(1, 1, E, E, dtype=torch.float64)
        value[..., range(d, d + k), range(d, d + k)] = 1
        head = torch.zeros(1, E, k, dtype=torch.float64)
        head[:, range(d, d + k), range(k)] = 1
        network = AttentionNetwork(E, (Block(1, "softmax", "merged", norm="none"),), outputs=k, readout="all")
        return network, {"0.kq": kq, "0.value": value, "head.w": head, "head.b": head.new_zeros(1, k)}
