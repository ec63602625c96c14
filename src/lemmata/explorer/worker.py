"""One process that computes, and a queue before it: clicks go before tiles, pages take turns."""

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from lemmata.sweep.executors import start_worker

CLICK, TILE = 0, 1
"""What goes first."""


def one_process() -> Executor:
    """A process of one thread; a second one would cost more processor time than it saves."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=start_worker)


class Worker:
    """Runs calls one after another, the most urgent first, and hands each result to the one who asked.

    Args:
        make: makes the executor, and again where its process has died.
    """

    def __init__(self, make: Callable[[], Executor] = one_process):
        self._make, self._executor = make, make()
        self._queue: list[Any] = []
        self._turn = itertools.count()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lemmata-explorer", daemon=True)
        self._thread.start()

    def ask(self, urgency: int, then: Callable[[Any], None], call: Callable[..., Any], *arguments: Any) -> None:
        """Queue a call; ``then`` hears its result, or the exception that it raised, on the worker's thread."""
        with self._change:
            heapq.heappush(self._queue, (urgency, next(self._turn), then, call, arguments))
            self._change.notify()

    def close(self) -> None:
        """End the process; what waits is forgotten."""
        with self._change:
            self._closed = True
            self._queue.clear()
            self._change.notify()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                *_, then, call, arguments = heapq.heappop(self._queue)
            try:
                found = self._executor.submit(call, *arguments).result()
            except BrokenExecutor as error:  # its process has died, e.g. for want of memory
                found, self._executor = error, self._make()
            except Exception as error:
                found = error
            if not self._closed:
                then(found)
