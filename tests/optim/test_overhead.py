"""What the distance costs, as ratios of the best of interleaved rounds, which a busy machine moves little.

The full table, against the peers, is ``python -m benchmarks.optimisers``.
"""

import time

import torch
from torch import nn

from lemmata.optim import AdamPP


def _best_times(steps, rounds=12):
    best = [float("inf")] * len(steps)
    for _ in range(rounds):
        for i, step in enumerate(steps):
            start = time.perf_counter()
            step()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def _optimizer(cls, **options):
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(512, 768, generator=generator)) for _ in range(26)]  # 10 M

    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)
    optimizer = cls(params, **options)
    optimizer.step()
    return optimizer


def test_one_pass_and_lists_cost_little_more_than_adamw():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        fused, fused_adamw, lists, lists_adamw = _best_times(
            [
                _optimizer(AdamPP, fused=True).step,
                _optimizer(torch.optim.AdamW, fused=True).step,
                _optimizer(AdamPP, foreach=True).step,
                _optimizer(torch.optim.AdamW, foreach=True).step,
            ]
        )
    finally:
        torch.set_num_threads(threads)
    assert fused <= 1.75 * fused_adamw
    assert lists <= 1.3 * lists_adamw
