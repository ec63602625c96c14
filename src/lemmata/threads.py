"""How many threads a training takes on a CPU, and what they do.

Cells are small: spread over threads, one operation of PyTorch on a tile is slower than on one thread, by far where
other work shares the machine, because its threads wait for each other busily (measured: 5 s against 27 s for a sweep of
1,200 cells). So on the gram and compressed engines PyTorch gets one thread, and its others are dealt whole pieces of
work that wait for nobody: cells to the native kernel, parts of a tile to the test error. Tiles of many inner products
are the exception: there two threads of PyTorch took 0.55 of the time of one.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

MANY_PRODUCTS = 2**18
"""Inner products A of a tile, cells × filters × vectors, from which PyTorch's threads pay."""

_SPARE: ContextVar[int] = ContextVar("threads that PyTorch was allowed and does not take", default=1)

P = TypeVar("P")
R = TypeVar("R")


@contextmanager
def one_for_torch(wanted: bool) -> Iterator[None]:
    """Holds PyTorch to one thread if ``wanted``; those it was allowed before are then :func:`each`'s."""
    allowed = torch.get_num_threads()
    if not wanted or allowed == 1:
        yield
        return
    torch.set_num_threads(1)
    token = _SPARE.set(allowed)
    try:
        yield
    finally:
        _SPARE.reset(token)
        torch.set_num_threads(allowed)


def each(work: Callable[[P], R], pieces: Iterable[P]) -> list[R]:
    """``work`` of every piece, in order: inside :func:`one_for_torch` on as many threads as PyTorch was allowed.

    The pieces must be the same whatever the number of threads, so that the numbers are. One piece at a time otherwise,
    and inside a piece.
    """
    pieces, threads = list(pieces), _SPARE.get()
    if threads == 1 or len(pieces) < 2:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, pieces))
