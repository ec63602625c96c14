"""Tiles one after another in this process, in a thread of their own.

The main thread waits, so Ctrl-C is heard at once, however long the compiled code of a tile runs.
"""

import contextvars
import ctypes
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

PATIENCE = 0.5
"""Seconds that an interrupted tile is given to come back to Python and end."""


class Serial(Executor):
    """Runs each call in a thread of its own, in the order given."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lemmata-tiles", daemon=True)
            self._thread.start()
        future: Future[Any] = Future()
        self._calls.put((future, contextvars.copy_context(), fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread when its calls are done."""
        self._calls.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def interrupt(self) -> None:
        """End the call that runs as soon as it comes back to Python, and wait a moment for that."""
        self._calls.put(None)
        if self._thread is not None and self._thread.is_alive() and self._thread.ident is not None:
            raised = ctypes.py_object(KeyboardInterrupt)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), raised)
            self._thread.join(PATIENCE)

    def _work(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                future, context, fn, args, kwargs = call
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(context.run(fn, *args, **kwargs))
                except BaseException as error:  # Ctrl-C raised by the call is the caller's to hear
                    future.set_exception(error)
                del call, future, context, fn, args, kwargs
        except KeyboardInterrupt:  # interrupted between two calls
            pass
