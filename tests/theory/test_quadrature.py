"""Panels and the logarithmic trapezoid against integrals known in closed form."""

import math

import numpy as np
import pytest

from lemmata.theory.quadrature import log_nodes, panels


def test_panels_integrate_and_run():
    chosen = panels(0.0, 2.0, 5)
    values = np.stack([np.exp(3 * chosen.nodes), np.cos(7 * chosen.nodes)])
    whole = values @ chosen.weights
    np.testing.assert_allclose(whole, [(math.exp(6) - 1) / 3, math.sin(14) / 7], rtol=1e-13)
    running = chosen.running(values)
    np.testing.assert_allclose(running[0], (np.exp(3 * chosen.nodes) - 1) / 3, rtol=1e-12)
    np.testing.assert_allclose(running[1], np.sin(7 * chosen.nodes) / 7, atol=1e-13)


def test_a_front_is_resolved_by_panels_of_its_width():
    chosen = panels(-1.0, 1.0, 20)
    front = 1 / (1 + np.exp(-50 * chosen.nodes))
    expected = np.log1p(np.exp(50 * chosen.nodes)) / 50 - math.log1p(math.exp(-50)) / 50
    np.testing.assert_allclose(chosen.running(front), expected, atol=1e-7)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("z", [1e-6, 1.0, 50.0])
def test_the_trapezoid_in_the_logarithm(power, z):
    t, weights = log_nodes(1e-10 / z, 60 / z)
    assert weights @ (t ** (power - 1) * np.exp(-t * z)) == pytest.approx(math.gamma(power) / z**power, rel=1e-9)
