"""What storing and bookkeeping cost per tile: 100 tiles of 100 cells and 10 variables, beside tiles of 0.3 s.

python -m benchmarks.sweep_overhead
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console
from rich.table import Table

from lemmata.sweep import Grid, Variable, sweep

TILE_SECONDS = 0.3
GRID = Grid.of(n=range(1, 101), signal=range(10), seed=range(10))


@dataclass(frozen=True)
class Nothing:
    """Ten variables in no time."""

    variables: ClassVar = {f"variable_{i}": Variable() for i in range(10)}
    coordinates: ClassVar[dict[str, np.ndarray]] = {}

    def configuration(self) -> dict[str, Any]:
        return {}

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        return ("n",)

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        return 1

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        return 0.0

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        return {name: np.random.default_rng(points[0]["n"]).normal(size=len(points)) for name in self.variables}


def main() -> None:
    columns = ("what", "ms per tile, best of three", f"share of a tile of {TILE_SECONDS} s")
    table, best = Table(*columns, title="sweep overhead"), dict[str, float]()
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "data.zarr")
            for name, store in (("run and store", path), ("resume, nothing to run", path), ("run, in memory", None)):
                start = time.perf_counter()
                sweep(Nothing(), GRID, store, cells_per_tile=100, progress=False)
                best[name] = min(best.get(name, np.inf), (time.perf_counter() - start) / GRID.shape[0])
    for name, seconds in best.items():
        table.add_row(name, f"{1e3 * seconds:.2f}", f"{seconds / TILE_SECONDS:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
