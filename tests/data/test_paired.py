"""Paired data: what the modalities share, the law of the inner products, negatives, and what is refused."""

import pytest
import torch

from lemmata.data.paired import PairedSignalNoise
from lemmata.draws import cell_seeds

SEEDS = cell_seeds(0, range(400))


def draw(coordinates="compressed", seeds=SEEDS, r=2, **changes):
    data = PairedSignalNoise(**{"n": 4, "d": 40, "signal": 2.0, **changes})
    init = torch.full((len(seeds), r), 0.5, dtype=torch.float64)
    return data.sample(seeds, init, coordinates=coordinates)


@pytest.mark.parametrize("coordinates", ["compressed", "explicit"])
def test_single_and_multi_share_modality_and_filters(coordinates):
    single, multi = draw(coordinates), draw(coordinates, modality="multi")
    k = 5
    first = torch.cat([single.vectors[:, 0, :k], single.filters[:, 0]], 1)
    same = torch.cat([multi.vectors[:, 0], multi.filters[:, 0]], 1)
    assert torch.allclose(first @ first.mT, same @ same.mT, rtol=1e-13, atol=1e-13)
    assert torch.equal(single.labels, multi.labels)


@pytest.mark.parametrize("modality", ["single", "multi"])
@pytest.mark.parametrize("noise", ["orthogonal", "isotropic"])
def test_compressed_and_explicit_have_one_law(modality, noise):
    """Means and variances of all inner products of vectors and filters, over 400 data sets."""
    changes = {"modality": modality, "noise": noise, "sigma_p2": 0.5, "signal_ratio": 3.0, "d2": 60}
    grams = []
    for coordinates, seeds in (("compressed", SEEDS), ("explicit", cell_seeds(5, range(400)))):
        sample = draw(coordinates, seeds, **changes)
        rows = torch.cat([sample.vectors, sample.filters], -2)
        grams.append(rows @ rows.mT)
    one, two = grams
    spread = ((one.var(0) + two.var(0)) / 400).sqrt()
    assert ((one.mean(0) - two.mean(0)).abs() <= 4.5 * spread + 1e-12).all()
    moving = one.var(0) > 1e-12
    assert torch.equal(moving, two.var(0) > 1e-12)
    assert (one.var(0)[moving] / two.var(0)[moving]).log().abs().max() < 0.6


def test_augmented_view_is_the_noise_and_more():
    sample = draw(sigma_aug=0.5, d=400, noise="orthogonal")
    xi, view = sample.vectors[:, 0, 1:5], sample.vectors[:, 0, 5:]
    assert abs(((view - xi).square().sum(-1).mean() / (0.25 * 399)).item() - 1) < 0.01
    assert ((view - xi) * xi).sum(-1).mean().abs() < 1.0
    assert (sample.vectors[:, 0, 1:, 0] == 0).all()  # off the signal


def test_second_modality_has_its_own_sizes():
    sample = draw(modality="multi", d=300, d2=1200, sigma_p2=0.5, signal_ratio=3.0, noise="orthogonal")
    squared = sample.vectors.square().sum(-1).mean(0)
    assert torch.allclose(squared[:, 0], torch.tensor([4.0, 36.0], dtype=torch.float64))
    assert torch.allclose(squared[:, 1:].mean(1), torch.tensor([299.0, 0.25 * 1199], dtype=torch.float64), rtol=0.01)
    first, second = sample.vectors[:, 0, 1:], sample.vectors[:, 1, 1:]
    assert first.shape == second.shape
    assert sample.noise_scale[0].tolist() == [1.0, 0.5]


def test_dimension_may_be_huge_and_differ_by_cell():
    seeds = cell_seeds(0, range(2))
    d = torch.tensor([1e3, 1e9], dtype=torch.float64)
    sample = draw(seeds=seeds, d=d, modality="multi")
    lengths = sample.vectors[:, 0, 1:].square().sum(-1).mean(1)
    assert torch.allclose(lengths, d - 1, rtol=0.15)
    assert torch.equal(sample.dimensions, torch.stack([d, d], 1))


@pytest.mark.parametrize("count", [None, 1, 2])
def test_negatives(count):
    everyone = draw(n=7, negatives="all", negatives_count=count).negatives
    assert not everyone.diagonal(dim1=1, dim2=2).any()
    assert (everyone.sum(2) == (count or 6)).all()
    sample = draw(n=7, negatives_count=count)
    y = sample.labels
    assert not (sample.negatives & (y.unsqueeze(1) == y.unsqueeze(2))).any()
    opposite = (y.unsqueeze(2) != y.unsqueeze(1)).sum(2)
    assert torch.equal(sample.negatives.sum(2), opposite if count is None else torch.full_like(opposite, count))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 1}, "n = 1"),
        ({"d": 1}, "d = 1"),
        ({"d2": 1}, "d2 = 1"),
        ({"signal": 0.0}, "signal = 0.0"),
        ({"signal_ratio": -1.0}, "signal_ratio"),
        ({"sigma_aug": -0.1}, "sigma_aug"),
        ({"modality": "three"}, "'single' or 'multi'"),
        ({"negatives": "none"}, "'opposite' or 'all'"),
        ({"negatives_count": 0}, "at least 1"),
        ({"negatives_count": 3}, "take at most 2"),
        ({"negatives_count": 4, "negatives": "all"}, "take at most 3"),
    ],
)
def test_refuses(changes, words):
    with pytest.raises(ValueError, match=words):
        PairedSignalNoise(**{"n": 4, "d": 40, "signal": 2.0, **changes})
