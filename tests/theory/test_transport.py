"""Sliced distances against a library and against plain loops."""

import numpy as np
import pytest

from lemmata.theory.transport import directions, exact_wasserstein, sliced_wasserstein, wasserstein_on_a_line

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 40, 6)), 0.5 + RNG.normal(size=(3, 40, 6))


def test_on_a_line_it_is_the_best_assignment():
    for x, y in zip(X[..., :1], Y[..., :1]):
        assert float(wasserstein_on_a_line(x[:, 0], y[:, 0])) == pytest.approx(exact_wasserstein(x, y), rel=1e-12)
    few, many = X[0, :10, 0], Y[0, :, 0]  # every point of the smaller cloud carries the mass of four
    whole = exact_wasserstein(np.repeat(few, 4)[:, None], many[:, None])
    assert float(wasserstein_on_a_line(few, many)) == pytest.approx(whole, rel=1e-12)
    with pytest.raises(ValueError, match="clouds of 40 and 30 points"):
        wasserstein_on_a_line(X[0, :, 0], Y[0, :30, 0])


def test_slices_are_averaged_one_direction_at_a_time():
    along = directions(50, 6)
    assert np.allclose(np.linalg.norm(along, axis=1), 1)
    found = sliced_wasserstein(X, Y, along)
    for k in range(3):
        parts = [exact_wasserstein((X[k] @ u)[:, None], (Y[k] @ u)[:, None]) ** 2 for u in along]
        assert found[k] == pytest.approx(np.sqrt(np.mean(parts)), rel=1e-12)
    assert np.all(sliced_wasserstein(X, X[:, ::-1], along) < 1e-12)  # a cloud has no order
    shifted = sliced_wasserstein(X, X + np.array([2.0, 0, 0, 0, 0, 0]), along)
    assert np.allclose(shifted, 2 * np.sqrt(np.mean(along[:, 0] ** 2)))


def test_it_is_pots():
    ot = pytest.importorskip("ot")
    along = directions(50, 6)
    for x, y in zip(X, Y):
        wanted = ot.sliced_wasserstein_distance(x, y, projections=along.T)
        assert float(sliced_wasserstein(x, y, along)) == pytest.approx(wanted, rel=1e-10)
        fewer = ot.sliced_wasserstein_distance(x[:10], y, projections=along.T)
        assert float(sliced_wasserstein(x[:10], y, along)) == pytest.approx(fewer, rel=1e-10)
        assert exact_wasserstein(x, y) == pytest.approx(np.sqrt(ot.emd2([], [], ot.dist(x, y))), rel=1e-10)
