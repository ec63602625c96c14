"""What storing and bookkeeping cost per tile: 100 tiles of 100 cells and 10 variables, beside tiles of 0.3 s.

python -m benchmarks.sweep_overhead
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console
from rich.table import Table

from lemmata.parameters import parameter
from lemmata.sweep import Body, Grid, Points, Variable, open_store, sweep

TILE_SECONDS = 0.3
GRID = Grid.of(n=range(1, 101), signal=range(10), seed=range(10))
LARGER = Grid.of(n=range(1, 101), signal=range(10), seed=range(11))
LIST = Points.of([{"n": 1 + k % 100, "signal": k} for k in range(1000)], seeds=range(10))


@dataclass(frozen=True)
class Nothing(Body):
    """Ten variables in no time."""

    n: int = parameter("samples n", int, least=1, default=1)
    signal: float = parameter("signal", per_cell=True, default=0.0)
    variables: ClassVar = {f"variable_{i}": Variable() for i in range(10)}

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        return {name: np.random.default_rng(points[0]["n"]).normal(size=len(points)) for name in self.variables}


def cases(path: Path) -> dict[str, Callable[[], object]]:
    """What is measured, in this order: each works on what the one before left."""
    quiet: dict[str, Any] = {"progress": False}
    return {
        "run and store": lambda: sweep(Nothing(), GRID, path, cells_per_tile=100, **quiet),
        "resume, nothing to run": lambda: sweep(Nothing(), GRID, path, **quiet),
        "open, every chunk against its sum": lambda: open_store(path),
        "grow by a tenth of the seeds": lambda: sweep(Nothing(), LARGER, path, cells_per_tile=110, **quiet),
        "run and store a list of points": lambda: sweep(Nothing(), LIST, f"{path}.points", cells_per_tile=100, **quiet),
        "run, in memory": lambda: sweep(Nothing(), GRID, cells_per_tile=100, **quiet),
        "run a list of points, in memory": lambda: sweep(Nothing(), LIST, cells_per_tile=100, **quiet),
    }


def main() -> None:
    columns = ("what", "CPU ms per tile, best of three", f"share of a tile of {TILE_SECONDS} s")
    table, best = Table(*columns, title="sweep overhead"), dict[str, float]()
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            for name, case in cases(Path(folder, "data.zarr")).items():
                start = time.process_time()
                case()
                best[name] = min(best.get(name, np.inf), (time.process_time() - start) / GRID.shape[0])
    for name, seconds in best.items():
        table.add_row(name, f"{1e3 * seconds:.2f}", f"{seconds / TILE_SECONDS:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
