"""The study: conjectures in, verdicts out. Explore on seeds of their own, then look at fresh ones until all is decided.

A study with a folder records every cell; killed and started again it goes on where it was and ends in the same numbers.
More budget later takes the next of the looks that were laid out at the start.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.tester.cells import CONFIRM, EXPLORE, Cells
from lemmata.tester.conjecture import Conjecture, Judgement, Setting
from lemmata.tester.expression import Expression
from lemmata.tester.given import as_json, axes_of, seeds_of
from lemmata.tester.journal import Journal
from lemmata.tester.looks import Budget, Layout, holm, lay_out
from lemmata.tester.report import Outcome, Report
from lemmata.tester.runner import RUN, opened, runner
from lemmata.tester.thread import FRESH, Thread

EXPLORING_SEEDS = 4
Heard = Callable[["Study"], None]


class Study:
    """A study under way; :func:`test` makes one and runs it to its end.

    Raises:
        ValueError: before any cell runs, for a conjecture, an axis, a budget or seeds that cannot be tested.
    """

    def __init__(
        self,
        conjectures: Sequence[Conjecture],
        run: Any,
        over: Any,
        *,
        budget: int | str | Budget,
        precision: float | None = None,
        folder: str | Path | None = None,
        level: float = 0.95,
        let: Mapping[str, str] | None = None,
        found_on: Any = (),
        reuse_seeds: bool = False,
        looks: int | None = None,
        recorded: Mapping[str, Sequence[float]] | None = None,
        executor: str | Executor | None = None,
        origin: Any = None,
        heard: Heard | None = None,
    ):
        if not conjectures:
            raise ValueError("no conjecture was given; give one, e.g. lm.Threshold(...)")
        if not 0.5 <= level < 1:
            raise ValueError(f"level = {level} was asked for; give a probability from 0.5 to 1, e.g. 0.95")
        self.conjectures, self.precision, self.looks, self.heard = tuple(conjectures), precision, looks, heard
        self.budget, self.alpha = Budget.parse(budget), round(1 - level, 12)
        runs = runner(run, conjectures[0].of, executor, recorded or {})
        axes = axes_of(over)
        if isinstance(run, Mapping):
            axes = {**axes, RUN: tuple(map(str, run))}
        known = {name: Expression(text) for name, text in (let or {}).items()}
        used = seeds_of(found_on)
        explore = tuple(range(EXPLORING_SEEDS))
        self.first_seed = FRESH
        self.confirmatory = True
        if used and not reuse_seeds:
            self.first_seed = max(FRESH, 1 + max(used))
        elif used:
            self.first_seed, self.confirmatory = min(used), False
        self.setting = Setting(axes, runs, known, explore)
        self.check()
        quantities = list(dict.fromkeys(one.of for one in conjectures))
        if runs.quantities is not None and (missing := [name for name in quantities if name not in runs.quantities]):
            raise ValueError(f"the run does not measure {missing[0]!r}; it measures {', '.join(runs.quantities)}")
        self.journal = Journal(folder)
        self._open(reuse_seeds)
        if origin is not None:
            self.journal.write("origin", origin)
        self.cells = Cells(runs, quantities, self.journal, lambda cells: self._say())
        self.threads: list[Thread] = []
        self.layout: Layout | None = None
        self.allowed = 0

    def check(self) -> None:
        """Refuse what cannot be tested, before any cell runs."""
        axes = dict(self.setting.axes)
        for name in axes:
            if name == "seed":
                raise ValueError("seed is an axis of the grid; a study chooses its own seeds, drop it")
        for conjecture in self.conjectures:
            start = conjecture.first(self.setting)
            if isinstance(start, int | float):
                axes.setdefault(conjecture.along, (float(start),))
        self.setting.runner.check(axes)
        for conjecture in self.conjectures:
            conjecture.check(self.setting)

    def run(self) -> Report:
        """Explore, lay out, look."""
        with opened(self.setting.runner):
            self.explore()
            layout = self.layout
            assert layout is not None
            for count in layout.looks:
                if not self.can_afford(count):
                    break
                self.look(count, layout)
                if all(thread.closed for thread in self.threads):
                    break
        report = self.report()
        self.journal.write("report", report.to_json())
        return report

    def explore(self) -> None:
        """Find out where to measure, and lay out the looks."""
        for conjecture in self.conjectures:

            def ask(points: Sequence[Mapping[str, Any]], of: str = conjecture.of) -> np.ndarray:
                return self.cells.ask(points, EXPLORE, of)

            self.threads.append(Thread(conjecture, conjecture.explore(self.setting, ask), first_seed=self.first_seed))
        # What bends a curve is measured at the first look only, and laid out apart.
        bend = sum(thread.conjecture.cells_to_bend(thread.stations) for thread in self.threads)
        per_seed = self.price(1) - bend
        stored = self.journal.last("layout")
        if stored is not None:
            self.layout = Layout(tuple(stored["looks"]), stored["alpha"])
        same = stored is not None and stored["budget"] == str(self.budget)
        # A budget in seconds becomes cells once, so that a study that is killed ends as it would have.
        self.allowed = stored["cells"] if same else self.budget.cells_at(self.seconds_per_cell())
        if self.layout is None:
            self.layout = lay_out(self.allowed, per_seed, self.alpha, self.cells.spent, self.looks, bend)
        if not same:
            laid = {"looks": list(self.layout.looks), "alpha": self.layout.alpha}
            self.journal.write("layout", {**laid, "budget": str(self.budget), "cells": self.allowed})
        self._say()

    def can_afford(self, count: int) -> bool:
        """Whether the budget has room for all open conjectures at this many seeds."""
        return self.cells.spent + self.price(count) <= self.allowed

    def price(self, count: int) -> int:
        """Cells until a look at this many seeds; what open conjectures share is paid once."""
        open_ = [thread for thread in self.threads if not thread.closed]
        points = (
            {**point, "seed": seed}
            for thread in open_
            for seed in thread.seeds(count)
            for point in thread.stations.points
        )
        return self.cells.price(points) + sum(thread.beyond_stations() * len(thread.seeds(count)) for thread in open_)

    def look(self, count: int, layout: Layout) -> None:
        """One look at every conjecture that is open."""
        open_ = [thread for thread in self.threads if not thread.closed]
        judges = []
        for thread in open_:

            def ask(points: Sequence[Mapping[str, Any]], of: str = thread.conjecture.of) -> np.ndarray:
                return self.cells.ask(points, CONFIRM, of)

            thread.take(ask, count, self.setting)
            values = thread.whole()
            judges.append(thread.judging(self.setting, values))
        closed = [thread.judgement.holds for thread in self.threads if thread.closed and thread.judgement]
        found = holm(judges, layout.alpha_of_a_look, closed.count(False), closed.count(True))
        for thread, judgement in zip(open_, found):
            thread.judgement = judgement
            decided = judgement.holds is not None and not thread.reason
            thread.looks.append((count, _word(judgement) if not thread.reason else "undecided"))
            thread.closed = decided and self._precise(judgement)
        self._say()

    def report(self) -> Report:
        """What is known now."""
        assert self.layout is not None
        outcomes = [
            Outcome(
                thread.conjecture.statement,
                thread.judgement or Judgement(()),
                tuple(thread.looks),
                thread.reason or ("" if thread.judgement else "the budget has no room for its first look"),
            )
            for thread in self.threads
        ]
        return Report(
            tuple(outcomes),
            self.layout,
            dict(self.cells.counts),
            self.cells.seconds,
            max((thread.dropped for thread in self.threads), default=0),
            self.confirmatory,
        )

    def seconds_per_cell(self) -> float:
        """Measured so far."""
        return self.cells.seconds / max(1, self.cells.count)

    def time_of_a_cell(self) -> float | None:
        """Seconds, from the body's own estimate at the middle of the grid; ``None`` for a function."""
        body = getattr(self.setting.runner, "body", None)
        if body is None:
            return None
        middle = {name: values[len(values) // 2] for name, values in self.setting.axes.items()}
        points = [{**middle, "seed": seed} for seed in range(8)]
        return float(body.estimate_seconds(points)) / len(points)

    def _precise(self, judgement: Judgement) -> bool:
        rows = [row for row in judgement.rows if row.counts]
        return self.precision is None or all(row.high - row.low <= self.precision for row in rows)

    def _say(self) -> None:
        if self.heard is not None:
            self.heard(self)

    def _open(self, reuse_seeds: bool) -> None:
        """Compare with what the folder holds, and write what is about to be done."""
        design = {
            "conjectures": [conjecture.describe() for conjecture in self.conjectures],
            "run": self.setting.runner.describe(),
            "axes": {name: list(values) for name, values in self.setting.axes.items()},
            "let": {name: expression.text for name, expression in self.setting.let.items()},
            "seeds": {"explore": list(self.setting.explore), "fresh from": self.first_seed},
        }
        design = as_json(design)
        stored = self.journal.last("design")
        if stored is None:
            self.journal.write("design", design)
            return
        if stored["run"] != design["run"]:
            raise ValueError(f"{self.journal.path} belongs to another run; take another folder")
        if stored != design:
            if not reuse_seeds:
                raise ValueError(
                    f"{self.journal.path} is a study of another conjecture or grid, whose seeds have been looked at; "
                    "take another folder, or reuse_seeds=True for a report that says it is not confirmatory"
                )
            self.confirmatory = False
            self.journal.write("design", design)
            self.journal.lines = [line for line in self.journal.lines if "layout" not in line]


def _word(judgement: Judgement) -> str:
    return "/".join(row.word for row in judgement.rows if row.counts or row.holds is False) or "undecided"
