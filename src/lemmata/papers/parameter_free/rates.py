"""Rates in T: AdaGrad++ against AdaGrad and Adam++ against Adam, at the best learning rate of a grid and one step off.

    f(x̄_T) − f* ~ T^(−p),     x̄_T the average of iterates, weighted by eta_t for the ++ methods and uniform otherwise.

The abstract says that AdaGrad++ and Adam++ match the rates of AdaGrad and Adam without conditions on learning rates;
the theorems, about averages on convex problems, give p = 1/2 up to logarithms, conditional on bounded iterates. Here p
is fitted over the last decade of T to logistic regression on mini-batches, with an interval over orders of the samples.
Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444; the setting is ours. Best: at the smallest gap after the last step.
"""

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure

from lemmata.claims import Estimate, Finding, NotMeasurable, all_of, at, at_least, at_most, claim, mean, need
from lemmata.lab import Experiment, Size
from lemmata.papers.parameter_free.convex import BATCH, FINE, KNOBS
from lemmata.papers.parameter_free.figures import look
from lemmata.papers.parameter_free.logistic_optimum import TABLES
from lemmata.papers.parameter_free.logistic_regression import LogisticBody
from lemmata.papers.parameter_free.methods import DEFAULT_SCALE, METHODS, SOURCE, place_of
from lemmata.report.statistics import seed_interval
from lemmata.report.style import RC, THEORY, explain_band, log_scales, new_figure
from lemmata.status import Status

PAIRS = {"adagrad++": "adagrad", "adam++": "adam"}
STEP = 0.1
"""A difference of exponents that counts: a factor 1.26 over the decade that is fitted."""
OPTIMISERS = (*PAIRS, *PAIRS.values())
SIZES = {
    "smoke": Size(data=TABLES[:1], optimiser=OPTIMISERS, tuning=(1, 2, 3, 4, 5), steps=200, seeds=2),
    "laptop": Size(data=TABLES, optimiser=OPTIMISERS, tuning=tuple(range(7)), seeds=8),
    "paper": Size(
        data=TABLES, optimiser=OPTIMISERS, tuning=tuple(range(13)), steps=20000, seeds=10, changes={"knobs": FINE}
    ),
}


def exponents(data: xr.Dataset) -> xr.DataArray:
    """p of every cell ``(data, optimiser, tuning, seed)``: minus the slope of log gap over log T, last decade of T."""
    late = data.average_gap_path.where(data.status == Status.ALL_STEPS)
    late = late.sel(step=data.step[data.step >= int(data.step[-1]) / 10])
    x = np.log(late.step) - np.log(late.step).mean()
    slope = (x * np.log(late.clip(min=1e-16))).sum("step", skipna=False) / (x**2).sum()
    return (-slope).assign_attrs(long_name="exponent p of the gap T⁻ᵖ", units="1")


def places(data: xr.Dataset, table: str, name: str) -> tuple[int, list[int]]:
    """Where a method stands on ``tuning``, and one step to either side.

    A ++ method stands at the η₀ that it comes with, another at its best learning rate.

    Raises:
        NotMeasurable: the optimiser was not run, or the best is the first or the last of the grid.
    """
    if name in PAIRS:
        middle = place_of(data, name, DEFAULT_SCALE)
    else:
        need(data, tuning=3)
        last = at(data, optimiser=name).sel(data=table).average_gap_path.isel(step=-1)
        middle = int(last.mean("seed").fillna(np.inf).values.argmin())
    beside = [place for place in (middle - 1, middle + 1) if 0 <= place < data.sizes["tuning"]]
    if len(beside) < 2:
        raise NotMeasurable(f"needs values of the knob of {name} on both sides of the one it stands at")
    return middle, beside


def _at_its_place(data: xr.Dataset, name: str) -> xr.DataArray:
    """Exponents ``(data, seed)`` of a method where it stands."""
    found = at(exponents(data), optimiser=name)
    here = [found.sel(data=table).isel(tuning=places(data, table, name)[0]) for table in data["data"].values]
    return xr.concat(here, "data", coords="minimal", compat="override")


def _matches(data: xr.Dataset, name: str) -> Finding:
    own, other = (mean(_at_its_place(data, which)) for which in (name, PAIRS[name]))
    said = f"p = {own} against {other} on {', '.join(map(str, data['data'].values))}; difference {{:+.2f}}"
    where = f"below {METHODS[PAIRS[name]].label} at its best learning rate"
    return at_most(STEP, _reversed(own, other), expected="the same rate", where=where, format=said)


def _reversed(own: Estimate, other: Estimate) -> Estimate:
    return other.minus(own)


@claim("AdaGrad++ matches the rate of AdaGrad", SOURCE)
def adagrad_rate(data: xr.Dataset) -> Finding:
    """Exponents at η₀ = 1e-6 and at AdaGrad's best learning rate, paired by seeds."""
    return _matches(data, "adagrad++")


@claim("Adam++ matches the rate of Adam", SOURCE)
def adam_rate(data: xr.Dataset) -> Finding:
    """Exponents at η₀ = 1e-6 and at Adam's best learning rate, paired by seeds."""
    return _matches(data, "adam++")


@claim("the ++ methods converge at least as 1/√T from every η₀", SOURCE)
def root_of_t(data: xr.Dataset) -> Finding:
    """Exponents over all η₀ against one half, iterates having stayed bounded."""
    own = mean(exponents(data).sel(optimiser=[name for name in PAIRS if name in data.optimiser.values]))
    said = "p at least {:.2f}"
    return at_least(0.5, own, expected="1/2 up to logarithms, conditional on bounded iterates", format=said)


@claim("one step off, AdaGrad and Adam lose their rate and the ++ methods keep it", SOURCE)
def one_step_off(data: xr.Dataset) -> Finding:
    """How much the exponent falls at the worse neighbour on the grid of the knob, worst table of each method."""
    found, falls = exponents(data), {}
    for name in (*PAIRS, *PAIRS.values()):
        own = at(found, optimiser=name).mean("seed")
        fall = []
        for table in data["data"].values:
            middle, beside = places(data, table, name)
            here = own.sel(data=table).fillna(-np.inf)
            fall.append(float(here[middle] - here[beside].min()))
        falls[name] = max(fall) if name in PAIRS else min(fall)
    said = {name: f"{METHODS[name].label} {fall:+.2f}" for name, fall in falls.items()}
    plus, others = list(PAIRS), list(PAIRS.values())
    return all_of(
        at_most(STEP, max(falls[name] for name in plus), where="++", format=", ".join(said[name] for name in plus)),
        at_least(STEP, min(falls[n] for n in others), where="others", format=", ".join(said[n] for n in others)),
        expected="only rates of tuned methods depend on the knob",
    )


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The gap of the average along T."""
    return {"rates": rates(data)}


def rates(data: xr.Dataset) -> Figure:
    """Gap of the average of iterates against T; columns: tables, rows: pairs of methods."""
    with rc_context(RC):
        title = (
            "Averages of iterates: the ++ methods as they come beside AdaGrad and Adam at their best and one step off"
        )
        figure, axes = new_figure(len(PAIRS), data.sizes["data"], title=title, sharex=True, sharey="col")
        for row, (own, other) in zip(axes, PAIRS.items()):
            for ax, table in zip(row, data["data"].values):
                part = data.sel(data=table)
                for name in (own, other):
                    _lines(ax, data, part, str(table), name)
                explain_band(ax)
                steps = part.step.where(part.step >= 10, drop=True)
                level = float(at(part, optimiser=own).average_gap_path.max())
                ax.plot(steps, level * (steps / 10.0) ** -0.5, color="0.4", label="slope −1/2", **THEORY)
                log_scales(ax, "xy")
                ax.set_title(f"{str(table).replace('_', ' ')}, {BATCH} samples a step")
            row[0].set_ylabel("gap of the average f(x̄) − f*")
            row[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
        for ax in axes[-1]:
            ax.set_xlabel("steps T")
    return figure


def _lines(ax: object, data: xr.Dataset, part: xr.Dataset, table: str, name: str) -> None:
    if name not in part.optimiser.values:
        return
    try:
        middle, beside = places(data, table, name)
    except NotMeasurable:  # the grid ends there: the one that is drawn has no neighbours
        middle, beside = part.sizes["tuning"] // 2, []
    knob = part.knob.sel(optimiser=name).isel(seed=0).values
    for place, dash in ((middle, "-"), *((place, ":") for place in beside)):
        one = seed_interval(part.average_gap_path.sel(optimiser=name).isel(tuning=place), geometric=True)
        style = {**look(name), "ls": dash, **({} if dash == "-" else {"lw": 1.0, "ms": 3})}
        label = f"{METHODS[name].label}, {knob[place]:.0e}" + ("" if dash == "-" else " (one step off)")
        ax.plot(one.step, one["mean"], label=label, markevery=3, **style)  # type: ignore[attr-defined]
        if dash == "-":
            ax.fill_between(one.step, one.low, one.high, color=style["color"], alpha=0.15, lw=0)  # type: ignore[attr-defined]


BODY = LogisticBody(knobs=KNOBS, batch=BATCH, steps=2000, records=30, averaged=True)
CLAIMS = (adagrad_rate, adam_rate, root_of_t, one_step_off)
EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
