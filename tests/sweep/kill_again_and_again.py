"""Run as a script: sweep into a folder in forked children that are killed, until one of them comes to the end.

Half of the children kill themselves just before the k-th file is moved to its name, k = 1, 2, 3, ..., so that every
instant between two writes has its turn, the making of the store included. The others are killed by the clock.
This process never opens a store, so it has no threads and forking it is safe. Prints the number of children killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from lemmata.sweep import Grid, sweep
from tests.sweep.bodies import Toy

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0, 2.0), seed=range(16))


def child(folder: str, moves_allowed: int | None) -> None:
    if moves_allowed is not None:
        original, left = Path.replace, [moves_allowed]

        def replace(self, target):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return original(self, target)

        Path.replace = replace  # what zarr moves finished files with
    sweep(Toy(seconds=0.002), GRID, Path(folder, "data.zarr"), cells_per_tile=1, progress=False)


def main(folder: str) -> None:
    clock, killed = random.Random(0), 0
    while True:
        moves_allowed = killed // 2 if killed % 2 == 0 else None
        pid = os.fork()
        if not pid:
            child(folder, moves_allowed)
            os._exit(0)
        if moves_allowed is None:
            time.sleep(clock.uniform(0.0, 0.12))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        killed += 1
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1])
