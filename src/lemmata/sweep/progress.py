"""What is shown while a sweep runs: a bar on a terminal, a plain line now and then elsewhere, or nothing."""

import sys
import time
from collections import deque
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

LINE_SECONDS = 30.0
"""Time between plain lines where there is no terminal."""
RECENT = 8
"""Tiles by which the rate is judged, at most: a machine may become busy, or free."""


class Report:
    """Counts cells as tiles finish; rate and time left are those of the last few tiles.

    Args:
        cells: all cells of the sweep.
        done: cells stored by earlier sessions.
        shown: ``False`` shows nothing.
    """

    def __init__(self, cells: int, done: int, shown: bool = True) -> None:
        self._cells, self._done = cells, done
        self._line = time.monotonic()
        self._recent = deque([(self._line, done)], RECENT + 1)
        self._shown = shown
        # Not what rich takes for a terminal: with FORCE_COLOR a file would be one, and fill with frames of the bar.
        is_terminal = sys.stderr.isatty()
        console = Console(stderr=True, force_terminal=is_terminal or None)
        self._bar: Progress | None = None
        if shown and (is_terminal or console.is_jupyter):
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("cells  {task.fields[pace]}"))
            self._bar = Progress(TextColumn("sweep"), *columns, console=console)

    def __enter__(self) -> "Report":
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("sweep", total=self._cells, completed=self._done, pace="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, cells: int) -> None:
        self._done += cells
        now = time.monotonic()
        then, before = self._recent[0]
        self._recent.append((now, self._done))
        rate = (self._done - before) / max(now - then, 1e-9)
        pace = f"{rate:.3g} cells/s, {duration((self._cells - self._done) / rate)} left"
        if self._bar:
            self._bar.update(self._task, completed=self._done, pace=pace)
        elif self._shown and now - self._line > LINE_SECONDS:
            self._line = now
            print(f"sweep: {self._done} of {self._cells} cells, {pace}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time as people say it: ``0.4 s``, ``35 s``, ``2 min 05 s``, ``3 h 20 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
