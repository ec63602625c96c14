"""SimCLR obeys the laws of the engines: the same numbers in R^d, compressed and from inner products alone."""

import dataclasses
import itertools

import pytest
import torch

from lemmata.data.pairs import SignalNoisePairs
from lemmata.data.signal_noise import SignalNoise
from lemmata.draws import cell_seeds
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.dynamics.stopping import Until
from lemmata.dynamics.train import draw, train
from lemmata.nets.activations import ReLU
from lemmata.nets.linear_encoder import LinearEncoder
from lemmata.nets.two_layer_cnn import TwoLayerCNN
from lemmata.objectives.objective import Objective
from lemmata.objectives.simclr import SimCLR
from lemmata.status import Status
from tests.oracles.simclr import simclr_loop

_CHOICES = itertools.product(("dot", "cosine"), ("first", "both"), (False, True))
OBJECTIVES = [SimCLR(similarity=s, negatives=n, stop_gradient=g, temperature=0.7) for s, n, g in _CHOICES]
PAIRS = SignalNoisePairs(pairs=7, d=60, signal=1.5, sigma_p=0.4, correlation=0.3)


def _run(objective: SimCLR, engine: str = "gram", **changes) -> Run:
    rule = GD(c=0.2) if objective.similarity == "dot" else GD(step_size=0.002)  # the cosine's slope grows as 1/scale
    run = Run(PAIRS, LinearEncoder(3, init=0.05), objective, rule, steps=300, engine=engine)
    return dataclasses.replace(run, **changes)


MEMBERS = [_run(objective) for objective in OBJECTIVES]
"""Members of the family for the engines' laws: (data, net, objective, rule) as runs."""


def _name(run: Run) -> str:
    o = run.objective
    return f"{o.similarity}-{o.negatives}-{'stop' if o.stop_gradient else 'full'}"


@pytest.mark.parametrize("run", MEMBERS, ids=_name)
def test_engines_agree_over_300_steps(run):
    keys = cell_seeds(0, (0, 5))
    sample = draw(run, keys)
    gram = train(run, (0, 5), sample=sample)
    compressed = train(dataclasses.replace(run, engine="compressed"), (0, 5), sample=sample)
    lifted = sample.lift(97, keys)
    direct = train(dataclasses.replace(run, engine="direct"), (0, 5), sample=lifted)
    assert gram.final.loss.lt(0.95 * run.objective.loss(_products(run, sample))).all()  # it trained
    for other in (compressed, direct):
        torch.testing.assert_close(other.final.products.A, gram.final.products.A, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(other.final.products.Q, gram.final.products.Q, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(other.final.loss, gram.final.loss, rtol=1e-9, atol=0)


def _products(run, sample):
    return train(dataclasses.replace(run, steps=1, record=(0,)), (0, 5), sample=sample).final.products


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("run", MEMBERS, ids=_name)
def test_gradient_is_that_of_autograd(run, batch):
    keys = cell_seeds(0, (0, 1, 2))
    products = train(dataclasses.replace(run, steps=10), (0, 1, 2)).final.products
    labels, weights = dataclasses.replace(run.rule, batch_size=batch).view(keys, 3, products.labels)
    products = dataclasses.replace(products, labels=labels, weights=weights)
    loss, found = run.objective.gradient(products)
    expected_loss, expected = Objective.gradient(run.objective, products)
    torch.testing.assert_close(loss, expected_loss, rtol=1e-13, atol=0)
    torch.testing.assert_close(found.A, expected.A, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("run", MEMBERS, ids=_name)
def test_loss_is_that_of_a_loop(run, batch):
    keys = cell_seeds(0, (0, 1))
    run = dataclasses.replace(run, net=LinearEncoder(3, init=0.8))
    sample = draw(run, keys)
    products = _products(dataclasses.replace(run, rule=GD(step_size=1e-30)), sample)
    _, weights = dataclasses.replace(run.rule, batch_size=batch).view(keys, 0, products.labels)
    found = run.objective.loss(dataclasses.replace(products, weights=weights))
    for cell in range(2):
        first, second = sample.view_vectors()
        members = weights[cell].nonzero().flatten().tolist()
        expected = simclr_loop(sample.filters[cell], first[cell, members], second[cell, members], run.objective)
        assert found[cell].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("run", MEMBERS[::3], ids=_name)
def test_a_cell_does_not_know_its_tile(run):
    run = dataclasses.replace(run, data=dataclasses.replace(PAIRS, signal=torch.tensor([1.5, 0.5, 1.0])), steps=100)
    tile = train(run, (0, 1, 2))
    alone = train(dataclasses.replace(run, data=dataclasses.replace(PAIRS, signal=0.5)), (1,))
    torch.testing.assert_close(alone.filters[0], tile.filters[1], rtol=1e-12, atol=1e-14)


def test_a_nan_stays_home():
    run = dataclasses.replace(
        MEMBERS[0], rule=GD(step_size=torch.tensor([0.01, 1e30, 0.01], dtype=torch.float64)), steps=50
    )
    tile = train(run, (0, 1, 2))
    assert tile.status.tolist() == [Status.ALL_STEPS, Status.DIVERGED, Status.ALL_STEPS]
    alone = train(dataclasses.replace(run, rule=GD(step_size=0.01)), (2,))
    torch.testing.assert_close(alone.filters[0], tile.filters[2], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("run", MEMBERS, ids=_name)
def test_large_and_tiny_similarities_stay_finite(run):
    keys = cell_seeds(0, (0, 1))
    for scale in (1e-150, 1e8):
        sample = draw(dataclasses.replace(run, net=LinearEncoder(3, init=1.0)), keys)
        sample = dataclasses.replace(sample, filters=sample.filters * scale)
        products = _products(run, sample)
        loss, gradient = run.objective.gradient(products)
        assert loss.isfinite().all()
        assert gradient.A.isfinite().all()


def test_until_stops_every_cell_at_its_own_first_step():
    levels = torch.tensor([0.1, 0.2, 1e9], dtype=torch.float64)
    run = dataclasses.replace(MEMBERS[0], until=Until("filter_signal", levels), probes=("filter_signal",), steps=80)
    stopped = train(run, (0, 0, 0))
    assert stopped.status.tolist() == [Status.REACHED_LEVEL, Status.REACHED_LEVEL, Status.ALL_STEPS]
    free = dataclasses.replace(run, until=None, record=tuple(range(81)))
    path = train(free, (0,)).records["filter_signal"][0]
    for cell, level in enumerate(levels[:2]):
        first = int((path >= level).nonzero()[0])
        assert stopped.status_step[cell] == first
        assert stopped.records["filter_signal"][cell, 0] == pytest.approx(path[first].item(), rel=1e-12)


def test_the_cosine_has_no_stable_step():
    run = dataclasses.replace(MEMBERS[-1], rule=GD(c=0.2))
    assert run.objective.similarity == "cosine"
    with pytest.raises(ValueError, match=r"give GD\(step_size=\.\.\.\)"):
        train(run)


def test_until_is_an_axis_and_checks_its_values():
    run = dataclasses.replace(MEMBERS[0], until=Until("filter_signal", 0.5))
    assert run.is_value("level")
    assert run.at({"level": 0.1}).until.level == 0.1
    assert "level" not in MEMBERS[0].axes()
    with pytest.raises(ValueError, match="probe 'nothing' was asked for"):
        Until("nothing", 0.5)
    with pytest.raises(ValueError, match="level"):
        Until("filter_signal", float("nan"))


FINE_TUNED = Run(
    SignalNoise(n=8, d=60, signal=1.5, sigma_p=0.4),
    TwoLayerCNN(3, v0=1.0, init=0.3, activation=ReLU(3.0), train_output=False, divide_by_m=True),
    rule=GD(c=0.2),
    steps=300,
    engine="gram",
)


def test_engines_agree_when_relu_to_the_q_is_fine_tuned():
    keys = cell_seeds(0, (0, 1))
    filters = 30 * train(dataclasses.replace(MEMBERS[0], steps=30), (0, 1)).filters
    sample = FINE_TUNED.data.beside(keys, filters)
    gram = train(FINE_TUNED, (0, 1), sample=sample)
    direct = train(dataclasses.replace(FINE_TUNED, engine="direct"), (0, 1), sample=sample.lift(90, keys))
    assert gram.final.loss.lt(0.6).all()
    torch.testing.assert_close(direct.final.products.A, gram.final.products.A, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(direct.final.loss, gram.final.loss, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimCLR(temperature=0.0), "temperature = 0.0"),
        (lambda: SimCLR(similarity="euclid"), "similarity = 'euclid'"),
        (lambda: SimCLR(negatives="x"), "negatives = 'x'"),
        (lambda: SignalNoisePairs(pairs=1, d=10, signal=1.0), "pairs = 1"),
        (lambda: SignalNoisePairs(pairs=5, d=10, signal=1.0, correlation=1.1), "correlation = 1.1"),
        (lambda: SignalNoisePairs(pairs=5, d=10, signal=1.0, correlation=float("nan")), "correlation = nan"),
        (lambda: LinearEncoder(3, init=0.0), "init = 0.0"),
        (lambda: LinearEncoder(0), "m = 0"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
