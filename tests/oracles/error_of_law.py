"""Slow twins of the test error: test points, fine grids, and small trained networks to try them on."""

import math

import torch

from lemmata.nets.activations import Activation
from lemmata.probes.error_of_law import FreshPoint


def plain_error(law: FreshPoint, cell: int, draws: int) -> tuple[float, float]:
    """Test error of one cell by counting errors on ``draws`` test points, and its standard error."""
    eigenvalue, vector = torch.linalg.eigh(law.covariance[cell].double())
    root = vector * eigenvalue.clamp_min(0).sqrt()
    generator = torch.Generator().manual_seed(1)
    wrong = []
    for _ in range(draws // 100_000):
        z = torch.randn(100_000, len(eigenvalue), generator=generator, dtype=torch.float64) @ root.T
        h = law.activation(z) @ law.output[cell].double()
        wrong.append(0.5 * (h <= -law.signal_plus[cell]).double() + 0.5 * (h >= -law.signal_minus[cell]).double())
    sample = torch.cat(wrong)
    return sample.mean().item(), sample.std().item() / math.sqrt(len(sample))


def one_dimensional_error(a: list, v: list, plus: float, minus: float, activation: Activation) -> float:
    """Test error when z = a t with a single t ~ N(0, 1), by the midpoint rule on a fine grid."""
    t = (torch.arange(400_000, dtype=torch.float64) + 0.5) * 5e-5 - 10
    h = activation(t[:, None] * torch.tensor(a, dtype=torch.float64)) @ torch.tensor(v, dtype=torch.float64)
    wrong = 0.5 * (h <= -plus).double() + 0.5 * (h >= -minus).double()
    return (wrong * torch.exp(-0.5 * t * t)).sum().item() * 5e-5 / math.sqrt(2 * math.pi)


def trained_laws(activation: Activation, signal: list[float], v0: float, n: int = 40, seeds: int = 8) -> FreshPoint:
    """Laws of two-layer ReLU networks (d = 2000, m = 10, both layers) after 600 full-batch steps of gradient descent.

    Cells are ``signal`` x ``seeds``, seeds fastest. All vectors are held in n + 2m Bartlett coordinates beside mu.
    """
    d, m = 2000, 10
    r, dims = 2 * m, n + 2 * m
    generator = torch.Generator().manual_seed(int(1e4 * v0) + n)
    mu = torch.tensor(signal, dtype=torch.float64).repeat_interleave(seeds)
    c = len(mu)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    degrees = torch.arange(d - 1, d - 1 - dims, -1, dtype=torch.float64)
    chi = (degrees + (2 * degrees).sqrt() * normal(c, dims)).sqrt()  # chi-square with 1900 degrees of freedom
    factor = normal(c, dims, dims).tril(-1) + torch.diag_embed(chi)
    noise, hidden = factor[:, :n], 1e-3 * factor[:, n:]
    on_signal = 1e-3 * mu[:, None] * normal(c, r)
    y = torch.ones(n, dtype=torch.float64)
    y[n // 2 :] = -1
    v = torch.cat([torch.full((c, m), v0), torch.full((c, m), -v0)], 1).double()
    squared = mu**2 + d / n
    step = 0.5 / (m * (1 / (m * squared.sqrt())).clamp_min(v0**2) * squared)[:, None]
    relu = torch.relu
    for _ in range(600):
        a, s = noise @ hidden.mT, y[:, None] * on_signal[:, None]
        f = ((relu(a) + relu(s)) @ v[..., None])[..., 0]
        g = (-y * torch.sigmoid(-y * f) / n)[..., None]
        grad_v = (g * (relu(a) + relu(s))).sum(1)
        hidden = hidden - step[..., None] * (g * v[:, None] * (a > 0)).mT @ noise
        on_signal = on_signal - step * mu[:, None] ** 2 * (g * y[:, None] * v[:, None] * (s > 0)).sum(1)
        v = v - step * grad_v
    plus, minus = (v * activation(on_signal)).sum(1), (v * activation(-on_signal)).sum(1)
    return FreshPoint(hidden @ hidden.mT, v, plus, minus, activation)
