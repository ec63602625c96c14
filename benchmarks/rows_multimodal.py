"""Microseconds per cell and step of contrastive training: a loop in R^d, and the gram engine, alone and in a batch.

python -m benchmarks.rows_multimodal

n = 50, m = 50, full-batch gradient descent. *loop* is PyTorch as it is usually written: autograd and SGD on vectors of
R^d in float64, one cell after another. Medians of interleaved rounds.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

import lemmata as lm
from lemmata.cells import cell_seeds
from lemmata.dynamics.train import draw

N, M, D, ETA, ROUNDS = 50, 50, 20_000, 0.002, 5


def described(modality: str, dtype: str = "float64", device: str = "cpu") -> lm.Run:
    """The run that is timed."""
    data = lm.PairedSignalNoise(n=N, d=D, signal=10.0, modality=modality)  # type: ignore[arg-type]
    return lm.Run(data, lm.PatchEncoder(M), lm.InfoNCE(), lm.GD(ETA), engine="gram", dtype=dtype, device=device)


def info_nce(query: torch.Tensor, positive: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The loss of one direction, keys held fixed."""
    own = (query * positive.detach()).sum(1, keepdim=True)
    others = (query @ keys.detach().T).masked_fill(~mask, -torch.inf)
    return (torch.cat([own, others], 1).logsumexp(1) - own[:, 0]).mean()


def loop(modality: str, steps: int, device: str) -> Callable[[], float]:
    """One cell by autograd in R^d; returns seconds per step."""
    run = described(modality, device=device)
    sample = draw(run, cell_seeds(0, [0], device)).lift(D, cell_seeds(1, [0], device))
    signal = sample.labels[0].reshape(1, -1, 1) * sample.vectors[0, :, :1]  # (g, n, d)
    noise, augmented = sample.vectors[0, :, 1 : 1 + N], sample.vectors[0, :, 1 + N :]
    mask = sample.negatives[0]

    def features(w: torch.Tensor, *patches: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.relu(patch @ w.T) for patch in patches]).sum(0)

    def timed() -> float:
        weights = [w.clone().requires_grad_() for w in sample.filters[0]]
        optimizer = torch.optim.SGD(weights, lr=ETA)
        started = _now(device)
        for _ in range(steps):
            optimizer.zero_grad()
            h = [features(w, signal[g], noise[g]) for g, w in enumerate(weights)]
            if modality == "single":
                loss = info_nce(h[0], features(weights[0], signal[0], augmented[0]), h[0], mask)
            else:
                loss = info_nce(h[0], h[1], h[1], mask) + info_nce(h[1], h[0], h[0], mask)
            loss.backward()
            optimizer.step()
        return (_now(device) - started) / steps

    return timed


def engine(run: lm.Run, cells: int, steps: int) -> Callable[[], float]:
    """Seconds per cell and step of the engine; two lengths of training, so that what is done once drops out."""
    sample = draw(run, cell_seeds(0, range(cells), run.device))

    def once(steps: int) -> float:
        at = run.at({"steps": steps})
        started = _now(run.device)
        lm.train(at, range(cells), sample=sample)
        return _now(run.device) - started

    return lambda: (once(2 * steps) - once(steps)) / steps / cells


def rows(device: str = "cpu") -> list[dict[str, Any]]:
    """One dictionary per objective: ``objective``, ``d``, µs per cell and step of every opponent, and the ratios."""
    found = []
    for modality in ("single", "multi"):
        timed = {
            "loop": loop(modality, 6, device),
            "one": engine(described(modality, device=device), 1, 200),
            "batched": engine(described(modality, device=device), 64, 40),
            "float32": engine(described(modality, "float32", device), 64, 40),
        }
        for measure in timed.values():
            measure()  # the first run also loads code
        taken: dict[str, list[float]] = {key: [] for key in timed}
        for _ in range(ROUNDS):
            for key, measure in timed.items():
                taken[key].append(1e6 * measure())
        us = {key: statistics.median(values) for key, values in taken.items()}
        found.append(
            {
                "objective": f"InfoNCE, {modality}-modal",
                "d": D,
                "loop_us": us["loop"],
                "engine_us": us["one"],
                "batched_us": us["batched"],
                "batched_float32_us": us["float32"],
                "engine_ratio": us["loop"] / us["one"],
                "batching_ratio": us["one"] / us["batched"],
            }
        )
    return found


def _now(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"µs per cell and step, d = {D}, n = {N}, m = {M}, {torch.get_num_threads()} thread(s)")
    headings = ("objective", "loop in R^d", "engine, 1 cell", "engine, 64 cells", "64 in float32", "engine", "batching")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "objective" else "right")
    for row in rows():
        times = [f"{row[key]:.0f}" for key in ("loop_us", "engine_us", "batched_us", "batched_float32_us")]
        table.add_row(row["objective"], *times, f"×{row['engine_ratio']:.0f}", f"×{row['batching_ratio']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
