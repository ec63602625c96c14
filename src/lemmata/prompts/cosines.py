"""Cosines of uniform points on the sphere with a fixed one, without the points: one uniform each instead of d normals.

u = <x, e> for x uniform on S^(d-1) has density proportional to (1 - u^2)^((d-3)/2). Its angle φ = arccos u has tail
P(angle < φ) ~ φ^(d-1) near 0, so φ as a function of w = (2 P)^(1/(d-1)) is smooth up to the ends of [0, 1]; a table
of it with cubic interpolation inverts the distribution function to 1e-7 of the tail's probability
up to d = 64 (5e-6 at 256), however far in the tail; nearest points live there.
"""

import functools

import numpy as np
import torch
from scipy.special import beta, betaincinv
from torch import Tensor

from lemmata.draws import uniform

_ENTRIES = 2048


def cosines(seeds: Tensor, name: str, shape: tuple[int, ...], d: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Independent cosines ``(c, *shape)`` in [-1, 1] of points uniform on the sphere in d dimensions.

    Args:
        seeds: ``(c,)`` int64.
        name: the stream.
        d: at least 2.

    Raises:
        ValueError: d below 2.
    """
    if d < 2:
        raise ValueError(f"cosines in {d} dimensions were asked for; take d of at least 2")
    share = uniform(seeds, name, shape)
    low = share < 0.5
    tail = torch.where(low, share, 1 - share)  # exact: both are multiples of 2^-54
    w = (2 * tail) ** (1 / (d - 1)) if d > 2 else 2 * tail
    # The angle from the nearer pole; four values around each entry give the cubic through them.
    at = w.mul_(_ENTRIES)
    entry = at.to(torch.int64).clamp_(max=_ENTRIES - 1)
    table = _pieces(d).to(share.device)[entry]  # (..., 4): coefficients in the offset
    offset = at - entry
    angle = ((table[..., 3] * offset + table[..., 2]) * offset + table[..., 1]) * offset + table[..., 0]
    u = angle.cos()
    return torch.where(low, -u, u).to(dtype)


@functools.cache
def _pieces(d: int) -> Tensor:
    """Cubic Hermite pieces ``(entries, 4)`` of φ(w), slopes from the density."""
    half = (d - 1) / 2
    w = np.linspace(0, 1, _ENTRIES + 1)
    angle = 2 * np.arcsin(np.sqrt(betaincinv(half, half, w ** (d - 1) / 2)))
    # ∫_0^φ sin^(d-2) = w^(d-1) total, hence dφ/dw = (d - 1) total (w / sin φ)^(d-2), with its limit at 0.
    total = beta(half, 0.5) / 2
    slope = np.full_like(w, ((d - 1) * total) ** (1 / (d - 1)))
    far = w ** (d - 1) > 1e-200  # nearer to the pole probabilities underflow, and are never drawn
    slope[far] = (d - 1) * total * (w[far] / np.sin(angle[far])) ** (d - 2)
    angle[~far] = slope[~far] * w[~far]
    slope /= _ENTRIES
    a, b, s, e = angle[:-1], angle[1:], slope[:-1], slope[1:]
    return torch.tensor(np.stack([a, s, 3 * (b - a) - 2 * s - e, 2 * (a - b) + s + e], 1))
