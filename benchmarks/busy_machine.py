"""What a busy machine costs: processor time of one command beside busy processes, and on a quiet machine.

    python -m benchmarks.busy_machine                              # benign-overfitting at size laptop, eight of them
    python -m benchmarks.busy_machine diffusion-map --size smoke --busy 16 --rounds 1

Wall time grows with the neighbours, processor time must not: it would be threads that wait for each other busily. The
promise is 1.3 times the quiet machine's. Rounds take turns; medians are shown.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from benchmarks.rows import machine

_BUSY = "x = 1.0\nwhile True: x = x * 0.999999 + 1e-9"


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """``count`` processes that do nothing but compute."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def spent(command: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of a command, its own children included.

    Raises:
        RuntimeError: if it fails; exit code 1 is a claim that does not hold, which is no failure here.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="benign-overfitting")
    parser.add_argument("--size", default="laptop")
    parser.add_argument("--busy", type=int, default=8, help="processes beside it")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    found: dict[int, list[tuple[float, float]]] = {0: [], asked.busy: []}
    for _ in range(asked.rounds):
        for busy, times in found.items():
            with tempfile.TemporaryDirectory() as folder, neighbours(busy):
                command = [sys.executable, "-m", "lemmata", "run", asked.experiment, "--size", asked.size]
                times.append(spent([*command, "--out", f"{folder}/run"]))
    table = Table(title=f"lemmata run {asked.experiment} --size {asked.size}; {machine()}")
    for column in ("busy processes beside it", "processor seconds", "wall seconds"):
        table.add_column(column, justify="right")
    medians = {busy: [statistics.median(values) for values in zip(*times)] for busy, times in found.items()}
    for busy, (processor, wall) in medians.items():
        table.add_row(str(busy), f"{processor:.1f}", f"{wall:.1f}")
    table.caption = f"processor time ×{medians[asked.busy][0] / medians[0][0]:.2f}; promised: at most ×1.3"
    Console().print(table)


if __name__ == "__main__":
    main()
