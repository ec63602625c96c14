"""Real images, from scikit-learn's bundled digits or from a file of the user's own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.data.files.bundled import bundled


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
    pixels, target = bundled("digits")
    images = Images(pixels / 16.0, target, "scikit-learn digits")
    return images if classes is None else images.only(classes)
