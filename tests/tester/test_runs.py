"""What runs: Runs and bodies in batches of one shape, here or on any executor; stored sweeps for collapse."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import lemmata as lm
from lemmata.claims import NotMeasurable
from lemmata.parameters import parameter
from lemmata.sweep import Body, Variable, executors, sweep
from lemmata.tester.runner import runner
from tests.claims.test_measurements import dataset
from tests.oracles.synthetic_lab import SyntheticLab
from tests.sweep.bodies import Value

N_D = {"n": (10, 20, 40), "d": (2000, 32000)}
KAPPA = lm.Threshold("test_error", 0.1, "signal", "C * n**a * d**b", {"a": -0.25, "b": 0.25}, 0.1)


@dataclass(frozen=True)
class LabBody(Body):
    """The synthetic lab as a body: n changes shapes."""

    n: int = parameter("n", int, least=1, default=20)
    d: int = parameter("d", int, least=1, default=2000, per_cell=True)
    signal: float = parameter("signal", above=0, default=4.0, per_cell=True)
    variables: ClassVar = {"test_error": Variable(), "status": Variable(dtype="int8")}

    def run(self, points):
        assert len({point["n"] for point in points}) == 1, "one shape a batch"
        whole = [{"n": self.n, "d": self.d, "signal": self.signal, **point} for point in points]
        return {**SyntheticLab()(whole), "status": np.zeros(len(points), np.int8)}


@contextmanager
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@contextmanager
def dask():
    """A scheduler and a worker in this process, by the executor that its client gives."""
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client.get_executor()


@pytest.mark.parametrize("executor", [threads, dask])
def test_a_body_is_run_in_batches_of_one_shape_here_or_on_an_executor(executor):
    here = lm.test(KAPPA, LabBody(), N_D, budget=1000)
    with executor() as pool:
        there = lm.test(KAPPA, LabBody(), N_D, budget=1000, executor=pool)
    assert here.holds is True
    assert here.outcomes[0].judgement.rows == there.outcomes[0].judgement.rows
    assert here.cells == there.cells


def test_a_study_starts_its_processes_once(monkeypatch):
    """Batches of a study that names processes share one pool, which is gone afterwards."""
    started = []
    renew = executors._Processes.renew
    monkeypatch.setattr(executors._Processes, "renew", lambda pool: started.append(pool) or renew(pool))
    monkeypatch.setattr(executors.os, "sched_getaffinity", lambda pid: {0})
    law = lm.Scaling("value", "C * n**a", {"a": 1.0}, 0.1)
    asked = {"over": {"n": (1, 2, 4)}, "budget": 100, "precision": -1.0}
    here, there = lm.test(law, Value(), **asked), lm.test(law, Value(), **asked, executor="processes")
    assert len(started) == 1
    assert len(there.outcomes[0].looks) == 3
    assert here.outcomes[0].judgement.rows == there.outcomes[0].judgement.rows
    with pytest.raises(RuntimeError, match="shutdown"):
        started[0].executor.submit(print)


def test_batches_come_back_in_the_order_of_the_points():
    rng = np.random.default_rng(0)
    points = [{"n": int(rng.choice([10, 20])), "d": 2000, "signal": float(s), "seed": 1} for s in rng.uniform(1, 9, 50)]
    run = runner(LabBody(), "test_error")
    run.check({"n": (10, 20), "d": (2000,), "signal": (1.0,)})
    assert run(points)["test_error"] == pytest.approx(SyntheticLab()(points)["test_error"])
    with ThreadPoolExecutor(2) as pool:
        run = runner(LabBody(), "test_error", pool)
        run.check({"n": (10, 20), "d": (2000,), "signal": (1.0,)})
        assert run(points)["test_error"] == pytest.approx(SyntheticLab()(points)["test_error"])


def test_refusals_of_the_run_come_before_a_cell():
    with pytest.raises(ValueError, match="does not measure 'loss'"):
        lm.test(lm.Scaling("loss", "C * n**a", {"a": 1.0}), LabBody(), {"n": (10, 20, 40)})
    with pytest.raises(ValueError, match="n = 0"):
        lm.test(KAPPA, LabBody(), {**N_D, "n": (0, 10, 20)})
    with pytest.raises(ValueError, match="depth"):
        lm.test(KAPPA, LabBody(), {**N_D, "depth": (1, 2)})
    with pytest.raises(TypeError, match="a sweep runs"):
        lm.test(KAPPA, 3, N_D)
    with pytest.raises(TypeError, match="no run"):
        lm.test(KAPPA, {}, N_D)


def test_a_plan_of_a_body_times_a_cell():
    assert "a cell takes about" in str(lm.explain(KAPPA, LabBody(), N_D, budget="30 s"))


def test_a_run_of_ours_end_to_end():
    """One small real study: κ* falls with n at fixed d as n^(-1/4), to a coarse tolerance."""
    run = lm.Run(
        lm.SignalNoise(n=10, d=2000, signal=4.0), lm.TwoLayerCNN(m=4, init=1e-6), steps=200, dtype="float32",
        probes=("test_error",),
    )  # fmt: skip
    law = lm.Threshold("test_error", 0.15, "signal", "C * n**a", {"a": -0.25}, 0.12, form_tolerance=0.1)
    report = lm.test(law, run, {"n": (8, 16, 32)}, budget=300)
    (row,) = [row for row in report.outcomes[0].judgement.rows if row.name == "a"]
    assert -0.4 < row.value < -0.1
    assert report.holds is not False


def test_collapse_of_a_stored_sweep():
    data = dataset(SyntheticLab(), signal=np.geomspace(1.2, 40, 48))
    by_name = lm.collapse(data, y="test_error", against="kappa", curves=("n", "d"))
    by_formula = lm.collapse(data, y="test_error", against="n * signal**4 / d", curves=("n", "d"))
    assert float(by_name.value) == pytest.approx(float(by_formula.value))
    with pytest.raises(ValueError, match="no 'loss'"):
        lm.collapse(data, y="loss", against="kappa", curves=("n", "d"))
    with pytest.raises(ValueError, match="name all but one"):
        lm.collapse(data, y="test_error", against="kappa", curves=("n",))
    with pytest.raises(ValueError, match="no 'm'"):
        lm.collapse(data, y="test_error", against="m * signal", curves=("n", "d"))
    swept = sweep(LabBody(), lm.Grid.of(n=(10, 20), signal=(1.0, 1.1), seed=range(4)), progress=False)
    with pytest.raises(NotMeasurable, match="no level"):
        lm.collapse(swept, y="test_error", against="n * signal", curves=("n",), levels=(1e-9,))
