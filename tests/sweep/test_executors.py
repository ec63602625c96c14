"""The same dataset from every executor, and what happens when a worker, a tile or a scheduler fails."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lemmata.sweep import Grid, SweepError, open_store, sweep
from lemmata.sweep.memory import Memory
from tests.sweep.bodies import Random, Threads, Toy, Trap

GRID = Grid.of(signal=(0.5, 1.0), seed=range(10))


def pids(log):
    return {int(entry.name.split("-")[0]) for entry in log.iterdir()}


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds=30.0):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture
def expected():
    return sweep(Random(), GRID, progress=False)


class Recording(Executor):
    """Runs a tile only when the sweep waits for it, and notes how many were in flight."""

    def __init__(self):
        self.pool, self.flying, self.most = ThreadPoolExecutor(2), 0, 0
        self._max_workers = 2

    def submit(self, fn, /, *args, **kwargs) -> Future:
        self.flying += 1
        self.most = max(self.most, self.flying)
        future = self.pool.submit(fn, *args, **kwargs)
        return future

    def landed(self, *_):
        self.flying -= 1


def test_any_executor_serves_and_is_left_open(expected):
    with ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            assert sweep(Random(), GRID, executor=pool, cells_per_tile=3, progress=False).equals(expected)


def test_no_more_than_twice_the_workers_and_one_to_store_are_in_flight(monkeypatch):
    recording = Recording()
    write = Memory.write
    monkeypatch.setattr(Memory, "write", lambda *args: (recording.landed(), write(*args))[1])
    sweep(Toy(seconds=0.01), GRID, executor=recording, cells_per_tile=1, progress=False)
    assert 4 <= recording.most <= 5  # four at work or waiting, and one being stored
    assert recording.flying == 0


def test_processes_give_what_serial_gives_each_on_one_thread(tmp_path, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = sweep(Threads(), GRID, tmp_path / "data.zarr", executor="processes", cells_per_tile=4, progress=False)
    assert found.value.load().equals(expected.value)
    assert (found.threads == 1).all()


def test_a_body_that_cannot_be_sent_is_refused_before_anything_is_written(tmp_path):
    body = Toy()
    object.__setattr__(body, "hook", lambda: None)
    with pytest.raises(TypeError, match=r"Toy cannot be sent to other processes .*executor='serial'"):
        sweep(body, GRID, tmp_path / "data.zarr", executor="processes", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_worker_that_dies_ends_the_sweep_and_the_next_one_resumes(tmp_path, log):
    path = tmp_path / "data.zarr"
    armed = tmp_path / "armed"
    armed.touch()
    body = Trap(what="die", at=9, armed=str(armed), log=str(log), seconds=0.01)
    with pytest.raises(
        SweepError, match=r"a worker process died .*tiles are kept in .*, run again to resume"
    ) as caught:
        sweep(body, GRID, path, executor="processes", cells_per_tile=1, progress=False)
    assert "\n" not in str(caught.value)
    kept = int(open_store(path).done.sum())
    assert 1 <= kept < 20
    ran = len(list(log.iterdir()))
    armed.unlink()
    found = sweep(body, GRID, path, progress=False)
    assert len(list(log.iterdir())) - ran == 20 - kept
    assert found.load().equals(sweep(Toy(), GRID, progress=False))


def test_a_worker_killed_in_mid_tile_is_replaced_and_the_sweep_ends_by_itself(tmp_path, log):
    armed = tmp_path / "armed"
    armed.touch()
    body = Trap(what="die once", at=9, armed=str(armed), log=str(log), seconds=0.01)
    found = sweep(body, GRID, tmp_path / "data.zarr", executor="processes", cells_per_tile=1, progress=False)
    assert not armed.exists()
    assert len(list(log.iterdir())) <= 20 + 3  # what was in flight beside it ran twice
    assert found.load().equals(sweep(Toy(), GRID, progress=False))


NOTEBOOK = """
from dataclasses import dataclass
from lemmata.sweep import Grid, sweep
from lemmata.sweep.memory import Memory
from tests.sweep.bodies import Toy

class Mine(Toy):
    pass

try:
    sweep(Mine(), Grid.of(seed=range(3)), executor="processes", progress=False)
except TypeError as error:
    print(error)
"""


def test_a_class_of_a_notebook_is_refused_with_what_to_do(tmp_path):
    command = [sys.executable, "-"]
    found = subprocess.run(command, input=NOTEBOOK, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == (
        "Mine was defined in a notebook or at the prompt, where other processes cannot import it; write it to a file "
        "and import it from there, or run with executor='serial'\n"
    )
    assert found.stderr == ""


def test_a_class_of_a_module_that_is_no_file_is_refused(monkeypatch):
    module = types.ModuleType("made_up")
    module.Mine = type("Mine", (Toy,), {"__module__": "made_up"})
    monkeypatch.setitem(sys.modules, "made_up", module)
    with pytest.raises(TypeError, match="Mine is defined in made_up, which other processes cannot import; define"):
        sweep(module.Mine(), GRID, executor="processes", progress=False)


@pytest.fixture
def cluster():
    """A scheduler and a function that starts a worker without a nanny, each a process of its own."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, started = f"tcp://127.0.0.1:{port}", []

    def start(*arguments):
        command = [sys.executable, "-m", *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, **quiet))
        return started[-1]

    def worker():
        return start("distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard")

    scheduler = start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    until(lambda: listens(port))
    yield address, scheduler, worker
    for process in started:
        process.kill()
        process.wait()


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_dask_scheduler_or_its_last_worker_that_dies_is_named_in_one_sentence(
    tmp_path, log, cluster, monkeypatch, capfd
):
    monkeypatch.setattr("lemmata.sweep.dask.WORKERS_SECONDS", 0.5)
    monkeypatch.setattr("lemmata.sweep.pool.Pool.look_seconds", 0.2)
    address, scheduler, worker = cluster
    body, path = Toy(log=str(log), seconds=0.2), tmp_path / "data.zarr"

    def kill(process, after):
        until(lambda: len(list(log.iterdir())) >= after)
        process.kill()

    last = worker()
    threading.Thread(target=kill, args=(last, 4)).start()
    with pytest.raises(SweepError, match=f"no Dask worker has been at {address} for 0 s; . of 20 tiles are kept"):
        sweep(body, GRID, path, executor=address, cells_per_tile=1, progress=False)
    monkeypatch.setattr("lemmata.sweep.dask.WORKERS_SECONDS", 60)  # as long as one takes to start
    worker()
    threading.Thread(target=kill, args=(scheduler, 8)).start()
    with pytest.raises(SweepError, match=f"the Dask scheduler at {address} is gone; .* of 20 tiles are kept in") as e:
        sweep(body, GRID, path, executor=address, progress=False)
    assert "\n" not in str(e.value)
    assert capfd.readouterr() == ("", "")
    kept = int(open_store(path).done.sum())
    assert 4 <= kept < 20
    found = sweep(body, GRID, path, progress=False)
    assert found.load().equals(sweep(Toy(), GRID, progress=False))


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_workers_do_not_outlive_an_interrupted_or_killed_sweep(tmp_path, log, blow):
    command = [sys.executable, "-m", "tests.sweep.long_sweep", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: len(list(log.iterdir())) >= 3 * len(pids(log)) > 0)
    os.kill(process.pid, blow)
    _, errors = process.communicate(timeout=20)
    until(lambda: not any(map(alive, pids(log))), 10)
    done = int(open_store(tmp_path / "data.zarr").done.sum())
    assert 1 <= done < 200
    if blow == signal.SIGINT:
        assert errors == (
            f"interrupted: {done} of 200 tiles are kept in {tmp_path / 'data.zarr'}, run again to resume\n"
        )


def test_a_dask_worker_killed_mid_run_costs_nothing(tmp_path, log):
    distributed = pytest.importorskip("distributed")
    from threading import Thread

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        body = Toy(log=str(log), seconds=0.1)
        killed = []

        def kill_one():
            until(lambda: len(pids(log)) == 2 and len(list(log.iterdir())) >= 6)
            killed.append(min(pids(log)))
            os.kill(killed[0], signal.SIGKILL)

        killer = Thread(target=kill_one)
        killer.start()
        path = tmp_path / "data.zarr"
        found = sweep(body, GRID, path, executor=cluster.scheduler_address, cells_per_tile=1, progress=False)
        killer.join()
    assert killed
    assert not alive(killed[0])
    assert len(list(log.iterdir())) >= 20
    assert found.load().equals(sweep(Toy(), GRID, progress=False))


@pytest.mark.parametrize("listening", [False, True])
def test_a_scheduler_that_does_not_answer_is_named_within_ten_seconds(tmp_path, listening, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("lemmata.sweep.dask.CONNECT_SECONDS", 1.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listening:  # accepts, and says nothing
            server.listen()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(ConnectionError, match=f"no Dask scheduler answers at {address}") as caught:
            sweep(Toy(), GRID, tmp_path / "data.zarr", executor=address, progress=False)
        assert time.monotonic() - start < 3
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
