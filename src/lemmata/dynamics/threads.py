"""How many threads a training takes on a CPU.

Cells are small: spread over threads, one operation of PyTorch on a tile is slower than on one thread, by far where
other work shares the machine (measured: 5 s against 27 s for a sweep of 1,200 cells). So on the gram and compressed
engines PyTorch gets one thread, and the native kernel, which deals out whole cells, as many as PyTorch was allowed.
Tiles of many inner products are the exception: there two threads took 0.55 of the time of one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

MANY_PRODUCTS = 2**18
"""Inner products A of a tile, cells × filters × vectors, from which PyTorch's threads pay."""


@contextmanager
def one_for_torch(wanted: bool) -> Iterator[int]:
    """Holds PyTorch to one thread if ``wanted``; yields how many it was allowed before."""
    allowed = torch.get_num_threads()
    if not wanted or allowed == 1:
        yield allowed
        return
    torch.set_num_threads(1)
    try:
        yield allowed
    finally:
        torch.set_num_threads(allowed)
