"""Where tiles run: in this process, in a pool of processes, or on a Dask cluster; any ``concurrent.futures.Executor``.

Workers use one thread each: those of our process pool are told so when they start, and Dask's nanny tells its own. An
executor made by the caller is used as it is and left open.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lemmata.sweep.dask import connected
from lemmata.sweep.pool import Pool
from lemmata.sweep.serial import Serial


def check(executor: str | Executor | Pool | None) -> None:
    """Refuse what :func:`resolve` would refuse, without starting anything."""
    known = isinstance(executor, Executor | Pool) or executor in (None, "serial", "processes")
    if not known and not (isinstance(executor, str) and executor.startswith("tcp://")):
        raise ValueError(
            f"executor {executor!r} is unknown; use 'serial', 'processes', 'tcp://HOST:PORT' of a Dask scheduler, "
            "or a concurrent.futures.Executor"
        )


@contextmanager
def resolve(executor: str | Executor | Pool | None) -> Iterator[Pool]:
    """What runs tiles; a pool that is open already is used and left open.

    Raises:
        ValueError: an unknown name.
        ConnectionError: the scheduler does not answer.
        ImportError: a scheduler was named and ``distributed`` is not installed.
    """
    check(executor)
    if isinstance(executor, Pool):
        yield executor
    elif executor is None or executor == "serial" or isinstance(executor, Serial):
        with _serial() as pool:
            yield pool
    elif executor == "processes":
        with _processes() as pool:
            yield pool
    elif isinstance(executor, str):
        with connected(executor) as pool:
            yield pool
    else:
        workers = getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        yield Given(executor, 2 * workers)


@dataclass
class Given(Pool):
    """An executor of the caller's."""

    executor: Executor
    size: int

    def room(self) -> int:
        return self.size


@contextmanager
def _serial() -> Iterator[Pool]:
    serial = Serial()
    try:
        yield Given(serial, 1)
    except BaseException:
        serial.interrupt()
        raise
    serial.shutdown()


class _Processes(Pool):
    """One worker per core; a pool in which one died is replaced by a new one."""

    def __init__(self) -> None:
        self.workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.renew()

    def room(self) -> int:
        return 2 * self.workers

    def renew(self) -> bool:
        self.executor = ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"), start_worker)
        return True

    def blame(self, error: BaseException) -> str:
        if not isinstance(error, BrokenExecutor):
            return ""
        return (
            "a worker process died (killed, out of memory, or started by a script without "
            "'if __name__ == \"__main__\":')"
        )


@contextmanager
def _processes() -> Iterator[Pool]:
    pool = _Processes()
    try:
        yield pool
    except BaseException:
        _stop(pool.executor)
        raise
    pool.executor.shutdown()


def start_worker() -> None:
    """Make a process one of ours: one thread, deaf to Ctrl-C, ended with its parent."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if "torch" in sys.modules:  # loaded with the main script, before the variables were set
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(wait: Callable[[], None]) -> None:
    """A worker waiting for work does not notice that its parent was killed, and would wait for ever."""
    wait()
    os._exit(1)


def _stop(pool: Any) -> None:
    """End the workers now: after an error nobody waits for the tiles still running."""
    processes = list((pool._processes or {}).values())  # terminate_workers() does this from Python 3.14 on
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
