"""Speed of contrastive training: the loop in R^d as people write it, against the gram engine, alone and in a batch.

python -m benchmarks.rows_multimodal
"""

import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from lemmata import GD, Run, train
from lemmata.cells import cell_seeds
from lemmata.data.paired import PairedSignalNoise
from lemmata.dynamics.train import draw
from lemmata.nets.patch_encoder import PatchEncoder
from lemmata.objectives.info_nce import InfoNCE

N, D, M, ETA, LOOP_STEPS, STEPS, BATCH = 50, 20_000, 50, 0.002, 6, 200, 64


def loop(run: Run, steps: int) -> float:
    """Seconds per step of plain PyTorch with autograd on vectors of R^d, one cell."""
    sample = run.data.sample(cell_seeds(0, [0], run.device), torch.full((1, M), 1e-3, dtype=torch.float64))
    gram = sample.lift(D, cell_seeds(1, [0], run.device))
    mu, xi = gram.vectors[0, :, :1], gram.vectors[0, :, 1 : 1 + N]
    patches = [gram.labels[0].reshape(1, -1, 1) * mu, xi]  # (g, n, d) each
    views = [gram.vectors[0, :, 1 + N :]] if run.data.modality == "single" else []
    weights = [w.clone().requires_grad_() for w in gram.filters[0]]
    mask = gram.negatives[0]

    def features(w: torch.Tensor, *xs: torch.Tensor) -> torch.Tensor:
        return sum(torch.relu(x @ w.T) for x in xs)  # type: ignore[return-value]

    def info_nce(query: torch.Tensor, positive: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        score = (query * positive.detach()).sum(1, keepdim=True)
        others = (query @ keys.detach().T).masked_fill(~mask, -torch.inf)
        return (torch.cat([score, others], 1).logsumexp(1) - score[:, 0]).mean()

    def step() -> None:
        h = [features(w, patches[0][g], patches[1][g]) for g, w in enumerate(weights)]
        if views:
            loss = info_nce(h[0], features(weights[0], patches[0][0], views[0][0]), h[0])
        else:
            loss = info_nce(h[0], h[1], h[1]) + info_nce(h[1], h[0], h[0])
        for w, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            w.data -= ETA * gradient

    step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    _wait(run.device)
    return (time.perf_counter() - started) / steps


def engine(run: Run, cells: int, steps: int) -> float:
    """Seconds per cell and step of the gram engine: a long run less a short one, so that sampling does not count."""
    sample = draw(run, cell_seeds(0, range(cells), run.device))
    took = []
    for count in (steps, 2 * steps, steps, 2 * steps):
        at = run.at({"steps": count})
        started = time.perf_counter()
        train(at, range(cells), sample=sample)
        _wait(run.device)
        took.append(time.perf_counter() - started)
    return (min(took[1], took[3]) - min(took[0], took[2])) / (steps * cells)


def rows(device: str = "cpu") -> list[dict[str, Any]]:
    """One row per objective: microseconds per cell and step, and ratios to the loop in R^d."""
    found = []
    for modality in ("single", "multi"):
        data = PairedSignalNoise(n=N, d=D, signal=10.0, modality=modality)  # type: ignore[arg-type]
        run = Run(data, PatchEncoder(M), InfoNCE(), GD(step_size=ETA), engine="gram", device=device)
        slow, one, many = loop(run, LOOP_STEPS), engine(run, 1, STEPS), engine(run, BATCH, STEPS // 4)
        single_precision = engine(run.at({"dtype": "float32"}), BATCH, STEPS // 4)
        found.append(
            {
                "objective": f"InfoNCE, {modality}-modal (n = {N}, m = {M}, d = {D})",
                "loop_us": 1e6 * slow,
                "gram_us": 1e6 * one,
                "gram_64_us": 1e6 * many,
                "gram_64_float32_us": 1e6 * single_precision,
                "ratio": slow / one,
                "ratio_64": slow / many,
            }
        )
    return found


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    headings = ("objective", "loop in R^d, µs", "gram, µs", "gram × 64, µs", "× 64, float32, µs", "ratio", "ratio × 64")
    table = Table(*headings, title=f"per cell and step, {torch.get_num_threads()} threads")
    for row in rows():
        table.add_row(*[value if isinstance(value, str) else f"{value:,.1f}" for value in row.values()])
    Console().print(table)


if __name__ == "__main__":
    main()
