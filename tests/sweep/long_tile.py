"""Run as a script: a sweep of one tile that never comes back from compiled code, to be interrupted in its middle."""

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

from lemmata.sweep import Grid, SweepInterrupted, sweep
from tests.sweep.bodies import Toy


@dataclass(frozen=True)
class Blocked(Toy):
    """Leaves a file when its tile begins, then waits."""

    def run(self, points):
        Path(self.log).touch()
        ctypes.CDLL(None).sleep(100)
        return super().run(points)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        sweep(Blocked(log=str(folder / "begun")), Grid.of(seed=range(3)), folder / "data.zarr", progress=False)
    except SweepInterrupted as interrupted:
        print(interrupted, file=sys.stderr, flush=True)
        sys.exit(130)
