"""Tables that scikit-learn ships, read from its files.

Importing scikit-learn takes longer than a small run, and nothing of it is needed but the numbers.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

_FILES = {"digits": ("digits.csv.gz", 0), "breast_cancer": ("breast_cancer.csv", 1)}  # and lines before the numbers


@cache
def bundled(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(n, d)`` float64 and classes ``(n,)`` int64 of ``digits`` (1797, 64) or ``breast_cancer`` (569, 30).

    Raises:
        ModuleNotFoundError: without scikit-learn, naming the extra that brings it.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            f"{name} comes with scikit-learn, which is not installed; run pip install 'lemmata[digits]'"
        )
    file, heading = _FILES[name]
    table = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / file, delimiter=",", skiprows=heading)
    table.flags.writeable = False
    return table[:, :-1], table[:, -1].astype(np.int64)
