"""Randomness: the right laws, and the same numbers whatever the tile."""

import pytest
import torch
from scipy import stats

from lemmata import cells

SEEDS = cells.cell_seeds(0, range(400))


def p_value(sample, name, *parameters):
    return stats.kstest(sample.flatten().numpy(), name, args=parameters).pvalue


def test_uniforms_are_uniform():
    assert p_value(cells.uniform(SEEDS, "a", (200,)), "uniform") > 1e-3


def test_normals_are_normal_to_the_tails():
    draws = cells.normal(SEEDS, "a", (5000,))
    assert p_value(draws[:, :200], "norm") > 1e-3
    beyond = (draws.abs() > 4).double().mean().item()
    expected = 2 * stats.norm.sf(4)
    assert abs(beyond - expected) < 4 * (expected / draws.numel()) ** 0.5


@pytest.mark.parametrize("degrees", [0.5, 1.0, 2.0, 3.0, 100.0, 1e6, 1e9])
def test_chi_squares(degrees):
    draws = cells.chi_square(SEEDS, "c", torch.full((400, 50), degrees))
    assert p_value(draws, "chi2", degrees) > 1e-3


def test_permutations_are_uniform():
    orders = cells.permutation(cells.cell_seeds(3, range(6000)), "p", 3)
    _, counts = orders.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    "draw",
    [
        lambda seeds: cells.uniform(seeds, "x", (3, 5)),
        lambda seeds: cells.normal(seeds, "x", (3, 5)),
        lambda seeds: cells.chi_square(seeds, "x", torch.full((len(seeds), 7), 3.0)),
        lambda seeds: cells.permutation(seeds, "x", 9),
    ],
)
def test_a_cell_draws_the_same_in_any_tile(draw):
    assert torch.equal(draw(SEEDS)[17:19], draw(SEEDS[17:19]))


def test_streams_seeds_and_positions_are_unrelated():
    rows = torch.cat([cells.normal(SEEDS[:3], name, (4000,)) for name in ("a", "b", "ab", "ba")])
    rows = torch.cat([rows, rows[:3].roll(1, dims=1)])
    correlation = torch.corrcoef(rows) - torch.eye(len(rows))
    assert correlation.abs().max() < 5 / 4000**0.5


def test_neighbouring_roots_and_seeds_differ():
    seeds = torch.cat([cells.cell_seeds(root, range(1000)) for root in range(20)])
    assert len(seeds.unique()) == len(seeds)
