"""Run as a script: a sweep on processes that takes a minute, to be interrupted. Workers leave their ids in ``log``."""

import sys
from pathlib import Path

from lemmata.sweep import Grid, SweepInterrupted, sweep
from tests.sweep.bodies import Toy

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        body = Toy(log=str(folder / "log"), seconds=0.5)
        sweep(body, Grid.of(seed=range(200)), folder / "data.zarr", executor="processes", cells_per_tile=1)
    except SweepInterrupted as interrupted:
        sys.exit(str(interrupted))
