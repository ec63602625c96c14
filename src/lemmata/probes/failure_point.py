"""Where a network of Gaussian pre-activations is most likely to fail.

A limit state is a function of a standard normal vector x that is not positive where the network fails,

    g(x) = sum_r w_r act((S x)_r) + s,    failure: g(x) <= 0,

with S the symmetric square root of the covariance of the pre-activations. The *failure points* are the local minima of
|x| on {g = 0}: the density of x falls like exp(-|x|^2 / 2), so a small failure probability comes from their
surroundings. They are sought by the recursion of Hasofer, Lind (1974) and Rackwitz, Fiessler (1978, "Structural
reliability under combined random load sequences"), x/|x| <- -grad g / |grad g|, damped because for ReLU networks
minima sit on kinks. Nothing downstream needs an exact failure point: a poor one costs variance, never bias.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.draws import normal
from lemmata.nets.activations import Activation

_REACH = 60.0  # radius beyond which a standard normal has no mass in double precision


@dataclass(frozen=True)
class LimitState:
    """g(x) = sum_r weights_r act((root x)_r) + offset for a batch of ``b`` networks.

    Args:
        root: ``(b, r, r)`` symmetric square root of the covariance of the pre-activations, float64.
        weights: ``(b, r)`` output weights.
        offset: ``(b,)`` the part of the output that does not depend on x.
        activation: the activation.
    """

    root: Tensor
    weights: Tensor
    offset: Tensor
    activation: Activation

    def __call__(self, x: Tensor) -> Tensor:
        """g at ``x`` ``(b, k, r)``, as ``(b, k)``."""
        return self._output(x @ self.root)

    def descent(self, x: Tensor) -> Tensor:
        """-grad g at ``x`` ``(b, k, r)``, same shape."""
        return -(self.activation.derivative(x @ self.root) * self.weights.unsqueeze(1)) @ self.root

    def _output(self, z: Tensor) -> Tensor:
        return (self.activation(z) @ self.weights.unsqueeze(-1)).squeeze(-1) + self.offset.unsqueeze(-1)

    def __getitem__(self, index: Tensor | slice) -> "LimitState":
        """The limit states at ``index`` of the batch."""
        return LimitState(self.root[index], self.weights[index], self.offset[index], self.activation)


@dataclass(frozen=True)
class FailurePoints:
    """Up to ``j`` failure points radius * direction of each limit state, nearest first.

    Attributes:
        direction: ``(b, j, r)`` unit vectors.
        radius: ``(b, j)`` distance from the origin; 0 if the origin itself fails, inf if no failure lies that way.
        used: ``(b, j)`` bool. The first is always used; a further one if it lies apart from those before it and its
            half-space Phi(-radius) is at least a thousandth of the first one's, in the sense of exp(-radius^2 / 2).
    """

    direction: Tensor
    radius: Tensor
    used: Tensor


def symmetric_root(covariance: Tensor) -> Tensor:
    """S = V sqrt(lambda) V^T with S S = covariance, ``(c, r, r)``; eigenvalues below 1e-13 of the largest are dropped.

    Unlike the eigenvectors, this root is a continuous function of the covariance: rounding does not flip a sign.
    """
    scale = covariance.diagonal(dim1=-2, dim2=-1).amax(-1).clamp_min(torch.finfo(covariance.dtype).tiny)[:, None, None]
    eigenvalue, vector = torch.linalg.eigh(0.5 * (covariance + covariance.mT) / scale)
    kept = torch.where(eigenvalue > 1e-13 * eigenvalue[:, -1:], eigenvalue, 0.0)
    return scale.sqrt() * ((vector * kept.sqrt().unsqueeze(1)) @ vector.mT)


def failure_points(state: LimitState, count: int = 8, iterations: int = 24) -> FailurePoints:
    """The ``count`` nearest distinct failure points found from max(r, 16) + 1 starts.

    One start has all filters active; the others begin, in turn, on the side of each filter on which it does most harm,
    since each failure point has a filter of its own to thank, and a little off it, since there gradients may balance.
    The starts and the number of iterations are fixed, so that a network's result does not depend on the others in the
    batch. Half of the iterations use damping 1/2 to choose the activation pattern, the rest a falling one to settle on
    the kinks.
    """
    direction = _starts(state)
    radius = direction.new_full(direction.shape[:2], 3.0)
    for step in range(iterations):
        damping = 1 / (2 + max(0, step - iterations // 2))
        x = radius.unsqueeze(-1) * direction
        downhill = state.descent(x)
        if state.activation.degree is None:  # the gradient's direction then depends on the radius: Newton along the ray
            slope = (downhill * direction).sum(-1).clamp_min(torch.finfo(x.dtype).tiny)
            radius = (radius + 0.5 * state(x) / slope).clamp(0.1, _REACH)
        mixed = (1 - damping) * direction + damping * _unit(downhill, direction)
        # Opposite vectors cancel to rounding noise, which points anywhere: then stay.
        direction = torch.where(mixed.norm(dim=-1, keepdim=True) > 1e-6, _unit(mixed), direction)
    return _nearest(direction, _radius(state, direction), count)


def _starts(state: LimitState) -> Tensor:
    """Unit vectors ``(b, max(r, 16) + 1, r)`` in the range of the root."""
    r = state.weights.shape[1]
    turn = torch.arange(max(r, 16), device=state.weights.device) % r
    harm = _unit(-state.weights.sign().unsqueeze(-1) * state.root)[:, turn]
    anywhere = normal(torch.zeros(1, dtype=torch.int64, device=turn.device), "starts", (len(turn), r))
    everything = -(state.weights.unsqueeze(1) @ state.root)
    return _unit(torch.cat([everything, harm + 0.5 * _unit(anywhere @ state.root)], 1))


def _unit(x: Tensor, otherwise: Tensor | None = None) -> Tensor:
    """x / |x|; where x = 0, ``otherwise`` or the first axis (any direction serves a limit state that is constant)."""
    if otherwise is None:
        otherwise = torch.zeros_like(x)
        otherwise[..., 0] = 1.0
    largest = x.abs().amax(-1, keepdim=True)
    x = x / torch.where(largest > 0, largest, 1.0)
    return torch.where(largest > 0, x / x.norm(dim=-1, keepdim=True).clamp_min(0.5), otherwise)


def _radius(state: LimitState, direction: Tensor) -> Tensor:
    """Distance ``(b, k)`` at which the ray along ``direction`` first fails, inf if it does not."""
    offset = state.offset.unsqueeze(-1)
    degree = state.activation.degree
    if degree is not None:
        fall = offset - state(direction)
        radius = (offset.clamp_min(0) / fall.clamp_min(torch.finfo(fall.dtype).tiny)) ** (1 / degree)
        return torch.where(offset <= 0, 0.0, torch.where(fall > 0, radius, torch.inf))
    low, high = torch.zeros_like(direction[..., 0]), torch.full_like(direction[..., 0], _REACH)
    reached = state(high.unsqueeze(-1) * direction) <= 0
    failing = state(torch.zeros_like(direction)) <= 0
    for _ in range(30):
        middle = 0.5 * (low + high)
        fails = state(middle.unsqueeze(-1) * direction) <= 0
        low, high = torch.where(fails, low, middle), torch.where(fails, middle, high)
    return torch.where(failing, 0.0, torch.where(reached, high, torch.inf))


def _nearest(direction: Tensor, radius: Tensor, count: int) -> FailurePoints:
    """Greedy choice: the nearest candidate, then the nearest of those at distance above 2 from every one chosen.

    Two standard deviations: a closer point is well inside the region that sampling around the chosen one covers.
    """
    left = radius.clone()
    point = radius.clamp(max=_REACH).unsqueeze(-1) * direction
    chosen_direction, chosen_radius = [], []
    for _ in range(min(count, radius.shape[1])):
        best = left.argmin(1, keepdim=True)
        at = best.unsqueeze(-1).expand(-1, 1, direction.shape[-1])
        chosen_direction.append(direction.gather(1, at))
        chosen_radius.append(left.gather(1, best))
        left = torch.where((point - point.gather(1, at)).norm(dim=-1) > 2.0, left, torch.inf)
    found = torch.cat(chosen_radius, 1)
    used = found.square() - found[:, :1].square() < 2 * math.log(1e3)
    used[:, 0] = True
    return FailurePoints(torch.cat(chosen_direction, 1), found, used)
