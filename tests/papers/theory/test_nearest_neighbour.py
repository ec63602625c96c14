"""Predictions for one-nearest-neighbour against Monte Carlo, closed forms and reference values."""

import math

import numpy as np
import pytest
from scipy import integrate

from lemmata.papers.nearest_neighbour import theory
from lemmata.papers.nearest_neighbour.population import population


def sampled(xi1, xi2, n, d, draws=200_000, seed=0):
    """Loss by Monte Carlo over cosines, labels integrated out; mean and standard error."""
    u = 2 * np.random.default_rng(seed).beta((d - 1) / 2, (d - 1) / 2, size=(draws, n)) - 1
    weights = np.exp(np.concatenate([xi1 * u, np.full((draws, 1), xi1 - xi2)], 1) - xi1)
    p = weights / weights.sum(1, keepdims=True)
    each = 0.5 * ((p[:, :n] ** 2).sum(1) - 2 * p[np.arange(draws), u.argmax(1)] + 1)
    return each.mean(), each.std() / math.sqrt(draws)


@pytest.mark.parametrize(
    ("xi1", "xi2", "n", "d"),
    [
        (2, 3, 16, 8),
        (8, 6, 16, 8),
        (24.9, 37.8, 4, 4),
        (30, 30, 8, 3),
        (5, 2, 1, 5),
        (9, 4, 2, 2),
        (52.4, 38.0, 64, 16),
    ],
)
def test_population_loss_is_the_mean_over_prompts(xi1, xi2, n, d):
    value = theory.population(xi1, xi2, n, d)[0]
    mean, error = sampled(xi1, xi2, n, d, draws=400_000 // n)
    assert abs(value - mean) < 4 * error + 1e-12


REFERENCE = [
    (4, 4, 0.0, 3.0, 0.3750188923, -1.285714111e-01, -3.731956224e-05),
    (4, 4, 24.9, 37.8, 0.0165921332, -3.684887516e-04, -1.875180358e-04),
    (16, 8, 2.0, 3.0, 0.3788163164, -4.979309577e-02, -1.402888272e-03),
    (16, 8, 8.0, 6.0, 0.1627018550, -1.487108967e-02, -6.991238384e-03),
    (16, 8, 40.7, 36.4, 0.0286260959, -6.625564382e-04, -6.911536487e-05),
    (64, 16, 52.4, 38.0, 0.0437257294, -8.620352839e-04, -3.561859037e-05),
    (8, 3, 30.0, 30.0, 0.0267385810, -4.205023154e-04, -3.955737103e-04),
    (1024, 64, 20.0, 12.0, 0.3825296287, -3.826643165e-03, -1.203133700e-02),
]
"""n, d, ξ1, ξ2, then L and its slopes by automatic differentiation of 64 panels and 1200 points, to 1e-8."""


def by_fine_sums(xi1, xi2, n, d):
    """The same integrals with 6000 midpoints in the angle and 6 points an e-fold: slow, and nothing else in common."""
    angle = (np.arange(6000) + 0.5) * math.pi / 6000
    w = np.sin(angle) ** (d - 2)
    w /= w.sum()
    k, c = np.exp(xi1 * (-np.cos(angle) - 1)), math.exp(-xi2)
    low, high = math.log(1e-10 / (n + c)), math.log(min(60 / k.min(), 60 / c))
    points = np.linspace(low, high, int((high - low) * 6))
    squares = best = 0.0
    for t in np.exp(points):
        kept = np.exp(-t * k) * w
        damp = t * math.exp(-t * c) * (points[1] - points[0])
        squares += damp * t * (kept @ k**2) * kept.sum() ** (n - 1)
        best += damp * ((np.diff(np.cumsum(kept) ** n, prepend=0.0)) @ k)
    return 0.5 * (n * squares - 2 * best + 1)


@pytest.mark.parametrize(("n", "d", "xi1", "xi2", "value", "first", "second"), REFERENCE)
def test_population_loss_and_gradient_are_exact(n, d, xi1, xi2, value, first, second):
    found = [float(part) for part in theory.population(xi1, xi2, n, d)]
    assert found[0] == pytest.approx(by_fine_sums(xi1, xi2, n, d), rel=1e-3)  # sums of first order
    assert found[0] == pytest.approx(value, rel=1e-5)
    assert math.hypot(found[1] - first, found[2] - second) < 1e-4 * math.hypot(first, second)


def test_the_compiled_sums_are_those_of_numpy(monkeypatch):
    n, d, xi1, xi2 = (np.array(column) for column in list(zip(*REFERENCE))[:4])
    slow = theory.population(xi1, xi2, n, d)
    for found, expected in zip(population(xi1, xi2, n, d), slow):
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    for shifted in (2.0, 3.0, 17.0):  # every power, and hostile corners
        for cell in ((0.0, -5.0), (-3.0, 2.0), (150.0, 120.0)):
            for found, expected in zip(population(*cell, shifted, 5), theory.population(*cell, shifted, 5)):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(population(xi1, xi2, n + 0.5, d), theory.population(xi1, xi2, n + 0.5, d))
    monkeypatch.setenv("LEMMATA_NATIVE", "0")
    np.testing.assert_array_equal(population(xi1, xi2, n, d), slow)


def test_cells_are_taken_one_by_one():
    together = theory.population([2.0, 8.0], [3.0, 6.0], 16, 8)
    for i, (xi1, xi2) in enumerate(((2.0, 3.0), (8.0, 6.0))):
        assert [part[i] for part in together] == [float(part) for part in theory.population(xi1, xi2, 16, 8)]


@pytest.mark.parametrize("xi2", [-2.0, 0.0, 1.0, 3.0])
def test_on_the_axis_everything_is_known(xi2):
    """At ξ1 = 0: L = ½(n/(n+c)² - 2/(n+c) + 1), and the slope that the paper's appendix E uses, with our ½."""
    n, c = 16, math.exp(-xi2)
    value, _, second = theory.population(0.0, xi2, n, 8)
    assert value == pytest.approx(0.5 * (n / (n + c) ** 2 - 2 / (n + c) + 1), rel=1e-9)
    assert second == pytest.approx(-(c**2) / (n + c) ** 3, rel=1e-5)


def test_cosine_law():
    for d in (2, 3, 8, 40):
        for u in (-0.9, -0.3, 0.0, 0.5, 0.99):
            below = integrate.quad(
                lambda a, d=d: float(theory.cosine_density(math.cos(a), d)) * math.sin(a), math.acos(u), math.pi
            )
            assert theory.cosine_cdf(u, d) == pytest.approx(below[0], abs=1e-9)


@pytest.mark.parametrize(("n", "d", "c"), [(4, 4, 0.399), (16, 8, 1.120), (32, 8, 1.480), (64, 16, 2.147)])
def test_tie_constant(n, d, c):
    def integrand(u):
        return float(theory.cosine_density(u, d)) ** 2 * float(theory.cosine_cdf(u, d)) ** (n - 2)

    slow = (math.log(2) - 0.5) * n * (n - 1) * integrate.quad(integrand, -1, 1, limit=200)[0]
    assert theory.tie_constant(n, d) == pytest.approx(slow, rel=1e-6)
    assert theory.tie_constant(n, d) == pytest.approx(c, abs=5e-4)
    assert theory.tie_constant(1, d) == 0


def test_the_loss_falls_as_the_tie_constant_over_xi1():
    for n, d in ((16, 8), (8, 4)):
        loss = theory.population(150.0, 200.0, n, d)[0]
        assert loss * 150 == pytest.approx(theory.tie_constant(n, d), rel=0.02)


def test_laws_of_time_are_consistent():
    k = np.array([100.0, 1000.0])
    xi1, loss = theory.predicted_xi1(k, 80.0, 16, 8), theory.predicted_loss(k, 80.0, 16, 8)
    np.testing.assert_allclose(xi1 * loss, theory.tie_constant(16, 8))
    assert math.log(loss[1] / loss[0]) / math.log(10) == pytest.approx(-1 / 3)
    assert theory.predicted_xi1(2000, 80.0, 16, 8) == pytest.approx(40.66, abs=0.01)


def curvature_by_differences(xi1, xi2, n, d, draws, seed=1, w=0.05):
    """½(loss(w) - 2 loss(0) + loss(-w))·2/w² with w y_i added to the scores, drawn labels."""
    rng = np.random.default_rng(seed)
    u = 2 * rng.beta((d - 1) / 2, (d - 1) / 2, size=(draws, n)) - 1
    y = rng.choice([-1.0, 1.0], size=(draws, n))
    target = y[np.arange(draws), u.argmax(1)]

    def each(w):
        s = np.concatenate([xi1 * u + w * y, np.full((draws, 1), xi1 - xi2)], 1)
        p = np.exp(s - s.max(1, keepdims=True))
        return 0.5 * ((p[:, :n] * y).sum(1) / p.sum(1) - target) ** 2

    second = (each(w) - 2 * each(0.0) + each(-w)) / w**2
    return second.mean(), second.std() / math.sqrt(draws)


@pytest.mark.parametrize(("xi1", "xi2", "value"), [(0, 3, 0.878), (2, 3, 0.931), (5, 5, 0.816), (20, 18, 0.281)])
def test_transverse_curvature(xi1, xi2, value):
    found, error = theory.transverse_curvature(xi1, xi2, 16, 8)
    assert found == pytest.approx(value, abs=4 * error + 5e-3)
    slow, slow_error = curvature_by_differences(xi1, xi2, 16, 8, 40_000)
    assert abs(found - slow) < 4 * math.hypot(error, slow_error) + 2e-3


def test_stable_step():
    assert 2.0 < theory.max_stable_step(16, 8) < 2.3


def test_the_regime_of_theorem_1():
    outside = theory.theorem_regime(16, 8, 3.0)
    assert outside.holds is False
    assert outside.least_sigma == pytest.approx(2 * math.log(128))
    assert "σ = 3 is not above 9.7" in outside.why
    assert theory.theorem_regime(16, 8, 12.0).holds is None
    assert "n = 4 is below" in theory.theorem_regime(4, 16, 12.0).why


def test_the_shift_bound_bounds():
    rng = np.random.default_rng(0)
    for xi1, xi2, delta in ((5.0, 4.0, 0.5), (20.0, 18.0, 0.1)):
        scores = np.concatenate([np.full((1, 1), xi1), xi1 * (1 - delta / 2) * np.ones((1, 15)), [[xi1 - xi2]]], 1)
        p = np.exp(scores - xi1) / np.exp(scores - xi1).sum()
        y = rng.normal(size=(100_000, 16))
        assert ((y @ p[0, :16] - y[:, 0]) ** 2).mean() < theory.shift_error_bound(xi1, xi2, 16, delta)
