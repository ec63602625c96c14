"""Clouds with eigenpairs and clusters with labels: their law, their truth, and that a cell does not know its tile."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.draws import cell_seeds
from lemmata.prompts.gmm import TwoClusters, accuracy
from lemmata.prompts.pca import PlantedSpectrum, RandomCovariance, eigenpairs

SEEDS = cell_seeds(0, range(3))
LAWS = {
    "random covariance": RandomCovariance(12, 4, 3),
    "planted": PlantedSpectrum(12, 4, 3, ratio=torch.tensor([0.9, 0.5, 0.2])),
    "exact": PlantedSpectrum(12, 4, 3, exact=True),
    "two clusters": TwoClusters(12, 4, snr=torch.tensor([0.5, 1.0, 3.0]), most_snr=4.0),
}


def test_eigenpairs_are_those_of_numpy_and_signs_are_fixed():
    drawn = RandomCovariance(9, 4, 4).draw(SEEDS, "x", 5, torch.float64)
    for c, b in np.ndindex(3, 5):
        values, vectors = np.linalg.eigh(np.cov(drawn.points[c, b].numpy().T))
        np.testing.assert_allclose(drawn.values[c, b], values[::-1], rtol=1e-10, atol=1e-12)
        cosines = (drawn.vectors[c, b].numpy() * vectors.T[::-1]).sum(-1)
        np.testing.assert_allclose(np.abs(cosines), 1, rtol=1e-9)
    largest = drawn.vectors.gather(-1, drawn.vectors.abs().argmax(-1, keepdim=True))
    assert (largest > 0).all()
    raw = eigenpairs(drawn.points, 4, "raw")[1]
    torch.testing.assert_close(raw.abs(), drawn.vectors.abs())


@pytest.mark.parametrize("name", LAWS)
def test_a_cell_does_not_know_its_tile(name):
    law = LAWS[name]
    together = law.draw(SEEDS, "prompts/7", 4, torch.float64)
    again = law.draw(SEEDS.flip(0), "prompts/7", 4, torch.float64)
    if name in ("random covariance", "exact"):  # the others have a number that belongs to the place in the tile
        for field in vars(together):
            assert torch.equal(getattr(together, field), getattr(again, field).flip(0))
    assert not torch.equal(together.tokens, law.draw(SEEDS, "prompts/8", 4, torch.float64).tokens)
    torch.testing.assert_close(law.draw(SEEDS, "prompts/7", 4).tokens, together.tokens.float())


def test_an_exact_spectrum_is_exact_and_numbers_vary_per_cell():
    ratio = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    drawn = PlantedSpectrum(12, 4, 4, largest=8.0, ratio=ratio, exact=True).draw(SEEDS, "x", 5, torch.float64)
    expected = 8 * ratio[:, None, None] ** torch.arange(4)
    torch.testing.assert_close(drawn.values, expected.expand(3, 5, 4), rtol=1e-10, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(0.5, 3))
def test_the_oracle_knows_the_centres_and_swapped_names_count_as_right(seed, d, snr):
    drawn = TwoClusters(400, d, snr=snr).draw(cell_seeds(seed, [0]), "x", 10, torch.float64)
    share = accuracy(drawn.oracle, drawn.labels).mean()
    expected = 0.5 * (1 + torch.erf(torch.tensor(snr / 2**0.5)))
    assert abs(share - expected) < 0.04  # five standard errors at most
    assert torch.equal(accuracy(-drawn.labels, drawn.labels), torch.ones(1, 10, dtype=torch.float64))
    torch.testing.assert_close(drawn.half_axis.norm(dim=-1), torch.full((1, 10), snr, dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RandomCovariance(5, 3, 4), "k = 4 eigenpairs of 5 points in R\\^3 were asked for; take 1 to 3"),
        (lambda: PlantedSpectrum(4, 4, 2, exact=True), "cannot have a given spectrum"),
        (lambda: eigenpairs(torch.zeros(3, 2), 3), "3 eigenpairs of 3 points"),
        (lambda: TwoClusters(n=0), "n = 0"),
        (lambda: TwoClusters(snr=-1.0), "snr = -1.0"),
    ],
)
def test_bad_requests_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
