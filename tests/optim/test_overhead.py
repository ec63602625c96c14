"""What the distance costs, as ratios of the best of interleaved rounds, which a busy machine moves little.

The full table, against the peers, is ``python -m benchmarks.optimisers``.
"""

import time

import pytest
import torch
from torch import nn

from lemmata.optim import AdamPP, fused


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _ratios_hold(steps, limits, rounds=12, attempts=4):
    """That ``steps[2 i] <= limits[i] * steps[2 i + 1]`` in time; the best of more rounds where a first look says no."""
    best = [float("inf")] * len(steps)
    for _ in range(attempts):
        for _ in range(rounds):
            for i, step in enumerate(steps):
                start = time.perf_counter()
                step()
                best[i] = min(best[i], time.perf_counter() - start)
        ratios = [ours / theirs for ours, theirs in zip(best[::2], best[1::2])]
        if all(ratio <= limit for ratio, limit in zip(ratios, limits)):
            return
    pytest.fail(f"time ratios {ratios}, limits {limits}")


def _ten_million():
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(512, 768, generator=generator)) for _ in range(26)]


def _optimizer(cls, **options):
    params = _ten_million()
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer = cls(params, **options)
    optimizer.step()
    return optimizer


def test_one_pass_and_lists_against_adamw():
    adamw = torch.optim.AdamW
    pairs = [_optimizer(cls, **{kind: True}).step for kind in ("fused", "foreach") for cls in (AdamPP, adamw)]
    _ratios_hold(pairs, (1.75, 1.3))


def test_the_distance_within_the_pass():
    """The same pass compiled with its result thrown away: the compiler then neither reads x_0 nor sums."""

    def without(maximize, coupled, rows, scalars):
        for row in rows:
            fused._one_pass(maximize, coupled, *row, scalars)

    plain = torch.compile(without, dynamic=True, fullgraph=True)
    rows = [(p.detach().view(-1), *(torch.zeros(p.numel()) for _ in range(3)), None) for p in _ten_million()[:8]]
    rows = [(p, g, m, v, none, p.clone()) for p, g, m, v, none in rows]
    scalars = torch.tensor([0.1, 0.999, 0.001, 1e-6, 1e-8, 0.0, 0.0])

    def run(passes):
        for four in (rows[:4], rows[4:]):
            passes(False, False, four, scalars)

    complete = fused._compiled(False, False, "cpu", torch.float32, torch.float32, True, False)
    _ratios_hold([lambda: run(complete), lambda: run(plain)], (1.45,))
