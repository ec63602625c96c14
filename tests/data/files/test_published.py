"""Data sets in the form in which they are published: what is read is what was written."""

import numpy as np
import pytest
import torch

from lemmata.data.files.text_tokens import load_tokens, vocabulary

pytest.importorskip("datasets")
from lemmata.data.files.cifar import PAD, augment, load_cifar, normalise
from tests.oracles.toy_files import write_cifar, write_text


@pytest.mark.parametrize("metadata", [True, False], ids=["hugging face", "plain"])
def test_images_and_classes_come_back(metadata, tmp_path):
    write_cifar(tmp_path, metadata=metadata)
    train, test = (load_cifar(str(tmp_path), split) for split in ("train", "test"))
    assert train.x.shape == (48, 3, 32, 32)
    assert train.x.dtype == torch.uint8
    assert test.y.shape == (20,)
    # The generator adds noise of at most 59 to a colour that the class decides.
    assert (train.x[:, 0].amin((1, 2)) // 1 >= train.y * 19).all()
    assert (train.x[:, 0].amin((1, 2)) < train.y * 19 + 10).all()
    assert load_cifar(str(tmp_path), "train", 5).y.tolist() == train.y[:5].tolist()


def test_other_columns_and_sizes_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_cifar(tmp_path, train=2, test=2)
    pq.write_table(pa.table({"pixels": [1], "label": [1]}), tmp_path / "plain_text" / "train-00000-of-00001.parquet")
    with pytest.raises(ValueError, match="columns pixels, label; one called img or image is needed"):
        load_cifar(str(tmp_path), "train")


def test_normalised_pixels():
    x = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1).expand(3, 2, 1, 1).permute(1, 0, 2, 3)
    found = normalise(x)[:, :, 0, 0]
    np.testing.assert_allclose(found[0], -np.array([0.4914, 0.4822, 0.4465]) / [0.2470, 0.2435, 0.2616], rtol=1e-6)
    np.testing.assert_allclose(found[1] - found[0], 1 / np.array([0.2470, 0.2435, 0.2616]), rtol=1e-6)


def test_every_sample_is_shifted_and_mirrored_as_written_out():
    from lemmata.draws import cell_seeds, uniform

    x = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = augment(x, seed=3, step=7, rows=slice(0, 6), batch=6)
    draws = uniform(cell_seeds(0, [3]), "augmentation of step 7", (6, 3))[0]
    for image, draw, moved in zip(x, draws, found):
        down, right = (int(value * 9) for value in draw[:2])
        image = image.flip(2) if draw[2] < 0.5 else image
        wide = torch.zeros(3, 40, 40)
        wide[:, PAD:-PAD, PAD:-PAD] = image
        assert torch.equal(moved, wide[:, down : down + 32, right : right + 32])
    half = augment(x[3:], seed=3, step=7, rows=slice(3, 6), batch=6)
    assert torch.equal(half, found[3:])


def test_tokens_are_the_documents_one_after_the_other(tmp_path):
    from tokenizers import Tokenizer

    texts = write_text(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    found = []
    for split in ("train", "validation"):
        tokens = load_tokens(tmp_path, split, 0.2)
        assert tokens.dtype == np.uint16
        documents = tokenizer.decode(tokens.tolist(), skip_special_tokens=False).split("<|endoftext|>")
        assert documents.pop() == ""
        found.append(documents)
    assert sorted(found[0] + found[1]) == sorted(texts)
    assert 4 <= len(found[1]) <= 24
    assert found[0] == [text for text in texts if text not in found[1]]
    assert vocabulary(tmp_path) == 320


def test_a_split_without_documents_is_refused_and_leaves_nothing(tmp_path):
    write_text(tmp_path, documents=4)
    with pytest.raises(ValueError, match=r"no document .* fell to the validation split"):
        load_tokens(tmp_path, "train", 1e-9)
    assert not [path for path in tmp_path.iterdir() if "lemmata" in path.name]
