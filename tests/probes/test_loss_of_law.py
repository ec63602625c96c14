"""Test loss against test points drawn one by one, and alignment against its definition."""

import dataclasses

import pytest
import torch

import lemmata as lm
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw


def trained(data, activation=None, **changes):
    net = lm.TwoLayerCNN(3, v0=1.0, init=0.15, activation=activation or lm.ReLU(3.0), divide_by_m=True)
    run = lm.Run(data, net, rule=lm.GD(c=0.1), steps=20, engine="compressed", **changes)
    return lm.train(run, (0, 1))


@pytest.mark.parametrize("activation", [lm.ReLU(3.0), lm.ReLU(), lm.GELU()])
@pytest.mark.parametrize("noise", ["orthogonal", "isotropic"])
def test_loss_is_the_mean_over_test_points(activation, noise):
    data = lm.SignalNoise(n=6, d=40, signal=1.5, noise=noise)
    run = trained(data, activation)
    found, spread = (lm.PROBES[name].measure(run.final) for name in ("test_loss", "test_loss_se"))
    generator = torch.Generator().manual_seed(0)
    for cell in range(2):
        W, v = run.filters[cell], run.final.products.head["output"][cell] / 3
        mu = run.final.products.sample.vectors[cell, 0]
        # fresh noise has coordinates of its own too, which no filter sees
        xi = torch.randn(200_000, W.shape[1], dtype=torch.float64, generator=generator)
        if noise == "orthogonal":
            xi[:, 0] = 0
        y = torch.where(torch.rand(200_000, generator=generator) < 0.5, 1.0, -1.0).double()
        f = activation(y[:, None] * (W @ mu)) @ v + activation(xi @ W.T) @ v
        losses = torch.nn.functional.softplus(-y * f)
        error = (losses.std() / 200_000**0.5).item()
        assert abs(found[cell].item() - losses.mean().item()) < 4 * (error + spread[cell].item())
        assert spread[cell] < 0.02 * found[cell]


def test_loss_on_witnesses_is_the_mean_over_them():
    data = lm.ImageNoise(lm.load_digits((3, 8)), n=6, sigma_p=0.3, d=100, tests=5)
    run = trained(data)
    found = lm.PROBES["test_loss"].measure(run.final)
    sample, generator = run.final.products.sample, torch.Generator().manual_seed(0)
    W, v = run.filters[0], run.final.products.head["output"][0] / 3
    xi = 0.3 * torch.randn(100_000, W.shape[1], dtype=torch.float64, generator=generator)
    h = lm.ReLU(3.0)(xi @ W.T) @ v
    total = 0.0
    for image, y in zip(sample.witnesses.vectors[0], sample.witnesses.labels[0]):
        total += torch.nn.functional.softplus(-y * (lm.ReLU(3.0)(W @ image) @ v + h)).mean().item() / 5
    assert found[0].item() == pytest.approx(total, rel=0.01)


def test_a_nan_stays_home():
    final = trained(lm.SignalNoise(n=6, d=40, signal=1.5)).final
    A, Q = (value.clone() for value in (final.products.A, final.products.Q))
    A[0], Q[0] = torch.nan, torch.nan
    broken = dataclasses.replace(final, products=dataclasses.replace(final.products, A=A, filter_gram=Q), memo={})
    found, expected = (lm.PROBES["test_loss"].measure(s) for s in (broken, dataclasses.replace(final, memo={})))
    assert found[0].isnan()
    assert found[1] == expected[1]


def test_only_losses_of_the_margin_have_a_test_loss():
    run = lm.Run(lm.SignalNoisePairs(4, 40, 1.0), lm.LinearEncoder(2), lm.SimCLR(), steps=2, probes=("test_loss",))
    with pytest.raises(ValueError, match="SimCLR is no loss of the margin"):
        lm.train(run)


def test_alignment_and_sizes_are_what_they_say():
    run = lm.Run(lm.SignalNoisePairs(4, 40, 1.5, sigma_p=0.7), lm.LinearEncoder(2, init=0.3), lm.SimCLR(), steps=1)
    names = ("signal_alignment", "filter_signal", "filter_noise")
    run = dataclasses.replace(run, probes=names, record=(0,))
    sample = draw(run, cell_seeds(0, (0, 1)))
    found = lm.train(run, (0, 1), sample=sample).records
    W, along = sample.filters, sample.filters[..., 0]
    expected = along.square().sum(1) / W.square().sum((1, 2)), 1.5 * along.abs().mean(1)
    torch.testing.assert_close(found["signal_alignment"][:, 0], expected[0])
    torch.testing.assert_close(found["filter_signal"][:, 0], expected[1])
    torch.testing.assert_close(found["filter_noise"][:, 0], (W @ sample.vectors[:, 1:5].mT).abs().mean((1, 2)))


def test_alignment_needs_one_signal_vector():
    data = lm.ImagePairs(lm.load_digits((3, 8)), pairs=4)
    run = lm.Run(data, lm.LinearEncoder(2), lm.SimCLR(), steps=1, probes=("signal_alignment",))
    with pytest.raises(ValueError, match="no one signal vector"):
        lm.train(run)
