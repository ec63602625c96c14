"""The laws of engines, rules and objectives, over all members."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lemmata as lm
from lemmata.draws import cell_seeds
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.train import make_engine
from tests.laws import MEMBERS, distance, relative, sampled
from tests.oracles.training import gram_step, patches, plain_training

EACH = pytest.mark.parametrize("name", MEMBERS)


def run_on(run, engine, sample, cells, **changes):
    return lm.train(dataclasses.replace(run, engine=engine, **changes), range(cells), sample=sample)


@EACH
def test_engines_agree(name):
    run, cells = MEMBERS[name], 3
    sample = sampled(dataclasses.replace(run, engine="compressed"), cells)
    lifted = sample.lift(sample.vectors.shape[-1] + 40, cell_seeds(1, range(cells)))
    gram = run_on(run, "gram", sample, cells, steps=300)
    assert distance(run_on(run, "compressed", sample, cells, steps=300), gram) < 1e-9
    assert distance(run_on(run, "direct", lifted, cells, steps=300), gram) < 1e-9


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 12),
    m=st.integers(1, 4),
    d=st.integers(2, 200),
    signal=st.floats(0.5, 4),
    v0=st.floats(0.01, 1),
    seed=st.integers(0, 10**6),
)
def test_engines_agree_on_random_problems(n, m, d, signal, v0, seed):
    run = lm.Run(lm.SignalNoise(n, d, signal), lm.TwoLayerCNN(m, v0=v0, init=0.05), seed_root=seed, steps=300)
    sample = sampled(dataclasses.replace(run, engine="compressed"), 2)
    lifted = sample.lift(sample.vectors.shape[-1] + 5, cell_seeds(1, range(2)))
    gram = run_on(run, "gram", sample, 2)
    assert distance(run_on(run, "compressed", sample, 2), gram) < 1e-9
    assert distance(run_on(run, "direct", lifted, 2), gram) < 1e-9


@EACH
def test_a_cell_does_not_know_its_tile(name):
    run = dataclasses.replace(MEMBERS[name], steps=100)
    together = lm.train(run, range(5))
    alone = lm.train(run, [3])
    assert relative(alone.final.products.A[0], together.final.products.A[3]) < 1e-12
    assert relative(alone.final.loss[0], together.final.loss[3]) < 1e-12


@EACH
def test_a_nan_stays_home(name):
    run = dataclasses.replace(MEMBERS[name], steps=60)
    sample = sampled(run, 4)
    poisoned = dataclasses.replace(sample, filters=sample.filters.clone())
    poisoned.filters[2] = torch.nan
    healthy, ill = lm.train(run, range(4), sample=sample), lm.train(run, range(4), sample=poisoned)
    assert ill.status.tolist() == [0, 0, lm.Status.DIVERGED, 0]
    assert ill.status_step[2] == 0
    keep = [0, 1, 3]
    assert torch.equal(ill.final.products.A[keep], healthy.final.products.A[keep])


@EACH
def test_handwritten_gradients_are_those_of_autograd(name):
    run = MEMBERS[name]
    sample = sampled(run, 3)
    engine = make_engine(dataclasses.replace(run, engine="gram"), sample)
    point = engine.start(run.net.initial_head(cell_seeds(0, range(3))), run.net.moving_head)
    engine.refresh(cell_seeds(0, range(3)))
    products = engine.products(point, sample.labels, torch.full_like(sample.labels, 1 / sample.labels.shape[1]))
    loss, found = run.objective.gradient(products)
    auto_loss, expected = lm.Objective.gradient(run.objective, products)
    assert relative(loss, auto_loss) < 1e-13
    assert relative(found.A, expected.A) < 1e-13
    if found.Q is not None:  # Q is symmetric, so only this much of the gradient is defined
        assert relative(found.Q + found.Q.mT, expected.Q + expected.Q.mT) < 1e-13
    assert all(relative(found.head[key], expected.head[key]) < 1e-13 for key in found.head)


@pytest.mark.parametrize("name", ["plain", "leaky", "gelu", "softplus", "relu^3"])
def test_training_is_what_anyone_would_write(name):
    """Against an explicit loop in R^d over samples, with torch.optim.SGD."""
    run = dataclasses.replace(MEMBERS[name], steps=25)
    sample, lr = sampled(run, 1), 0.1
    lifted = sample.lift(50, cell_seeds(1, [0]))
    net, labels = run.net, sample.labels[0]
    filters, output, losses = plain_training(
        patches(lifted, 0), labels, lifted.filters[0], net.initial_head(cell_seeds(0, [0]))["output"][0],
        net.activation, torch.optim.SGD, 25, lr,
    )  # fmt: skip
    rule = lm.GD(step_size=lr)
    trained = lm.train(dataclasses.replace(run, rule=rule, record=tuple(range(25))), [0], sample=sample)
    assert relative(trained.records["train_loss"][0], losses) < 1e-12
    assert relative(trained.final.products.A[0], filters @ lifted.vectors[0].T) < 1e-11
    assert relative(trained.final.products.head["output"][0], output) < 1e-11


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (lm.GD(0.05, momentum=0.9), {"momentum": 0.9}),
        (lm.GD(0.05, momentum=0.9, nesterov=True), {"momentum": 0.9, "nesterov": True}),
        (lm.GD(0.05, weight_decay=0.1, momentum=0.5), {"weight_decay": 0.1, "momentum": 0.5}),
    ],
)
def test_rules_are_those_of_torch(rule, options):
    run = dataclasses.replace(MEMBERS["plain"], steps=40)
    ours = lm.train(dataclasses.replace(run, rule=rule, engine="direct"), [0])
    sgd = lm.TorchRule("SGD", lr=0.05, options=tuple(options.items()))
    theirs = lm.train(dataclasses.replace(run, rule=sgd, engine="direct"), [0])
    assert distance(ours, theirs) < 1e-12


def test_a_step_in_coefficients_is_the_step_of_the_inner_products():
    run = MEMBERS["reads Q"]
    sample = sampled(run, 1)
    engine = GramEngine(sample, run.net, run.objective, decays=False)
    point = engine.start(run.net.initial_head(cell_seeds(0, [0])), run.net.moving_head)
    A, Q, eta = engine.A_start[0], engine.Q_start[0], 0.1
    for _ in range(5):
        view = (sample.labels, torch.full_like(sample.labels, 1 / 7))
        _, gradient = run.objective.gradient(engine.products(point, *view))
        dQ = (gradient.Q[0] + gradient.Q[0].T) / 2
        A, Q = gram_step(A, Q, engine.G[0], gradient.A[0], dQ, eta)
        _, found = engine.gradient(point, *view)
        point = {key: value - eta * found[key] for key, value in point.items()}
        assert relative(engine.inner_products(point)[0], A) < 1e-13
        assert relative(engine.filter_gram(point, engine.inner_products(point))[0], Q) < 1e-13


@EACH
def test_lengths_of_directions_are_those_of_filters(name):
    run = dataclasses.replace(MEMBERS[name], engine="gram", steps=3)
    sample = sampled(run, 2)
    engine = make_engine(run, sample)
    point = engine.start(run.net.initial_head(cell_seeds(0, range(2))), run.net.moving_head)
    engine.refresh(cell_seeds(0, range(2)))
    _, direction = engine.gradient(point, sample.labels, torch.full_like(sample.labels, 0.1))
    if "carry" in direction:
        direction["carry"] = direction["carry"] + 0.3
    expected = engine.filters(direction) - (0 if "carry" in direction else sample.filters)
    assert relative(engine.filters_squared_norm(direction), expected.flatten(1).square().sum(1)) < 1e-12


def test_norms_of_a_filter_and_its_weight_differ_by_a_constant():
    """Under gradient flow |w_r|^2 - v_r^2 is conserved; here to first order in a small step."""
    run = lm.Run(lm.SignalNoise(20, 500, 3.0), lm.TwoLayerCNN(4, v0=0.05), rule=lm.GD(c=0.02), steps=4000)
    trained = lm.train(run, range(3))
    Q, v = trained.final.products.Q, trained.final.products.head["output"]
    keys = cell_seeds(0, range(3))
    start = sampled(run, 3).filters.square().sum(2) - run.net.initial_head(keys)["output"] ** 2
    moved = Q.diagonal(dim1=1, dim2=2) - v**2 - start
    assert v.abs().max() > 0.3
    assert moved.abs().max() < 0.01 * v.square().max()
