"""Microseconds per cell and step of one and the same training: loops as they are usually written, and the engines.

    python -m benchmarks.phase_diagram            # the tables of the README
    python -m benchmarks.phase_diagram --rounds 9

The cells are those of a phase diagram: n = 50, m = 10, full-batch gradient descent, both layers, float32. Opponents
run in R^d: *loop*, a plain PyTorch module trained by autograd and SGD, one cell after another; *vmap*, the same loss
through ``torch.func`` for 64 cells at once. Every row takes the better of one thread and all threads; rows are
interleaved round by round and medians are shown. The compiled kernel is shown at each vector width that this processor
can be held to, with the instructions of a processor of that width; its share of the peak is that of a float32 matrix
product held to the same instructions (MKL_ENABLE_INSTRUCTIONS, which MKL heeds on Intel's processors; on others its
code is the same at every width). The second table times sampling at d = 10^3 and 10^9, the test error, and the
bookkeeping of a sweep; the third has the other objectives, each against a loop of its own, on one thread.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import lemmata as lm
from benchmarks import rows_diffusion, rows_multimodal, rows_simclr
from benchmarks.rows import machine, objective_table
from lemmata import compiled
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw
from lemmata.sweep import sweep
from lemmata.sweep.around import Around

N, M, SIGNAL, V0 = 50, 10, 5.0, 0.5


class TwoLayer(nn.Module):
    """The network as a module: filters shared by two patches, ReLU, one output weight per filter."""

    def __init__(self, filters: torch.Tensor, output: torch.Tensor):
        super().__init__()
        self.filters, self.output = nn.Parameter(filters), nn.Parameter(output)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ self.filters.T).sum(1) @ self.output


def explicit(d: int, cells: int, device: str = "cpu") -> tuple[torch.Tensor, ...]:
    """Images (c, n, 2, d), labels (c, n), filters (c, r, d), output (c, r)."""
    run = lm.Run(lm.SignalNoise(N, d, SIGNAL), lm.TwoLayerCNN(M, V0), engine="direct", dtype="float32", device=device)
    keys = cell_seeds(0, range(cells), device)
    sample = draw(run, keys)
    first = sample.vectors[:, :1] * sample.labels.unsqueeze(2)
    images = torch.stack([first, sample.vectors[:, 1:]], dim=2)
    return images, sample.labels, sample.filters, run.net.initial_head(keys)["output"].float()


def loop(d: int, steps: int, device: str = "cpu") -> Callable[[], float]:
    """One cell after another, by autograd in R^d; returns seconds per cell and step."""
    images, labels, filters, output = explicit(d, 1, device)

    def run() -> float:
        net = TwoLayer(filters[0].clone(), output[0].clone())
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        started = now(device)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.softplus(-labels[0] * net(images[0])).mean().backward()
            optimizer.step()
        return (now(device) - started) / steps

    return run


def vmap(d: int, steps: int, cells: int, device: str = "cpu") -> Callable[[], float]:
    """Many cells at once, through torch.func.vmap in R^d."""
    images, labels, filters, output = explicit(d, cells, device)

    def loss(filters: torch.Tensor, output: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.softplus(-y * (torch.relu(x @ filters.T).sum(1) @ output)).mean()

    gradient = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)))

    def run() -> float:
        w, v = filters, output
        started = now(device)
        for _ in range(steps):
            dw, dv = gradient(w, v, images, labels)
            w, v = w - 0.01 * dw, v - 0.01 * dv
        return (now(device) - started) / steps / cells

    return run


def engine(name: str, d: int, steps: int, cells: int, width: int = 0, **fields: str) -> Callable[[], float]:
    """One of our engines, without sampling and probes: the difference of a long and a short training.

    ``width`` is that of the compiled kernel's vectors in bytes, or 0 for PyTorch.
    """
    run = lm.Run(lm.SignalNoise(N, d, SIGNAL), lm.TwoLayerCNN(M, V0), rule=lm.GD(0.01), engine=name, **{
        "dtype": "float32", **fields
    })  # fmt: skip
    device = run.device
    sample = draw(run, cell_seeds(0, range(cells), device))
    forced = {"LEMMATA_VECTOR_BYTES": str(width)} if width else {"LEMMATA_NATIVE": "0"}

    def run_once() -> float:
        before, times = dict(os.environ), []
        os.environ.update(forced)
        try:
            for length in (steps // 5 or 1, steps):
                started = now(device)
                lm.train(replace(run, steps=length), range(cells), sample=sample)
                times.append(now(device) - started)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return (times[1] - times[0]) / (steps - (steps // 5 or 1)) / cells

    return run_once


def now(device: str) -> float:
    """Seconds, once the device is done."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def matmul_peak(device: str = "cpu") -> Callable[[], float]:
    """Seconds per floating-point operation of one large float32 matrix product."""
    a = torch.randn(2048, 2048, device=device)

    def run() -> float:
        started = now(device)
        a @ a
        return (now(device) - started) / (2 * 2048**3)

    return run


def peak(width: int, rounds: int) -> float:
    """Floating-point operations per second of a matrix product held to vectors of ``width`` bytes, on all threads."""
    instructions = {64: "AVX512", 32: "AVX2", 16: "SSE4_2"}[width]
    code = f"from benchmarks.phase_diagram import *; print(measure([Row('', 0, matmul_peak())], {rounds})['|0'])"
    environment = {**os.environ, "MKL_ENABLE_INSTRUCTIONS": instructions}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return 1 / float(told.stdout)


@dataclass
class Row:
    """A timed function and what it is compared with."""

    label: str
    d: int
    run: Callable[[], float]
    against: str | None = "loop"
    width: int = 0


def measure(rows: list[Row], rounds: int) -> dict[str, float]:
    """Median seconds of every row, the better of one thread and all, rounds interleaved."""
    found: dict[tuple[str, int], list[float]] = {}
    counts = sorted({1, os.cpu_count() or 1})
    for turn in range(rounds + 1):
        for row in rows:
            for threads in counts:
                torch.set_num_threads(threads)
                seconds = row.run()
                if turn:  # the first round warms up
                    found.setdefault((f"{row.label}|{row.d}", threads), []).append(seconds)
    medians = {key: statistics.median(values) for key, values in found.items()}
    return {label: min(medians[(label, threads)] for threads in counts) for label in {key[0] for key in found}}


def speed_rows(device: str) -> list[Row]:
    """The rows of the main table."""
    on = {"device": device}
    many = 512 if device == "cpu" else 16384
    rows = []
    for d in (2000, 10_000):
        rows += [
            Row("loop", d, loop(d, 40, device), None),
            Row("vmap, 64 cells", d, vmap(d, 6, 64, device)),
            Row("direct, 64 cells", d, engine("direct", d, 10, 64, **on)),
        ]
        rows += [
            Row("compressed, 64 cells", d, engine("compressed", d, 40, 64, **on)),
            Row(f"gram in PyTorch, {many} cells", d, engine("gram", d, 60, many, **on)),
        ]
        for width in kernel_widths(device):
            for dtype in ("float32", "float64"):
                label = f"gram, {many} cells, {width}-byte vectors, {dtype}"
                rows.append(Row(label, d, engine("gram", d, 200, many, width, dtype=dtype), width=width))
    return rows


def kernel_widths(device: str) -> tuple[int, ...]:
    """Vector widths that the kernel can be held to on this machine."""
    widest = compiled.machine().vector_bytes if device == "cpu" else 0
    return tuple(width for width in (64, 32, 16) if width <= widest)


def speed_table(device: str, rounds: int) -> Table:
    """Microseconds per cell-step, ratio to the loop, and share of the machine's matrix-product peak."""
    rows = [*speed_rows(device), Row("peak", 0, matmul_peak(device), None)]
    seconds = measure(rows, rounds)
    peaks = {0: 1 / seconds["peak|0"]} | {width: peak(width, rounds) for width in kernel_widths(device)}
    work = 2 * (2 * M) * (N + 1) ** 2  # A = A_0 + B G, the product that a gram step cannot do without
    held = ", ".join(f"{value / 1e9:.0f} held to {width} bytes" for width, value in peaks.items() if width)
    table = Table(
        title=f"n = {N}, m = {M}, float32 unless said; {machine(device)}; "
        f"matrix-product peak {peaks[0] / 1e9:.0f} GFLOP/s{f' ({held})' if held else ''}"
    )
    for column in ("d", "", "µs per cell and step", "times the loop", "of the peak"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows[:-1]:
        taken = seconds[f"{row.label}|{row.d}"]
        ratio = f"{seconds[f'loop|{row.d}'] / taken:,.1f}" if row.against else "1"
        share = f"{work / taken / peaks[row.width]:.0%}" if row.label.startswith("gram") else ""
        table.add_row(f"{row.d:,}", row.label, f"{1e6 * taken:,.2f}", ratio, share)
    return table


def whole_cells(rounds: int) -> Table:
    """Sampling and training at two dimensions, the test error, and the bookkeeping of a sweep."""
    base = lm.Run(lm.SignalNoise(40, 2000, 4.0), lm.TwoLayerCNN(M, V0), steps=600)
    error = replace(base, probes=("test_error", "test_error_se"), steps=1)

    def per_cell(run: lm.Run, cells: int = 128) -> Callable[[], float]:
        def timed() -> float:
            started = time.perf_counter()
            lm.train(run, range(cells))
            return (time.perf_counter() - started) / cells

        return timed

    def bookkeeping() -> float:
        """Share of a stored sweep's time that is not spent in its body."""
        body, spent = lm.TrainingBody(replace(base, probes=("train_loss", "test_error"))), []

        class Timed(Around):
            def run(self, points):
                started = time.perf_counter()
                arrays = self.body.run(points)
                spent.append(time.perf_counter() - started)
                return arrays

        grid = lm.Grid.of(n=(20, 40, 60, 80), signal=(2.0, 3.0, 4.0, 5.0), seed=range(16))
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            sweep(Timed(body), grid, Path(folder) / "data.zarr", progress=False)
            whole = time.perf_counter() - started
        return 1 - sum(spent) / whole

    rows = [
        Row("a cell of 600 steps, sampling included, d = 10^3", 0, per_cell(base.at({"d": 1000})), None),
        Row("a cell of 600 steps, sampling included, d = 10^9", 0, per_cell(base.at({"d": 10**9})), None),
        Row("one step", 0, per_cell(replace(error, probes=("train_loss",))), None),
        Row("one step and the test error", 0, per_cell(error), None),
        Row("bookkeeping", 0, bookkeeping, None),
    ]
    seconds = {label.split("|")[0]: value for label, value in measure(rows, rounds).items()}
    table = Table(title="Whole cells: n = 40, m = 10, float64")
    table.add_column("")
    table.add_column("", justify="right")
    for row in rows[:2]:
        table.add_row(row.label, f"{1e3 * seconds[row.label]:.2f} ms")
    table.add_row("d = 10^9 against d = 10^3", f"{seconds[rows[1].label] / seconds[rows[0].label]:.2f}")
    table.add_row("test error", f"{1e3 * (seconds[rows[3].label] - seconds[rows[2].label]):.2f} ms per cell")
    table.add_row("storing and bookkeeping of a sweep of 256 cells", f"{seconds['bookkeeping']:.1%} of its time")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds counted, after one to warm up")
    rounds = parser.parse_args().rounds
    console = Console()
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        console.print(speed_table(device, rounds))
    console.print(whole_cells(rounds))
    torch.set_num_threads(1)
    console.print(objective_table([*rows_diffusion.rows(), *rows_simclr.rows(), *rows_multimodal.rows()], 20_000))


if __name__ == "__main__":
    main()
