"""Microseconds per cell and step of SimCLR pre-training: as it is usually written, and the gram engine.

    python -m benchmarks.rows_simclr

50 pairs, 40 filters, temperature 1, full-batch gradient descent. *loop* is plain PyTorch in R^20000 by autograd, one
cell after another; *gram* moves inner products, one cell or 64 at once. Every row is the difference of a long and a
short training, the median of three rounds that take turns.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from rich.console import Console

import lemmata as lm
from benchmarks.rows import Row, measured, now, objective_table
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw

D, PAIRS, M, ROUNDS = 20_000, 50, 20, 3
DATA = lm.SignalNoisePairs(pairs=PAIRS, d=D, signal=0.1 * D**0.5)


def loop(dtype: torch.dtype, device: str) -> Callable[[int], float]:
    """Plain PyTorch on summed patches in R^d; steps → seconds."""
    run = lm.Run(DATA, lm.LinearEncoder(M), lm.SimCLR(), engine="direct", device=device)
    sample = draw(run, cell_seeds(0, (0,), device))
    first, second = (side[0].to(dtype) for side in sample.view_vectors())
    start, eta = sample.filters[0].to(dtype), (0.2 / sample.curvature[0]).item()
    same = torch.eye(PAIRS, dtype=torch.bool, device=device)

    def train(steps: int) -> float:
        filters = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([filters], lr=eta)
        started = now(device)
        for _ in range(steps):
            optimizer.zero_grad()
            h, positive = first @ filters.T, second @ filters.T
            negatives = (h @ h.T).masked_fill(same, -1e30)
            logits = torch.cat([(h * positive).sum(1, keepdim=True), negatives], dim=1)
            target = torch.zeros(PAIRS, dtype=torch.int64, device=device)
            torch.nn.functional.cross_entropy(logits, target).backward()
            optimizer.step()
        return now(device) - started

    return train


def gram(cells: int, dtype: torch.dtype, device: str) -> Callable[[int], float]:
    """The gram engine on ``cells`` cells at once; steps → seconds."""
    name = str(dtype).removeprefix("torch.")
    run = lm.Run(DATA, lm.LinearEncoder(M), lm.SimCLR(), lm.GD(c=0.2), engine="gram", dtype=name, device=device)
    sample = draw(run, cell_seeds(0, range(cells), device))

    def train(steps: int) -> float:
        started = now(device)
        lm.train(replace(run, steps=steps), range(cells), sample=sample)
        return now(device) - started

    return train


def per_step(train: Callable[[int], float], steps: int, cells: int) -> Callable[[], float]:
    """Seconds per cell and step: the difference of a long and a short training."""
    short = max(1, steps // 5)
    return lambda: (train(steps) - train(short)) / (steps - short) / cells


def rows(device: str = "cpu") -> list[Row]:
    """SimCLR pre-training."""
    dtype = torch.float64
    ways = per_step(loop(dtype, device), 20, 1), per_step(gram(1, dtype, device), 400, 1)
    return [measured("SimCLR", *ways, per_step(gram(64, dtype, device), 50, 64), ROUNDS)]


if __name__ == "__main__":
    Console().print(objective_table(rows(), D))
