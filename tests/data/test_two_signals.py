"""Data for denoisers: two orthogonal signals, or images, and the laws of what surrounds them."""

import numpy as np
import pytest
import torch

import lemmata as lm
from lemmata.data.files.images import Images
from lemmata.data.image_signals import enlarged
from lemmata.data.patches import ByClass
from lemmata.draws import cell_seeds

SEEDS = cell_seeds(0, range(400))
INIT = torch.full((400, 3), 0.1, dtype=torch.float64)


@pytest.mark.parametrize("coordinates", ["compressed", "explicit"])
def test_signals_are_orthogonal_and_the_noise_avoids_them(coordinates):
    sample = lm.TwoSignals(6, 50, signal=3.0, sigma_p=2.0).sample(SEEDS, INIT, coordinates=coordinates)
    G = sample.vectors @ sample.vectors.mT
    assert G.shape == (400, 8, 8)
    torch.testing.assert_close(G[:, :2, :2], 9.0 * torch.eye(2, dtype=torch.float64).expand(400, 2, 2))
    assert G[:, :2, 2:].abs().max() == 0
    lengths = G[:, 2:, 2:].diagonal(dim1=1, dim2=2)
    assert abs(lengths.mean() / (4 * 48) - 1) < 4 * (2 / 48 / 2400) ** 0.5
    assert (sample.labels.sum(1) == 0).all()
    assert (sample.dimension == 50).all()


@pytest.mark.parametrize("coordinates", ["compressed", "explicit"])
def test_diffusion_noises_are_standard_and_see_everything(coordinates):
    sample = lm.TwoSignals(3, 60, signal=1.0, diffusion_noises=2).sample(SEEDS, INIT, coordinates=coordinates)
    eps = sample.vectors[:, 5:]
    assert eps.shape[1] == 2 * 2 * 3
    along = (eps @ sample.vectors[:, :2].mT).flatten()  # N(0, 1): the signals have length 1
    assert abs(along.var() - 1) < 4 * (2 / along.numel()) ** 0.5
    assert abs(eps.square().sum(2).mean() / 60 - 1) < 4 * (2 / 60 / 4800) ** 0.5
    with_filters = (eps @ sample.filters.mT).var()
    assert abs(with_filters / (0.01 * 60) - 1) < 0.1


def test_a_patch_by_class_reads_and_writes_transposes():
    label = torch.tensor([[1.0, -1.0, 1.0]], dtype=torch.float64)
    patch, A, g = ByClass(0, 1, label), torch.randn(1, 4, 5).double(), torch.randn(1, 4, 3).double()
    into = torch.zeros_like(A)
    patch.write(g, into)
    torch.testing.assert_close((patch.read(A) * g).sum(), (A * into).sum())
    assert torch.equal(patch.read(A)[0, :, 1], A[0, :, 1])
    assert torch.equal(patch.fresh(A)[1], A[..., 1])


def test_images_have_the_length_asked_for_and_half_of_either_class():
    images = enlarged(lm.load_digits((0, 1)), 28)
    data = lm.ImageSignals(images, n=20, snr=torch.tensor([0.1, 0.4], dtype=torch.float64), sigma_p=0.5)
    sample = data.sample(SEEDS[:2], INIT[:2])
    lengths = sample.vectors[:, :20].norm(dim=2)
    torch.testing.assert_close(lengths, torch.tensor([[0.1], [0.4]]).double().expand(2, 20) * 0.5 * 28)
    assert (sample.labels.sum(1) == 0).all()
    # Each row is the image it claims to be, whatever the cell.
    rows = sample.vectors[0, :20] / lengths[:1].T
    table = torch.as_tensor(images.x / np.linalg.norm(images.x, axis=1, keepdims=True))
    best = (rows @ table.T).max(1)
    assert best.values.min() > 1 - 1e-12
    assert torch.equal(torch.as_tensor(images.y)[best.indices] == 1, sample.labels[0] > 0)


def test_refusals():
    one, black = Images(np.ones((8, 4)), np.zeros(8, int), "a file"), np.ones((8, 4))
    black[3] = 0
    two = np.repeat([0, 1], 4)
    with pytest.raises(ValueError, match="1 classes; two are needed"):
        lm.ImageSignals(one, 4)
    with pytest.raises(ValueError, match="image 3 of a file is black"):
        lm.ImageSignals(Images(black, two, "a file"), 4)
    for n in (5, 10):
        with pytest.raises(ValueError, match="take an even n of at most 8"):
            lm.ImageSignals(Images(np.ones((8, 4)), two, "a file"), n)
    with pytest.raises(ValueError, match="no square"):
        enlarged(Images(np.ones((2, 5)), np.arange(2), "a file"), 8)
    with pytest.raises(ValueError, match="d = 2 was asked for"):
        lm.TwoSignals(4, 2, 1.0)
    with pytest.raises(ValueError, match="signal = 0 was asked for"):
        lm.TwoSignals(4, 20, 0)
