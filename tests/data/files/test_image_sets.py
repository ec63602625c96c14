"""Image sets come out of every kind of file alike, and crops are those of their counters."""

import pickle

import numpy as np
import pytest
import torch

from lemmata.data.files import image_sets
from lemmata.data.files.crops import centre_crop, resized_crop
from lemmata.data.files.image_sets import files_of, load_split
from tests.oracles.toy_image_sets import toy_images, write_batches, write_folders, write_parquet, write_tiny


@pytest.fixture(autouse=True)
def fresh():
    image_sets.load_split.cache_clear()


def splits(classes, side, test="test"):
    return {"train": toy_images(24, classes, side), test: toy_images(12, classes, side, seed=1)}


def agrees(found, images, labels):
    """In any order of the images: folders sort by class."""
    keys = [(int(c), x.tobytes()) for c, x in zip(found.y, found.x.permute(0, 2, 3, 1).numpy().copy())]
    assert sorted(keys) == sorted((int(c), x.tobytes()) for c, x in zip(labels, images))


@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [
        ("cifar10", write_parquet, "parquet"),
        ("cifar10", write_batches, "batches"),
        ("cifar10", write_folders, "folders"),
        ("cifar100", lambda f, s: write_parquet(f, s, label="fine_label"), "parquet"),
        (
            "cifar100",
            lambda f, s: write_batches(f, s, b"fine_labels", {"train": ("train",), "test": ("test",)}),
            "batches",
        ),
    ],
)
def test_cifar_is_read_from_every_kind(tmp_path, name, write, kind):
    made = splits(10, 32)
    write(tmp_path, made)
    for split, (images, labels) in made.items():
        assert files_of(name, tmp_path, split)[0] == kind
        agrees(load_split(name, str(tmp_path), split), images, labels)


@pytest.mark.parametrize("write", [write_tiny, write_folders, lambda f, s: write_parquet(f, s, image="image")])
def test_tiny_imagenet_is_read_from_its_own_layout_and_others(tmp_path, write):
    made = splits(8, 64, "val")
    write(tmp_path, made)
    for split, key in (("train", "train"), ("test", "val")):
        agrees(load_split("tiny-imagenet", str(tmp_path), split), *made[key])


def test_other_sizes_are_scaled_and_cut(tmp_path):
    wide = toy_images(4, 4, 300)[0][:, :280]  # 280 x 300
    write_folders(tmp_path, {"train": (wide, np.arange(4)), "val": (wide, np.arange(4))})
    found = load_split("imagenet100", str(tmp_path), "train")
    assert found.x.shape == (4, 3, 256, 256)
    means = found.x.float().mean((2, 3))
    torch.testing.assert_close(means, torch.from_numpy(wide).float().mean((1, 2)), atol=2.0, rtol=0)


def test_a_pickle_may_make_arrays_and_nothing_else(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("called",)

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(ValueError, match=r"data_batch_1 cannot be read .* asks for builtins.print"):
        load_split("cifar10", str(tmp_path), "train")


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"holds no train split; download it with 'hf download uoft-cs/cifar100"):
        load_split("cifar100", str(tmp_path), "train")
    with pytest.raises(ValueError, match="'mnist' was asked for; there are cifar10, cifar100"):
        load_split("mnist", str(tmp_path), "train")
    write_parquet(tmp_path, splits(40, 32))
    with pytest.raises(ValueError, match="holds the label 23; CIFAR-10 has 10 classes"):
        load_split("cifar10", str(tmp_path), "train")


def test_resized_crops_do_not_depend_on_how_a_batch_is_cut():
    x = torch.rand(6, 3, 20, 20)
    whole = resized_crop(x, 3, 7, slice(0, 6), 6, 16)
    parts = torch.cat([resized_crop(x[rows], 3, 7, rows, 6, 16) for rows in (slice(0, 2), slice(2, 6))])
    torch.testing.assert_close(whole, parts)
    assert whole.shape == (6, 3, 16, 16)
    assert whole.min() >= x.min()
    assert whole.max() <= x.max()
    assert not torch.equal(whole, resized_crop(x, 3, 8, slice(0, 6), 6, 16))
    assert torch.equal(centre_crop(x, 16), x[:, :, 2:18, 2:18])


def test_a_crop_of_a_ramp_is_a_ramp_inside_it():
    """Coordinates as colours: crops are axis-parallel windows of 8 to 100 % of the area, mirrored half of the time."""
    ramp = torch.linspace(0, 1, 64)
    x = torch.stack([ramp.expand(64, 64), ramp[:, None].expand(64, 64), torch.zeros(64, 64)]).expand(400, 3, 64, 64)
    found = resized_crop(x, 0, 0, slice(0, 400), 400, 32)
    across, down = found[:, 0, 16], found[:, 1, :, 16]
    width, height = across[:, -1] - across[:, 0], down[:, -1] - down[:, 0]
    assert 0.4 < float((width < 0).float().mean()) < 0.6
    assert (height > 0).all()
    area = width.abs() * height
    assert float(area.min()) > 0.05
    assert float(area.max()) <= 1
    assert float(area.mean()) == pytest.approx(0.5, abs=0.07)
