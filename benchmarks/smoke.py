"""Processor seconds of every experiment at size smoke, as a whole command on one thread: import to last figure.

    python -m benchmarks.smoke                     # all that need no file of the user's
    python -m benchmarks.smoke diffusion-map       # some

The promise is under 5 s each.
"""

import argparse
import os
import sys
import tempfile

from rich.console import Console
from rich.table import Table

from benchmarks.busy_machine import spent
from benchmarks.rows import machine
from lemmata.lab.cards import cards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="NAME")
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    table, over = Table(title=f"lemmata run NAME --size smoke; {machine()}"), 0
    table.add_column("experiment")
    table.add_column("processor seconds", justify="right")
    for name in parser.parse_args().experiments or cards():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "lemmata", "run", name, "--size", "smoke", "--out", f"{folder}/run"]
            try:
                seconds, _ = spent(command)
            except RuntimeError:  # refused: it wants a file, and has said so
                continue
        over += seconds > 5
        table.add_row(name, f"{seconds:.1f}")
    table.caption = f"promised: under 5 s; {over} over"
    Console().print(table)


if __name__ == "__main__":
    main()
