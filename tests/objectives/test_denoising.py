"""The denoising loss: its closed form against Monte Carlo, its gradients against autograd, its refusals."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from lemmata.data.signal_noise import SignalNoise
from lemmata.data.two_signals import TwoSignals
from lemmata.draws import cell_seeds
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.dynamics.train import train
from lemmata.nets.activations import Power, ReLU
from lemmata.nets.denoiser import TiedDenoiser
from lemmata.nets.two_layer_cnn import TwoLayerCNN
from lemmata.objectives.denoising import Denoising, FixedNoiseDenoising, FreshNoiseDenoising, vector_weights
from lemmata.objectives.objective import Objective, Products
from tests.oracles import denoising as oracle


def problem(cells=2, n=4, d=30, m=3, power=2, noises=0, coordinates="explicit", weights=None):
    """Inner products of filters of ordinary size with a small data set."""
    seeds = cell_seeds(7, range(cells))
    net = TiedDenoiser(m, init=0.15, activation=Power(power) if isinstance(power, int) else power)
    data = TwoSignals(n, d, signal=3.0, diffusion_noises=noises)
    sample = data.sample(seeds, net.initial_scale(seeds), coordinates=coordinates)
    X, W = sample.vectors, sample.filters
    weights = torch.full((cells, n), 1 / n, dtype=torch.float64) if weights is None else weights
    return Products(W @ X.mT, W @ W.mT, {}, net, sample, sample.labels, weights)


def patches(products, cell=0):
    """The clean patches ``(n, 2, d)`` of one cell."""
    X, labels = products.sample.vectors[cell], products.labels[cell]
    n = len(labels)
    signal = torch.stack([X[0] if y > 0 else X[1] for y in labels])
    return torch.stack([signal, X[2 : 2 + n]], dim=1)


@pytest.mark.parametrize("power", [2, 3, 4])
def test_moments_are_gaussian_averages_of_derivatives(power):
    node, weight = torch.tensor(np.array(np.polynomial.hermite_e.hermegauss(12)))
    weight = weight / math.sqrt(2 * math.pi)
    mean, variance = torch.tensor([[0.3], [-1.2]]), torch.tensor([[0.5], [2.0]])
    z = mean + variance.sqrt() * node
    for j, found in enumerate(Power(power).gaussian_moments(mean, variance)):
        derivative = math.perm(power, j) * z ** (power - j)
        torch.testing.assert_close(
            found.squeeze(1).double(), (derivative * weight).sum(1).double(), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("power", [2, 3])
def test_closed_form_is_the_mean_over_noises(power):
    p = problem(cells=1, power=power)
    draws = 60_000
    generator = torch.Generator().manual_seed(1)
    values = []
    for x0, weight in ((patch, 1 / 4) for sample in patches(p) for patch in sample):
        eps = torch.randn(draws, 30, dtype=torch.float64, generator=generator)
        x_t = math.exp(-0.3) * x0 + math.sqrt(1 - math.exp(-0.6)) * eps
        f = (x_t @ p.sample.filters[0].mT) ** power @ p.sample.filters[0] / math.sqrt(3)
        # |eps|^2 has mean d and only adds variance.
        values.append(weight * 0.5 * (f.square().sum(1) - 2 * (f * eps).sum(1) + 30))
    values = torch.stack(values).sum(0)
    error = values.std() / math.sqrt(draws)
    found = Denoising(0.3).loss(p)[0]
    assert abs(found - values.mean()) < 4 * error
    assert error < 0.02 * abs(found - 30)  # the check could tell a wrong term


@pytest.mark.parametrize("power", [2, 3])
def test_fresh_loss_is_the_mean_over_fresh_points(power):
    p = problem(cells=1, power=power)
    draws, d, W = 40_000, 30, p.sample.filters[0]
    generator = torch.Generator().manual_seed(2)
    xi = torch.randn(draws, d, dtype=torch.float64, generator=generator)
    xi[:, :2] = 0
    signal = p.sample.vectors[0, :2].repeat(draws // 2, 1)
    values = 0
    for x0 in (signal, xi):
        eps = torch.randn(draws, d, dtype=torch.float64, generator=generator)
        f = (math.exp(-0.3) * x0 + math.sqrt(1 - math.exp(-0.6)) * eps) @ W.mT
        f = f**power @ W / math.sqrt(3)
        values = values + 0.5 * (f.square().sum(1) - 2 * (f * eps).sum(1) + d)
    error = values.std() / math.sqrt(draws)
    assert abs(Denoising(0.3).fresh_loss(p)[0] - values.mean()) < 4 * error


@pytest.mark.parametrize("power", [2, 3, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_that_of_autograd(power, weighted):
    weights = torch.tensor([[0.5, 0.0, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64) if weighted else None
    p = problem(power=power, weights=weights)
    objective = Denoising(torch.tensor([0.2, 0.7], dtype=torch.float64))
    loss, found = objective.gradient(p)
    by_autograd, expected = Objective.gradient(objective, p)
    torch.testing.assert_close(loss, by_autograd, rtol=1e-13, atol=0)
    torch.testing.assert_close(found.A, expected.A, rtol=1e-12, atol=1e-13)
    # Q is symmetric: only the symmetric part of the gradient is defined.
    torch.testing.assert_close(found.Q + found.Q.mT, expected.Q + expected.Q.mT, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("activation", [Power(2), Power(3), ReLU(2.5)])
def test_fixed_noises_are_those_of_the_formula(activation):
    p = problem(cells=1, n=3, d=20, noises=2, power=activation)
    found = FixedNoiseDenoising(0.4).loss(p)[0]
    eps = p.sample.vectors[0, 2 + 3 :].reshape(2, 2, 3, 20).permute(2, 0, 1, 3)  # (n, patch, noise, d)
    expected = oracle.sampled_loss(p.sample.filters[0], patches(p), eps, 0.4, activation)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_many_fixed_noises_come_near_the_expectation():
    few, many = (abs(_fixed_minus_closed(noises)) for noises in (1, 100))
    assert many.mean() < 0.3 * few.mean()


def _fixed_minus_closed(noises):
    p = problem(cells=8, n=2, d=3000, noises=noises, coordinates="compressed")
    squared = p.sample.vectors[:, 4:].square().sum(2).mean(1) - 3000  # the noises' own length, not the network's doing
    return FixedNoiseDenoising(0.2).loss(p) - squared - Denoising(0.2).loss(p)


@pytest.mark.parametrize("t", [0, -0.1, math.nan, math.inf, "soon"])
@pytest.mark.parametrize("kind", [Denoising, FixedNoiseDenoising, FreshNoiseDenoising])
def test_a_time_that_is_not_above_zero_is_refused(kind, t):
    with pytest.raises(ValueError, match=r"t = .* was asked for; t must be a finite number above 0"):
        kind(t)


def test_refusals_name_the_way_out():
    run = Run(TwoSignals(4, 30, 2.0), TiedDenoiser(3, activation=ReLU()), Denoising(), steps=1)
    with pytest.raises(TypeError, match="use Power, or FixedNoiseDenoising"):
        train(run)
    with pytest.raises(ValueError, match="set diffusion_noises > 0"):
        train(dataclasses.replace(run, objective=FixedNoiseDenoising()))
    with pytest.raises(TypeError, match="use data such as TwoSignals"):
        train(Run(SignalNoise(4, 30, 2.0), TiedDenoiser(3), Denoising(), steps=1))
    with pytest.raises(TypeError, match="filters alone"):
        train(Run(TwoSignals(4, 30, 2.0), TwoLayerCNN(3, activation=Power(2)), Denoising(), steps=1))
    with pytest.raises(ValueError, match="noises = 0 was asked for"):
        FreshNoiseDenoising(0.2, noises=0)
    with pytest.raises(ValueError, match="use GD without momentum"):
        Run(TwoSignals(4, 30, 2.0), TiedDenoiser(3), FreshNoiseDenoising(), GD(momentum=0.9))
    with pytest.raises(ValueError, match="whole number of at least 2"):
        Power(1)
    with pytest.raises(ValueError, match="diffusion_noises = -1"):
        TwoSignals(4, 30, 2.0, diffusion_noises=-1)


def test_the_weight_of_a_vector_is_that_of_the_patches_that_read_it():
    p = problem(cells=1)
    positive = (p.labels[0] > 0).double().mean()
    expected = torch.tensor([positive, 1 - positive, *[0.25] * 4], dtype=torch.float64)
    torch.testing.assert_close(vector_weights(p)[0, 0], expected)
