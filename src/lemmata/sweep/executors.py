"""Where tiles run: in this process, in a pool of processes, or on a Dask cluster; any ``concurrent.futures.Executor``.

Workers use one thread each: those of our process pool are told so when they start, and Dask's nanny tells its own. An
executor made by the caller is used as it is and left open.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

CONNECT_SECONDS = 8.0
"""How long a scheduler may take to answer."""


class Serial(Executor):
    """Runs each call in this process, when it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def check(executor: str | Executor | None) -> None:
    """Refuse what :func:`resolve` would refuse, without starting anything."""
    known = isinstance(executor, Executor) or executor in (None, "serial", "processes")
    if not known and not (isinstance(executor, str) and executor.startswith("tcp://")):
        raise ValueError(
            f"executor {executor!r} is unknown; use 'serial', 'processes', 'tcp://HOST:PORT' of a Dask scheduler, "
            "or a concurrent.futures.Executor"
        )


@contextmanager
def resolve(executor: str | Executor | None) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """An executor and the number of tiles to keep in flight on it, asked anew each time as clusters grow.

    Raises:
        ValueError: an unknown name.
        ConnectionError: the scheduler does not answer.
        ImportError: a scheduler was named and ``distributed`` is not installed.
    """
    check(executor)
    if executor is None or executor == "serial" or isinstance(executor, Serial):
        yield Serial(), lambda: 1
    elif executor == "processes":
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
        try:
            yield pool, lambda: 2 * workers
        except BaseException:
            _stop(pool)
            raise
        pool.shutdown()
    elif isinstance(executor, str):
        with _client(executor) as client:
            yield client.get_executor(), lambda: 2 * max(1, sum(client.nthreads().values()))
    else:
        workers = getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        yield executor, lambda: 2 * workers


def _start_worker() -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(wait: Callable[[], None]) -> None:
    """A worker waiting for work does not notice that its parent was killed, and would wait for ever."""
    wait()
    os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers now: after an error nobody waits for the tiles still running."""
    processes = list((pool._processes or {}).values())  # terminate_workers() does this from Python 3.14 on
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(f"executor {address!r} needs Dask; pip install 'lemmata[distributed]'") from error
    try:
        # In a thread of its own, as a notebook's thread already has a running event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _knock(address)).result()
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS:.0f} s; start one with 'dask scheduler', "
            "or correct the address"
        ) from error
    with client:
        yield client


async def _knock(address: str) -> None:
    """Shake hands and leave: the client itself waits for ever for a port that is open but says nothing."""
    from distributed.core import connect

    comm = await asyncio.wait_for(connect(address, timeout=CONNECT_SECONDS), CONNECT_SECONDS)
    await comm.close()
