"""Ensembles as bodies of sweeps: one tile or many, killed and resumed, the dataset is the same."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from lemmata.draws import normal
from lemmata.loops.task import Task
from lemmata.parameters import parameter
from lemmata.status import Status
from lemmata.sweep import Grid, Variable, sweep
from lemmata.sweep.bodies.of_task import TaskBody


class Sum(Task):
    """Linear regression on fresh inputs; the solution is ``scale`` in every coordinate."""

    def __init__(self, d, scale, dies_at=None):
        self.d, self.scale, self.dies_at = d, scale, dies_at

    def start(self, seeds):
        self.seeds = seeds
        return {"w": normal(seeds, "w", (self.d,))}

    def loss(self, parameters, step):
        if step == self.dies_at:
            raise KeyboardInterrupt
        x = normal(self.seeds, f"inputs/{step}", (16, self.d))
        wanted = x.sum(2) * self.scale.unsqueeze(1)
        return ((x * parameters["w"].unsqueeze(1)).sum(2) - wanted).square().mean(1)

    def scores(self, parameters):
        return {"error": (parameters["w"] - self.scale.unsqueeze(1)).square().sum(1)}


@dataclass(frozen=True)
class SumBody(TaskBody):
    """Regression in d dimensions."""

    d: int = parameter("dimension d", int, least=1, default=3)
    scale: float = parameter("size of the solution", per_cell=True, default=1.0)
    dies_at: int | None = parameter("step at which the process ends", int, optional=True, axis=False, default=None)

    scores: ClassVar = {"error": Variable(units="1", long_name="squared distance to the solution")}

    def task(self, points):
        return Sum(self.d, torch.tensor(self.column(points, "scale")), self.dies_at)


BODY = SumBody(steps=60, rate=0.05, rule="adam", records=6, checkpoint_every=10)
GRID = Grid.of(d=(2, 3), scale=(0.5, 2.0), rate=(0.02, 0.1), seed=range(2))


def test_a_sweep_learns_and_does_not_depend_on_its_tiles():
    whole = sweep(BODY, GRID, progress=False)
    small = sweep(BODY, GRID, cells_per_tile=1, progress=False)
    assert whole.error.dims == ("d", "scale", "rate", "seed", "step")
    for name in whole.data_vars:
        np.testing.assert_allclose(whole[name].values, small[name].values, rtol=1e-10)
    assert (whole.status == Status.ALL_STEPS).all()
    fast = whole.error.sel(rate=0.1)
    assert (fast.isel(step=-1) < 0.05 * fast.isel(step=0)).all()
    assert whole.step.values.tolist() == list(BODY.record_steps)
    assert whole.rate.attrs["long_name"] == "learning rate η"


def test_a_tile_that_is_killed_goes_on_from_its_checkpoint(tmp_path):
    points = [{"seed": 0, "rate": 0.05}, {"seed": 1, "rate": 0.1}]
    expected = BODY.run(points)
    with pytest.raises(KeyboardInterrupt):
        SumBody(steps=60, rate=0.05, rule="adam", records=6, checkpoint_every=10, dies_at=45).run(
            points, scratch=tmp_path
        )
    assert len(list(tmp_path.iterdir())) == 1
    taken = []

    class Counting(SumBody):
        def task(self, points):
            task = super().task(points)
            plain = task.loss
            task.loss = lambda parameters, step: (taken.append(step), plain(parameters, step))[1]
            return task

    resumed = Counting(steps=60, rate=0.05, rule="adam", records=6, checkpoint_every=10).run(points, scratch=tmp_path)
    assert taken == list(range(40, 60))
    for name, values in expected.items():
        np.testing.assert_array_equal(values, resumed[name])


def test_a_diverged_cell_says_so_and_its_neighbours_finish():
    body = SumBody(steps=200, rule="sgd", records=4)
    found = body.run([{"seed": 0, "rate": 0.01}, {"seed": 0, "rate": 100.0}])
    assert found["status"].tolist() == [Status.ALL_STEPS, Status.DIVERGED]
    assert np.isnan(found["error"][1, -1])
    assert np.isfinite(found["error"][0]).all()
