"""What the benchmarks of single objectives share: interleaved medians, and one table."""

import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from rich.table import Table

from lemmata import compiled


@dataclass(frozen=True)
class Row:
    """Microseconds per cell and step of one objective: a loop in R^d, the gram engine on one cell, and on 64."""

    objective: str
    loop: float
    one: float
    batched: float

    @property
    def texts(self) -> tuple[str, ...]:
        """The row as a table shows it: times, then the loop over one cell, and one cell over one of 64."""
        times = f"{self.loop:,.0f}", f"{self.one:,.0f}", f"{self.batched:,.0f}"
        ratios = f"×{self.loop / self.one:.0f}", f"×{self.one / self.batched:.1f}", f"×{self.loop / self.batched:.0f}"
        return self.objective, *times, *ratios


def measured(
    objective: str, loop: Callable[[], float], one: Callable[[], float], batched: Callable[[], float], rounds: int = 5
) -> Row:
    """Medians of functions that return seconds per cell and step, taken in turns after one round to warm up."""
    taken: list[list[float]] = [[], [], []]
    for turn in range(rounds + 1):
        for found, run in zip(taken, (loop, one, batched)):
            seconds = run()
            if turn:
                found.append(1e6 * seconds)
    return Row(objective, *map(statistics.median, taken))


def machine(device: str = "cpu") -> str:
    """Processor, vector width, compiler, cores and the version of PyTorch, for the head of a table."""
    if device != "cpu":
        return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}"
    return f"{compiled.machine()}, {os.cpu_count()} cores, PyTorch {torch.__version__}"


def objective_table(rows: Iterable[Row], d: int) -> Table:
    """All rows in one table."""
    threads = torch.get_num_threads()
    title = f"µs per cell and step by objective, d = {d:,}, float64, {threads} thread(s); {machine()}"
    table = Table(title=title)
    headings = ("objective", "loop in R^d", "gram, 1 cell", "gram, 64 cells", "loop/1", "1/64", "loop/64")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "objective" else "right")
    for row in rows:
        table.add_row(*row.texts)
    return table


def now(device: str) -> float:
    """Seconds, once the device is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
