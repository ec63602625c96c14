"""Variants of one piece of work, timed in turn: rows of :mod:`benchmarks.ensembles`."""

import statistics
import time
from collections.abc import Callable

from lemmata.draws import cell_seeds
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import train
from lemmata.loops.rules import Rule
from lemmata.loops.task import Task

Variant = tuple[Callable[[], object], int]  # a call, and how many cell-steps it takes


def interleaved(variants: dict[str, Variant], rounds: int) -> dict[str, tuple[float, float]]:
    """Least and median seconds of processor time per cell-step."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, (call, steps) in variants.items():
            before = time.thread_time()
            call()
            if turn:
                taken[name].append((time.thread_time() - before) / steps)
    return {name: (min(each), statistics.median(each)) for name, each in taken.items()}


def show(title: str, variants: dict[str, Variant], against: str, rounds: int) -> None:
    """One row of the table."""
    found = interleaved(variants, rounds)
    print(f"\n{title}")
    print(f"  {'variant':44} {'least':>10} {'median':>10}   ratio of least, of median")
    for name, (least, median) in found.items():
        ratios = found[against][0] / least, found[against][1] / median
        print(
            f"  {name:44} {1e6 * least:8.1f}µs {1e6 * median:8.1f}µs   {ratios[0]:6.2f}  {ratios[1]:6.2f}", flush=True
        )


def ensemble(task: Task, cells: int, steps: int, rule: Rule, rate: float = 1e-3) -> Variant:
    """``steps`` steps by the house's loop, everything included."""
    seeds = cell_seeds(0, range(cells))
    return (lambda: train(task, seeds, Descent(steps, rule, rate=rate))), cells * steps
