"""No step waits for the device: what a longer training reads back from tensors is what a shorter one reads.

On an accelerator such a read stops the host until everything queued is done. They are counted on the processor, by a
dispatch mode that sees every operation of PyTorch.
"""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lemmata as lm
from lemmata.dynamics import native
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import train
from lemmata.loops.rules import SGD, Adam, AdamPP
from lemmata.optim import AdaGradPP
from lemmata.optim import AdamPP as AdamPPOptimizer
from lemmata.robust import SelfKnowledge
from tests.laws import MEMBERS
from tests.loops.test_ensemble import SEEDS, Nearest
from tests.loops.test_flow import TRANSFORMERS, problem

READS = {
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::nonzero",
    "aten::equal",
    "aten::is_nonzero",
    "aten::_unique2",
}


class Reads(TorchDispatchMode):
    """Counts operations whose result the host waits for."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func._schema.name in READS
        return func(*args, **(kwargs or {}))


def reads(action):
    """How many reads an action makes."""
    with Reads() as counted:
        action()
    return counted.count


def test_a_read_is_counted():
    assert reads(lambda: float(torch.ones(()))) == 1
    assert reads(lambda: bool(torch.ones(3).any())) == 1
    assert reads(lambda: torch.ones(3).unique(return_inverse=True)) == 1


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch):
    """Reading on the processor is free, and two places do so; here they take it for another device."""
    monkeypatch.setattr("lemmata.draws._host_readable", lambda device: False)
    monkeypatch.setattr("lemmata.optim.stepping.host_readable", lambda device: False)
    monkeypatch.setattr(native, "kernel", lambda run, sample: None)


@pytest.mark.parametrize("engine", ["gram", "compressed"])
@pytest.mark.parametrize("name", MEMBERS)
def test_steps_of_the_exact_world(name, engine):
    """Beyond the look, every 256 steps, whether any cell still moves."""

    def made_in(steps):
        run = dataclasses.replace(MEMBERS[name], engine=engine, steps=steps, record=None)
        return reads(lambda: lm.train(run, range(2)))

    assert made_in(3) == made_in(9)


@pytest.mark.parametrize("rule", [SGD(momentum=0.9), Adam(), AdamPP()], ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("form", ["auto", "dense"])
def test_steps_of_an_ensemble(form, rule):
    """Prompts as counts look on the processor, and only there, whether exponentials could be shared."""
    rate = torch.full((3,), 1e-3, dtype=torch.float64)

    def made_in(steps):
        descent = Descent(steps, rule, rate=rate, clip=1.0)
        return reads(lambda: train(Nearest(form=form), SEEDS, descent))

    assert made_in(3) == made_in(9)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_forces_on_particles(name):
    energy, theta = problem(TRANSFORMERS[name], engine="torch")
    assert reads(lambda: energy.at(theta)) == 0


@pytest.mark.parametrize("optimizer", [AdamPPOptimizer, AdaGradPP])
@pytest.mark.parametrize("kind", ["foreach", "loop"])
def test_steps_of_the_optimisers(optimizer, kind):
    params = [torch.nn.Parameter(torch.randn(4, 3)) for _ in range(3)]
    stepping = optimizer(params, foreach=kind == "foreach")

    def step():
        for p in params:
            p.grad = torch.ones_like(p)
        stepping.step()

    step()
    step()
    assert reads(step) == 0


def test_steps_of_adversarial_training():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    method = SelfKnowledge(num_classes=3, eps=0.1)
    x, y = torch.rand(6, 1, 3, 4), torch.arange(6) % 3
    method.loss(model, x, y)  # the first of an epoch is checked at once
    assert reads(lambda: method.loss(model, x, y).loss.backward()) == 0
