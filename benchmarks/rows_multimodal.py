"""Microseconds per cell and step of contrastive training: a loop in R^d, and the gram engine, alone and in a batch.

python -m benchmarks.rows_multimodal

n = 50, m = 50, full-batch gradient descent. *loop* is PyTorch as it is usually written: autograd and SGD on vectors of
R^d in float64, one cell after another. Medians of interleaved rounds.
"""

from collections.abc import Callable

import torch
from rich.console import Console

import lemmata as lm
from benchmarks.rows import Row, measured, now, objective_table
from lemmata.draws import cell_seeds
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
        return torch.cat([torch.relu(patch @ w.T) for patch in patches], 1)  # patchwise similarities

    def timed() -> float:
        weights = [w.clone().requires_grad_() for w in sample.filters[0]]
        optimizer = torch.optim.SGD(weights, lr=ETA)
        started = now(device)
        for _ in range(steps):
            optimizer.zero_grad()
            h = [features(w, signal[g], noise[g]) for g, w in enumerate(weights)]
            if modality == "single":
                loss = info_nce(h[0], features(weights[0], signal[0], augmented[0]), h[0], mask)
            else:
                loss = info_nce(h[0], h[1], h[1], mask) + info_nce(h[1], h[0], h[0], mask)
            loss.backward()
            optimizer.step()
        return (now(device) - started) / steps

    return timed


def engine(run: lm.Run, cells: int, steps: int) -> Callable[[], float]:
    """Seconds per cell and step of the engine; two lengths of training, so that what is done once drops out."""
    sample = draw(run, cell_seeds(0, range(cells), run.device))

    def once(steps: int) -> float:
        at = run.at({"steps": steps})
        started = now(run.device)
        lm.train(at, range(cells), sample=sample)
        return now(run.device) - started

    return lambda: (once(2 * steps) - once(steps)) / steps / cells


def rows(device: str = "cpu") -> list[Row]:
    """Contrast within one modality and between two."""
    return [
        measured(
            f"InfoNCE, {modality}-modal",
            loop(modality, 6, device),
            engine(described(modality, device=device), 1, 200),
            engine(described(modality, device=device), 64, 40),
            ROUNDS,
        )
        for modality in ("single", "multi")
    ]


if __name__ == "__main__":
    Console().print(objective_table(rows(), D))
