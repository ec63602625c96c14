"""Predictions for denoisers and classifiers: against the loss itself, against training, and at their limits."""

import numpy as np
import pytest
import torch

import lemmata as lm
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw
from lemmata.objectives.objective import Products
from lemmata.papers.diffusion import theory as diffusion
from lemmata.theory.signal_noise import signal_at_n_snr2


def settings(n_snr2):
    return {"n": 30, "signal": signal_at_n_snr2(n_snr2, 30, 1000), "d": 1000, "m": 20, "t": 0.2}


def test_reference_values():
    """Measured once in another implementation of the same formulas, d for the squared length of the noise."""
    point = diffusion.stationary_point(**settings(0.75))
    assert float(point.signal) == pytest.approx(0.7858, abs=2e-3)
    assert float(point.noise) == pytest.approx(1.0086, abs=2e-3)
    assert float(point.spread) == pytest.approx(2.1920, abs=2e-3)
    small = diffusion.stationary_point(**settings(np.array([0.02, 0.05, 0.1, 0.2])))
    np.testing.assert_allclose(small.ratio, [0.0409, 0.1069, 0.2204, 0.4060], rtol=4e-3)


def test_limits():
    ratio = diffusion.stationary_point(**settings(np.array([1e-3, 1e-2, 5.0, 50.0]))).ratio
    np.testing.assert_allclose(ratio[:2] / [1e-3, 1e-2], 2, rtol=0.05)
    assert 1.1 < ratio[2] < ratio[3] < 1.5
    late = diffusion.stationary_point(**{**settings(0.75), "t": np.array([0.2, 1.0, 3.0, 5.0])}).ratio
    assert (np.diff(late) < 0).all()
    np.testing.assert_allclose(late[-1], diffusion.early_ratio(0.75), rtol=0.02)  # where little of x0 is left


def test_the_excess_is_that_of_the_loss():
    """The solver's three-unknown loss is the denoising loss at filters with those inner products."""
    m, n, d, signal = 5, 4, 40, 3.0
    a, b, v = 0.7, 0.9, 1.3
    length = np.array([signal**2 / 2, (d - 2) / n])
    w2 = 2 * a**2 / signal**2 + n * b**2 / (d - 2)
    expected = diffusion._loss(np.array([[a, b]]), np.array([v]), np.ones((1, 2)), np.array([w2]), m, 0.3)[0]
    assert w2 == pytest.approx((np.array([a, b]) ** 2 / length).sum())
    data, net = lm.TwoSignals(n, d, signal), lm.TiedDenoiser(m)
    sample = data.sample(cell_seeds(0, [0]), net.initial_scale(cell_seeds(0, [0])))
    A = torch.tensor([a, a, *[b] * n], dtype=torch.float64).expand(1, m, 2 + n)
    J = torch.ones(m, m, dtype=torch.float64) / m
    Q = (v * (torch.eye(m, dtype=torch.float64) - J) + m * w2 * J).unsqueeze(0)
    products = Products(A, Q, {}, net, sample, sample.labels, torch.full((1, n), 1 / n, dtype=torch.float64))
    assert float(lm.Denoising(0.3).loss(products)) - d == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("t", [0.2, 0.8])
def test_training_ends_at_the_point_of_its_own_gram_matrix(t):
    data = lm.TwoSignals(12, 300, signal=float(signal_at_n_snr2(1.0, 12, 300)))
    run = lm.Run(data, lm.TiedDenoiser(8), lm.Denoising(t), lm.GD(c=2.0, backtrack=True), 6000, stop_gradient=1e-9)
    trained = lm.train(run, range(2))
    assert trained.status.tolist() == [lm.Status.CONVERGED] * 2
    sample = draw(run, cell_seeds(0, range(2)))
    weights = np.array([0.5, 0.5, *[1 / 12] * 12])
    for cell in range(2):
        X, A = sample.vectors[cell].numpy(), trained.final.products.A[cell].numpy()
        predicted, point = diffusion.stationary_point_of_gram(X @ X.T, weights, 8, t)
        np.testing.assert_allclose(A, np.broadcast_to(predicted, A.shape), rtol=1e-6)
        assert float(trained.final.loss[cell]) - 300 == pytest.approx(float(point.excess), abs=1e-8)
        near = diffusion.stationary_point(12, data.signal, 300, 8, t)
        assert float(near.ratio) == pytest.approx(float(point.ratio), rel=0.1)


def test_race():
    signal = signal_at_n_snr2(np.array([0.75, 2.0, 6.75]), 30, 1000)
    noise_rate, signal_rate = diffusion.race_rates(30, signal, 1000, 20, 0.1)[::-1]
    np.testing.assert_allclose(signal_rate / noise_rate, np.array([0.75, 2.0, 6.75]) / diffusion.race_transition())
    ratio = diffusion.race_ratio(30, signal, 1000, 20, 1e-3, 0.1)
    np.testing.assert_allclose(ratio, [0.015, 0.25, 10.0], rtol=0.1)  # measured: .015, .245, 10.8
    # At equal rates the ratio stays what it was: |mu| / (sigma sqrt d).
    assert ratio[1] == pytest.approx(signal[1] / 1000**0.5)


def test_race_against_training():
    n_snr2 = np.array([0.4, 1.0, 6.75])
    signal = torch.tensor(signal_at_n_snr2(n_snr2, 30, 1000)).repeat_interleave(4)
    net = lm.TwoLayerCNN(20, v0=1.0, activation=lm.Power(2), train_output=False, divide_by_m=True)
    run = lm.Run(lm.TwoSignals(30, 1000, signal), net, rule=lm.GD(step_size=0.05), steps=400, stop_loss=0.1,
                 probes=("class_ratio",))  # fmt: skip
    trained = lm.train(run, [0, 1, 2, 3] * 3)
    assert (trained.status == lm.Status.REACHED_LOSS).all()
    measured = trained.records["class_ratio"].reshape(3, 4).log().mean(1).exp().numpy()
    np.testing.assert_allclose(measured, diffusion.race_ratio(30, signal[::4], 1000, 20, 1e-3, 0.05), rtol=0.25)


def test_refusals():
    with pytest.raises(ValueError, match="diffusion times are above 0"):
        diffusion.stationary_point(**{**settings(1.0), "t": np.array([0.2, 0.0])})
    with pytest.raises(ValueError, match="not positive definite"):
        diffusion.stationary_point_of_gram(np.ones((3, 3)), np.ones(3) / 3, 4, 0.2)
