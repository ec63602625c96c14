"""Probability that a limit state is not positive, P(g(x) <= 0) for x ~ N(0, I), down to the smallest double.

*Line sampling* (Koutsourelakis, Pradlwarter, Schueller 2004, "Reliability of structures in high dimensions"): split
x = t u + x', u the direction of a failure point and x' orthogonal to it. Along the line g is a piecewise linear function
of t when the activation is piecewise linear, so P(g <= 0 | x') is a sum of Gaussian tails at its roots and only x' is
sampled. Several failure points u_1..u_j share space by angle: x belongs to the u_i with the largest <u_i, x>, which on a
line along u_i is the half-line t >= max_k <u_k, x'> / (1 - <u_k, u_i>), so that

    P(g <= 0) = sum_i E_x' P(g(t u_i + x') <= 0, t >= tau_i(x'))

holds exactly, however good or bad the directions are.

*Importance sampling* serves the other activations: x is drawn from a mixture q of the standard normal (one tenth) and
normals centred at the failure points, and E_q[1{g <= 0} p(x) / q(x)] is formed in logarithms.

Both use randomised quasi-Monte Carlo: a Sobol net, shifted digitally and independently ``shifts`` times for each cell
(Owen 1995). Each shifted net is unbiased, and the spread of the shifts gives the standard error.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from lemmata import cells
from lemmata.probes.failure_point import FailurePoints, LimitState

_CHUNK = 1 << 17  # elements of one temporary: a few of them fit in cache
_PLAIN = 0.1  # share of the standard normal in the importance mixture


def sobol_normal(seeds: Tensor, name: str, shifts: int, points: int, dimension: int) -> Tensor:
    """Standard normals ``(c, shifts, points, dimension)`` float64: per cell ``shifts`` independent Sobol nets."""
    net = _sobol_net(points, dimension).to(seeds.device)
    shift = (cells.uniform(seeds, name, (shifts, 1, dimension)) * 2.0**52).to(torch.int64)
    return torch.special.ndtri(((net ^ shift).to(torch.float64) + 0.5) * 2.0**-52)


@lru_cache(maxsize=32)
def _sobol_net(points: int, dimension: int) -> Tensor:
    """A fixed scrambled Sobol net as 52-bit integers ``(points, dimension)``."""
    net = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=1).draw(points, dtype=torch.float64)
    return (net * 2.0**52).to(torch.int64)


def line_sampling(state: LimitState, points: FailurePoints, normals: Tensor) -> Tensor:
    """P(g <= 0) for each of ``k`` shifted nets, ``(b, k)``.

    Args:
        state: ``b`` limit states with a piecewise linear activation.
        points: their failure points.
        normals: ``(b, k, n, r)`` standard normals.
    """
    b, k, n, _ = normals.shape
    probability = normals.new_zeros(b, points.used.shape[1], k)
    network, point = points.used.nonzero(as_tuple=True)
    size = max(1, _CHUNK // (k * n * normals.shape[-1]))
    for i, j in zip(network.split(size), point.split(size)):
        inside = points.direction[i]
        own = points.direction[i, j].unsqueeze(1)
        x = normals[i].flatten(1, 2)
        across = x - (x @ own.mT) * own
        share = _angular_share(across, own, inside, points.used[i], j)
        line = _along_line(state[i], across, own, share)
        probability[i, j] = line.unflatten(1, (k, n)).mean(-1)
    return probability.sum(1)


def _angular_share(across: Tensor, own: Tensor, all_directions: Tensor, used: Tensor, index: Tensor) -> Tensor:
    """tau ``(b, n)``: the line ``across + t own`` is nearest in angle to ``own`` among the used ones for t >= tau."""
    gap = 1 - (own @ all_directions.mT)
    crossing = (across @ all_directions.mT) / gap.clamp_min(torch.finfo(gap.dtype).eps)
    rival = used & (torch.arange(used.shape[1], device=used.device) != index.unsqueeze(1))
    return torch.where(rival.unsqueeze(1), crossing, -torch.inf).amax(-1)


def _along_line(state: LimitState, across: Tensor, own: Tensor, start: Tensor) -> Tensor:
    """P(g(across + t own) <= 0, t >= start) for t ~ N(0, 1), ``(b, n)``, exact for piecewise linear activations.

    act(z) = left z + bend relu(z) makes g = intercept + slope t + sum_r bend w_r |b_r| relu(t - t_r), a line bent at the
    roots t_r of the pre-activations a_r + b_r t.
    """
    left, right = state.activation.slopes or (math.nan, math.nan)
    level, rate = across @ state.root, own @ state.root  # a (b, n, r) and b (b, 1, r)
    weights = state.weights.unsqueeze(1)
    before = torch.where(rate < 0, right, left) * weights  # weight times slope of each filter at t = -inf
    bend = (right - left) * weights * rate.abs()
    shift = (right - left) * weights * rate.sign() * level  # bend * (-t_r), without the division
    moving = rate != 0
    fixed = torch.where(moving, before * level, weights * torch.where(level > 0, right, left) * level)
    kink, order = torch.where(moving, -level / torch.where(moving, rate, 1.0), torch.inf).sort(-1)
    bend_sorted = bend.expand_as(level).gather(-1, order)
    shift_sorted = shift.gather(-1, order)
    slope = _running((before * rate).sum(-1, keepdim=True).expand_as(level[..., :1]), bend_sorted)
    intercept = _running(fixed.sum(-1, keepdim=True) + state.offset[:, None, None], shift_sorted)
    # A piece on which all terms cancel (every filter off) is flat: rounding must not give it a root.
    slope = torch.where(slope.abs() < 1e-14 * bend.abs().sum(-1, keepdim=True), 0.0, slope)
    size = (weights * level).abs().sum(-1, keepdim=True) + state.offset.abs()[:, None, None]
    intercept = torch.where(intercept.abs() < 1e-14 * size, 0.0, intercept)
    infinity = torch.full_like(kink[..., :1], torch.inf)
    return _fail_measure(slope, intercept, torch.cat([-infinity, kink], -1), torch.cat([kink, infinity], -1), start)


def _running(first: Tensor, increments: Tensor) -> Tensor:
    return torch.cat([first, first + increments.cumsum(-1)], -1)


def _fail_measure(slope: Tensor, intercept: Tensor, low: Tensor, high: Tensor, start: Tensor) -> Tensor:
    """Sum over pieces of P(low < t < high, t >= start, intercept + slope t <= 0), ``(b, n)``."""
    low = torch.maximum(low, start.unsqueeze(-1))
    root = -intercept / torch.where(slope == 0, 1.0, slope)
    root = torch.where(slope == 0, torch.where(intercept <= 0, torch.inf, -torch.inf), root)
    low = torch.where(slope < 0, torch.maximum(low, root), low)
    high = torch.where(slope < 0, high, torch.minimum(high, root))
    # Differences of the smaller tail: upper for pieces that begin right of zero, lower otherwise.
    upper = low > 0
    near, far = torch.where(upper, low, -high), torch.where(upper, high, -low)
    measure = torch.special.erfc(near * math.sqrt(0.5)) - torch.special.erfc(far * math.sqrt(0.5))
    return 0.5 * torch.where(high > low, measure, 0.0).sum(-1)


def importance_sampling(state: LimitState, points: FailurePoints, normals: Tensor, choice: Tensor) -> Tensor:
    """P(g <= 0) for each of ``k`` shifted nets, ``(b, k)``.

    Args:
        state: ``b`` limit states, any activation.
        points: their failure points.
        normals: ``(b, k, n, r)`` standard normals.
        choice: ``(b, k, n)`` uniforms that choose the mixture component.
    """
    k = normals.shape[1]
    radius = torch.where(points.used & points.radius.isfinite(), points.radius, 0.0)
    share = torch.where(points.used, torch.exp(-0.5 * (radius.square() - radius[:, :1].square())), 0.0)
    share = (1 - _PLAIN) * share / share.sum(1, keepdim=True)
    estimates = []
    for part in torch.arange(len(radius), device=radius.device).split(max(1, _CHUNK // normals[0].numel())):
        centre = radius[part].unsqueeze(-1) * points.direction[part]
        bounds = _PLAIN + share[part].cumsum(1)
        component = (choice[part].flatten(1).unsqueeze(-1) >= bounds.unsqueeze(1)).sum(-1)
        plain = choice[part].flatten(1) < _PLAIN
        at = component.clamp(max=share.shape[1] - 1).unsqueeze(-1).expand(-1, -1, centre.shape[-1])
        x = normals[part].flatten(1, 2) + torch.where(plain.unsqueeze(-1), 0.0, centre.gather(1, at))
        # log q / p = log(0.1 + sum_j share_j exp(<centre_j, x> - |centre_j|^2 / 2))
        tilt = x @ centre.mT - 0.5 * radius[part].square().unsqueeze(1) + share[part].log().unsqueeze(1)
        log_ratio = torch.logsumexp(torch.cat([torch.full_like(tilt[..., :1], math.log(_PLAIN)), tilt], -1), -1)
        weight = torch.where(state[part](x) <= 0, torch.exp(-log_ratio), 0.0)
        estimates.append(weight.unflatten(1, (k, -1)).mean(-1))
    return torch.cat(estimates)


def plain_sampling(state: LimitState, normals: Tensor) -> Tensor:
    """P(g <= 0) as a frequency for each of ``k`` shifted nets, ``(b, k)``, from ``normals`` ``(b, k, n, r)``."""
    size = max(1, _CHUNK // normals[0].numel())
    parts = torch.arange(len(normals), device=normals.device).split(size)
    k = normals.shape[1]
    hits = [(state[part](normals[part].flatten(1, 2)) <= 0).to(normals.dtype) for part in parts]
    return torch.cat([h.unflatten(1, (k, -1)).mean(-1) for h in hits])
