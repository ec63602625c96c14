"""Real images, from scikit-learn's bundled digits or from a file of the user's own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Images:
    """Images and their classes.

    Attributes:
        x: ``(N, p)`` float64, one row of pixels per image.
        y: ``(N,)`` int64, the classes as the source names them.
        source: where they come from, for the record.
    """

    x: np.ndarray
    y: np.ndarray
    source: str

    @property
    def classes(self) -> tuple[int, ...]:
        """The distinct classes, increasing."""
        return tuple(int(value) for value in np.unique(self.y))

    def describe(self) -> dict[str, Any]:
        """Source, classes, size and a digest of the contents: what a stored result says of its images."""
        digest = hashlib.sha256(self.x.tobytes() + self.y.tobytes()).hexdigest()[:16]
        return {"source": self.source, "classes": list(self.classes), "shape": list(self.x.shape), "sha256": digest}

    def only(self, classes: Sequence[int]) -> "Images":
        """The images of some classes.

        Raises:
            ValueError: for a class that is not there.
        """
        missing = [value for value in classes if value not in self.classes]
        if missing:
            have = ", ".join(map(str, self.classes))
            raise ValueError(
                f"class {missing[0]} was asked for and {self.source} has the classes {have}; choose of these"
            )
        kept = np.isin(self.y, list(classes))
        return Images(self.x[kept], self.y[kept], self.source)


def load_digits(classes: Sequence[int] | None = None) -> Images:
    """The 1797 digits of 8 x 8 pixels that scikit-learn bundles, pixels in [0, 1].

    Args:
        classes: digits to keep; None keeps all ten.

    Raises:
        ModuleNotFoundError: without scikit-learn, naming the extra that brings it.
        ValueError: for a class outside 0 to 9.
    """
    pixels, target = _bundled()
    images = Images(pixels / 16.0, target.astype(np.int64), "scikit-learn digits")
    return images if classes is None else images.only(classes)


@cache
def _bundled() -> tuple[np.ndarray, np.ndarray]:
    """Pixels and classes as they are shipped; unpacked once, because a description of a run is made many times."""
    try:
        from sklearn import datasets
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the digits come with scikit-learn, which is not installed; run pip install 'lemmata[digits]'"
        ) from None
    found = datasets.load_digits()
    return found.data, found.target


def load_images(path: str | Path, classes: Sequence[int] | int | None = None) -> Images:
    """Images from an ``.npz`` file with arrays ``x`` ``(N, H, W)`` or ``(N, p)`` and ``y`` ``(N,)`` whole numbers.

    Args:
        path: the file.
        classes: classes to keep; or how many the file must have; None takes the file as it is.

    Raises:
        ValueError: for a file that is not such an archive, lacks an array, has arrays that do not fit together, a value
            that is not finite, or other classes than asked for.
    """
    source = Path(path)
    if not source.is_file():
        raise ValueError(f"images were asked for from {source}, which is no file; give the path of an .npz file")
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:
        raise ValueError(
            f"{source} cannot be read as an .npz file ({error}); write it with numpy.savez(path, x=images, y=classes)"
        ) from None
    if not {"x", "y"} <= set(arrays):
        found = ", ".join(sorted(arrays)) or "no arrays"
        raise ValueError(f"{source} has {found}; it needs x (images) and y (classes)")
    x, y = arrays["x"], arrays["y"]
    if x.ndim not in (2, 3) or y.shape != x.shape[:1] or not len(x):
        raise ValueError(f"{source} has x {x.shape} and y {y.shape}; x must be (N, H, W) or (N, p), and y (N,)")
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiub" or not np.array_equal(y, np.round(y)):
        raise ValueError(
            f"{source} has x of {x.dtype} and y of {y.dtype}; pixels are numbers and classes whole numbers"
        )
    x = x.reshape(len(x), -1).astype(np.float64)
    if not np.isfinite(x).all():
        bad = int(np.flatnonzero(~np.isfinite(x).all(1))[0])
        raise ValueError(f"{source} has a pixel that is not a finite number, first in image {bad}; remove or fill it")
    images = Images(x, y.astype(np.int64), str(source))
    if isinstance(classes, int):
        if len(images.classes) != classes:
            have = ", ".join(map(str, images.classes))
            raise ValueError(
                f"{source} has the classes {have}; {classes} classes are needed, keep that many in the file"
            )
        return images
    return images if classes is None else images.only(classes)
