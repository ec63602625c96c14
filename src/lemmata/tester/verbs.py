"""The two verbs: test a conjecture, and explain what testing it would take before anything runs."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lemmata.tester.conjecture import Conjecture
from lemmata.tester.looks import Budget, Layout, lay_out
from lemmata.tester.report import Report
from lemmata.tester.study import Heard, Study


def test(
    conjectures: Conjecture | Sequence[Conjecture],
    run: Any,
    over: Any = (),
    *,
    budget: int | str | Budget = 5000,
    precision: float | None = None,
    folder: str | Path | None = None,
    level: float = 0.95,
    let: Mapping[str, str] | None = None,
    found_on: Any = (),
    reuse_seeds: bool = False,
    looks: int | None = None,
    recorded: Mapping[str, Sequence[float]] | None = None,
    executor: Executor | None = None,
    heard: Heard | None = None,
) -> Report:
    """Test conjectures on cells that are run for it.

    Args:
        conjectures: one, or several, which then share α (Holm).
        run: a :class:`~lemmata.Run`, a body, a function of points → arrays, or several of these by name (axis ``run``).
        over: the region: a :class:`~lemmata.Grid` or axes by name, without seeds.
        budget: cells, ``2000``, or a time, ``"60 s"``.
        precision: go on until intervals are at most this wide, even where the verdict is there.
        folder: where cells are recorded; a killed study goes on from there, and more budget can be given later.
        level: probability with which all verdicts are right, whenever the study stops.
        let: abbreviations for laws and conditions, ``{"kappa": "n * signal**4 / d"}``.
        found_on: what the conjecture was found on (datasets, folders, seeds): the study takes other seeds.
        reuse_seeds: take the same seeds all the same; the report says that it is not confirmatory.
        looks: looks to lay out α for, in place of those the budget allows and two more.
        recorded: for a function that returns arrays ``(c, steps)``: the name of that dimension, and its values.
        executor: where cells run; here by default.
        heard: called with the study after every batch and look.

    Raises:
        ValueError: before any cell runs, for what cannot be tested; while exploring, where the quantity does not do
            what the conjecture presumes (no crossing, not monotone, zero).
    """
    several = (conjectures,) if isinstance(conjectures, Conjecture) else tuple(conjectures)
    return Study(
        several,
        run,
        over,
        budget=budget,
        precision=precision,
        folder=folder,
        level=level,
        let=let,
        found_on=found_on,
        reuse_seeds=reuse_seeds,
        looks=looks,
        recorded=recorded,
        executor=executor,
        heard=heard,
    ).run()


@dataclass(frozen=True)
class TestPlan:
    """What a study would take; print it.

    Args:
        statements: the conjectures.
        explore: about how many cells exploring takes.
        per_seed: cells of one more seed.
        layout: looks and α; ``None``: the budget is in seconds and the time of a cell is not known before one ran.
        cells: budget in cells, if known.
        seconds_per_cell: measured on a few cells, for a run or a body.
        reason: why no look fits in the budget.
    """

    statements: tuple[str, ...]
    explore: int
    per_seed: int
    layout: Layout | None
    cells: int | None
    seconds_per_cell: float | None
    reason: str = ""

    def __str__(self) -> str:
        lines = [*self.statements, f"exploring takes about {self.explore} cells, each fresh seed {self.per_seed}"]
        if self.seconds_per_cell is not None:
            lines.append(f"a cell takes about {self.seconds_per_cell * 1e3:.2g} ms")
        if self.layout is not None:
            steps = [f"{count} seeds ({self.explore + count * self.per_seed} cells)" for count in self.layout.looks]
            affordable = sum(self.explore + count * self.per_seed <= (self.cells or 0) for count in self.layout.looks)
            lines.append(
                f"looks at {', '.join(steps)}; the budget reaches to look {affordable}, more can be given later"
            )
            share = self.layout.alpha_of_a_look
            lines.append(f"α = {self.layout.alpha:g} in all, {share:.2g} a look; t intervals at {1 - share:.2%}")
        elif not self.reason:
            lines.append("looks are laid out after exploring, when the time of a cell is known")
        return "\n".join([*lines, *([self.reason] if self.reason else [])])


def explain(
    conjectures: Conjecture | Sequence[Conjecture],
    run: Any,
    over: Any = (),
    *,
    budget: int | str | Budget = 5000,
    level: float = 0.95,
    let: Mapping[str, str] | None = None,
    looks: int | None = None,
    recorded: Mapping[str, Sequence[float]] | None = None,
) -> TestPlan:
    """What :func:`test` would do: cells, looks, α of each, time. Only a few cells of a run or a body are timed.

    Raises:
        ValueError: for what cannot be tested.
    """
    several = (conjectures,) if isinstance(conjectures, Conjecture) else tuple(conjectures)
    study = Study(several, run, over, budget=budget, level=level, let=let, looks=looks, recorded=recorded)
    explore = sum(conjecture.cells_to_explore(study.setting) for conjecture in several)
    per_seed = sum(conjecture.cells_per_seed_before(study.setting) for conjecture in several)
    seconds = study.time_of_a_cell()
    cells = study.budget.cells
    if cells is None and seconds is not None:
        cells = study.budget.cells_at(seconds)
    layout, reason = None, ""
    if cells is not None:
        try:
            layout = lay_out(cells, per_seed, study.alpha, explore, looks)
        except ValueError as error:
            reason = str(error)
    return TestPlan(tuple(one.statement for one in several), explore, per_seed, layout, cells, seconds, reason)
