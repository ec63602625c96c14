"""The particle kernel: risk and gradient of attention-and-tanh Transformers in C, as wide as the processor's vectors.

One call runs whole cells, with a block of prompts in the lanes; cells are dealt out over as many threads as PyTorch is
allowed. Built on first use by :mod:`lemmata.compiled`. It takes float32 and float64 on the CPU, whole matrices without
a causal mask, tanh neurons with or without bias, and tokens small enough to be unrolled; all else goes by PyTorch.
"""

import ctypes
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from lemmata.compiled import Unit, library
from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particle_transformer import ParticleTransformer

_SOURCE = Path(__file__).parent / "native" / "particles.c"
_ASKED = ("LEMMATA_NATIVE", "LEMMATA_VECTOR_BYTES", "CC", "XDG_CACHE_HOME")  # what a build depends on
_MOST_PRODUCTS = 256  # tokens times width, beyond which unrolled loops no longer fit the processor's caches


def takes(transformer: ParticleTransformer, tokens: Tensor) -> bool:
    """Whether the kernel computes this network, on this machine."""
    if tokens.device.type != "cpu" or tokens.dtype not in (torch.float32, torch.float64):
        return False
    n, d = tokens.shape[2:]
    match transformer.particles:
        case (Attention(rank=None, causal=False), FeedForward(activation="tanh", bias=bias)) if n * d <= _MOST_PRODUCTS:
            return _library(tokens.dtype, d, n, bias) is not None
    return False


def energy_terms(
    transformer: ParticleTransformer, theta: Tensor, tokens: Tensor, targets: Tensor, readout: Tensor, ridge: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Risk ``(c,)``, Σ‖β‖² ``(c,)``, both float64, outputs ``(c, s)``, the gradient of risk + ridge/2 · Σ‖β‖².

    Args:
        theta: ``(c, L, M, P)``; tokens: ``(c, s, n, d)``; targets: ``(c, s)``; readout: ``(n, d)``; ridge: ``(c,)``.

    Raises:
        MemoryError: there is no room for what one cell keeps.
    """
    c, layers, particles, _ = theta.shape
    s, n, d = tokens.shape[1:]
    given = [x.to(theta.dtype).contiguous() for x in (ridge, theta, tokens, targets, readout)]
    gradient, outputs = torch.empty_like(given[1]), torch.empty_like(given[3])
    risk, square = torch.empty(c, dtype=torch.float64), torch.empty(c, dtype=torch.float64)
    feed_forward = transformer.particles[1]
    built = _library(theta.dtype, d, n, getattr(feed_forward, "bias"))  # noqa: B009
    assert built is not None
    call = built.particles_energy
    real = ctypes.c_float if theta.dtype == torch.float32 else ctypes.c_double
    weight = real(transformer.weight(layers, particles))

    def run(first: int, last: int) -> int:
        at = [ctypes.c_void_p(x[first:].data_ptr()) for x in given[:4]]
        to = [ctypes.c_void_p(x[first:].data_ptr()) for x in (risk, square, outputs, gradient)]
        return call(last - first, layers, particles, s, weight, *at, ctypes.c_void_p(given[4].data_ptr()), *to)

    threads = min(torch.get_num_threads(), c)
    cuts = [c * i // threads for i in range(threads + 1)]
    failed = list(_pool().map(run, cuts, cuts[1:])) if threads > 1 else [run(0, c)]
    if any(failed):
        raise MemoryError(f"no room for {layers} layers of {particles} particles; take smaller ones, or engine='torch'")
    return risk, square, outputs, gradient


def _library(dtype: torch.dtype, width: int, tokens: int, bias: bool) -> ctypes.CDLL | None:
    return _built(dtype, width, tokens, bias, tuple(map(os.environ.get, _ASKED)))


@functools.cache
def _built(
    dtype: torch.dtype, width: int, tokens: int, bias: bool, asked: tuple[str | None, ...]
) -> ctypes.CDLL | None:
    macros = [("WIDTH", str(width)), ("TOKENS", str(tokens)), ("BIAS", str(int(bias)))]
    double = dtype == torch.float64
    macros.append(("REAL", "double" if double else "float"))
    if double:
        macros.append(("REAL_IS_DOUBLE", "1"))
    return library(f"particles-{width}-{tokens}", (Unit(_SOURCE, tuple(macros)),))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor()
