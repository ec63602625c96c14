"""One process at a time, wherever the folder lies and however the others end."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lemmata.sweep import lock, open_store, sweep
from tests.sweep import start_together
from tests.sweep.bodies import Toy


@pytest.mark.parametrize("locks", ["locks", "no-locks"])
@pytest.mark.parametrize("starters", [2, 4, 16])
def test_of_several_starts_at_once_one_runs_and_the_others_say_so(tmp_path, starters, locks):
    command = [sys.executable, "-m", "tests.sweep.start_together", str(tmp_path), str(starters), locks]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lines = found.stdout.splitlines()
    refused = f"BlockingIOError: another process is sweeping into {tmp_path / 'data.zarr'}; wait for it, or choose an"
    assert len(lines) == starters
    assert "ran" in lines
    assert all(line == "ran" or line.startswith(refused) for line in lines), lines
    assert len(list((tmp_path / "log").iterdir())) == 8  # each tile once, whoever came late
    assert len({file.name.split("-")[0] for file in (tmp_path / "log").iterdir()}) == 1
    assert open_store(tmp_path / "data.zarr").load().equals(sweep(Toy(), start_together.GRID, progress=False))
    assert sorted(os.listdir(tmp_path)) == ["data.zarr", "log"]


@pytest.fixture(params=["locks", "no-locks"])
def path(request, tmp_path, monkeypatch):
    if request.param == "no-locks":
        monkeypatch.setattr(lock.fcntl, "flock", start_together.refuse)
    return tmp_path / "data.zarr"


def test_a_lock_left_by_a_killed_process_is_taken_over(path):
    code = "import sys, os, signal; from pathlib import Path; from lemmata.sweep.lock import held, fcntl\n"
    if lock.fcntl.flock is start_together.refuse:
        code += "from tests.sweep.start_together import refuse; fcntl.flock = refuse\n"
    code += "with held(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert os.listdir(path.parent) == [".data.zarr.lock"]
    with lock.held(path):
        assert os.listdir(path.parent) == [".data.zarr.lock"]
    assert not os.listdir(path.parent)


def test_a_lock_is_held_until_the_block_ends_however_it_ends(path):
    def twice():
        with lock.held(path):
            with pytest.raises(BlockingIOError, match="another process is sweeping into"), lock.held(path):
                raise AssertionError("two held it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        twice()
    assert not os.listdir(path.parent)


@pytest.mark.parametrize(("age", "free"), [(0.0, False), (30.0, False), (100.0, True)])
def test_a_lock_of_another_machine_is_free_when_it_is_not_touched_any_more(tmp_path, monkeypatch, age, free):
    monkeypatch.setattr(lock.fcntl, "flock", start_together.refuse)
    path, file = tmp_path / "data.zarr", tmp_path / ".data.zarr.lock"
    file.write_text(json.dumps({"host": "elsewhere", "process": os.getpid(), "born": "1", "id": "x"}))
    os.utime(file, (time.time() - age,) * 2)
    if free:
        with lock.held(path):
            assert json.loads(file.read_text())["host"] != "elsewhere"
    else:
        with pytest.raises(BlockingIOError), lock.held(path):
            raise AssertionError("two held it")
        assert file.exists()


def test_a_lock_that_is_held_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.fcntl, "flock", start_together.refuse)
    monkeypatch.setattr(lock, "TOUCH_SECONDS", 0.02)
    file = tmp_path / ".data.zarr.lock"
    with lock.held(tmp_path / "data.zarr"):
        os.utime(file, (1.0, 1.0))
        start = time.monotonic()
        while file.stat().st_mtime == 1.0:
            assert time.monotonic() - start < 10
            time.sleep(0.01)


def test_of_many_who_find_a_stale_lock_one_takes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.fcntl, "flock", start_together.refuse)
    path = tmp_path / "data.zarr"
    inside, most = [], []

    def enter(_):
        try:
            with lock.held(path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()
            return True
        except BlockingIOError:
            return False

    for _ in range(5):
        Path(tmp_path, ".data.zarr.lock").write_text(json.dumps({"host": lock.socket.gethostname(), "process": 0}))
        with ThreadPoolExecutor(8) as pool:
            assert any(pool.map(enter, range(16)))
        assert max(most) == 1
    assert not os.listdir(tmp_path)
