"""The bounds on AdaGrad++ hold along real runs, and say something: they are within two decades of the gap."""

import numpy as np
import pytest
import torch

from lemmata.optim import AdaGradPP, AveragedIterate
from lemmata.papers.parameter_free import theory as adaptive
from tests.optim.convex import Logistic


@pytest.mark.parametrize("eta0", [1e-8, 1e-4, 1e-2])
@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_certificate(name, eta0):
    problem = Logistic.load(name)
    f_star, x_star = problem.minimum()
    x = torch.zeros(problem.dimension, dtype=torch.float64, requires_grad=True)
    optimizer = AdaGradPP([x], eta0=eta0)
    average = AveragedIterate(optimizer)
    iterates, gradients, etas, gaps, averages = [], [], [], [], []
    for _ in range(500):
        optimizer.zero_grad()
        loss = problem.loss(x)
        loss.backward()
        iterates.append(x.detach().numpy().copy())
        gradients.append(x.grad.numpy().copy())
        etas.append(float(optimizer.eta))
        gaps.append(loss.item() - f_star)
        average.update()
        averages.append(average.averages[0].clone())
        optimizer.step()
    iterates, gradients, eta, gaps = map(np.array, (iterates, gradients, etas, gaps))

    run = (iterates, gradients, eta, x_star)
    assert (np.cumsum(eta * gaps) <= adaptive.weighted_regret_bound(*run)).all()  # B1
    assert (adaptive.step_term(gradients, eta) <= adaptive.step_term_bound(gradients, eta)).all()  # B2
    bound = adaptive.average_gap_bound(*run)
    for T in (0, 10, 30, 100, 300, 499):  # B3
        gap = problem.loss(averages[T]).item() - f_star
        assert gap <= bound[T]
    assert gap > bound[-1] / 100
    assert (adaptive.best_weight_ratio(eta) >= adaptive.best_weight_ratio_bound(eta)).all()  # B4
    weighted = (eta[:, None] * iterates).sum(0) / eta.sum()
    np.testing.assert_allclose(averages[-1].numpy(), weighted, rtol=1e-9, atol=1e-12)


def test_a_run_that_is_not_adagrad_can_break_the_bound():
    """Gradients of another function: the certificate is not true of everything."""
    eta, iterates = np.ones(50), np.full((50, 1), 10.0)
    gradients = np.full((50, 1), 1e-3)
    assert (np.cumsum(eta * 10.0) > adaptive.weighted_regret_bound(iterates, gradients, eta, np.zeros(1))).any()


def test_best_weight_ratio_equals_its_definition():
    eta = np.sort(np.random.default_rng(0).lognormal(sigma=3, size=40))
    slow = [max(sum(eta[:t]) / eta[t] for t in range(T + 1)) for T in range(40)]
    np.testing.assert_allclose(adaptive.best_weight_ratio(eta), slow, rtol=1e-12)


@pytest.mark.parametrize("eta0", [1e-8, 1e-6, 1e-4])
def test_growth_steps_against_constant_gradients(eta0):
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer, steps = AdaGradPP([x], eta0=eta0), 0
    while float(optimizer.eta) < 0.35:
        x.grad = torch.ones_like(x)
        optimizer.step()
        steps += 1
    assert steps == adaptive.growth_steps(eta0, 0.35) > 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adaptive.best_weight_ratio(np.array([1.0, 0.5])), "nondecreasing"),
        (lambda: adaptive.best_weight_ratio(np.ones((2, 2))), "shape"),
        (lambda: adaptive.step_term(np.ones((3, 2)), np.ones(2)), "shape"),
        (lambda: adaptive.average_gap_bound(np.ones((3, 2)), np.ones((3, 1)), np.ones(3), np.ones(2)), "comparator"),
        (lambda: adaptive.growth_steps(1.0, 0.5), "eta0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
