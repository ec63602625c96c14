"""Engines on a card beside the processor, one run: microseconds per cell and step.

    python -m benchmarks.gpu                 # cuda
    python -m benchmarks.gpu --device cpu    # the same rows against themselves, to see that it runs

Cells of a tile are what fills a card: rows of 512 and of 4,096 cells.
"""

import argparse
import time
from dataclasses import replace

import torch
from rich.console import Console
from rich.table import Table

import lemmata as lm
from benchmarks.rows import machine

RUN = lm.Run(lm.SignalNoise(n=50, d=2000, signal=5.0), lm.TwoLayerCNN(10, v0=0.5), dtype="float32")
STEPS = (50, 250)


def microseconds(run: lm.Run, cells: int) -> float:
    """Of one step of one cell, the start left out: the better of two differences of a long and a short training."""
    lm.train(replace(run, steps=1, record=(1,)), range(cells))  # loads code, measures kernels
    best = float("inf")
    for _ in range(2):
        taken = []
        for steps in STEPS:
            started = time.perf_counter()
            lm.train(replace(run, steps=steps, record=(steps,)), range(cells)).status.cpu()  # reads: the device is done
            taken.append(time.perf_counter() - started)
        best = min(best, taken[1] - taken[0])
    return 1e6 * best / (STEPS[1] - STEPS[0]) / cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--cells", type=int, nargs="+", default=[512, 4096])
    asked = parser.parse_args()
    on_card = torch.device(asked.device).type == "cuda"
    name = torch.cuda.get_device_name() if on_card else asked.device
    table = Table(title=f"µs per cell and step; {name} beside {machine()}")
    for column in ("engine", "cells", "processor", asked.device, "ratio", "memory on the card"):
        table.add_column(column, justify="right")
    for engine in ("gram", "compressed", "direct"):
        for cells in asked.cells:
            run = replace(RUN, engine=engine)
            here, there = microseconds(run, cells), microseconds(replace(run, device=asked.device), cells)
            memory = f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MiB" if on_card else ""
            table.add_row(engine, str(cells), f"{here:.2f}", f"{there:.2f}", f"{here / there:.2f}", memory)
    Console().print(table)


if __name__ == "__main__":
    main()
