"""Each optimiser against its slow twin, step by step, in float64."""

import pytest
import torch

from lemmata.optim import AdaGradPP, AdamPP, AdamWPP
from tests.oracles.optim import AdaGradPPOracle, AdamPPOracle

CASES = [
    (AdamPP, AdamPPOracle, {}, {}),
    (AdamPP, AdamPPOracle, {"variant": "ema_max", "betas": (0.5, 0.9)}, {"variant": "ema_max", "betas": (0.5, 0.9)}),
    (AdamPP, AdamPPOracle, {"variant": "sum"}, {"variant": "sum"}),
    (AdamPP, AdamPPOracle, {"bias_correction": False}, {"bias_correction": False}),
    (
        AdamPP,
        AdamPPOracle,
        {"bias_correction": False, "variant": "ema_max"},
        {"bias_correction": False, "variant": "ema_max"},
    ),
    (AdamPP, AdamPPOracle, {"momentum_decay": 0.9}, {"momentum_decay": 0.9}),
    (AdamPP, AdamPPOracle, {"weight_decay": 0.1, "lr": 0.5}, {"weight_decay": 0.1, "lr": 0.5}),
    (AdamPP, AdamPPOracle, {"eta0": 0.1, "max_eta": 0.2}, {"eta0": 0.1, "max_eta": 0.2}),
    (AdamPP, AdamPPOracle, {"growth_rate": 1.05}, {"growth_rate": 1.05}),
    (AdamWPP, AdamPPOracle, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}),
    (AdaGradPP, AdaGradPPOracle, {}, {}),
    (AdaGradPP, AdaGradPPOracle, {"weight_decay": 0.1}, {"weight_decay": 0.1}),
    (
        AdaGradPP,
        AdaGradPPOracle,
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
        {"weight_decay": 0.1, "decoupled": True},
    ),
]


def _noisy_gradient(x, t):
    """Of a quadratic with condition number 100, plus noise that depends on the step only."""
    scale = torch.logspace(-1, 1, x.numel(), dtype=x.dtype)
    noise = torch.randn(x.numel(), generator=torch.Generator().manual_seed(t), dtype=x.dtype)
    return scale * (x - 1) + 0.1 * noise


@pytest.mark.parametrize("foreach", [False, True], ids=["loop", "foreach"])
@pytest.mark.parametrize(("cls", "oracle", "options", "oracle_options"), CASES, ids=lambda v: str(v)[:40])
def test_equals_its_twin_step_by_step(cls, oracle, options, oracle_options, foreach):
    start = torch.linspace(-1, 2, 24, dtype=torch.float64)
    params = [torch.nn.Parameter(part.clone()) for part in start.split([10, 1, 13])]
    params[0].data = params[0].data.view(2, 5)
    optimizer, twin = cls(params, foreach=foreach, **options), oracle(start, **oracle_options)
    for t in range(60):
        flat = torch.cat([p.detach().reshape(-1) for p in params])
        for p, g in zip(params, _noisy_gradient(flat, t).split([10, 1, 13])):
            p.grad = g.view_as(p).clone()
        optimizer.step()
        expected = twin.step(_noisy_gradient(twin.x, t))
        torch.testing.assert_close(torch.cat([p.detach().reshape(-1) for p in params]), expected, rtol=1e-9, atol=1e-12)
    assert float(optimizer.distance()) == pytest.approx(float((twin.x - twin.x0).norm()) / 24**0.5, rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"lr": 0.5, "eta0": "auto"}, {"distance": "tensor"}, {"weight_decay": 0.1}])
def test_case_one_without_momentum_is_adagradpp(options):
    """s_t = sqrt(sum g^2) and m_t = g_t: the two algorithms are one, for whatever is shared between them."""
    start = [torch.linspace(-1, 2, n, dtype=torch.float64) for n in (10, 13)]
    pairs = []
    for make in (AdaGradPP, lambda p, **o: AdamPP(p, variant="sum", betas=(0.0, 0.999), **o)):
        params = [torch.nn.Parameter(part.clone()) for part in start]
        pairs.append((params, make(params, **options)))
    for t in range(200):
        for params, optimizer in pairs:
            for p in params:
                p.grad = _noisy_gradient(p.detach(), t)
            optimizer.step()
        for one, other in zip(*(params for params, _ in pairs)):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(pairs[0][1].eta, pairs[1][1].eta, rtol=1e-9, atol=0)
