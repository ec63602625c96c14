"""Adam++ on a run: one distance per cell, so that a cell does not know its tile."""

import dataclasses

import pytest
import torch

import lemmata as lm
from lemmata import optim
from lemmata.parameters import OutOfRange
from lemmata.sweep import sweep
from tests.laws import relative

RUN = lm.Run(lm.SignalNoise(8, 40, 2.0), lm.TwoLayerCNN(3, v0=0.3, init=0.02), steps=60, record=(0, 20, 60))
NAMES = ("AdamPP", "AdamWPP", "AdaGradPP")


class OneForAll(lm.TorchRule):
    """The slow twin: one optimiser on the whole tile, which is right for a tile of one cell."""

    def start(self, point, eta):
        held = {name: value.clone().requires_grad_() for name, value in point.items()}
        return held, getattr(optim, self.options[0])(list(held.values()), lr=self.lr, eta0=self.options[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_one_optimiser_over_all_its_parameters(name):
    twin = dataclasses.replace(RUN, rule=OneForAll("Adam", lr=0.5, options=(name, 1e-3)))
    run = dataclasses.replace(RUN, rule=lm.ParameterFree(name, lr=0.5, eta0=1e-3))
    assert run.engine_used == "direct"
    together = lm.train(run, range(3))
    for cell in range(3):
        alone = lm.train(twin, [cell])
        assert relative(together.records["train_loss"][cell], alone.records["train_loss"][0]) < 1e-11
        assert relative(together.final.products.A[cell], alone.final.products.A[0]) < 1e-11
    assert together.records["train_loss"][0, -1] < 0.5 * together.records["train_loss"][0, 0]


def test_every_cell_has_its_own_multiplier_and_first_distance():
    lr, eta0 = torch.tensor([1.0, 0.5, 1.0]), torch.tensor([1e-3, 1e-3, 1e-5])
    run = dataclasses.replace(RUN, rule=lm.ParameterFree(lr=lr, eta0=eta0))
    together = lm.train(run, [4, 4, 4])
    for cell in range(3):
        rule = lm.ParameterFree(lr=float(lr[cell]), eta0=float(eta0[cell].double()))
        alone = lm.train(dataclasses.replace(RUN, rule=rule), [4])
        assert relative(together.final.products.A[cell], alone.final.products.A[0]) < 1e-11
    assert len(together.records["train_loss"][:, -1].unique()) == 3


def test_cells_stop_alone_and_a_stopped_one_stays():
    run = dataclasses.replace(RUN, rule=lm.ParameterFree(eta0=1e-2), steps=300, stop_loss=0.1, record=(0, 300))
    trained = lm.train(run, range(4))
    assert (trained.status == lm.Status.REACHED_LOSS).all()
    assert len(trained.status_step.unique()) > 1
    assert relative(lm.train(run, [2]).final.products.A[0], trained.final.products.A[2]) < 1e-11


def test_it_is_swept_over_its_first_distance(tmp_path):
    run = dataclasses.replace(RUN, rule=lm.ParameterFree(), steps=20, record=(20,))
    data = sweep(run, lm.Grid.of(eta0=(1e-6, 1e-2), seed=range(2)), progress=False)
    assert data.train_loss.sel(eta0=1e-2).mean() < data.train_loss.sel(eta0=1e-6).mean()


def test_refuses():
    for wrong in ({"optimizer": "Adam"}, {"lr": 0.0}, {"eta0": -1.0}, {"eta0": torch.tensor([1.0, float("nan")])}):
        with pytest.raises(OutOfRange, match=next(iter(wrong))):
            lm.ParameterFree(**wrong)
    with pytest.raises(ValueError, match="AdamPP"):
        dataclasses.replace(RUN, rule=lm.ParameterFree(), engine="gram")
