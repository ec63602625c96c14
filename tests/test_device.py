"""The same numbers on another device: engines, ensembles and particles against the processor, in float64.

    LEMMATA_TEST_DEVICE=cuda python -m pytest tests/test_device.py        # what `make test-gpu` runs

Without the variable the device is the processor itself, and the laws say that naming it changes nothing.
"""

import dataclasses
import os

import pytest
import torch

import lemmata as lm
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import train
from lemmata.loops.rules import AdamW
from tests.laws import MEMBERS, relative
from tests.loops.test_ensemble import SEEDS, Counted, Nearest
from tests.loops.test_flow import TRANSFORMERS, problem

DEVICE = os.environ.get("LEMMATA_TEST_DEVICE", "cpu")


@pytest.mark.parametrize("name", ["plain", "momentum", "batches", "reads Q", "simclr"])
def test_the_exact_world(name):
    here = dataclasses.replace(MEMBERS[name], engine="gram", steps=20, record=None)
    there = dataclasses.replace(here, device=DEVICE)
    one, other = (lm.train(run, range(3)) for run in (here, there))
    assert other.final.loss.device.type == DEVICE
    assert relative(other.final.products.A.cpu(), one.final.products.A) < 1e-9
    assert relative(other.final.loss.cpu(), one.final.loss) < 1e-9


@pytest.mark.parametrize("task", [Nearest, Counted])
def test_an_ensemble(task):
    one, other = (
        train(task(), SEEDS.to(device), Descent(20, AdamW(), rate=torch.full((3,), 1e-3, device=device).double()))
        for device in ("cpu", DEVICE)
    )
    for name, value in one.parameters.items():
        assert relative(other.parameters[name].cpu(), value) < 1e-8


def test_particles():
    energy, theta = problem(TRANSFORMERS["the paper's"], engine="torch")
    moved = {name: getattr(energy, name).to(DEVICE) for name in ("tokens", "targets", "readout", "decay")}
    there = dataclasses.replace(energy, **moved).at(theta.to(DEVICE))
    assert relative(there.gradient.cpu(), energy.at(theta).gradient) < 1e-12
