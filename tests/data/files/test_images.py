"""Images from files of the user's own, and beside noise."""

import gzip
import struct

import numpy as np
import pytest
import torch

import lemmata as lm
from lemmata.data.files.bundled import bundled
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
        ({"x": np.eye(4), "y": [0, 1, 2, 1]}, "has the classes 0, 1, 2; 2 classes are needed, name those to keep"),
        ({"x": np.eye(4), "y": [1, 1, 1, 1]}, "has the classes 1; 2 classes are needed"),
        ({"x": np.zeros((4, 3)), "y": [0, 1, 0, 1]}, "one image 4 times"),
        ({"x": np.zeros((4, 8, 0)), "y": [0, 1, 0, 1]}, "without pixels"),
        ({"x": np.full((4, 3), 1e150), "y": [0, 1, 0, 1]}, "not a finite number"),
        ({"x": np.eye(4), "y": [0, 1, np.inf, 1]}, "no finite numbers"),
        ({"x": np.eye(4), "y": [0, 1, 2**40, 1]}, "the class 1099511627776"),
        ({"x": np.eye(4), "y": ["a", "b", "a", "b"]}, r"return_inverse=True\)\[1\]"),
        ({"x": np.eye(4), "y": np.eye(4)}, r"y = y.argmax\(1\)"),
        ({"x": np.zeros((4, 5, 5, 3)), "y": [0, 1, 0, 1]}, r"colours last; write x = x\[..., :3\].mean\(-1\)"),
        ({"x": np.zeros((4, 3, 5, 5)), "y": [0, 1, 0, 1]}, r"colours first; write x = x\[:, :3\].mean\(1\)"),
        ({"x": np.zeros((4, 3)), "y": [0, 1, 0]}, r"x must be \(N, H, W\)"),
        ({"x": np.zeros((4, 3)), "y": [0.5, 1, 0, 1]}, "classes are whole numbers"),
        ({"x": np.zeros((4, 3))}, "has x; it needs x"),
        ({"x": np.zeros((0, 3)), "y": []}, r"it must be \(N,\)"),
    ],
)
def test_bad_files_are_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        lm.load_images(write(tmp_path / "a.npz", **arrays), classes=2)


def layouts(folder, x, y):
    """The same images as people have them."""
    yield write(folder / "plain.npz", x=x, y=y)
    yield write(folder / "keras.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    yield write(folder / "column.npz", images=x[..., None], labels=y[:, None])
    yield write(folder / "first.npz", data=x[:, None], target=y.astype(float))
    np.save(folder / "mine_x.npy", x)
    np.save(folder / "mine_y.npy", y)
    yield folder / "mine_x.npy"
    idx = struct.pack(">HBB3I", 0, 8, 3, *x.shape) + x.astype(np.uint8).tobytes()
    labels = struct.pack(">HBBI", 0, 8, 1, len(y)) + y.astype(np.uint8).tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(idx)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    yield folder / "train-images-idx3-ubyte"
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    yield folder / "t10k-images-idx3-ubyte.gz"


def test_layouts_that_people_have_are_read_alike(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 2, (12, 4, 4)), np.arange(12) % 3
    for path in layouts(tmp_path, x, y):
        images = lm.load_images(path)
        np.testing.assert_array_equal(images.x, x.reshape(12, 16), err_msg=str(path))
        np.testing.assert_array_equal(images.y, y, err_msg=str(path))
        assert lm.load_images(path, classes=(0, 2)).classes == (0, 2)
    signed = lm.load_images(write(tmp_path / "signed.npz", x=x, y=np.where(y == 0, -1, 1)), classes=2)
    assert signed.classes == (-1, 1)


def test_bytes_are_taken_as_they_stand_and_said_so(tmp_path):
    with pytest.warns(UserWarning, match="pixels from 0 to 255"):
        lm.load_images(write(tmp_path / "a.npz", x=np.eye(4) * 255, y=[0, 1, 0, 1]))


def test_a_pair_without_its_classes_is_refused(tmp_path):
    np.save(tmp_path / "mine_x.npy", np.eye(4))
    with pytest.raises(ValueError, match=r"mine_y\.npy"):
        lm.load_images(tmp_path / "mine_x.npy")
    np.savez(tmp_path / "renamed.npz", x=1)
    (tmp_path / "array.npz").write_bytes((tmp_path / "mine_x.npy").read_bytes())
    with pytest.raises(ValueError, match="is one array"):
        lm.load_images(tmp_path / "array.npz")


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


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_bundled_tables_are_those_of_scikit_learn(name):
    shipped = getattr(pytest.importorskip("sklearn.datasets"), f"load_{name}")()
    features, classes = bundled(name)
    np.testing.assert_array_equal(features, shipped.data)
    np.testing.assert_array_equal(classes, shipped.target)
