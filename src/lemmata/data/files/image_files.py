"""Images from a file of the user's own, in the layouts that people have.

    .npz   x and y, or x_train and y_train (Keras's MNIST), images and labels, data and target
    .npy   NAME_x.npy or x.npy, the classes in NAME_y.npy or y.npy beside it
    IDX    NAME-images-idx3-ubyte, plain or .gz, the classes in NAME-labels-idx1-ubyte beside it (MNIST as published)

Pixels are (N, H, W) or (N, p), one channel; classes are whole numbers. What is found otherwise is refused by its
layout, with the line of numpy that mends it. Pixels are taken as they stand: a noise level σp is in the same unit.
"""

import gzip
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.data.files.images import Images, load_digits

_NAMES = (("x", "y"), ("x_train", "y_train"), ("X", "y"), ("images", "labels"), ("data", "target"))
_IDX_TYPES: dict[int, Any] = {0x08: np.uint8, 0x09: np.int8, 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BYTES = 1.5
"""Pixels beyond this are not in [0, 1]."""
_HUGE = 1e30


def load_images(path: str | Path, classes: Sequence[int] | int | None = None) -> Images:
    """Images and their classes from a file, see the layouts above.

    Args:
        path: the file.
        classes: classes to keep; or how many the file must have; None takes the file as it is.

    Raises:
        ValueError: for a file that cannot be read, lacks an array, has arrays that do not fit together or another
            layout, a value that is not finite, images without any difference, or other classes than asked for.
    """
    source = Path(path)
    if not source.is_file():
        raise ValueError(f"images were asked for from {source}, which is no file; give the path of an .npz file")
    x, y = _arrays(source)
    y = _classes(y, source)
    x = _pixels(x, len(y), source)
    images = Images(x, y, str(source))
    if isinstance(classes, int):
        if len(images.classes) != classes:
            have = ", ".join(map(str, images.classes))
            raise ValueError(
                f"{source} has the classes {have}; {classes} classes are needed, name those to keep, as in "
                "--classes 3 8"
            )
        return images
    return images if classes is None else images.only(classes)


def two_classes(path: str | None, classes: Sequence[int] | None, default: Sequence[int]) -> Images:
    """Images of two classes: of a file, or of scikit-learn's digits.

    Args:
        path: the file; None takes the digits.
        classes: the two to keep; None keeps ``default`` of the digits, or the two that a file has.

    Raises:
        ValueError: as :func:`load_images`; or classes that are not two.
    """
    if classes is not None and len(set(classes)) != 2:
        raise ValueError(f"classes {', '.join(map(str, classes))} were asked for; give two, as in --classes 3 8")
    if path is None:
        return load_digits(default if classes is None else classes)
    return load_images(path, 2 if classes is None else classes)


def _arrays(source: Path) -> tuple[Any, Any]:
    name = source.name.removesuffix(".gz")
    try:
        if "idx3" in name or "idx2" in name:
            return _idx(source), _idx(_beside(source, ("images", "labels"), ("idx3", "idx1"), ("idx2", "idx1")))
        if name.endswith(".npy"):
            return np.load(source), np.load(_beside(source, ("x.npy", "y.npy"), ("images.npy", "labels.npy")))
        archive = np.load(source, allow_pickle=False)
    except FileNotFoundError as error:
        raise ValueError(f"{source} holds images and {error.filename}, with their classes, is not there") from None
    except Exception:
        raise ValueError(
            f"{source} cannot be read as an .npz, .npy or IDX file; write it with "
            "numpy.savez(path, x=images, y=classes)"
        ) from None
    if isinstance(archive, np.ndarray):
        raise ValueError(f"{source} is one array; write both with numpy.savez(path, x=images, y=classes)")
    with archive:
        for x, y in _NAMES:
            if {x, y} <= set(archive.files):
                try:
                    return archive[x], archive[y]
                except Exception:
                    raise ValueError(
                        f"{source} has an array that cannot be read, or of Python objects; write plain numbers"
                    ) from None
        found = ", ".join(sorted(archive.files)) or "no arrays"
    raise ValueError(f"{source} has {found}; it needs x (images) and y (classes)")


def _beside(source: Path, *swaps: tuple[str, str]) -> Path:
    name = source.name
    for old, new in swaps:
        name = name.replace(old, new)
    other = source.with_name(name)
    if name == source.name or not other.is_file():
        raise FileNotFoundError(2, "not found", str(other if name != source.name else source.with_name("y.npy")))
    return other


def _idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zero, kind, dims = struct.unpack(">HBB", raw[:4])
    shape = struct.unpack(f">{dims}I", raw[4 : 4 + 4 * dims])
    if zero or kind not in _IDX_TYPES:
        raise ValueError("not an IDX file")
    return np.frombuffer(raw, _IDX_TYPES[kind], offset=4 + 4 * dims).reshape(shape)


def _classes(y: Any, source: Path) -> np.ndarray:
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        raise ValueError(f"{source} has y {y.shape}, one column a class; write y = y.argmax(1)")
    if y.ndim != 1 or not len(y):
        raise ValueError(f"{source} has y {y.shape}; it must be (N,), one class for each image")
    if y.dtype.kind in "US":
        raise ValueError(f"{source} has classes in words; write y = numpy.unique(y, return_inverse=True)[1]")
    if y.dtype.kind not in "fiub" or not np.isfinite(y.astype(float)).all():
        raise ValueError(f"{source} has y of {y.dtype} with values that are no finite numbers; write whole numbers")
    if not np.array_equal(y, np.round(y)) or np.abs(y.astype(float)).max() > 2**31:
        bad = y[(y != np.round(y)) | (np.abs(y.astype(float)) > 2**31)][0]
        raise ValueError(f"{source} has the class {bad}; classes are whole numbers, write y = y.astype(int)")
    return y.astype(np.int64)


def _pixels(x: Any, count: int, source: Path) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{source} has x of {x.dtype}; pixels are numbers, write x = x.astype(float)")
    if x.ndim == 4 and 1 in (x.shape[1], x.shape[3]):
        x = x[:, 0] if x.shape[1] == 1 else x[..., 0]
    if x.ndim == 4 and x.shape[3] in (3, 4):
        raise ValueError(f"{source} has x {x.shape}, colours last; write x = x[..., :3].mean(-1)")
    if x.ndim == 4 and x.shape[1] in (3, 4):
        raise ValueError(f"{source} has x {x.shape}, colours first; write x = x[:, :3].mean(1)")
    if x.ndim not in (2, 3) or len(x) != count:
        raise ValueError(f"{source} has x {x.shape} and {count} classes; x must be (N, H, W) or (N, p), and y (N,)")
    x = x.reshape(len(x), -1).astype(np.float64)
    if not x.shape[1]:
        raise ValueError(f"{source} has images without pixels; x must be (N, H, W) or (N, p)")
    if not np.isfinite(x).all() or np.abs(x).max() > _HUGE:
        bad = int(np.flatnonzero(~(np.isfinite(x) & (np.abs(x) <= _HUGE)).all(1))[0])
        raise ValueError(f"{source} has a pixel that is not a finite number, first in image {bad}; remove or fill it")
    if (x == x[0]).all():
        raise ValueError(f"{source} has one image {len(x)} times; nothing tells its classes apart")
    if np.abs(x).max() > _BYTES:
        warnings.warn(
            f"{source} has pixels from {x.min():g} to {x.max():g}; they are taken as they stand, and a noise level σp "
            "is in the same unit (x = x / 255 brings bytes to [0, 1])",
            stacklevel=4,
        )
    return x
