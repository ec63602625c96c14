"""Random numbers of attacks: a pure function of seed, step and rank, so that nothing but a count must be stored.

A generator is seeded anew for every draw (a microsecond), and no global generator is read or moved. CPU and CUDA
generators differ, so the same seed gives other noise on another kind of device.
"""

import torch
from torch import Tensor
from torch.distributed import get_rank, is_available, is_initialized

_MASK = 2**63 - 1


def generator(device: torch.device, seed: int, step: int = 0, rank: int = 0) -> torch.Generator:
    """A generator for one draw; seeds, steps and ranks that differ give streams that do not meet."""
    mixed = 0
    for word in (seed, step, rank):  # splitmix64, a word at a time
        mixed = (mixed + word + 0x9E3779B97F4A7C15) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        mixed ^= mixed >> 31
    return torch.Generator(device=device).manual_seed(mixed & _MASK)


def uniform_like(x: Tensor, source: torch.Generator) -> Tensor:
    """Uniform on [-1, 1], shape of x, float32; the same numbers whatever the memory format of x."""
    drawn = torch.rand(x.shape, generator=source, device=x.device) * 2 - 1
    return _laid_out_as(drawn, x)


def normal_like(x: Tensor, source: torch.Generator) -> Tensor:
    """Standard normal, shape of x, float32; the same numbers whatever the memory format of x."""
    return _laid_out_as(torch.randn(x.shape, generator=source, device=x.device), x)


def _laid_out_as(drawn: Tensor, x: Tensor) -> Tensor:
    channels_last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return drawn.contiguous(memory_format=torch.channels_last) if channels_last else drawn


def rank() -> int:
    """This process's rank, 0 outside torch.distributed."""
    return get_rank() if is_available() and is_initialized() else 0
