"""Pairs: their law in either coordinates, and data drawn beside filters."""

import pytest
import torch

import lemmata as lm
from lemmata.draws import cell_seeds

KEYS = cell_seeds(0, range(400))
INIT = torch.full((400, 2), 0.5, dtype=torch.float64)


@pytest.mark.parametrize("coordinates", ["compressed", "explicit"])
@pytest.mark.parametrize("noise", ["orthogonal", "isotropic"])
def test_law_of_the_gram_matrix(coordinates, noise):
    data = lm.SignalNoisePairs(pairs=3, d=30, signal=2.0, sigma_p=1.5, correlation=0.6, noise=noise)
    X = data.sample(KEYS, INIT, coordinates=coordinates).vectors
    gram, d = (X @ X.mT).mean(0), 30 - (noise == "orthogonal")
    expected = torch.zeros(7, 7, dtype=torch.float64)
    expected[0, 0] = 4.0
    for i in range(1, 7):
        expected[i, i] = 1.5**2 * d
    for i in range(1, 4):
        expected[i, i + 3] = expected[i + 3, i] = 0.6 * 1.5**2 * d
    torch.testing.assert_close(gram, expected, rtol=0, atol=5 * 1.5**2 * (2 * d / 400) ** 0.5)
    if noise == "orthogonal":
        assert (X[:, 1:, 0] == 0).all()


def test_extremes_of_the_correlation():
    same = lm.SignalNoisePairs(pairs=3, d=30, signal=2.0, correlation=1.0).sample(KEYS[:2], INIT[:2])
    torch.testing.assert_close(same.vectors[:, 1:4], same.vectors[:, 4:7], rtol=0, atol=0)
    apart = lm.SignalNoisePairs(pairs=3, d=30, signal=2.0, correlation=0.0).sample(KEYS[:2], INIT[:2])
    torch.testing.assert_close(apart.vectors[:, 1:4], same.vectors[:, 1:4], rtol=0, atol=0)  # paired draws


def test_views_are_summed_patches():
    sample = lm.SignalNoisePairs(pairs=3, d=30, signal=2.0, correlation=0.2).sample(KEYS[:2], INIT[:2])
    A = sample.filters @ sample.vectors.mT
    for side, found in zip(sample.view_vectors(), sample.views(A)):
        torch.testing.assert_close(sample.filters @ side.mT, found)
    mu, xi, partner = sample.vectors[:, :1], sample.vectors[:, 1:4], sample.vectors[:, 4:]
    signal = sample.true_labels.unsqueeze(2) * mu
    torch.testing.assert_close(sample.view_vectors()[0], signal + xi)
    torch.testing.assert_close(sample.view_vectors()[1], signal + partner)
    assert (sample.true_labels.sum(1).abs() == 1).all()


def test_the_dimension_may_be_huge_and_falls_back_when_small():
    huge = lm.SignalNoisePairs(pairs=4, d=10**9, signal=2.0).sample(KEYS[:2], INIT[:2])
    assert huge.vectors.shape == (2, 9, 1 + 8 + 2)
    small = lm.SignalNoisePairs(pairs=4, d=5, signal=2.0)
    assert not small.compresses(2)
    assert small.sample(KEYS[:2], INIT[:2]).vectors.shape == (2, 9, 5)


@pytest.mark.parametrize("d", [12, 200])
def test_data_beside_filters_see_them_as_any_fresh_data(d):
    filters = torch.randn(1, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).expand(400, 2, 9)
    sample = lm.SignalNoise(n=6, d=d, signal=2.0, sigma_p=0.5).beside(KEYS, filters)
    X, W = sample.vectors[:, 1:], sample.filters
    torch.testing.assert_close(W @ W.mT, filters @ filters.mT)
    gram, cross = X @ X.mT, W @ X.mT
    torch.testing.assert_close(
        gram.mean(0), 0.25 * (d - 1) * torch.eye(6).double(), rtol=0, atol=5 * 0.25 * (2 * d / 400) ** 0.5
    )
    expected = 0.25 * (filters[0, :, 1:] @ filters[0, :, 1:].T)  # orthogonal to the signal
    found = torch.einsum("crk,csk->rs", cross, cross) / (400 * 6)
    torch.testing.assert_close(found, expected, rtol=0.15, atol=0.15 * float(expected.max()))
    assert (sample.true_labels[:, :4].sum(1) == 0).all()


def test_data_sets_with_one_drawn_are_nested():
    filters = torch.ones(2, 2, 9, dtype=torch.float64)
    few, many = (
        lm.SignalNoise(n=n, d=200, signal=2.0).beside(KEYS[:2], filters, drawn=8).lift(200, KEYS[:2]) for n in (4, 8)
    )
    torch.testing.assert_close(few.labels, many.labels[:, :4])
    torch.testing.assert_close(few.vectors @ few.vectors.mT, (many.vectors @ many.vectors.mT)[:, :5, :5])
    torch.testing.assert_close(few.filters @ few.vectors.mT, (many.filters @ many.vectors.mT)[..., :5])


def test_beside_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="R\\^9 were given to data in R\\^8"):
        lm.SignalNoise(n=4, d=8, signal=1.0).beside(KEYS[:1], torch.ones(1, 2, 9, dtype=torch.float64))
    with pytest.raises(ValueError, match="drawn = 3"):
        lm.SignalNoise(n=4, d=80, signal=1.0).beside(KEYS[:1], torch.ones(1, 2, 9, dtype=torch.float64), drawn=3)


def test_image_pairs_and_labelled_images_share_their_order():
    images = lm.load_digits((3, 8))
    pairs = lm.ImagePairs(images, pairs=20, sigma_p=0.3, correlation=0.5).sample(KEYS[:2], INIT[:2])
    data = lm.ImageNoise(images, n=8, sigma_p=0.3, tests=50, seen=20)
    sample = data.beside(KEYS[:2], pairs.filters, drawn=10)
    seen, labelled, tests = pairs.vectors[:, :20, :64], sample.vectors[:, :8, :64], sample.witnesses.vectors[..., :64]
    same = lambda a, b: (a.unsqueeze(2) - b.unsqueeze(1)).abs().amax(3) == 0  # noqa: E731
    assert same(labelled, seen).any(2).all()  # labels are given to images seen before
    assert not same(tests, seen).any()
    assert (sample.labels[:, ::2] == 1).all()
    assert (sample.labels[:, 1::2] == -1).all()
    assert not sample.vectors[:, :8, 64:].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"pairs": 1}, "pairs = 1"), ({"pairs": 10**4}, "pairs = 10000"), ({"correlation": -0.1}, "correlation = -0.1"),
     ({"sigma_p": 0.0}, "sigma_p = 0.0"), ({"d": 10}, "d = 10")],
)  # fmt: skip
def test_image_pairs_refuse_bad_values(change, message):
    with pytest.raises(ValueError, match=message):
        lm.ImagePairs(**{"images": lm.load_digits((3, 8)), "pairs": 20, **change})


def test_images_need_two_classes_and_room_for_tests():
    with pytest.raises(ValueError, match="3 classes"):
        lm.ImagePairs(lm.load_digits((1, 3, 8)), pairs=20)
    with pytest.raises(ValueError, match="seen = 4"):
        lm.ImageNoise(lm.load_digits((3, 8)), n=8, seen=4)
