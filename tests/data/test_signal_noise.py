"""Signal-noise data: both samplers draw from one law, the one written, on either side of the fallback."""

import pytest
import torch
from scipy import stats

import lemmata as lm
from lemmata.data.coordinates import gaussian_rows
from lemmata.draws import cell_seeds
from tests.oracles.training import explicit_signal_noise

N, FILTERS, CELLS = 3, 2, 3000


def grams(data, coordinates, cells=CELLS, root=0):
    """Joint Gram matrices (c, 1 + n + r, 1 + n + r) of signal, noise and filters."""
    init = torch.full((cells, FILTERS), 0.5, dtype=torch.float64)
    sample = data.sample(cell_seeds(root, range(cells)), init, coordinates=coordinates)
    rows = torch.cat([sample.vectors, sample.filters], dim=1)
    return rows @ rows.mT


def oracle_grams(data, cells=CELLS):
    generator, found = torch.Generator().manual_seed(5), []
    for _ in range(cells):
        orthogonal = data.noise == "orthogonal"
        mu, noise = explicit_signal_noise(data.n, data.d, data.signal, data.sigma_p, orthogonal, generator)
        filters = 0.5 * torch.randn(FILTERS, data.d, generator=generator, dtype=torch.float64)
        rows = torch.cat([mu[None], noise, filters])
        found.append(rows @ rows.T)
    return torch.stack(found)


@pytest.mark.parametrize("noise", ["orthogonal", "isotropic"])
@pytest.mark.parametrize("d", [2, 3, 5, 6, 7, 40])  # compressed coordinates exist from d = 1 + n + r = 6 on
def test_samplers_share_the_law_of_the_gram_matrix(noise, d):
    data = lm.SignalNoise(N, d, signal=2.0, sigma_p=1.5, noise=noise)
    expected = oracle_grams(data)
    for coordinates in ("compressed", "explicit"):
        found = grams(data, coordinates)
        k = found.shape[1]
        for i in range(k):
            for j in range(i, k):
                a, b = found[:, i, j], expected[:, i, j]
                if b.std() < 1e-9:  # the signal's length; signal against orthogonal noise
                    assert torch.allclose(a, b, atol=1e-9)
                else:
                    assert stats.ks_2samp(a.numpy(), b.numpy()).pvalue > 1e-4, (coordinates, i, j)
        off = ~torch.eye(k, dtype=torch.bool)
        products, wanted = found[:, off].square().mean(0), expected[:, off].square().mean(0)
        spread = expected[:, off].square().std(0) * (2 / CELLS) ** 0.5
        assert ((products - wanted).abs() < 5 * spread + 1e-9).all()


def test_dimension_enters_through_degrees_of_freedom_alone():
    seeds = cell_seeds(0, range(500))
    d = torch.full((500,), 10.0**9, dtype=torch.float64)
    rows = gaussian_rows(seeds, "rows", 4, 1, d)
    assert rows.shape == (500, 4, 5)
    length = rows.square().sum(2)
    assert abs(length.mean() / 1e9 - 1) < 1e-5
    cross = (rows[:, 0] * rows[:, 1]).sum(1) / 1e9**0.5
    assert stats.kstest(cross.numpy(), "norm").pvalue > 1e-3


def test_cells_of_several_dimensions_share_a_tile_only_when_compressed():
    d = torch.tensor([50.0, 60.0], dtype=torch.float64)
    data = lm.SignalNoise(4, d, 2.0)
    init = torch.ones(2, 2, dtype=torch.float64)
    assert data.sample(cell_seeds(0, range(2)), init).vectors.shape == (2, 5, 7)
    with pytest.raises(ValueError, match="several dimensions d"):
        data.sample(cell_seeds(0, range(2)), init, coordinates="explicit")


def test_labels():
    seeds, init = cell_seeds(0, range(4000)), torch.ones(4000, 1, dtype=torch.float64)
    even = lm.SignalNoise(6, 100, 1.0).sample(seeds, init)
    assert (even.labels.sum(1) == 0).all()
    odd = lm.SignalNoise(5, 100, 1.0).sample(seeds, init)
    assert (odd.labels.sum(1).abs() == 1).all()
    assert abs(odd.labels.sum(1).mean()) < 0.08
    tossed = lm.SignalNoise(5, 100, 1.0, balanced=False).sample(seeds, init)
    assert abs(tossed.labels.mean()) < 0.04
    assert (tossed.labels.sum(1).abs() == 5).any()
    flipped = lm.SignalNoise(6, 100, 1.0, flip=0.2).sample(seeds, init)
    rate = (flipped.labels != flipped.true_labels).double().mean()
    assert abs(rate - 0.2) < 4 * (0.2 * 0.8 / 24000) ** 0.5
    assert torch.equal(flipped.signal.sign, flipped.true_labels)


def test_lifting_keeps_inner_products():
    data = lm.SignalNoise(4, 100, 2.0)
    seeds = cell_seeds(0, range(3))
    sample = data.sample(seeds, torch.ones(3, 2, dtype=torch.float64))
    lifted = sample.lift(30, seeds)
    assert lifted.vectors.shape == (3, 5, 30)
    rows, moved = (torch.cat([s.vectors, s.filters], 1) for s in (sample, lifted))
    assert torch.allclose(rows @ rows.mT, moved @ moved.mT, rtol=1e-12)
    with pytest.raises(ValueError, match="take d >= 7"):
        sample.lift(6, seeds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n = 0 was asked for"),
        ({"n": -3}, "n = -3 was asked for"),
        ({"n": 2.5}, "n = 2.5 was asked for"),
        ({"n": True}, "n = True was asked for"),
        ({"d": 1}, "d = 1 was asked for"),
        ({"signal": 0.0}, "signal = 0.0 was asked for; signal must be a finite number above 0"),
        ({"signal": float("nan")}, "signal = nan"),
        ({"sigma_p": -1.0}, "sigma_p = -1.0"),
        ({"flip": 0.5}, r"flip = 0.5 was asked for; flip must be a finite number of at least 0 and below 0.5"),
        ({"noise": "white"}, "noise = 'white' was asked for; noise must be 'orthogonal' or 'isotropic'"),
    ],
)
def test_bad_values_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        lm.SignalNoise(**{"n": 4, "d": 10, "signal": 1.0, **change})
