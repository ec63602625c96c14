"""Training as the body of a sweep."""

import dataclasses
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr

import lemmata as lm
from lemmata.sweep import plan, sweep

RUN = lm.Run(
    lm.SignalNoise(8, 100, 2.0),
    lm.TwoLayerCNN(2),
    steps=30,
    probes=("train_loss", "test_error", "test_error_se", "signal_learning"),
)
GRID = lm.Grid.of(n=(4, 8), signal=(1.0, 2.0, 4.0), d=(100, 10**6), seed=range(3))


def test_every_cell_is_the_training_at_its_point():
    dataset = sweep(lm.TrainingBody(RUN), GRID, progress=False)
    for n, strength, d, seed in [(4, 1.0, 100, 0), (8, 4.0, 10**6, 2)]:
        alone = lm.train(RUN.at({"n": n, "signal": strength, "d": d}), [seed])
        cell = dataset.sel(n=n, signal=strength, d=d, seed=seed)
        for name, values in alone.records.items():
            np.testing.assert_allclose(cell[name], values[0, 0], rtol=1e-10)
    assert dataset["status"].dtype == np.int8
    assert dataset.sizes == {"n": 2, "signal": 3, "d": 2, "seed": 3}


def test_a_run_is_swept_as_it_is_and_anything_else_refused():
    run = dataclasses.replace(RUN, probes=("train_loss",))
    assert sweep(run, lm.Grid.of(seed=range(2)), progress=False)["train_loss"].shape == (2,)
    with pytest.raises(TypeError, match="a sweep runs a"):
        sweep("run", lm.Grid.of(seed=range(2)))
    with pytest.raises(TypeError, match=r"write Grid.of\(n=\(10, 20\)\)"):
        sweep(run, {"n": (10, 20)})


def test_dimension_batches_only_where_coordinates_compress():
    body = lm.TrainingBody(RUN)
    assert body.shape_axes(GRID) == ("n",)
    assert set(body.shape_axes(lm.Grid.of(n=(4, 8), d=(9, 100)))) == {"n", "d"}
    direct = lm.TrainingBody(dataclasses.replace(RUN, engine="direct"))
    assert set(direct.shape_axes(lm.Grid.of(n=(4, 8), d=(50, 100)))) == {"n", "d"}


def test_trajectories_have_a_step_dimension():
    run = dataclasses.replace(RUN, record=(0, 10, 30), probes=("train_loss",))
    dataset = sweep(lm.TrainingBody(run), lm.Grid.of(seed=range(2)), progress=False)
    assert dataset["train_loss"].dims == ("seed", "step")
    assert dataset["step"].values.tolist() == [0, 10, 30]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"temperature": (1.0,)}, "axis 'temperature' was asked for; this run has the axes"),
        ({"n": (4, -1)}, "n = -1 was asked for"),
        ({"m": (0,)}, "m = 0 was asked for"),
        ({"seed": (-1,)}, "seed = -1 was asked for"),
        ({"engine": ("gram", "warp")}, "engine = 'warp' was asked for"),
    ],
)
def test_bad_axes_are_refused_before_anything_is_written(tmp_path, axes, message):
    with pytest.raises(ValueError, match=message):
        sweep(lm.TrainingBody(RUN), lm.Grid.of(**axes), tmp_path / "data.zarr", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_plan_foresees_time_within_a_factor_of_two(monkeypatch):
    """In processor time, as other work on the machine is nobody's to foresee."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    body = lm.TrainingBody(dataclasses.replace(RUN, steps=400, rule=lm.GD(momentum=0.3)))
    planned = plan(body, lm.Grid.of(n=(8, 16, 24), signal=(1.0, 2.0), seed=range(40)))
    foreseen = planned.seconds
    started = time.process_time()
    sweep(planned, progress=False)
    taken = time.process_time() - started
    assert 0.5 * taken < foreseen < 2 * taken


SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
import lemmata as lm
from lemmata.sweep import sweep
run = lm.Run(lm.SignalNoise(8, 100, 2.0), lm.TwoLayerCNN(2), steps=200, probes=("train_loss", "test_error"))
grid = lm.Grid.of(n=(4, 8, 12, 16), signal=(1.0, 2.0), seed=range(20))

def start(store):
    pid = os.fork()  # what is loaded is loaded once
    if not pid:
        sweep(run, grid, store, cells_per_tile=10, progress=False)
        os._exit(0)
    return pid

folder, chance = Path(sys.argv[1]), random.Random(0)
assert not os.waitpid(start(folder / "whole.zarr"), 0)[1]
for _ in range(3):
    pid = start(folder / "killed.zarr")
    while not (folder / "killed.zarr").exists():
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 0.3))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
assert not os.waitpid(start(folder / "killed.zarr"), 0)[1]
"""


def test_killed_at_random_moments_and_run_again(tmp_path):
    """SIGKILL loses at most the tiles in flight, and the end is the uninterrupted dataset."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, env=environment, timeout=120)
    whole, killed = xr.open_zarr(tmp_path / "whole.zarr"), xr.open_zarr(tmp_path / "killed.zarr")
    assert bool(killed["done"].all())
    for name in ("train_loss", "test_error", "status"):
        np.testing.assert_array_equal(whole[name], killed[name])


def test_float32_training_is_close():
    run = dataclasses.replace(RUN, dtype="float32")
    single, double = lm.train(run, range(4)), lm.train(RUN, range(4))
    torch.testing.assert_close(single.records["train_loss"], double.records["train_loss"], rtol=1e-4, atol=1e-5)
    assert single.records["train_loss"].dtype == torch.float64
