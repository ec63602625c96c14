"""The verbs: test a conjecture; explain what testing it would take; measure how far stored curves collapse."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import Misfit, usable
from lemmata.claims import collapse as measured_collapse
from lemmata.claims.collapse import LEVELS
from lemmata.claims.threshold import Statistic
from lemmata.tester.conjecture import Conjecture
from lemmata.tester.expression import Expression
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
    executor: str | Executor | None = None,
    origin: Any = None,
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
        executor: where cells run, as of :func:`lemmata.sweep.sweep`; here by default.
        origin: the request that the study answers, kept in its folder, as JSON.
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
        origin=origin,
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
    per_seed = _cells_per_seed(several, study)
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


def _cells_per_seed(conjectures: Sequence[Conjecture], study: Study) -> int:
    """About how many cells a fresh seed will cost; stations known before exploring are shared by conjectures."""
    setting, others = study.setting, 0
    stations: list[Mapping[str, Any]] = []
    for conjecture in conjectures:
        if conjecture.cells_to_explore(setting):
            others += conjecture.cells_per_seed_before(setting)
        else:
            stations += conjecture.explore(setting, _asks_nothing).points
    return study.cells.price(stations) + others


def _asks_nothing(points: Sequence[Mapping[str, Any]]) -> np.ndarray:
    raise AssertionError("a conjecture that needs no exploring asked for cells")


def collapse(
    dataset: xr.Dataset,
    y: str,
    against: str,
    curves: Sequence[str],
    *,
    levels: Sequence[float] = LEVELS,
    statistic: Statistic = "mean",
) -> Misfit:
    """How far the curves of a stored sweep are from one, plotted against one variable.

        lm.collapse(dataset, y="test_error", against="n * signal**4 / d", curves=("n", "d"))

    Cells that never ran or diverged do not count.

    Args:
        y: the quantity.
        against: a variable or coordinate of the dataset, or a formula of its coordinates.
        curves: axes that number the curves; the one that is left, beside ``seed``, is along them.

    Raises:
        ValueError: there is no such quantity, or not one axis is left.
        NotMeasurable: no level is crossed by two curves.
    """
    if y not in dataset:
        raise ValueError(f"the dataset has no {y!r}; it has {', '.join(map(str, dataset.data_vars))}")
    quantity = usable(dataset)[y]
    along = [str(dim) for dim in quantity.dims if dim not in (*curves, "seed")]
    if len(along) != 1 or any(name not in quantity.dims for name in curves):
        has = ", ".join(map(str, quantity.dims))
        raise ValueError(f"{y!r} has the axes {has}; name all but one, and seed, as curves")
    if against in dataset.variables:
        variable = dataset[against]
    else:
        formula = Expression(against)
        if missing := [name for name in formula.names if name not in dataset.coords]:
            raise ValueError(
                f"{against!r}: the dataset has no {missing[0]!r}; it has {', '.join(map(str, dataset.coords))}"
            )
        parts = xr.broadcast(*(dataset[name] for name in formula.names))
        variable = xr.apply_ufunc(lambda *values: formula(dict(zip(formula.names, values))), *parts, vectorize=True)
    return measured_collapse(quantity, variable, along[0], levels=levels, statistic=statistic)
