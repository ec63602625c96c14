"""Constructed networks against plain power iteration, and the theory against brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.draws import cell_seeds, normal
from lemmata.modules.attention import apply, to_module
from lemmata.papers.spectral import theory
from lemmata.papers.spectral.construction import PowerIteration
from lemmata.papers.spectral.theory import Hinges
from lemmata.prompts.gmm import TwoClusters
from lemmata.prompts.pca import PlantedSpectrum

SEEDS = cell_seeds(0, range(2))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4), st.integers(1, 7), st.booleans(), st.integers(1, 3))
def test_the_constructed_network_is_power_iteration(seed, d, k, steps, attention, polish):
    k, n, seeds = min(k, d), d + 3, cell_seeds(seed, range(2))
    points = PlantedSpectrum(n, d, 1, ratio=0.5, exact=True).draw(seeds, "x", 2, torch.float64).points
    starts = normal(seeds, "starts", (k, d))
    hinges = Hinges.geometric(8) if attention else None
    what = PowerIteration(d, k, steps, hinges, polish)
    built = what.components(starts)
    assert len(built.network.blocks) == theory.depth(k, steps, polish if attention else None)
    vectors, values = what.read(built(points), n)
    rule = hinges.normalise if hinges else theory.unit
    for c, b in np.ndindex(2, 2):
        by_hand = theory.power_iteration(
            points[c, b].numpy(), starts[c].numpy(), steps, rule, polish if attention else 0
        )
        np.testing.assert_allclose(vectors[c, b], by_hand[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(values[c, b], by_hand[1], rtol=1e-12, atol=1e-11)
    turned = built(points.flip(2))  # points in another order
    torch.testing.assert_close(turned, built(points), rtol=1e-12, atol=1e-11)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 20))
def test_the_clustering_network_is_the_side_of_the_first_axis(seed, d, steps):
    seeds = cell_seeds(seed, [0])
    points = TwoClusters(30, d).draw(seeds, "x", 3, torch.float64).points
    starts = normal(seeds, "starts", (1, d))
    said = PowerIteration(d, 1, steps).clusters(starts, sharpness=20.0)(points).squeeze(-1)
    for b in range(3):
        cloud = points[0, b].numpy()
        (v,), _ = theory.power_iteration(cloud, starts[0].numpy(), steps)
        np.testing.assert_allclose(said[0, b], np.clip(20 * (cloud - cloud.mean(0)) @ v, -1, 1), rtol=0, atol=1e-11)


def test_the_vectors_of_many_clouds_at_once_are_those_of_each():
    points = PlantedSpectrum(9, 4, 3).draw(SEEDS, "x", 2, torch.float64).points.numpy()
    starts = normal(SEEDS, "s", (3, 4))[0].numpy()
    together = theory.batched_power_iteration(points, starts, 6)
    for c, b in np.ndindex(2, 2):
        alone = theory.power_iteration(points[c, b], starts, 6)[0]
        np.testing.assert_allclose(together[c, b], alone, rtol=0, atol=1e-12)


def test_it_exports_to_an_ordinary_module():
    points = PlantedSpectrum(9, 3, 2).draw(SEEDS, "x", 2, torch.float64).points
    built = PowerIteration(3, 2, 4).components(normal(SEEDS, "starts", (2, 3)))
    module = to_module(built.network, built.parameters, cell=1)
    torch.testing.assert_close(module(points[1]), built(points)[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(built(points), apply(built.network, built.parameters, points, form="dense"))


def test_hinges_interpolate_between_their_knots():
    hinges = Hinges((0.25, 1.0, 4.0))
    np.testing.assert_allclose(hinges([0.25, 1.0, 4.0, 0.625, 2.5, 9.0]), [2, 1, 0.5, 1.5, 0.75, 0.5], rtol=1e-14)
    assert (Hinges.geometric().weights > 0).all()
    with pytest.raises(ValueError, match="knots"):
        Hinges((1.0, 0.5))


def test_the_angle_stays_below_its_bound_and_attains_it_for_two_eigenvalues():
    points = PlantedSpectrum(8, 2, 2, ratio=0.6, exact=True).draw(SEEDS, "x", 1, torch.float64)
    first, start = points.vectors[0, 0, 0].numpy(), np.array([0.3, 1.1])
    tangents = []
    for steps in (1, 2, 6):
        v = theory.power_iteration(points.points[0, 0].numpy(), start[None], steps)[0][0]
        tangents.append(np.sqrt(1 - (v @ first) ** 2) / abs(v @ first))
    cos = abs(start @ first) / np.linalg.norm(start)
    bound = theory.angle_bound(np.sqrt(1 - cos**2) / cos, 0.6, (1, 2, 6))
    np.testing.assert_allclose(tangents, bound, rtol=1e-9)


def test_a_random_direction_and_the_oracle():
    draws = np.random.default_rng(0).standard_normal((200_000, 5))
    assert abs(theory.random_cosine(5) - np.mean(np.abs(draws[:, 0]) / np.linalg.norm(draws, axis=1))) < 3e-3
    np.testing.assert_allclose(theory.bayes_accuracy([0, 1, 2]), [0.5, 0.8413447, 0.9772499], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PowerIteration(3, 4), "4 eigenpairs in R\\^3"),
        (lambda: PowerIteration(3, 2).clusters(torch.ones(1, 2, 3)), "take k = 1"),
        (lambda: PowerIteration(3, 2).components(torch.ones(1, 1, 3)), "starts came as"),
        (lambda: PowerIteration(3, 1, 0), "steps = 0"),
    ],
)
def test_bad_requests_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
