"""Theory of SimCLR pre-training, against the training it speaks of and against sampled matrices."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

import lemmata as lm
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw
from lemmata.papers.simclr import theory as theory

PAIRS = lm.SignalNoisePairs(pairs=9, d=80, signal=2.0, correlation=0.3)


@pytest.mark.parametrize(("negatives", "stop"), [*itertools.product(("first", "both"), (False, True))])
def test_power_matrix_is_the_first_step_of_training(negatives, stop):
    objective = lm.SimCLR(temperature=0.6, negatives=negatives, stop_gradient=stop)
    run = lm.Run(PAIRS, lm.LinearEncoder(2, init=1e-8), objective, lm.GD(step_size=0.01), steps=1)
    sample = draw(run, cell_seeds(0, (0, 1)))
    moved = (lm.train(run, (0, 1), sample=sample).filters - sample.filters) / 0.01
    first, second = (side.numpy() for side in sample.view_vectors())
    matrix = theory.power_matrix(first, second, 0.6, negatives=negatives, stop_gradient=stop)
    expected = torch.einsum("cij,crj->cri", torch.as_tensor(matrix), sample.filters)
    torch.testing.assert_close(moved, expected, rtol=1e-7, atol=1e-7 * expected.abs().max().item())


def test_power_matrix_is_the_published_sum():
    first, second = np.random.default_rng(0).normal(size=(2, 5, 7))
    n, expected = 5, np.zeros((7, 7))
    for i, j in itertools.product(range(n), range(n)):
        if i == j:
            expected += (1 - 1 / n) / n * (np.outer(first[i], second[i]) + np.outer(second[i], first[i]))
        else:
            expected -= (np.outer(first[i], first[j]) + np.outer(first[j], first[i])) / n**2
    np.testing.assert_allclose(theory.power_matrix(first, second), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(theory.power_matrix(first, second, 0.5), 2 * expected, rtol=1e-12, atol=1e-12)


def sampled(pairs, snr, d, correlation, seeds=4):
    """Mean cos² of sampled power matrices."""
    data = lm.SignalNoisePairs(pairs=pairs, d=d, signal=snr * d**0.5, correlation=correlation)
    sample = draw(lm.Run(data, lm.LinearEncoder(1), lm.SimCLR()), cell_seeds(0, range(seeds)))
    first, second = (side.numpy() for side in sample.view_vectors())
    _, vectors = np.linalg.eigh(theory.power_matrix(first, second))
    return (vectors[:, 0, -1] ** 2).mean()


@pytest.mark.parametrize(("snr", "correlation"), [(0.1, 0.0), (0.2, 0.0), (0.3, 0.0), (0.2, 0.9)])
def test_top_eigenpair_for_few_pairs(snr, correlation):
    cos2 = sampled(120, snr, 4000, correlation)
    assert cos2 == pytest.approx(theory.top_alignment(120, snr, correlation), abs=0.015)


@pytest.mark.parametrize(
    ("pairs", "snr", "d", "correlation"),
    [(150, 0.1, 500, 0.0), (150, 0.15, 500, 0.9), (250, 0.1, 2000, 0.9), (100, 0.1, 2000, 0.9), (150, 0.1, 400, 0.5)],
)
def test_sharp_alignment_where_the_simple_law_fails(pairs, snr, d, correlation):
    cos2 = sampled(pairs, snr, d, correlation, seeds=8)
    sharp = float(theory.sharp_alignment(pairs, snr, d, correlation))
    assert sharp == pytest.approx(cos2, abs=0.03)
    assert abs(sharp - cos2) < abs(theory.top_alignment(pairs, snr, correlation) - cos2)


def test_sharp_alignment_has_its_limits():
    snr = np.array([0.05, 0.1, 0.3])
    simple = theory.top_alignment(200, snr, 0.4)
    np.testing.assert_allclose(theory.sharp_alignment(200, snr, 1e9, 0.4), simple, rtol=1e-3)
    assert theory.sharp_alignment(200, 0.01, 400, 0.5) == 0  # hidden by the noise's eigenvalues
    along_pairs = theory.sharp_alignment(np.array([50, 100, 200, 400]), 0.12, 1000)
    assert (np.diff(along_pairs) > 0).all()
    assert theory.sharp_alignment(np.array([[50], [100]]), snr, 1000).shape == (2, 3)


def test_growth_time_is_that_of_training():
    data = lm.SignalNoisePairs(pairs=100, d=2000, signal=0.2 * 2000**0.5)
    run = lm.Run(
        data, lm.LinearEncoder(20, init=1e-6), lm.SimCLR(), lm.GD(c=0.2), until=lm.Until("filter_signal", 0.02)
    )
    steps = lm.train(run, (0, 1, 2)).status_step.double().mean().item()
    cos2 = theory.top_alignment(100, 0.2)
    assert steps == pytest.approx(theory.growth_steps(0.02, 1e-6, data.signal, cos2), abs=2)
    # The step size takes the temperature into account, so the number of steps does not depend on it.
    hot = dataclasses.replace(run, objective=lm.SimCLR(temperature=3.0))
    assert lm.train(hot, (0, 1, 2)).status_step.double().mean().item() == pytest.approx(steps, abs=1)


def test_two_class_floor_bounds_encoders_without_noise():
    sample = draw(lm.Run(PAIRS, lm.LinearEncoder(1), lm.SimCLR()), cell_seeds(0, (0,)))
    pure = dataclasses.replace(sample, vectors=sample.vectors * (torch.arange(1 + 2 * 9) == 0).unsqueeze(1))
    filters = 100 * torch.eye(pure.vectors.shape[-1], dtype=torch.float64)[:1].expand(1, 2, -1)
    still = lm.Run(PAIRS, lm.LinearEncoder(1), lm.SimCLR(), lm.GD(step_size=1e-30), steps=1)
    loss = lm.train(still, (0,), sample=dataclasses.replace(pure, filters=filters)).final.loss.item()
    same_class = [int((pure.true_labels == sign).sum()) for sign in (1, -1)]
    assert loss == pytest.approx(sum(k * np.log(k) for k in same_class) / 9, rel=1e-9)
    assert theory.two_class_floor(10) == pytest.approx(np.log(5))


def test_label_thresholds_and_regimes():
    assert theory.labels_direct(0.1, 3) == pytest.approx(2000)
    assert theory.labels_pretrained(0.1, 2000, 0.83, 3) == pytest.approx(0.75 * 1000 / (2000 * 0.83) ** 0.5)
    assert theory.labels_pretrained(0.5, 1e8, 1.0, 3) == 2
    labels = np.array([4, 64, 64, 4000])
    found = theory.regime(np.array([250, 250, 20, 20]), labels, 0.1, 2000)
    assert found.tolist() == ["too few labels", "helps", "too few pairs", "not needed"]


def test_powers_up_to_two_warn():
    with pytest.warns(UserWarning, match="q = 2"):
        theory.labels_direct(0.1, 2)
    with pytest.warns(UserWarning, match="only for q > 2"):
        theory.labels_pretrained(0.1, 2000, 0.8, 1.5)
