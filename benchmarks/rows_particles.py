"""Milliseconds per cell and step of particle Transformers: as people write them, by hand with cells first, in C.

    python -m benchmarks.rows_particles

One step is value, gradient and an Euler update of L layers of M attention and feed-forward particles on S prompts of
six tokens of four numbers, on one thread. *heads* is an ``nn.Module`` that takes one head after another, *einsum* one
that takes a layer at once, both by autograd and SGD, one network after another; *torch* is our gradient by hand with 4
and 16 cells side by side; *C* the compiled kernel. Processor time of the calling thread, medians of rounds that take
turns: only ratios within a row mean anything.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from lemmata import compiled
from lemmata.draws import cell_seeds
from lemmata.loops.particle_energy import ParticleEnergy
from lemmata.modules.particle_start import ParticleStart
from lemmata.modules.particle_transformer import ParticleTransformer
from lemmata.papers.mean_field import task

D, N, LAMBDA, STEP = 4, 6, 1e-3, 0.01
SHAPES = ((8, 16, 32), (4, 16, 32), (32, 8, 32), (8, 64, 32))
TARGETS = {"C float32 over einsum": 20.0, "C float32 over heads": 60.0, "torch, 4 cells, over einsum": 1.4}
"""What is promised at (L, M, S) = (8, 16, 32), float32."""


class EinsumBlock(nn.Module):
    """A layer as it is usually written, all heads in one einsum; tokens ``(s, d, n)``."""

    def __init__(self, M: int) -> None:
        super().__init__()
        self.V, self.A = (nn.Parameter(torch.randn(M, D, D) / D**0.5) for _ in range(2))
        self.a, self.b = nn.Parameter(torch.randn(M, D)), nn.Parameter(torch.randn(M, D) / D**0.5)
        self.beta = nn.Parameter(torch.randn(M) / D**0.5)

    def forward(self, T: Tensor, weight: float) -> Tensor:
        scores = torch.einsum("sdk,mde,seq->smkq", T, self.A, T).softmax(2)
        T = T + weight * torch.einsum("mij,sjk,smkq->siq", self.V, T, scores)
        hidden = torch.tanh(torch.einsum("md,sdq->smq", self.b, T) + self.beta[:, None])
        return T + weight * torch.einsum("md,smq->sdq", self.a, hidden)


class HeadsBlock(EinsumBlock):
    """One head after another."""

    def forward(self, T: Tensor, weight: float) -> Tensor:
        moved = torch.zeros_like(T)
        for V, A in zip(self.V, self.A):
            moved = moved + V @ T @ (T.transpose(1, 2) @ A @ T).softmax(1)
        T = T + weight * moved
        return T + weight * (self.a.T @ torch.tanh(self.b @ T + self.beta[:, None]))


def module_step(block: type[EinsumBlock], L: int, M: int, S: int) -> Callable[[], None]:
    """One training step of one network of modules."""
    layers = nn.ModuleList(block(M) for _ in range(L))
    method = torch.optim.SGD(layers.parameters(), lr=STEP * L * M)
    T, y = problem(1, S, torch.float32)
    columns, weight = T[0].transpose(1, 2).contiguous(), 0.5 / (L * M)

    def step() -> None:
        method.zero_grad(set_to_none=True)
        state = columns
        for layer in layers:
            state = layer(state, weight)
        decay = sum(p.square().sum() for p in layers.parameters())
        energy = 0.5 * (state[:, -1, -1] - y[0]).square().mean() + LAMBDA / (2 * L * M) * decay
        energy.backward()
        method.step()

    return step


def problem(cells: int, S: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Prompts and targets of every cell."""
    tokens, targets = task.prompts(cell_seeds(0, range(cells)), S, N, D - 2, 0.7, "nearest", False)
    return tokens.to(dtype), targets.to(dtype)


def our_step(cells: int, L: int, M: int, S: int, dtype: torch.dtype, engine: str) -> Callable[[], None]:
    """One training step of all cells."""
    transformer = ParticleTransformer()
    energy = ParticleEnergy(transformer, *problem(cells, S, dtype), task.readout(N, D).to(dtype), LAMBDA, engine)
    theta = ParticleStart().draw(transformer, cell_seeds(0, range(cells)), D, L, M, dtype=dtype)

    def step() -> None:
        theta.sub_(energy.at(theta).gradient, alpha=STEP * L * M)

    return step


def row(L: int, M: int, S: int, rounds: int) -> dict[str, float]:
    """Milliseconds per cell and step of every way."""
    ways = {
        "heads": (module_step(HeadsBlock, L, M, S), 1, 1),
        "einsum": (module_step(EinsumBlock, L, M, S), 1, 1),
        "torch, 4 cells": (our_step(4, L, M, S, torch.float32, "torch"), 4, 1),
        "torch, 16 cells": (our_step(16, L, M, S, torch.float32, "torch"), 16, 1),
    }
    if compiled.widths():
        ways["C float32"] = (our_step(4, L, M, S, torch.float32, "kernel"), 4, 5)
        ways["C float64"] = (our_step(4, L, M, S, torch.float64, "kernel"), 4, 5)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, (step, cells, times) in ways.items():
            started = time.thread_time()
            for _ in range(times):
                step()
            if turn:
                taken[name].append(1e3 * (time.thread_time() - started) / (cells * times))
    return {name: statistics.median(found) for name, found in taken.items()}


def main(rounds: int = 7) -> None:
    """Print the table, and the ratios that are promised."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = {shape: row(*shape, rounds) for shape in SHAPES}
    table = Table(title=f"ms per cell and step, particle Transformers; one thread of {compiled.machine()}")
    table.add_column("L, M, S")
    for name in rows[SHAPES[0]]:
        table.add_column(name, justify="right")
    for shape, found in rows.items():
        table.add_row(", ".join(map(str, shape)), *(f"{value:.3f}" for value in found.values()))
    console, first = Console(), rows[SHAPES[0]]
    console.print(table)
    ratios = {
        "C float32 over einsum": first["einsum"] / first.get("C float32", float("nan")),
        "C float32 over heads": first["heads"] / first.get("C float32", float("nan")),
        "torch, 4 cells, over einsum": first["einsum"] / first["torch, 4 cells"],
    }
    for name, ratio in ratios.items():
        word = "holds" if ratio >= TARGETS[name] else "FAILS"
        console.print(f"{word}  {name}: ×{ratio:.1f}, promised ×{TARGETS[name]:g}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
