"""The theorem tester held to its word: coverage, false verdicts, collapse, and what it costs beside a grid.

python -m benchmarks.tester             all tables (about ten minutes on one core)
python -m benchmarks.tester coverage    one of: coverage, stopping, corrections, collapse, example

Synthetic labs have known exponents, unequal spread over n, seeds that are skewed and shared by all points. The example
is benign overfitting: where the test error crosses 0.1, over n and d; it is run by the tester and on the product grid
of the same precision. Times are CPU seconds of one thread.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

import lemmata as lm
from lemmata.claims import collapse, exponent, threshold
from lemmata.claims.fit import fit, inverse_variances
from lemmata.tester.conjecture import Setting
from lemmata.tester.law import Law
from lemmata.tester.looks import FIRST
from lemmata.tester.runner import runner
from lemmata.tester.study import Study
from tests.oracles.synthetic_lab import SyntheticLab

EIGHT = {"n": (10, 14, 20, 28, 40, 56, 80, 112), "d": (2000, 32000)}
FOUR = {"n": (10, 20, 40, 80), "d": (2000, 8000, 32000)}
EXPECT = {"a": -0.25, "b": 0.25}
NAMES = ("C", "a", "b")


def law(**changes: Any) -> lm.Threshold:
    """κ fixed at the threshold: signal* = C n^(-1/4) d^(1/4)."""
    fields: dict[str, Any] = {"of": "test_error", "at": 0.1, "along": "signal", "law": "C * n**a * d**b"}
    return lm.Threshold(**{**fields, "expect": EXPECT, "tolerance": 0.02, "start": 4.0, **changes})


def thresholds(lab: Any, over: dict[str, Any], seeds: int, statistic: str = "mean") -> tuple[np.ndarray, list[Any]]:
    """Log thresholds ``(point, seed)`` as a study explores and measures them, and the points."""
    conjecture = law(statistic=statistic)
    setting = Setting({name: tuple(values) for name, values in over.items()}, runner(lab, "test_error"))

    def ask(points: Any) -> np.ndarray:
        return np.asarray(lab(points)["test_error"])

    stations = conjecture.explore(setting, ask)
    values = conjecture.measure(stations, ask, range(1000, 1000 + seeds))
    stations = conjecture.bent(stations, values[:, :FIRST], ask, range(1000, 1000 + FIRST))
    return conjecture.log_thresholds(stations, values), list(stations.shapes)


def truth(lab: SyntheticLab, over: dict[str, Any], at: float = 0.1) -> np.ndarray:
    """Exponents of the mean curve's thresholds with 4,096 seeds: they differ from each seed's where spreads do."""
    points = [{"n": n, "d": d} for n in over["n"] for d in over["d"]]
    seeds = np.arange(lab.most)
    low, high = np.full(len(points), np.log(0.5)), np.full(len(points), np.log(60.0))
    for _ in range(30):
        middle = (low + high) / 2
        asked = [{**p, "signal": np.exp(x), "seed": s} for p, x in zip(points, middle) for s in seeds]
        above = lab(asked)["test_error"].reshape(len(points), -1).mean(1) > at
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    design, _ = Law.parse("C * n**a * d**b", ("n", "d")).design(points)
    found: np.ndarray = np.linalg.lstsq(design, low, rcond=None)[0]
    return found


def coverage(runs: int = 500, console: Console | None = None) -> dict[tuple[int, str], np.ndarray]:
    """Share of studies whose 95 % intervals for a and b hold the truth, for K seeds and both kinds of threshold."""
    found = {}
    # The mean curve's exponents differ from each seed's by the same amount in every lab; several labs tell it.
    mean_truth = np.mean([truth(SyntheticLab(root=1000 + k), EIGHT) for k in range(16)], 0)
    for seeds, statistic in ((24, "mean"), (24, "each"), (8, "mean"), (64, "mean")):
        right = mean_truth if statistic == "mean" else np.array([0.0, -0.25, 0.25])
        hits, widths = np.zeros(2), []
        for run in range(runs):
            y, shapes = thresholds(SyntheticLab(root=run, most=2048), EIGHT, seeds, statistic)
            design, _ = Law.parse("C * n**a * d**b", ("n", "d")).design(shapes)
            fitted = fit(NAMES, design, y, inverse_variances(y))
            for k, name in enumerate("ab"):
                estimate = fitted.estimate(name)
                hits[k] += float(estimate.low) <= right[k + 1] <= float(estimate.high)
            widths.append(float(fitted.estimate("a").high - fitted.estimate("a").low))
        found[seeds, statistic] = hits / runs
        row = f"{hits[0] / runs:.3f}", f"{hits[1] / runs:.3f}", f"{np.mean(widths):.4f}"
        _say(
            console,
            "coverage of 95 % intervals",
            ("K", "threshold", "a", "b", "width of a"),
            (str(seeds), statistic, *row),
        )
    return found


def stopping(runs: int = 500, console: Console | None = None) -> dict[str, float]:
    """Whole studies that stop at a verdict: how often which, and after how many seeds and cells."""
    found = {}
    for name, tolerance, lab in (
        ("true law, tolerance 0", 0.0, {}),
        ("true law, tolerance 0.02", 0.02, {}),
        ("off by 0.04 in a, tolerance 0.02", 0.02, {"a": -0.29}),
    ):
        expect = dict(zip("ab", truth(SyntheticLab(root=1000), FOUR)[1:].tolist())) if not lab else EXPECT
        conjecture = law(tolerance=tolerance, expect=expect, form_tolerance=0.0 if tolerance == 0 else 0.02)
        verdicts, seeds, cells = [], [], []
        for run in range(runs):
            report = lm.test(conjecture, SyntheticLab(root=run, **lab), FOUR, budget=2500)
            verdicts.append(report.holds)
            seeds.append(report.outcomes[0].looks[-1][0])
            cells.append(sum(report.cells.values()))
        shares = [np.mean([verdict is wanted for verdict in verdicts]) for wanted in (True, False, None)]
        found[name] = float(shares[1])
        row = (name, *(f"{share:.3f}" for share in shares), f"{np.mean(seeds):.0f}", f"{np.mean(cells):.0f}")
        heads = ("law", "consistent", "refuted", "undecided", "seeds", "cells")
        _say(console, "studies that stop at a verdict, budget 2,500 cells", heads, row)
    return found


def corrections(runs: int = 150, console: Console | None = None) -> dict[str, float]:
    """A law with a term in 1/n: what the pure law gives, how often drift flags it, and with the column stated."""
    flagged, pure, stated, values = 0, 0, 0, []
    for run in range(runs):
        y, shapes = thresholds(SyntheticLab(root=run, correction=1.0, most=2048), EIGHT, 24)
        design, _ = Law.parse("C * n**a * d**b", ("n", "d")).design(shapes)
        n = np.array([shape["n"] for shape in shapes], float)
        weights = inverse_variances(y)
        bent = fit((*NAMES, "drift"), np.c_[design, (np.log(n) - np.log(n).mean()) ** 2], y, weights).estimate("drift")
        flagged += not float(bent.low) <= 0 <= float(bent.high)
        one = fit(NAMES, design, y, weights).estimate("a")
        pure += float(one.low) <= -0.25 <= float(one.high)
        values.append(float(one.value))
        other = fit((*NAMES, "1/n"), np.c_[design, 1 / n], y, weights).estimate("a")
        stated += float(other.low) <= -0.25 <= float(other.high)
    found = {"flagged": flagged / runs, "pure": pure / runs, "stated": stated / runs}
    heads = ("pure law: a", "covers", "drift flags", "with 1/n stated: covers")
    row = (f"{np.mean(values):.3f}", f"{pure / runs:.2f}", f"{flagged / runs:.2f}", f"{stated / runs:.2f}")
    _say(console, "a correction of 1/n, K = 24", heads, row)
    return found


def collapses(runs: int = 200, console: Console | None = None) -> dict[str, float]:
    """How often curves are found to be one or not, and how often the interval holds the true misfit."""
    n, d = (10, 20, 40, 80), (2000, 32000)
    position = np.geomspace(0.03, 30, 14)
    found = {}
    cases: dict[str, dict[str, float]] = {
        "one curve": {},
        "shifted by n^0.01": {"a": -0.2475},
        "n^0.03": {"a": -0.2425},
        "n^0.1": {"a": -0.225},
        "slope changes by n^0.05": {"steeper": 0.05},
    }
    for name, settings in cases.items():
        right = _true_misfit(settings, n, d, position)
        rejected = covered = 0
        middles = []
        for run in range(runs):
            data, kappa = _curves(SyntheticLab(root=run, most=64, spread=0.03, **settings), n, d, position, 24)
            misfit = collapse(data, kappa, "position")
            rejected += misfit.p < 0.05
            covered += float(misfit.low) <= right <= float(misfit.high)
            middles.append(float(misfit.value))
        found[name] = rejected / runs
        heads = ("curves", "true misfit", "median", "p < .05", "interval covers")
        row = (name, f"{right:.3f}", f"{np.median(middles):.3f}", f"{rejected / runs:.3f}", f"{covered / runs:.3f}")
        _say(console, f"collapse, 8 curves x 14 positions, K = 24, {runs} studies", heads, row)
    return found


def _curves(lab: Any, n: Any, d: Any, position: np.ndarray, seeds: int) -> tuple[xr.DataArray, xr.DataArray]:
    axes = {"n": list(n), "d": list(d), "position": list(range(len(position))), "seed": list(range(seeds))}
    kappa = xr.DataArray(position, dims="position")
    points = [
        {"n": a, "d": b, "signal": (x * b / a) ** 0.25, "seed": s}
        for a in n for b in d for x in position for s in range(seeds)
    ]  # fmt: skip
    values = lab(points)["test_error"].reshape([len(values) for values in axes.values()])
    return xr.DataArray(values, axes, name="test_error"), kappa


def _true_misfit(settings: dict[str, float], n: Any, d: Any, position: np.ndarray) -> float:
    """Misfit of the curves without their seeds: from 2,000 of them."""
    data, kappa = _curves(SyntheticLab(root=7, most=2000, spread=0.03, **settings), n, d, position, 2000)
    return float(collapse(data, kappa, "position", draws=199).value)


def example(console: Console | None = None, grid: bool = True) -> dict[str, Any]:
    """Benign overfitting's two exponents by the tester, from a quiet and a loud start, and by a grid."""
    heads = ("how", "verdict", "a", "b", "cells", "CPU s", "overhead")
    found: dict[str, Any] = {"verdicts": []}
    for init in (1e-6, 1e-3):
        run = _run(init)
        spent: list[float] = []
        timed = _timed(run, spent)
        if init == 1e-6:  # what is loaded once is no study's own time
            lm.test(law(), SyntheticLab(), FOUR, budget=400)
            timed([{"n": 10, "d": 2000, "signal": 4.0, "seed": seed} for seed in range(8)])
            spent.clear()
        started = time.process_time()
        study = Study((law(start=None),), run, FOUR, budget=2500)
        study.cells.runner = timed
        report = study.run()
        total = time.process_time() - started
        rows = {row.name: row for row in report.outcomes[0].judgement.rows}
        texts = [f"{rows[k].value:.4f} [{rows[k].low:.4f}, {rows[k].high:.4f}]" for k in "ab"]
        cells = sum(report.cells.values())
        overhead = total / sum(spent) - 1
        row = (
            f"tester, init = {init:g}",
            report.outcomes[0].word,
            *texts,
            f"{cells}",
            f"{total:.1f}",
            f"{overhead:.1%}",
        )
        _say(console, "where the test error of benign overfitting crosses 0.1", heads, row)
        found |= {f"cells {init:g}": cells, f"overhead {init:g}": overhead, f"cpu {init:g}": total}
        found["verdicts"].append(report.outcomes[0].word)
        if init == 1e-6:
            seeds = report.outcomes[0].looks[-1][0]
    if grid:
        row, cells = _on_a_grid(seeds)
        _say(console, "where the test error of benign overfitting crosses 0.1", heads, row)
        found["grid"] = cells
        console = console or Console()
        console.print(f"the grid runs {cells / found['cells 1e-06']:.1f} times as many cells")
    return found


def _run(init: float) -> lm.Run:
    return lm.Run(
        lm.SignalNoise(n=20, d=2000, signal=4.0),
        lm.TwoLayerCNN(m=10, v0=0.5, init=init),
        steps=600,
        dtype="float32",
        probes=("test_error",),
    )


def _timed(run: Any, spent: list[float]) -> Any:
    """What runs, and the CPU time it takes."""
    inner = runner(run, "test_error")
    inner.check({**FOUR, "signal": (4.0,)})

    class Timed:
        quantities, recorded = inner.quantities, inner.recorded
        value, check, describe = inner.value, inner.check, inner.describe

        def __call__(self, points: Any) -> Any:
            started = time.process_time()
            values = inner(points)
            spent.append(time.process_time() - started)
            return values

    return Timed()


def _on_a_grid(seeds: int) -> tuple[tuple[str, ...], int]:
    """The same exponents from a product grid of 31 signal strengths, read by straight lines."""
    signal = np.geomspace(1.0, 16.0, 31).tolist()
    run = runner(_run(1e-6), "test_error")
    axes: dict[str, Any] = {**FOUR, "signal": signal}
    run.check(axes)
    points = [
        {"n": n, "d": d, "signal": s, "seed": k}
        for n in FOUR["n"] for d in FOUR["d"] for s in signal for k in range(1000, 1000 + seeds)
    ]  # fmt: skip
    started = time.process_time()
    values = run(points)["test_error"].reshape(len(FOUR["n"]), len(FOUR["d"]), len(signal), seeds)
    error = xr.DataArray(values, {**{k: list(v) for k, v in axes.items()}, "seed": range(seeds)})
    crossed = threshold(error, 0.1, "signal")
    total = time.process_time() - started
    over_n, over_d = exponent(crossed, "n"), exponent(crossed, "d")
    texts = []
    for estimate, other in ((over_n, "d"), (over_d, "n")):
        pooled = type(estimate)(estimate.each.mean(other))
        texts.append(f"{float(pooled.value):.4f} [{float(pooled.low):.4f}, {float(pooled.high):.4f}]")
    return ("grid of 31 signals", "", *texts, f"{len(points)}", f"{total:.1f}", ""), len(points)


_TABLES: dict[str, Table] = {}


def _say(console: Console | None, title: str, heads: tuple[str, ...], row: tuple[str, ...]) -> None:
    """Collect a row; tables are printed at the end."""
    if console is None:
        return
    if title not in _TABLES:
        _TABLES[title] = Table(*heads, title=title, title_justify="left")
    _TABLES[title].add_row(*row)


PARTS: dict[str, Callable[..., Any]] = {
    "coverage": coverage,
    "stopping": stopping,
    "corrections": corrections,
    "collapse": collapses,
    "example": example,
}


def main(names: list[str]) -> None:
    """Print the tables of the parts named."""
    console = Console(width=150)
    for name in names or PARTS:
        started = time.process_time()
        PARTS[name](console=console)
        for table in _TABLES.values():
            console.print(table)
        _TABLES.clear()
        console.print(f"{name}: {time.process_time() - started:.0f} CPU s\n")


if __name__ == "__main__":
    main(sys.argv[1:])
