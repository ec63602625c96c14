"""Images from files of the user's own, and beside noise."""

import numpy as np
import pytest
import torch

import lemmata as lm
from lemmata.draws import cell_seeds


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_a_file_is_read(tmp_path):
    x, y = np.arange(24.0).reshape(6, 2, 2), np.array([3, 8, 3, 8, 8, 3])
    images = lm.load_images(write(tmp_path / "a.npz", x=x, y=y), classes=2)
    assert images.x.shape == (6, 4)
    assert images.classes == (3, 8)
    assert images.only((8,)).x.shape == (3, 4)
    assert images.describe()["shape"] == [6, 4]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.full((4, 3), np.nan), "y": [0, 1, 0, 1]}, "not a finite number, first in image 0"),
        ({"x": np.zeros((4, 3)), "y": [0, 1, 2, 1]}, "has the classes 0, 1, 2; 2 classes are needed"),
        ({"x": np.zeros((4, 3)), "y": [1, 1, 1, 1]}, "has the classes 1; 2 classes are needed"),
        ({"x": np.zeros((4, 3)), "y": [0, 1, 0]}, r"x must be \(N, H, W\)"),
        ({"x": np.zeros((4, 3)), "y": [0.5, 1, 0, 1]}, "classes whole numbers"),
        ({"x": np.zeros((4, 3))}, "has x; it needs x"),
        ({"x": np.zeros((0, 3)), "y": []}, r"x must be \(N, H, W\)"),
    ],
)
def test_bad_files_are_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        lm.load_images(write(tmp_path / "a.npz", **arrays), classes=2)


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no file; give the path"):
        lm.load_images(tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ValueError, match="cannot be read as an"):
        lm.load_images(tmp_path / "broken.npz")


def test_training_and_test_images_are_apart():
    images = lm.load_digits((3, 8))
    data = lm.ImageNoise(images, n=9, sigma_p=0.1, d=300, tests=1000)
    sample = data.sample(cell_seeds(0, range(3)), torch.ones(3, 4, dtype=torch.float64))
    assert (sample.labels.sum(1) == 1).all()
    train, test = sample.vectors[:, :9], sample.witnesses.vectors
    assert test.shape[1] == len(images.y) - 9
    pooled = torch.cat([train, test], 1)[..., :64].sum(1)
    assert torch.allclose(pooled, torch.zeros_like(pooled), atol=1e-9)  # every image once, centred
    length = sample.vectors[:, 9:].square().sum(2).mean()
    assert abs(length / (0.01 * 300) - 1) < 0.1
    with pytest.raises(ValueError, match="one must be left for testing"):
        lm.ImageNoise(images, n=400)
    with pytest.raises(ValueError, match="has 10 classes; two are needed"):
        lm.ImageNoise(lm.load_digits(), n=4)
    with pytest.raises(ValueError, match=r"not below the pixels"):
        lm.ImageNoise(images, n=4, d=10)


def test_error_on_witnesses_is_that_of_test_points():
    data = lm.ImageNoise(lm.load_digits((3, 8)), n=12, sigma_p=0.4, d=120, tests=60)
    run = lm.Run(data, lm.TwoLayerCNN(4, v0=0.3), probes=("test_error", "test_error_se"), engine="compressed", steps=80)
    trained = lm.train(run, range(2))
    sample, head = trained.final.products.sample, trained.final.products.head
    generator = torch.Generator().manual_seed(0)
    d = sample.vectors.shape[-1]
    for cell in range(2):
        W, v = trained.filters[cell], head["output"][cell]
        wrong = []
        for x, y in zip(sample.witnesses.vectors[cell], sample.witnesses.labels[cell]):
            noise = 0.4 * torch.randn(3000, d, generator=generator, dtype=torch.float64)
            f = (torch.relu(W @ x) @ v) + torch.relu(noise @ W.T) @ v
            wrong.append((y * f <= 0).double().mean())
        assert abs(torch.stack(wrong).mean() - trained.records["test_error"][cell, 0]) < 0.012
