"""More seeds, more points: a grid that contains the stored one goes on in its folder and runs only what is new."""

import dataclasses
import json
import os

import numpy as np
import pytest
import xarray

import lemmata as lm
from lemmata.sweep import Grid, SweepError, annotate, open_store, sweep
from lemmata.sweep import grow as growing
from tests.sweep.bodies import Checkpointed, Random, Toy, Trap

SMALL = Grid.of(n=(10, 20), signal=(0.5, 2.0), seed=range(3))
LARGE = Grid.of(n=(5, 10, 20), signal=(2.0, 1.0, 0.5), seed=range(7))


class Counting(Toy):
    """Notes every cell that runs."""

    def run(self, points):
        with open(self.log, "a") as file:
            file.writelines(json.dumps(point) + "\n" for point in points)
        return Toy(self.scale).run(points)

    def configuration(self):
        return Toy().configuration()


def cells(log):
    return [json.loads(line) for line in open(log)]


@pytest.mark.parametrize("cells_per_tile", [None, 1, 4])
def test_a_larger_grid_runs_only_what_is_new_and_equals_one_large_run(tmp_path, cells_per_tile):
    path, log = tmp_path / "data.zarr", tmp_path / "log"
    body = Counting(log=str(log))
    sweep(body, SMALL, path, cells_per_tile=cells_per_tile, progress=False)
    grown = sweep(body, LARGE, path, cells_per_tile=cells_per_tile, progress=False)
    ran = cells(log)
    assert len(ran) == LARGE.cells
    assert len({json.dumps(point) for point in ran}) == LARGE.cells
    large = sweep(Toy(), LARGE, tmp_path / "large.zarr", cells_per_tile=cells_per_tile, progress=False)
    assert grown.load().equals(large.load())
    assert list(grown.variables) == list(large.variables)
    assert open_store(path).sizes == {"n": 3, "signal": 3, "seed": 7, "step": 3}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data.zarr", "large.zarr", "log"]


def test_trainings_added_to_a_folder_are_those_of_one_large_run(tmp_path):
    """To rounding: a batch of another size may round the last digit otherwise (promise 2)."""
    run = lm.Run(lm.SignalNoise(8, 100, 2.0), lm.TwoLayerCNN(2), steps=50, probes=("train_loss", "test_error"))
    for number, use in enumerate((run, dataclasses.replace(run, rule=lm.GD(momentum=0.5)))):
        path = tmp_path / f"{number}.zarr"
        sweep(use, lm.Grid.of(signal=(1.0, 4.0), seed=range(3)), path, progress=False)
        grid = lm.Grid.of(signal=(1.0, 2.0, 4.0), seed=range(10))
        grown, large = sweep(use, grid, path, progress=False), sweep(use, grid, progress=False)
        for name, rtol in (("train_loss", 1e-12), ("test_error", 1e-12), ("status_step", 0)):
            np.testing.assert_allclose(grown[name], large[name], rtol=rtol)


def test_a_part_of_a_sweep_that_was_not_finished_grows_too(tmp_path):
    path = tmp_path / "data.zarr"
    with pytest.raises(SweepError):
        sweep(Trap(), SMALL, path, cells_per_tile=1, progress=False)
    annotate(path, {"bound": 3.0}, {"size": "smoke"})
    with pytest.raises(SweepError):
        sweep(Trap(at=5), LARGE, path, cells_per_tile=1, progress=False)
    between = open_store(path)
    assert between.sizes["seed"] == 7
    assert "bound" not in between
    assert "size" not in between.attrs
    assert json.loads(between.attrs["versions"])[0]["cells"] == int(between.done.sum())
    found = sweep(Toy(), LARGE, path, progress=False)
    assert found.load().equals(sweep(Toy(), LARGE, progress=False))


def test_draws_do_not_depend_on_when_a_seed_was_added(tmp_path):
    sweep(Random(), Grid.of(signal=(1.0, 2.0), seed=(4, 1)), tmp_path / "data.zarr", progress=False)
    grid = Grid.of(signal=(1.0, 2.0), seed=range(6))
    grown = sweep(Random(), grid, tmp_path / "data.zarr", progress=False)
    assert grown.load().equals(sweep(Random(), grid, progress=False))


class Killed(BaseException):
    """In place of a kill."""


@pytest.mark.parametrize("at", ["rename", "rmtree"])
@pytest.mark.parametrize("times", [1, 2])
def test_killed_while_it_grows_nothing_is_lost(tmp_path, monkeypatch, at, times):
    path, log = tmp_path / "data.zarr", tmp_path / "log"
    body = Counting(log=str(log))
    sweep(body, SMALL, path, progress=False)
    calls = []
    target = growing.Path if at == "rename" else growing.shutil
    original = getattr(target, at)

    def killed(self, *rest, **options):
        if "data.zarr" in str(self):
            calls.append(self)
            if len(calls) == times + (2 if at == "rmtree" else 0):
                raise Killed
        return original(self, *rest, **options)

    monkeypatch.setattr(target, at, killed)
    with pytest.raises(Killed):
        sweep(body, LARGE, path, progress=False)
    monkeypatch.undo()
    grown = sweep(body, LARGE, path, progress=False)
    assert len(cells(log)) == LARGE.cells
    assert grown.load().equals(sweep(Toy(), LARGE, progress=False))
    assert sorted(os.listdir(tmp_path)) == ["data.zarr", "log"]


def test_checkpoints_stay_with_their_cells_when_a_store_grows(tmp_path):
    path = tmp_path / "data.zarr"
    with pytest.raises(SweepError, match="out of luck"):
        sweep(Checkpointed(fail_at=2), Grid.of(seed=(5, 6)), path, cells_per_tile=1, progress=False)
    found = sweep(Checkpointed(), Grid.of(seed=(3, 4, 5, 6)), path, cells_per_tile=1, progress=False)
    assert found.first_step.values.tolist() == [0, 0, 2, 0]
    whole = sweep(Checkpointed(), Grid.of(seed=(3, 4, 5, 6)), cells_per_tile=1, progress=False)
    xarray.testing.assert_equal(found.value.load(), whole.value)
