"""Randomness from counters: value ``i`` of the stream called ``name`` of the cell with seed ``s`` is a pure function of
``(s, name, i)``,

    key = mix(s + hash(name)),   word_i = mix(key + (i + 1) * 0x9E3779B97F4A7C15),

with ``mix`` the 64-bit finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
generators"). So a cell draws the same numbers alone, in any tile and on any device, all cells draw at once, and nothing
waits for the host. Cells that share a seed share their draws, which makes comparisons along a value axis paired.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - 2**64


_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64


_MIX_2 = 0x94D049BB133111EB - 2**64


def cell_seeds(root: int, seeds: Sequence[int] | Tensor, device: torch.device | str | None = None) -> Tensor:
    """Seeds of cells ``(c,)`` int64 from a seed root and each cell's own index along the ``seed`` axis."""
    index = torch.as_tensor(seeds, dtype=torch.int64, device=device)
    return _mix(_mix(torch.full_like(index, root)) + index * _GOLDEN)


def split(seeds: Tensor, name: str | int) -> Tensor:
    """New independent seeds ``(c,)``, one per cell: the seeds of the stream called ``name``."""
    salt = name if isinstance(name, int) else int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
    return _mix(seeds + _mix(torch.full_like(seeds, salt)))


def uniform(seeds: Tensor, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float64) -> Tensor:
    """Independent uniforms in the open interval (0, 1).

    Args:
        seeds: ``(c,)`` int64, one seed per cell.
        name: the stream; different names are independent.
        shape: shape of one cell's draw.

    Returns:
        ``(c, *shape)``. The values do not depend on ``dtype`` but for rounding, nor on the other cells.
    """

    def drawn(seeds: Tensor) -> Tensor:
        return _open_interval(_words(split(seeds, name), math.prod(shape))).to(dtype)

    return _once_per_seed(drawn, seeds).reshape(seeds.shape[0], *shape)


def normal(seeds: Tensor, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float64) -> Tensor:
    """Independent standard normals ``(c, *shape)``, by the inverse distribution function of :func:`uniform`."""

    def drawn(seeds: Tensor) -> Tensor:
        words = _words(split(seeds, name), math.prod(shape))
        # Both tails from the lower one, where doubles near zero resolve the distribution function finely.
        tail = torch.special.ndtri(_open_interval(words) * 0.5)
        sign = 1.0 - 2.0 * (words & 1).to(tail.dtype)
        return (tail * sign).to(dtype)

    return _once_per_seed(drawn, seeds).reshape(seeds.shape[0], *shape)


def chi_square(seeds: Tensor, name: str, degrees: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Independent chi-square variables, one per entry of ``degrees``.

    Marsaglia and Tsang (2000), "A simple method for generating gamma variables": each attempt is accepted with
    probability above 0.95, so after 24 attempts the chance that none was is below 1e-31 and the last is kept.
    Below two degrees of freedom the shape is raised by one and the draw multiplied by ``U**(1 / shape)``.

    Args:
        degrees: ``(c, ...)``, positive real degrees of freedom.
    """
    attempts, shape = 24, degrees.shape[1:]
    half = degrees.to(torch.float64) / 2
    raised = half + (half < 1).to(half.dtype)
    a = raised - 1 / 3
    x = normal(seeds, name + "/normal", (attempts, *shape))
    log_u = uniform(seeds, name + "/uniform", (attempts, *shape)).log()
    a = a.unsqueeze(1)
    v = (1 + x / (9 * a).sqrt()) ** 3
    accepted = (v > 0) & (log_u < 0.5 * x * x + a - a * v + a * v.clamp_min(1e-300).log())
    accepted[:, -1] = True
    first = accepted.to(torch.uint8).argmax(1, keepdim=True)
    gamma = (a * v).gather(1, first).squeeze(1)
    boost = uniform(seeds, name + "/boost", shape) ** (1 / half)
    return (2 * gamma * torch.where(half < 1, boost, torch.ones_like(boost))).to(dtype)


def permutation(seeds: Tensor, name: str, size: int) -> Tensor:
    """Independent uniform permutations of ``range(size)``, ``(c, size)`` int64."""
    return _words(split(seeds, name), size).argsort(dim=1)


def _once_per_seed(drawn: Callable[[Tensor], Tensor], seeds: Tensor) -> Tensor:
    """Cells that share a seed share their draws, made once where looking for them waits for no device."""
    if not _host_readable(seeds.device):
        return drawn(seeds)
    distinct, at = seeds.unique(return_inverse=True)
    return drawn(distinct)[at] if len(distinct) < len(seeds) else drawn(seeds)


def _host_readable(device: torch.device) -> bool:
    return device.type == "cpu"


def _words(keys: Tensor, count: int) -> Tensor:
    """64 random bits at each of the first ``count`` positions of each stream, ``(c, count)``."""
    counter = torch.arange(1, count + 1, dtype=torch.int64, device=keys.device)
    return _mix(keys.unsqueeze(1) + counter * _GOLDEN)


def _mix(words: Tensor) -> Tensor:
    words = (words ^ _shift(words, 30)) * _MIX_1
    words = (words ^ _shift(words, 27)) * _MIX_2
    return words ^ _shift(words, 31)


def _shift(words: Tensor, by: int) -> Tensor:
    """Logical right shift: torch's own is arithmetic on int64, so the copied sign bits are masked off."""
    return (words >> by) & ((1 << (64 - by)) - 1)


def _open_interval(words: Tensor) -> Tensor:
    return (_shift(words, 11).to(torch.float64) + 0.5) * 2.0**-53
