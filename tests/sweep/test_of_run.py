"""Training as the body of a sweep."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr

import lemmata as lm
from lemmata.dynamics import native
from lemmata.sweep import explain, plan, sweep

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
import sys
import lemmata as lm
from lemmata.sweep import sweep
run = lm.Run(lm.SignalNoise(8, 100, 2.0), lm.TwoLayerCNN(2), steps=200, probes=("train_loss", "test_error"))
grid = lm.Grid.of(n=(4, 8, 12, 16, 20, 24), signal=(1.0, 2.0), seed=range(20))
if __name__ == "__main__":
    sweep(lm.TrainingBody(run), grid, sys.argv[1], cells_per_tile=10, progress=False)
"""


def test_a_plan_says_what_takes_the_steps():
    run = lm.Run(lm.SignalNoise(10, 100, 2.0), lm.TwoLayerCNN(2), steps=5)
    for engine in ("gram", "direct"):
        grid = lm.Grid.of(engine=(engine,), signal=(1.0, 2.0))
        assert f"steps   {native.in_use(run.at({'engine': engine}))}" in str(explain(run, grid)).splitlines()


def test_killed_at_random_moments_and_run_again(tmp_path):
    """SIGKILL loses at most the tiles in flight, and the end is the uninterrupted dataset."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole.zarr")], check=True, env=environment)
    chance, store = random.Random(0), tmp_path / "killed.zarr"
    for _ in range(2):
        process = subprocess.Popen([*command, str(store)], env=environment)
        while not store.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, str(store)], check=True, env=environment)
    whole, killed = xr.open_zarr(tmp_path / "whole.zarr"), xr.open_zarr(store)
    assert bool(killed["done"].all())
    for name in ("train_loss", "test_error", "status"):
        np.testing.assert_array_equal(whole[name], killed[name])


def test_float32_training_is_close():
    run = dataclasses.replace(RUN, dtype="float32")
    single, double = lm.train(run, range(4)), lm.train(RUN, range(4))
    torch.testing.assert_close(single.records["train_loss"], double.records["train_loss"], rtol=1e-4, atol=1e-5)
    assert single.records["train_loss"].dtype == torch.float64
