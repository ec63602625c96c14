"""The population loss of :mod:`~lemmata.papers.nearest_neighbour.theory`, compiled where there is a compiler.

The same sums over the same nodes; ``population.c`` beside this file is built on first use (:mod:`lemmata.compiled`),
and without a compiler, or for an n that is not whole or below 2, the numpy code runs. Dynamics take it thousands of
times.
"""

import ctypes
import functools
import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lemmata import compiled
from lemmata.papers.nearest_neighbour import theory

_UNIT = compiled.Unit(Path(__file__).with_name("population.c"))


def population(xi1: ArrayLike, xi2: ArrayLike, n: ArrayLike, d: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """L, ∂L/∂ξ1 and ∂L/∂ξ2; arguments and result as of :func:`theory.population`."""
    library = compiled.library("population", [_UNIT])
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (xi1, xi2, n, d)))
    if library is None or (arrays[2] != np.round(arrays[2])).any() or (arrays[2] < 2).any():
        return theory.population(xi1, xi2, n, d)
    found = np.empty((arrays[0].size, 3))
    for row, cell in zip(found, zip(*(a.ravel().tolist() for a in arrays))):
        xi1_here, xi2_here, n_here, d_here = cell
        _one(library, xi1_here, xi2_here, n_here, d_here, row)
    value, first, second = (column.reshape(arrays[0].shape) for column in found.T)
    return value, first, second


def _one(library: ctypes.CDLL, xi1: float, xi2: float, n: float, d: float, out: NDArray) -> None:
    less, density, weight, within = _nodes(theory.panels_for(xi1), d)
    t, dt = theory.times_for(xi1, xi2, n)
    arrays = [less, density, weight, within, t, dt]
    numbers = ctypes.c_double(xi1), ctypes.c_double(math.exp(-xi2)), ctypes.c_long(int(n))
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    room = np.empty(len(less))
    last = ctypes.c_void_p(room.ctypes.data), ctypes.c_void_p(out.ctypes.data)
    library.population(ctypes.c_long(len(less)), ctypes.c_long(len(t)), *pointers, *numbers, *last)


@functools.lru_cache(maxsize=1024)
def _nodes(count: int, d: float) -> tuple[NDArray, ...]:
    angle, less, density = theory.angles_for(count, d)
    arrays = (less, density, angle.weights * density, angle.within.T)
    return tuple(np.ascontiguousarray(array) for array in arrays)
