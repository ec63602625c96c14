"""Tiles on a Dask cluster, by the address of its scheduler. Dask replaces workers that die; what it cannot, is said."""

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lemmata.sweep.pool import Pool

CONNECT_SECONDS = 8.0
"""How long a scheduler may take to answer."""
WORKERS_SECONDS = 60.0
"""How long a cluster may be without any worker."""
_LOGS = ("distributed", "distributed.client", "distributed.core", "distributed.comm", "tornado.application", "asyncio")


class _Cluster(Pool):
    def __init__(self, client: Any, address: str):
        self.client, self.address = client, address
        self.executor = client.get_executor(retries=0)
        self.empty_since: float | None = None

    def room(self) -> int:
        return 2 * max(1, self._threads())

    def blame(self, error: BaseException) -> str:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "KilledWorker" in kinds:
            return (
                f"Dask workers at {self.address} died several times at this tile (out of memory?); give it to larger "
                "workers or make tiles smaller with cells_per_tile"
            )
        if isinstance(error, CancelledError | asyncio.CancelledError) or kinds & {"CommClosedError", "TimeoutError"}:
            return f"the Dask scheduler at {self.address} is gone"
        return f"the Dask scheduler at {self.address} is gone" if self.client.status != "running" else ""

    def lost(self) -> str:
        if self.client.status != "running":
            return f"the Dask scheduler at {self.address} is gone"
        if self._threads():
            self.empty_since = None
        elif self.empty_since is None:
            self.empty_since = time.monotonic()
        elif time.monotonic() - self.empty_since > WORKERS_SECONDS:
            return f"no Dask worker has been at {self.address} for {WORKERS_SECONDS:.0f} s"
        return ""

    def _threads(self) -> int:
        return sum(self.client.nthreads().values())


@contextmanager
def connected(address: str) -> Iterator[Pool]:
    """The cluster at this address.

    Raises:
        ConnectionError: the scheduler does not answer.
        ImportError: ``distributed`` is not installed.
    """
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
    with _quiet():
        try:
            yield _Cluster(client, address)
        finally:
            client.close(timeout=2)


async def _knock(address: str) -> None:
    """Shake hands and leave: the client itself waits for ever for a port that is open but says nothing."""
    from distributed.core import connect

    comm = await asyncio.wait_for(connect(address, timeout=CONNECT_SECONDS), CONNECT_SECONDS)
    await comm.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the client's libraries log when a connection breaks: that is said in one sentence here."""
    before = {name: logging.getLogger(name).level for name in _LOGS}
    for name in _LOGS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
