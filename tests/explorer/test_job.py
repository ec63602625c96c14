"""A map that is refined is the sweep's: nothing twice, limits first, the latest request and clicks before it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lemmata.explorer.job import Job, life
from lemmata.explorer.limits import check_work, checked
from lemmata.explorer.refine import filled, groups
from lemmata.explorer.worker import CLICK, TILE, Worker
from lemmata.lab.find import find
from lemmata.sweep import Axis, Grid, plan, sweep


@pytest.fixture(scope="module")
def experiment():
    return find("benign-overfitting")


@pytest.fixture
def worker():
    made = Worker(lambda: ThreadPoolExecutor(1))
    yield made
    made.close()


def wait_for(condition):
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it never came")


def test_the_map_is_the_sweep(experiment, worker):
    job = Job(experiment, "smoke", {"steps": 30, "d": 1e6}, seeds=2)
    job.start(worker)
    wait_for(lambda: job.concluded)
    assert job.error == ""
    assert (job.changes["steps"], job.changes["d"], job.changes["v0"]) == (30, 10**6, 0.5)
    expected = sweep(*experiment.configure("smoke", job.changes, 2), progress=False)
    found = job.dataset()
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)
    assert found.test_error_predicted.notnull().all()
    assert [verdict.claim for verdict in job.verdicts] == [claim.name for claim in experiment.claims]


def test_nothing_runs_twice_and_coarse_comes_first(experiment):
    body, grid = experiment.configure("laptop", {"v0": 0.5}, 2)
    planned = plan(body, grid)
    done = np.zeros(grid.shape, bool)
    levels = []
    for level, tile in groups(planned, "n", "signal", done):
        before = done.sum()
        for cell in tile.points:
            at = tuple(axis.values.index(cell[axis.name]) for axis in grid.axes)
            assert not done[at]
            done[at] = True
        assert done.sum() == before + tile.cells
        levels.append(level)
    assert done.all()
    assert levels == sorted(levels)
    assert set(levels) == {0, 1, 2, 3}


def test_a_cell_that_has_not_run_shows_its_coarse_one():
    values = np.full((5, 6), np.nan)
    values[::4, ::4] = [[1, 2], [3, 4]]
    values[2, 2] = 9
    shown = filled(values)
    assert (shown[1, 3], shown[3, 5], shown[4, 5], shown[2, 3]) == (1, 2, 4, 9)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"device": "cuda"}, "a page may set"),
        ({"engine": "direct"}, "a page may set"),
        ({"n": "__import__('os')"}, "whole number"),
        ({"steps": 10**9}, "lemmata run"),
        ({"signal": float("nan")}, "finite"),
        ({"nothing": 1}, "a page may set"),
    ],
)
def test_what_a_page_may_not_ask_is_refused(experiment, asked, said):
    with pytest.raises(ValueError, match=said):
        checked(experiment, asked)


def test_too_much_work_is_refused_before_it_runs(experiment):
    body, _ = experiment.configure("smoke")
    wide = Axis("signal", tuple(np.linspace(1, 2, 61).tolist()))
    with pytest.raises(ValueError, match="61 values"):
        check_work(body, Grid((wide,)))
    with pytest.raises(ValueError, match="at most 20000"):
        check_work(body, Grid((Axis("seed", tuple(range(20001))),)))
    direct, grid = experiment.configure("smoke", {"engine": "direct", "d": 10**8})
    with pytest.raises(ValueError, match="GiB"):
        check_work(direct, grid)


def test_clicks_go_before_tiles_and_a_cancelled_map_stops(experiment, worker):
    gate, begun, heard = threading.Event(), threading.Event(), []
    worker.ask(TILE, heard.append, lambda: begun.set() or gate.wait())
    begun.wait()
    worker.ask(TILE, heard.append, str, "tile")
    worker.ask(CLICK, heard.append, str, "click")
    gate.set()
    wait_for(lambda: len(heard) == 3)
    assert heard[1:] == ["click", "tile"]
    gate = threading.Event()
    worker.ask(TILE, heard.append, gate.wait)
    old, new = (Job(experiment, "smoke", {"steps": steps}, seeds=1) for steps in (20, 21))
    old.start(worker)
    old.cancel()
    new.start(worker)
    gate.set()
    wait_for(lambda: new.concluded)
    assert old.done == 0
    assert new.done == new.total


def test_a_worker_that_dies_is_replaced_and_errors_are_heard():
    worker, heard = Worker(lambda: ThreadPoolExecutor(1)), []
    worker.ask(CLICK, heard.append, int, "x")
    worker.ask(CLICK, heard.append, int, "7")
    wait_for(lambda: len(heard) == 2)
    worker.close()
    assert isinstance(heard[0], ValueError)
    assert heard[1] == 7


def test_a_cell_again_ends_where_it_ended(experiment):
    body, _ = experiment.configure("smoke", {"steps": 50})
    point = {"n": 20, "signal": 3.0, "seed": 1, "v0": 0.5}
    found = life(body, point)
    alone = sweep(body.at({"v0": 0.5}), Grid.of(n=(20,), signal=(3.0,), seed=(1,)), progress=False)
    np.testing.assert_allclose(found.test_error.isel(step=-1), alone.test_error.squeeze(), rtol=1e-10)
    assert found.step.values[[0, -1]].tolist() == [0, 50]
    assert "margin_min" in found
