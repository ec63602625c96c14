"""Probability that a limit state is not positive, P(g(x) <= 0) for x ~ N(0, I), down to the smallest double.

*Line sampling* (Koutsourelakis, Pradlwarter, Schueller 2004, "Reliability of structures in high dimensions"): split
x = t u + x', u the direction of a failure point and x' orthogonal to it. When the activation is piecewise linear, so is
g along the line; P(g <= 0 | x') is then a sum of Gaussian tails at its roots, and only x' is sampled. Several failure
points u_1..u_j share space by angle: x belongs to the u_i with the largest <u_i, x>, which on a line along u_i is the
half-line t >= tau_i = max_k <u_k, x'> / (1 - <u_k, u_i>), so that

    P(g <= 0) = sum_i E_x' P(g(t u_i + x') <= 0, t >= tau_i(x'))

holds exactly, however good or bad the directions are.

*Importance sampling* serves the other activations: x is drawn from a mixture q of the standard normal (one tenth) and
normals centred at the failure points, and E_q[1{g <= 0} p(x) / q(x)] is formed in logarithms.

All use randomised quasi-Monte Carlo: a Sobol net, shifted digitally and independently ``SHIFTS`` times for each cell
(L'Ecuyer, Lemieux 2002, "Recent advances in randomized quasi-Monte Carlo methods"). Each shifted net is unbiased, and
the spread over shifts gives the standard error.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from lemmata.draws import uniform
from lemmata.probes.failure_point import FailurePoints, LimitState
from lemmata.threads import each

SHIFTS = 16  # independent shifts: more would sharpen the standard error, fewer the estimate
_CHUNK = 1 << 16  # elements of one temporary: a few of them fit in cache
_PLAIN = 0.1  # share of the standard normal in the importance mixture


def sobol_uniform(seeds: Tensor, name: str, draws: int, dimension: int) -> Tensor:
    """Uniforms ``(c, draws, dimension)`` float64: per cell ``SHIFTS`` independent Sobol nets, one after another."""
    net = _sobol_net(draws // SHIFTS, dimension).to(seeds.device)
    shift = (uniform(seeds, name, (SHIFTS, 1, dimension)) * 2.0**52).to(torch.int64)
    return (((net ^ shift).to(torch.float64) + 0.5) * 2.0**-52).flatten(1, 2)


def _sobol_normal(seeds: Tensor, name: str, draws: int, dimension: int) -> Tensor:
    """Standard normals of :func:`sobol_uniform`, ``(c, draws, dimension)``, made once per distinct seed."""
    distinct, at = seeds.unique(return_inverse=True)
    return torch.special.ndtri(sobol_uniform(distinct, name, draws, dimension))[at]


@lru_cache(maxsize=32)
def _sobol_net(points: int, dimension: int) -> Tensor:
    """A fixed scrambled Sobol net as 52-bit integers ``(points, dimension)``."""
    net = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=1).draw(points, dtype=torch.float64)
    return (net * 2.0**52).to(torch.int64)


def line_sampling(state: LimitState, points: FailurePoints, seeds: Tensor, draws: int) -> Tensor:
    """P(g <= 0), one estimate per shifted net, ``(b, SHIFTS)``.

    Args:
        state: ``b`` limit states with a piecewise linear activation.
        points: their failure points.
        seeds: ``(b,)`` int64; limit states with the same seed share their draws.
        draws: lines per failure point.
    """
    r = state.weights.shape[1]
    probability = points.radius.new_zeros(*points.used.shape, SHIFTS)
    owner, point = points.used.nonzero(as_tuple=True)
    by_seed = seeds[owner].argsort(stable=True)  # side by side, so that each piece makes the draws of few seeds
    owner, point = owner[by_seed], point[by_seed]
    most = int(point.max()) + 1  # the used ones come first

    def sampled(piece: tuple[Tensor, Tensor]) -> None:
        i, j = piece
        x = _sobol_normal(seeds[i], "line", draws, r)
        own = points.direction[i, j].unsqueeze(1)
        across = x - (x @ own.mT) * own
        start = _angular_share(across, own, points.direction[i, :most], points.used[i, :most], j)
        probability[i, j] = _per_shift(_along_line(state[i], across, own, start))

    size = max(1, _CHUNK // (draws * r))
    each(sampled, zip(owner.split(size), point.split(size)))
    return probability.sum(1)


def _per_shift(value: Tensor) -> Tensor:
    """Means ``(b, SHIFTS)`` over each shifted net of ``value`` ``(b, draws)``."""
    return value.unflatten(1, (SHIFTS, -1)).mean(-1)


def _angular_share(across: Tensor, own: Tensor, all_directions: Tensor, used: Tensor, index: Tensor) -> Tensor:
    """tau ``(b, n)``: the line ``across + t own`` is nearest in angle to ``own`` among the used ones for t >= tau."""
    gap = 1 - (own @ all_directions.mT)
    crossing = (across @ all_directions.mT) / gap.clamp_min(torch.finfo(gap.dtype).eps)
    rival = used & (torch.arange(used.shape[1], device=used.device) != index.unsqueeze(1))
    return torch.where(rival.unsqueeze(1), crossing, -torch.inf).amax(-1)


def _along_line(state: LimitState, across: Tensor, own: Tensor, start: Tensor) -> Tensor:
    """P(g(across + t own) <= 0, t >= start) for t ~ N(0, 1), ``(b, n)``, exact for piecewise linear activations.

    act(z) = left z + (right - left) relu(z) makes g(t) = intercept + slope t + sum_r bend_r relu(t - t_r), a line bent
    at the roots t_r of the pre-activations level_r + rate_r t, with bend_r = (right - left) w_r |rate_r|.
    """
    left, right = state.root.new_tensor(state.activation.slopes or (math.nan, math.nan))
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
    size = (weights.abs() * (level.abs() + rate.abs())).sum(-1, keepdim=True) + state.offset.abs()[:, None, None]
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


def importance_sampling(state: LimitState, points: FailurePoints, seeds: Tensor, draws: int) -> Tensor:
    """P(g <= 0), one estimate per shifted net, ``(b, SHIFTS)``.

    Args:
        state: ``b`` limit states, any activation.
        points: their failure points.
        seeds: ``(b,)`` int64; limit states with the same seed share their draws.
        draws: points in all.
    """
    r = state.weights.shape[1]
    radius = torch.where(points.used & points.radius.isfinite(), points.radius, 0.0)
    share = torch.where(points.used, torch.exp(-0.5 * (radius.square() - radius[:, :1].square())), 0.0)
    share = (1 - _PLAIN) * share / share.sum(1, keepdim=True)
    estimates = []
    for part in torch.arange(len(seeds), device=seeds.device).split(max(1, _CHUNK // (draws * r))):
        uniform = sobol_uniform(seeds[part], "importance", draws, r + 1)
        choice = uniform[..., 0] - _PLAIN
        component = (choice.unsqueeze(-1) >= share[part].cumsum(1).unsqueeze(1)).sum(-1)
        centre = radius[part].unsqueeze(-1) * points.direction[part]
        at = component.clamp(max=share.shape[1] - 1).unsqueeze(-1).expand(-1, -1, r)
        shift = torch.where(choice.unsqueeze(-1) < 0, 0.0, centre.gather(1, at))
        x = torch.special.ndtri(uniform[..., 1:]) + shift
        # log q / p = log(0.1 + sum_j share_j exp(<centre_j, x> - |centre_j|^2 / 2))
        tilt = x @ centre.mT - 0.5 * radius[part].square().unsqueeze(1) + share[part].log().unsqueeze(1)
        log_ratio = torch.logsumexp(torch.cat([torch.full_like(tilt[..., :1], math.log(_PLAIN)), tilt], -1), -1)
        estimates.append(_per_shift(torch.where(state[part](x) <= 0, torch.exp(-log_ratio), 0.0)))
    return torch.cat(estimates)


def plain_sampling(state: LimitState, seeds: Tensor, draws: int) -> Tensor:
    """P(g <= 0) as a frequency among ``draws`` points, one per shifted net, ``(b, SHIFTS)``."""
    r = state.weights.shape[1]
    estimates = []
    for part in torch.arange(len(seeds), device=seeds.device).split(max(1, _CHUNK // (draws * r))):
        x = _sobol_normal(seeds[part], "plain", draws, r)
        estimates.append(_per_shift((state[part](x) <= 0).to(x.dtype)))
    return torch.cat(estimates)
