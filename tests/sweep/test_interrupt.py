"""Ctrl-C is heard at once, in the middle of a tile, whatever runs it and wherever."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import lemmata as lm
from lemmata.sweep import Grid, SweepInterrupted, each_tile, open_store, sweep
from lemmata.sweep.bodies.of_run import TrainingBody
from lemmata.sweep.serial import Serial
from tests.sweep.bodies import Toy


def test_ctrl_c_is_heard_within_two_seconds_in_compiled_code_that_does_not_return(tmp_path):
    command = [sys.executable, "-m", "tests.sweep.long_tile", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    start = time.monotonic()
    while not (tmp_path / "begun").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - start < 60
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    said = process.stderr.readline()
    assert time.monotonic() - sent < 2.0
    assert said == f"interrupted: 0 of 1 tiles are kept in {tmp_path / 'data.zarr'}, run again to resume\n"
    assert process.communicate(timeout=20) == (None, "")
    assert process.returncode == 130
    assert sorted(os.listdir(tmp_path)) == ["begun", "data.zarr"]
    assert not open_store(tmp_path / "data.zarr").done.any()


@pytest.mark.parametrize(
    ("engine", "native"), [("gram", True), ("gram", False), ("compressed", True), ("direct", True)]
)
def test_ctrl_c_is_heard_within_two_seconds_on_every_engine(tmp_path, monkeypatch, engine, native):
    """The process is sent what Ctrl-C sends, half a second into a tile that takes minutes."""
    if not native:
        monkeypatch.setattr("lemmata.dynamics.native.KERNELS", ())
    run = lm.Run(lm.SignalNoise(20, 2000, 2.0), lm.TwoLayerCNN(10), steps=10**6, engine=engine)
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def run_and_interrupt(self, points, train=TrainingBody.run):
        threading.Timer(0.5, interrupt).start()
        return train(self, points)

    monkeypatch.setattr(TrainingBody, "run", run_and_interrupt)
    with pytest.raises(SweepInterrupted, match="0 of 1 tiles are kept"):
        sweep(run, Grid.of(seed=range(200)), tmp_path / "data.zarr", cells_per_tile=200, progress=False)
    assert time.monotonic() - sent[0] < 2.0


def test_a_call_of_python_ends_when_it_is_interrupted():
    steps = []

    def call():
        while True:
            steps.append(len(steps))
            time.sleep(0.01)

    serial = Serial()
    future = serial.submit(call)
    while not steps:
        time.sleep(0.01)
    serial.interrupt()
    assert isinstance(future.exception(timeout=5), KeyboardInterrupt)


def test_tiles_come_as_they_finish_and_are_kept(tmp_path):
    grid, path = Grid.of(n=(10, 20), seed=range(4)), tmp_path / "data.zarr"
    several = each_tile(Toy(), grid, path, cells_per_tile=2, progress=False)
    tile, arrays = next(several)
    assert [point["seed"] for point in tile.points] == [0, 1]
    assert arrays["value"].tolist() == Toy().run(tile.points)["value"].tolist()
    next(several)
    several.close()
    assert int(open_store(path).done.sum()) >= 2
    rest = list(each_tile(Toy(), grid, path, progress=False))
    assert len(rest) in (2, 3)
    assert sweep(Toy(), grid, path, progress=False).done.all()
    assert not list(each_tile(Toy(), grid, path, progress=False))
