"""Published image sets as bytes in memory: CIFAR-10, CIFAR-100, Tiny-ImageNet, ImageNet-100, in three kinds of files.

    parquet        as Hugging Face publishes them: files named after the split, an image column and a label column
    batches        the python batches of CIFAR that torchvision downloads: pickled arrays
    folders        SPLIT/CLASS/IMAGE.jpg, one folder per class at any depth; Tiny-ImageNet's val_annotations.txt too

Krizhevsky 2009, "Learning multiple layers of features from tiny images"; Le, Yang 2015, "Tiny ImageNet visual
recognition challenge"; Russakovsky et al. 2014, arXiv 1409.0575, of which ImageNet-100 is a hundred classes. Images of
another size are scaled to the set's along their shorter side and cut in the middle. Pickles are read without executing
anything but the making of arrays.
"""

import functools
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lemmata.data.files.parquet import column, fingerprint

IMAGES = (".jpg", ".jpeg", ".png")
IMAGE_COLUMNS, LABEL_COLUMNS = ("img", "image"), ("fine_label", "label", "labels")


@dataclass(frozen=True)
class ImageSet:
    """A published set.

    Args:
        title: its name in prose.
        source: where Hugging Face has it.
        classes: how many.
        side: pixels of a side, as held in memory.
        test: names of the split to test on, the first that is there.
    """

    title: str
    source: str
    classes: int
    side: int
    test: tuple[str, ...] = ("test",)


SETS = {
    "cifar10": ImageSet("CIFAR-10", "uoft-cs/cifar10", 10, 32),
    "cifar100": ImageSet("CIFAR-100", "uoft-cs/cifar100", 100, 32),
    "tiny-imagenet": ImageSet("Tiny-ImageNet", "zh-plus/tiny-imagenet", 200, 64, ("val",)),
    "imagenet100": ImageSet("ImageNet-100", "clane9/imagenet-100", 100, 256, ("val",)),
}


class Split(NamedTuple):
    """Images ``(n, 3, side, side)`` uint8 and classes ``(n,)`` int64."""

    x: Tensor
    y: Tensor


@functools.lru_cache(maxsize=4)
def load_split(name: str, folder: str, split: str, limit: int | None = None) -> Split:
    """One split of a set, ``train`` or ``test``, or its first ``limit`` images.

    Raises:
        ValueError: no such set, no files of it in the folder, or files that do not hold it; the message says what to
            download and where to put it.
    """
    kept = _kept(name)
    kind, files = files_of(name, folder, split)
    reader = {"parquet": _parquet, "batches": _batches, "folders": _folders}[kind]
    images, labels = [], []
    for image, label in reader(files, kept):
        images.append(image)
        labels.append(label)
        if limit is not None and len(images) >= limit:
            break
    y = torch.tensor(labels, dtype=torch.int64)
    if int(y.max()) >= kept.classes:
        raise ValueError(f"{files[0]} holds the label {int(y.max())}; {kept.title} has {kept.classes} classes, from 0")
    return Split(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), y)


def files_of(name: str, folder: str | Path, split: str) -> tuple[str, tuple[Path, ...]]:
    """Which kind of files a folder holds of a split, and these, sorted.

    Raises:
        ValueError: none.
    """
    kept = _kept(name)
    names = ("train",) if split == "train" else kept.test
    every = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    parquet = tuple(p for p in every if p.suffix == ".parquet" and p.name.startswith(names))
    if parquet:
        return "parquet", parquet
    wanted = {"cifar10": "data_batch_" if split == "train" else "test_batch", "cifar100": names[0]}.get(name)
    batches = tuple(p for p in every if wanted and p.name.startswith(wanted) and not p.suffix)
    if batches:
        return "batches", batches
    top = [p for n in names for p in Path(folder).rglob(n) if p.is_dir()]
    images = tuple(p for p in every if p.suffix.lower() in IMAGES and any(t in p.parents for t in top))
    if images:
        return "folders", images
    raise ValueError(
        f"{kept.title} was looked for in {folder!s}, which holds no {' or '.join(names)} split; download it with "
        f"'hf download {kept.source} --repo-type dataset --local-dir DIR' and give --data DIR (python batches of CIFAR "
        f"and folders of images are read too)"
    )


def describe(name: str, folder: str) -> dict[str, dict[str, int]]:
    """Names and bytes of the files of both splits, or their number and bytes where there are many."""
    said = {}
    for split in ("train", "test"):
        _, files = files_of(name, folder, split)
        many = {"images": len(files), "bytes": sum(path.stat().st_size for path in files)}
        said[split] = fingerprint(files) if len(files) < 50 else many
    return said


def _kept(name: str) -> ImageSet:
    if name not in SETS:
        raise ValueError(f"the image set {name!r} was asked for; there are {', '.join(SETS)}")
    return SETS[name]


def _parquet(files: tuple[Path, ...], kept: ImageSet) -> Iterator[tuple[np.ndarray, int]]:
    labels = (label for batch in column(files, LABEL_COLUMNS) for label in batch)
    images = (image for batch in column(files, IMAGE_COLUMNS) for image in batch)
    for image, label in zip(images, labels):
        yield _pixels(image, kept.side), int(label)


def _batches(files: tuple[Path, ...], kept: ImageSet) -> Iterator[tuple[np.ndarray, int]]:
    for path in files:
        with open(path, "rb") as file:
            try:
                batch = _ArraysOnly(file, encoding="bytes").load()
            except pickle.UnpicklingError as error:
                raise ValueError(f"{path} cannot be read as a python batch of {kept.title} ({error})") from None
        labels = batch.get(b"fine_labels", batch.get(b"labels"))
        for row, label in zip(batch[b"data"], labels):
            yield row.reshape(3, 32, 32).transpose(1, 2, 0), int(label)


class _ArraysOnly(pickle.Unpickler):
    """Reads numpy arrays, lists and bytes; refuses to look up anything else, which a pickle could then call."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {("_codecs", "encode"), ("numpy", "ndarray"), ("numpy", "dtype")}
        if (name in ("_reconstruct", "_frombuffer") and module.startswith("numpy")) or (module, name) in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")


def _folders(files: tuple[Path, ...], kept: ImageSet) -> Iterator[tuple[np.ndarray, int]]:
    named = _annotated(files[0]) or {path: _class_of(path, ("train", *kept.test)) for path in files}
    classes = sorted({*named.values()} | {p.name for p in _class_folders(files[0])})
    place = {name: index for index, name in enumerate(classes)}
    for path in files:
        yield _pixels(path, kept.side), place[named[path]]


def _class_of(image: Path, splits: tuple[str, ...]) -> str:
    """The folder below the split's, as Tiny-ImageNet has another one between a class and its images."""
    parts = image.parts[:-1]
    last = max(place for place, part in enumerate(parts) if part in splits)
    if last + 1 == len(parts):
        raise ValueError(f"{image} lies in no folder of a class; sort images as SPLIT/CLASS/IMAGE")
    return parts[last + 1]


def _class_folders(image: Path) -> list[Path]:
    """The folders of the training classes, by which classes are numbered, seen from any image of the set."""
    for above in image.parents:
        if (above / "train").is_dir():
            return [path for path in (above / "train").iterdir() if path.is_dir()]
    return []


def _annotated(image: Path) -> dict[Path, str] | None:
    """Tiny-ImageNet keeps its validation images in one folder and their classes in a text file."""
    lines = image.parent.parent / "val_annotations.txt"
    if not lines.is_file():
        return None
    rows = (line.split("\t") for line in lines.read_text().splitlines() if line.strip())
    return {image.parent / row[0]: row[1] for row in rows}


def _pixels(image: Any, side: int) -> np.ndarray:
    """``(side, side, 3)`` uint8: scaled along the shorter side and cut in the middle where the size is another."""
    from PIL import Image

    if isinstance(image, dict):  # files without Hugging Face's own metadata hold the encoded bytes
        image = Image.open(io.BytesIO(image["bytes"]))
    elif isinstance(image, Path):
        image = Image.open(image)
    image = image.convert("RGB")
    if image.size != (side, side):
        factor = side / min(image.size)
        width, height = (max(side, round(length * factor)) for length in image.size)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    return np.asarray(image)
