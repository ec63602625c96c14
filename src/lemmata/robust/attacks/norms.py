"""The two balls of this room, l_inf and l_2: projection, steepest ascent and a random start inside.

    l_inf: project = clip to [-eps, eps],            steepest = sign g,       start uniform in the cube
    l_2:   project = min(1, eps / |d|) d per image,  steepest = g / |g|,      start uniform in the ball

Every function works on ``(n, ...)``, image by image. The box is [0, 1]: :func:`into_box` keeps ``x + delta`` in it.
"""

import torch
from torch import Tensor

from lemmata.robust.noise import normal_like, uniform_like

TINY = 1e-12


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """One value per image ``(n,)`` as ``(n, 1, ..., 1)``, to meet images ``(n, ...)``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def lengths(delta: Tensor) -> Tensor:
    """l_2 length of each image's perturbation ``(n, 1, ..., 1)``."""
    return per_image(torch.linalg.vector_norm(delta.flatten(1), dim=1), delta)


def project(delta: Tensor, eps: float, norm: str) -> Tensor:
    """The nearest perturbation within eps."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    return delta * (eps / lengths(delta).clamp_min(TINY)).clamp_max(1)


def steepest(gradient: Tensor, norm: str) -> Tensor:
    """The direction of length 1 along which a linear function with this gradient grows most; 0 where it is 0."""
    if norm == "linf":
        return gradient.sign()
    # The largest entry first: squares of small half-precision or float32 gradients vanish.
    peak = per_image(gradient.flatten(1).abs().amax(1), gradient).clamp_min(torch.finfo().tiny)
    scaled = gradient.float() / peak
    return scaled / lengths(scaled).clamp_min(TINY)


def into_box(delta: Tensor, x: Tensor) -> Tensor:
    """The nearest perturbation with ``x + delta`` in [0, 1]. It lengthens no entry, so it stays within eps."""
    return torch.minimum(torch.maximum(delta, -x), 1 - x)


def inside(x: Tensor, eps: float, norm: str, source: torch.Generator) -> Tensor:
    """Uniform in the ball of radius eps, shape of x."""
    if norm == "linf":
        return eps * uniform_like(x, source)
    direction = normal_like(x, source)
    radius = torch.rand(len(x), generator=source, device=x.device) ** (1 / x[0].numel())
    return direction / lengths(direction).clamp_min(TINY) * eps * per_image(radius, x)


def on_the_edge(x: Tensor, eps: float, norm: str, source: torch.Generator) -> Tensor:
    """A random corner of the cube (l_inf) or point of the sphere (l_2), shape of x."""
    if norm == "linf":
        return eps * uniform_like(x, source).sign()
    direction = normal_like(x, source)
    return eps * direction / lengths(direction).clamp_min(TINY)
