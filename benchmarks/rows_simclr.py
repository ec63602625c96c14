"""Microseconds per cell and step of SimCLR pre-training: as it is usually written, and the gram engine.

    python -m benchmarks.rows_simclr

50 pairs, 40 filters, temperature 1, full-batch gradient descent. *loop* is plain PyTorch in R^20000 by autograd, one
cell after another; *gram* moves inner products, one cell or 64 at once. Every row is the difference of a long and a
short training, the median of three rounds that take turns.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

import lemmata as lm
from lemmata.cells import cell_seeds
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
        started = _now(device)
        for _ in range(steps):
            optimizer.zero_grad()
            h, positive = first @ filters.T, second @ filters.T
            negatives = (h @ h.T).masked_fill(same, -1e30)
            logits = torch.cat([(h * positive).sum(1, keepdim=True), negatives], dim=1)
            target = torch.zeros(PAIRS, dtype=torch.int64, device=device)
            torch.nn.functional.cross_entropy(logits, target).backward()
            optimizer.step()
        return _now(device) - started

    return train


def gram(cells: int, dtype: torch.dtype, device: str) -> Callable[[int], float]:
    """The gram engine on ``cells`` cells at once; steps → seconds."""
    name = str(dtype).removeprefix("torch.")
    run = lm.Run(DATA, lm.LinearEncoder(M), lm.SimCLR(), lm.GD(c=0.2), engine="gram", dtype=name, device=device)
    sample = draw(run, cell_seeds(0, range(cells), device))

    def train(steps: int) -> float:
        started = _now(device)
        lm.train(replace(run, steps=steps), range(cells), sample=sample)
        return _now(device) - started

    return train


def rows(device: str = "cpu") -> list[dict[str, Any]]:
    """One dictionary per way of training: objective, method, cells, µs per cell and step, ratio to the loop."""
    dtype = torch.float32
    ways = {
        ("loop in R^d", 1): (loop(dtype, device), 20),
        ("gram", 1): (gram(1, dtype, device), 400),
        ("gram", 64): (gram(64, dtype, device), 50),
    }
    for train, _ in ways.values():
        train(2)
    times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for (method, cells), (train, steps) in ways.items():
            short = max(1, steps // 5)
            times[method, cells].append((train(steps) - train(short)) / (steps - short) / cells)
    medians = {way: statistics.median(found) * 1e6 for way, found in times.items()}
    base = medians["loop in R^d", 1]
    return [
        {"objective": "SimCLR", "d": D, "n": PAIRS, "r": 2 * M, "method": method, "cells": cells,
         "us_per_cell_step": value, "ratio": base / value}
        for (method, cells), value in medians.items()
    ]  # fmt: skip


def _now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    for row in rows():
        print("{objective}  {method:12} {cells:3} cells  {us_per_cell_step:9.1f} µs  {ratio:6.1f} x".format(**row))
