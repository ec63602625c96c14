"""Randomness: the right laws, and the same numbers whatever the tile."""

import pytest
import torch
from scipy import stats

from lemmata import draws

SEEDS = draws.cell_seeds(0, range(400))


def p_value(sample, name, *parameters):
    return stats.kstest(sample.flatten().numpy(), name, args=parameters).pvalue


def test_uniforms_are_uniform():
    assert p_value(draws.uniform(SEEDS, "a", (200,)), "uniform") > 1e-3


def test_normals_are_normal_to_the_tails():
    values = draws.normal(SEEDS, "a", (5000,))
    assert p_value(values[:, :200], "norm") > 1e-3
    beyond = (values.abs() > 4).double().mean().item()
    expected = 2 * stats.norm.sf(4)
    assert abs(beyond - expected) < 4 * (expected / values.numel()) ** 0.5


@pytest.mark.parametrize("degrees", [0.5, 1.0, 2.0, 3.0, 100.0, 1e6, 1e9])
def test_chi_squares(degrees):
    values = draws.chi_square(SEEDS, "c", torch.full((400, 50), degrees))
    assert p_value(values, "chi2", degrees) > 1e-3


def test_permutations_are_uniform():
    orders = draws.permutation(draws.cell_seeds(3, range(6000)), "p", 3)
    _, counts = orders.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    "draw",
    [
        lambda seeds: draws.uniform(seeds, "x", (3, 5)),
        lambda seeds: draws.normal(seeds, "x", (3, 5)),
        lambda seeds: draws.chi_square(seeds, "x", torch.full((len(seeds), 7), 3.0)),
        lambda seeds: draws.permutation(seeds, "x", 9),
    ],
)
def test_a_cell_draws_the_same_in_any_tile(draw):
    assert torch.equal(draw(SEEDS)[17:19], draw(SEEDS[17:19]))


def test_streams_seeds_and_positions_are_unrelated():
    rows = torch.cat([draws.normal(SEEDS[:3], name, (4000,)) for name in ("a", "b", "ab", "ba")])
    rows = torch.cat([rows, rows[:3].roll(1, dims=1)])
    correlation = torch.corrcoef(rows) - torch.eye(len(rows))
    assert correlation.abs().max() < 5 / 4000**0.5


def test_neighbouring_roots_and_seeds_differ():
    seeds = torch.cat([draws.cell_seeds(root, range(1000)) for root in range(20)])
    assert len(seeds.unique()) == len(seeds)


@pytest.mark.parametrize("draw", [draws.uniform, draws.normal])
def test_cells_that_share_a_seed_draw_as_if_alone(draw):
    seeds = draws.cell_seeds(0, [4, 1, 4, 4, 2, 1])
    together = draw(seeds, "noise", (3, 5))
    for row, seed in zip(together, seeds):
        assert torch.equal(row, draw(seed.reshape(1), "noise", (3, 5))[0])
