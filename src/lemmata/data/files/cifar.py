"""CIFAR-10: 50,000 colour images of 32 x 32 pixels to train on and 10,000 to test, in ten classes.

Krizhevsky 2009, "Learning multiple layers of features from tiny images". Read from the parquet files that Hugging Face
publishes as ``uoft-cs/cifar10``: columns ``img`` (PNG) and ``label``. All images are held in memory as bytes (184 MB);
shifts and mirror images are drawn per sample and step from counters.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.data.files.parquet import column, find_files
from lemmata.draws import cell_seeds, uniform

NAME, SOURCE = "CIFAR-10", "uoft-cs/cifar10"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the training images, per channel."""
PAD = 4


class Split(NamedTuple):
    """Images ``(n, 3, 32, 32)`` uint8 and classes ``(n,)`` int64."""

    x: Tensor
    y: Tensor


def cifar_files(folder: str | Path) -> dict[str, tuple[Path, ...]]:
    """The files of both splits (``ValueError`` where one is missing)."""
    return {split: find_files(folder, split, name=NAME, source=SOURCE) for split in ("train", "test")}


@functools.cache
def load_cifar(folder: str, split: str, limit: int | None = None) -> Split:
    """One split, or its first ``limit`` images.

    Raises:
        ValueError: the files are missing, have other columns or images of another size.
    """
    files, found = cifar_files(folder)[split], list[np.ndarray]()
    for images in column(files, ("img", "image")):
        found += [_pixels(image, files[0]) for image in images]
        if limit is not None and len(found) >= limit:
            break
    labels = [label for batch in column(files, ("label",)) for label in batch]
    x = torch.from_numpy(np.stack(found[:limit])).permute(0, 3, 1, 2).contiguous()
    return Split(x, torch.tensor(labels[:limit]))


def _pixels(image: object, file: Path) -> np.ndarray:
    if isinstance(image, dict):  # files without Hugging Face's own metadata hold the encoded bytes
        import io

        from PIL import Image

        image = Image.open(io.BytesIO(image["bytes"]))
    pixels = np.asarray(image.convert("RGB"))  # type: ignore[attr-defined]
    if pixels.shape != (32, 32, 3):
        raise ValueError(f"{file} holds an image of shape {pixels.shape}; CIFAR-10 has 32 x 32 pixels in 3 channels")
    return pixels


def normalise(x: Tensor) -> Tensor:
    """Bytes ``(n, 3, 32, 32)`` → float32, mean 0 and standard deviation 1 per channel over the training images."""
    mean, std = (torch.tensor(v, device=x.device)[:, None, None] for v in (MEAN, STD))
    return (x.float() / 255 - mean) / std


def augment(x: Tensor, seed: int, step: int, rows: slice, batch: int) -> Tensor:
    """Rows of a batch, each shifted by up to four pixels either way (zeros come in) and mirrored half of the time.

    Args:
        x: ``(rows, 3, 32, 32)`` float, the samples ``rows`` of the ``batch`` of this step.
    """
    draws = uniform(cell_seeds(0, [seed]), f"augmentation of step {step}", (batch, 3))[0, rows].to(x.device)
    down, right = (draws[:, :2] * (2 * PAD + 1)).long().unbind(1)
    mirrored = torch.where((draws[:, 2] < 0.5)[:, None, None, None], x.flip(3), x)
    padded, side = F.pad(mirrored, (PAD,) * 4), torch.arange(x.shape[3], device=x.device)
    n, channel = torch.arange(len(x), device=x.device), torch.arange(x.shape[1], device=x.device)
    at_row, at_column = down[:, None] + side, right[:, None] + side  # (rows, 32)
    return padded[n[:, None, None, None], channel[:, None, None], at_row[:, None, :, None], at_column[:, None, None, :]]
