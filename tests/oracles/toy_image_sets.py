"""The same few images in every kind of file in which image sets are published."""

import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def toy_images(count, classes, side, seed=0):
    """Bytes ``(n, side, side, 3)`` whose colour says the class, and classes ``(n,)``, each one there."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    colour = np.stack([labels * 190 // classes, 190 - labels * 190 // classes, (labels % 2) * 150], 1)
    return (draws.integers(0, 60, (count, side, side, 3)) + colour[:, None, None]).astype(np.uint8), labels


def write_parquet(folder, splits, image="img", label="label"):
    """``{split: (images, labels)}`` as PNG bytes in one file a split."""
    for split, (images, labels) in splits.items():
        rows = [{"bytes": _png(pixels), "path": None} for pixels in images]
        schema = pa.schema([(image, pa.struct([("bytes", pa.binary()), ("path", pa.string())])), (label, pa.int64())])
        target = folder / f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.table({image: rows, label: labels}, schema=schema), target)
    return folder


def write_batches(folder, splits, labels_key=b"labels", names=None):
    """Python batches as CIFAR's, training images in two files unless named."""
    folder = folder / "cifar-batches-py"
    folder.mkdir()
    for split, (images, labels) in splits.items():
        flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        files = names or {"train": ("data_batch_1", "data_batch_2"), "test": ("test_batch",)}
        for name, rows, classes in zip(
            files[split], np.array_split(flat, len(files[split])), np.array_split(labels, len(files[split]))
        ):
            with open(folder / name, "wb") as file:
                pickle.dump({b"data": rows, labels_key: classes.tolist()}, file, protocol=2)
    return folder.parent


def write_folders(folder, splits):
    """SPLIT/CLASS/NUMBER.png."""
    for split, (images, labels) in splits.items():
        for number, (pixels, label) in enumerate(zip(images, labels)):
            place = folder / split / f"n{label:03d}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:04d}.png").write_bytes(_png(pixels))
    return folder


def write_tiny(folder, splits):
    """Tiny-ImageNet's own layout: train/CLASS/images/*.png, val/images/*.png and val_annotations.txt."""
    lines = []
    for split, (images, labels) in splits.items():
        for number, (pixels, label) in enumerate(zip(images, labels)):
            place = folder / split / (f"n{label:03d}/images" if split == "train" else "images")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{split}_{number:04d}.png").write_bytes(_png(pixels))
            if split == "val":
                lines.append(f"val_{number:04d}.png\tn{label:03d}\t0\t0\t62\t62")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines))
    return folder


def _png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
