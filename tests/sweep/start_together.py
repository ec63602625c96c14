"""Run as a script: several processes start one sweep in one new folder at once. Prints a line for each.

python -m tests.sweep.start_together FOLDER STARTERS locks|no-locks
"""

import errno
import multiprocessing
import sys
from pathlib import Path

from lemmata.sweep import Grid, lock, sweep
from tests.sweep.bodies import Toy

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0), seed=range(4))


def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")


def start(folder: str, together, said) -> None:
    together.wait()
    try:
        sweep(Toy(log=f"{folder}/log", seconds=0.05), GRID, f"{folder}/data.zarr", cells_per_tile=2, progress=False)
        said.put("ran")
    except BaseException as error:
        said.put(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    folder, starters = sys.argv[1], int(sys.argv[2])
    if sys.argv[3] == "no-locks":
        lock.fcntl.flock = refuse  # as some network drives do
    Path(folder, "log").mkdir()
    context = multiprocessing.get_context("fork")  # this process has no threads
    together, said = context.Barrier(starters), context.SimpleQueue()
    children = [context.Process(target=start, args=(folder, together, said)) for _ in range(starters)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        print(said.get())
