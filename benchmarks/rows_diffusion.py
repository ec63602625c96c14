"""Microseconds per cell and step of denoisers and their classifier: a loop in R^d, and the engines.

python -m benchmarks.rows_diffusion

n = 50, m = 20, float64, full-batch gradient descent. *loop* is PyTorch as it is usually written, autograd and SGD in
R^d, one cell after another: the same loss as the engine's, for the denoiser in its closed form over the noise, and in
the last row with one fresh noise per patch and step. Medians of interleaved rounds.
"""

import math
from collections.abc import Callable

import torch
from rich.console import Console

import lemmata as lm
from benchmarks.rows import Row, measured, now, objective_table
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw

N, M, D, SIGNAL, T, ROUNDS = 50, 20, 20_000, 40.0, 0.2, 5
ALPHA, BETA = math.exp(-T), math.sqrt(-math.expm1(-2 * T))

DATA = lm.TwoSignals(N, D, SIGNAL)
DENOISER = lm.Run(DATA, lm.TiedDenoiser(M), lm.Denoising(T), lm.GD(1e-3))
FRESH = lm.Run(DATA, lm.TiedDenoiser(M), lm.FreshNoiseDenoising(T), lm.GD(1e-3))
CLASSIFIER = lm.Run(
    DATA,
    lm.TwoLayerCNN(M, v0=1.0, activation=lm.Power(2), train_output=False, divide_by_m=True),
    rule=lm.GD(1e-3),
)


def exact_loss(W: torch.Tensor, X: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The denoising loss of a quadratic denoiser, its expectation written out."""
    a, Q, b2 = ALPHA * (W @ X.T), W @ W.T, BETA**2
    q = Q.diagonal()
    second = (weights * a) @ a.T
    fit = 4 * BETA / math.sqrt(M) * (q * (weights * a).sum(1)).sum()
    moments = (weights * a**2) @ (a**2).T + 4 * b2 * Q * second + b2**2 * 2 * (q[:, None] * q + 2 * Q**2)
    moments = moments + b2 * 2 * q * (weights * a**2).sum(1)[:, None]
    return 0.5 * (2 * D - fit + (Q * moments).sum() / M)


def sampled_loss(W: torch.Tensor, X: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The denoising loss on one new noise per patch of every sample."""
    x = torch.cat([torch.where(labels[:, None] > 0, X[0], X[1]), X[2:]])
    eps = torch.randn_like(x)
    f = ((ALPHA * x + BETA * eps) @ W.T) ** 2 @ W / math.sqrt(M)
    return (f - eps).square().sum() / (2 * N)


def logistic_loss(W: torch.Tensor, X: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The classifier on its images of two patches."""
    images = torch.stack([torch.where(labels[:, None] > 0, X[0], X[1]), X[2:]], dim=1)
    hidden = ((images @ W.T) ** 2).sum(1)
    output = (hidden[:, :M].sum(1) - hidden[:, M:].sum(1)) / M
    return torch.nn.functional.softplus(-labels * output).mean()


def loop(run: lm.Run, loss: Callable[..., torch.Tensor], steps: int, device: str) -> Callable[[], float]:
    """One cell by autograd in R^d; returns seconds per step."""
    sample = draw(lm.Run(run.data, run.net, run.objective, engine="direct", device=device), cell_seeds(0, [0], device))
    X, labels, start = sample.vectors[0], sample.labels[0], sample.filters[0]
    weights = torch.tensor([0.5, 0.5, *[1 / N] * N], dtype=X.dtype, device=X.device)

    def timed() -> float:
        W = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([W], lr=1e-3)
        started = now(device)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(W, X, weights, labels).backward()
            optimizer.step()
        return (now(device) - started) / steps

    return timed


def engine(run: lm.Run, cells: int, steps: int, device: str) -> Callable[[], float]:
    """Seconds per cell and step of the engine; two lengths of training, so that what is done once drops out."""
    sample = draw(lm.Run(run.data, run.net, run.objective, device=device), cell_seeds(0, range(cells), device))

    def once(steps: int) -> float:
        described = lm.Run(run.data, run.net, run.objective, run.rule, steps, device=device)
        started = now(device)
        lm.train(described, range(cells), sample=sample)
        return now(device) - started

    return lambda: (once(2 * steps) - once(steps)) / steps / cells


def rows(device: str = "cpu") -> list[Row]:
    """Denoiser (closed form, fresh noises) and classifier."""
    cases = (
        ("denoiser, exact over the noise", DENOISER, exact_loss, 10),
        ("quadratic classifier", CLASSIFIER, logistic_loss, 10),
        ("denoiser, fresh noises", FRESH, sampled_loss, 4),
    )
    return [
        measured(name, loop(run, loss, steps, device), engine(run, 1, 300, device), engine(run, 64, 60, device), ROUNDS)
        for name, run, loss, steps in cases
    ]


if __name__ == "__main__":
    Console().print(objective_table(rows(), D))
