"""The constructed networks as estimators: scikit-learn's own checks, and scikit-learn's own answers."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import check_estimator

from lemmata.papers.nearest_neighbour.estimator import InContextNearestNeighbour
from lemmata.papers.spectral.estimators import TransformerPCA, TransformerSpectralClustering

ALL = (TransformerPCA(power_steps=8), TransformerSpectralClustering(power_steps=8), InContextNearestNeighbour())


@pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail="raise")
    assert sum(result["status"] == "passed" for result in results) > 30


def test_components_are_scikit_learns():
    X = load_digits().data[:80, 16:28]
    mine, theirs = TransformerPCA(3, power_steps=80).fit(X), PCA(3).fit(X)
    cosines = np.abs((mine.components_ * theirs.components_).sum(1))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    np.testing.assert_allclose(mine.explained_variance_, theirs.explained_variance_, rtol=1e-6)
    assert mine.layers_ == 1 + 3 * 82
    back = mine.inverse_transform(mine.transform(X))
    np.testing.assert_allclose(back, theirs.inverse_transform(theirs.transform(X)), atol=1e-2)
    with pytest.raises(ValueError, match="n_components = 13 was asked for"):
        TransformerPCA(13).fit(X)


def test_two_far_clusters_are_found():
    X, y = make_blobs(60, 4, centers=2, cluster_std=0.5, random_state=0)
    said = TransformerSpectralClustering().fit_predict(X)
    assert said[0] == 0
    assert (said == (y != y[0])).all()


def test_nearest_neighbours_are_scikit_learns():
    digits = load_digits()
    X, y = digits.data + np.random.default_rng(0).normal(0, 1e-3, digits.data.shape), digits.target
    mine, theirs = InContextNearestNeighbour().fit(X[:200], y[:200]), KNeighborsClassifier(1).fit(X[:200], y[:200])
    assert (mine.predict(X[200:500]) == theirs.predict(X[200:500])).all()
    np.testing.assert_allclose(mine.predict_proba(X[:5]).sum(1), 1)
    with pytest.raises(ValueError, match="sharpness = 0"):
        InContextNearestNeighbour(0).fit(X[:5], y[:5])
