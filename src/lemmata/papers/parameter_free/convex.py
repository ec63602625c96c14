"""How far a method's single knob may be off: logistic regression, six decades of eta0 against grids of learning rates.

AdaGrad++ and Adam++ replace the learning rate by the distance moved so far, so that their first guess eta0 should
hardly matter; the gap to the optimum of Adam and AdaGrad depends on their learning rate by orders of magnitude. Tao,
Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444; the setting is ours. While no gradient changes sign or size eta grows by a
factor of 1 + 1/sqrt(t) a step (``growth_steps`` of the theory) towards D = ||x*||/sqrt(d), the distance
to the optimum.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.papers.parameter_free.logistic_optimum import TABLES, load_table, optimum
from lemmata.papers.parameter_free.logistic_regression import LogisticBody
from lemmata.papers.parameter_free.methods import DEFAULT_SCALE, PAPER, PEERS, PLUS, SOURCE, Knobs, place_of
from lemmata.papers.parameter_free.theory import growth_steps

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Grid

BATCH = 32
LIMITS = {"breast_cancer": 0.008, "digits": 0.03}
"""Gap that the ++ methods stay below on mini-batches after 1000 steps, as found in a study before this one."""


def knobs(size: str) -> Knobs:
    """Values by method: decades for first scales, finer around the best for learning rates."""
    if size == "paper":
        scales: tuple[float, ...] = tuple(float(x) for x in np.geomspace(1e-8, 1e-2, 13))
        rates: dict[str, Any] = {
            "adam": tuple(float(x) for x in np.geomspace(1e-5, 1.0, 13)),
            "adagrad": tuple(float(x) for x in np.geomspace(1e-4, 10.0, 13)),
            "schedule-free": tuple(float(x) for x in np.geomspace(1e-4, 1.0, 13)),
        }
    else:
        scales = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
        rates = {
            "adam": (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 1.0),
            "adagrad": (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 10.0),
            "schedule-free": (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0),
        }
    own = dict.fromkeys((*PLUS, "adam++literal", "prodigy", "dadapt-adam"), scales)
    return tuple({**own, **rates}.items())


def grid(size: str) -> "Grid":
    """The points at each size."""
    from lemmata.sweep import Axis, Grid

    own = (*PLUS, "adam++literal", "adam", "adagrad")
    methods, tunings, seeds = {
        "smoke": (own, (0, 3, 6), 2),
        "laptop": ((*own, *PEERS), range(7), 3),
        "paper": ((*own, *PEERS), range(13), 10),
    }[size]
    return Grid(
        (
            Axis("data", TABLES if size != "smoke" else TABLES[:1], long_name="data"),
            Axis("batch", (0, BATCH), "samples", "samples per step, 0 for all"),
            Axis("optimiser", methods, long_name="optimiser"),
            Axis("tuning", tuple(tunings), long_name="place in the method's grid of knob values"),
            Axis("seed", tuple(range(seeds)), long_name="seed"),
        )
    )


def body(size: str, *, steps: int | None = None, l2: float = 1e-3) -> LogisticBody:
    """Trainings at a size: 200, 1000 or 10,000 steps unless ``steps`` says otherwise."""
    default = {"smoke": 200, "laptop": 1000, "paper": 10000}[size]
    return LogisticBody(knobs(size), default if steps is None else steps, l2)


def _l2(dataset: "xr.Dataset") -> float:
    import json

    return json.loads(dataset.attrs["configuration"])["l2"]


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """The minimum, the distance D to it from 0, the gap at the start, and the length of the growth phase."""
    import xarray as xr

    l2, names = _l2(dataset), [str(name) for name in np.atleast_1d(dataset["data"].values)]
    best = [optimum(name, l2) for name in names]
    start = [np.log(load_table(name).classes) - found.value for name, found in zip(names, best)]
    distance = xr.DataArray(
        [found.distance for found in best], {"data": names}, ("data",), attrs={"long_name": "distance D to the optimum"}
    )
    growth = _growth(dataset["knob"].isel(batch=0, seed=0), distance)
    return xr.Dataset(
        {
            "minimum": ("data", [found.value for found in best], {"long_name": "minimum f*"}),
            "gap_at_start": ("data", start, {"long_name": "gap to the optimum at W = 0"}),
            "distance": distance,
            "growth_phase": growth.where(growth["optimiser"].isin(PLUS)).assign_attrs(
                long_name="predicted length of the growth phase", units="steps"
            ),
        }
    )


def _growth(knob: "xr.DataArray", level: "xr.DataArray") -> "xr.DataArray":
    """Steps that eta needs from ``knob`` to ``level`` if no gradient changes sign or size; 0 if it is there."""
    import xarray as xr

    def steps(eta0: float, distance: float) -> float:
        return float(growth_steps(eta0, distance)) if eta0 < distance else 0.0

    return xr.apply_ufunc(steps, knob, level, vectorize=True)


# -- claims ----------------------------------------------------------------------------------------------------------


def _gap(dataset: "xr.Dataset") -> "xr.DataArray":
    """Mean gap over seeds on mini-batches ``(data, optimiser, tuning)``; infinite where a seed diverged."""
    kept = at(dataset, batch=BATCH)
    if kept.sizes.get("tuning", 0) < 3:
        raise NotMeasurable("needs three or more values of the knob")
    return kept["gap"].where(kept["status"] == 0, np.inf).mean("seed")


def _have(dataset: "xr.Dataset", *names: str) -> list[str]:
    found = [str(name) for name in dataset["optimiser"].values]
    missing = [name for name in names if name not in found]
    if missing:
        raise NotMeasurable(f"needs method {missing[0]!r}, which was not run")
    return list(names)


def any_first_scale_will_do(dataset: "xr.Dataset") -> Finding:
    """The worst gap over methods and η₀ on mini-batches, against :data:`LIMITS`."""
    gap = _gap(dataset).sel(optimiser=_have(dataset, *PLUS)).max(["optimiser", "tuning"])
    worst = {str(name): float(gap.sel(data=name)) for name in gap["data"].values}
    return Finding(
        holds=all(worst[name] <= LIMITS[name] for name in worst),
        measured="worst gap " + ", ".join(f"{value:.4f} on {name}" for name, value in worst.items()),
        predicted="small for every η₀",
        tolerance=", ".join(f"≤ {LIMITS[name]} on {name}" for name in worst),
    )


def flatter_than_learning_rates(dataset: "xr.Dataset") -> Finding:
    """Worst over best gap: along η₀ for the ++ methods, along the learning rate for the others."""
    gap = _gap(dataset)
    spread = gap.max("tuning") / gap.min("tuning")
    own = spread.sel(optimiser=_have(dataset, *PLUS)).max("optimiser")
    tuned = spread.sel(optimiser=_have(dataset, "adam", "adagrad")).min("optimiser")
    return Finding(
        holds=bool((tuned >= 10 * own).all()),
        measured=f"worst over best: ×{float(own.max()):.1f} over η₀, ×{float(tuned.min()):.0f} over learning rates",
        predicted="flat over η₀",
        tolerance="ten times flatter on each table",
    )


def matches_tuned_adam(dataset: "xr.Dataset") -> Finding:
    """The gap at η₀ = 1e-6 against that at Adam's best learning rate."""
    gap = _gap(dataset)
    best = gap.sel(optimiser=_have(dataset, "adam")[0]).min("tuning")
    ratio = gap.sel(optimiser=_have(dataset, "adam++")[0]) / best
    default = float(ratio.isel(tuning=place_of(dataset, "adam++", DEFAULT_SCALE)).max())
    return Finding(
        holds=default <= 2,
        measured=f"gap ×{default:.1f} that of the best learning rate",
        predicted="comparable",
        tolerance="≤ ×2 at the default η₀ = 1e-6, on each table",
        detail=f"×{float(ratio.max()):.1f} at the worst η₀, ×{float(ratio.min('tuning').max()):.1f} at the best",
    )


def scale_is_the_distance(dataset: "xr.Dataset") -> Finding:
    """η after the last step over the distance D of the minimiser from the start."""
    kept = converged(dataset).dataset
    ratio = kept["eta"].sel(optimiser=_have(dataset, *PLUS)).mean("seed") / dataset["distance"]
    low, high = float(ratio.min()), float(ratio.max())
    return Finding(
        holds=low >= 0.5 and high <= 2,
        measured=f"η/D from {low:.2f} to {high:.2f}",
        predicted="1",
        tolerance="within ×2, every problem and η₀",
    )


def growth_is_no_faster_than_predicted(dataset: "xr.Dataset") -> Finding:
    """Steps until eta reaches D/4 with all samples in each step, against the prediction for that level."""
    kept = at(dataset, batch=0).isel(seed=0).sel(optimiser=_have(dataset, *PLUS))
    level = np.log(dataset["distance"] / 4)
    eta: Any = np.log(kept["eta_path"])
    steps: Any = np.log(kept["step"])
    before = eta.shift(step=1)
    crossing = (eta >= level) & (before < level)
    share = (level - before) / (eta - before)
    taken = np.exp(steps.shift(step=1) + share * (steps - steps.shift(step=1))).where(crossing).max("step")
    predicted = _growth(kept["knob"], dataset["distance"] / 4)
    ratio = (taken / predicted).where(kept["knob"] <= 1e-4)
    if not bool(ratio.notnull().any()):
        raise NotMeasurable("needs η₀ of at most 1e-4 and enough steps to reach a quarter of the distance")
    low, high = float(ratio.min()), float(ratio.max())
    return Finding(
        holds=low >= 1,
        measured=f"{low:.1f} to {high:.1f} times as many",
        predicted="at least the steps it takes if no gradient changes sign",
        tolerance="≥ 1 up to a quarter of D, η₀ ≤ 1e-4, all samples in each step",
    )


def uncorrected_overshoots(dataset: "xr.Dataset") -> Finding:
    """η without bias correction, on breast_cancer and mini-batches."""
    kept = at(dataset, batch=BATCH, data="breast_cancer").sel(optimiser=_have(dataset, "adam++literal")[0])
    least = float(kept["eta"].where(kept["status"] == 0, np.inf).min())
    return Finding(
        holds=least > 5,
        measured=f"η at least {least:.0f}, gap {float(kept['gap'].mean('seed').max()):.2f}",
        predicted="runs away",
        tolerance=f"η > 5 for every η₀, where D = {float(dataset['distance'].sel(data='breast_cancer')):.2f}",
    )


CLAIMS = (
    Claim("any-first-scale", "the ++ methods reach a small gap from every η₀", SOURCE, any_first_scale_will_do),
    Claim(
        "flatter-than-learning-rates",
        "η₀ matters far less to the ++ methods than the learning rate does to Adam and AdaGrad",
        SOURCE,
        flatter_than_learning_rates,
    ),
    Claim("matches-tuned-adam", "Adam++ as it comes does as well as Adam at its best", SOURCE, matches_tuned_adam),
    Claim("scale-is-the-distance", "η ends near the distance to the optimum", "derived here", scale_is_the_distance),
    Claim(
        "growth-phase",
        "η grows towards that distance by a factor of at most 1 + 1/√t a step",
        "derived here",
        growth_is_no_faster_than_predicted,
    ),
    Claim(
        "uncorrected-overshoots",
        "without bias correction case 2′ overshoots by far on mini-batches",
        "derived here",
        uncorrected_overshoots,
        SIZES,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Gap against knob, and η along training."""
    return {"sensitivity": sensitivity(dataset), "growth": growth(dataset)}


def sensitivity(dataset: "xr.Dataset") -> "Figure":
    """Gap against knob; rows: tables, columns: batches."""
    from matplotlib import rc_context

    from lemmata.papers.parameter_free.figures import legend_beside
    from lemmata.papers.parameter_free.figures import sensitivity as panel
    from lemmata.report.style import RC, new_figure

    shown = dataset.sel(optimiser=[name for name in dataset["optimiser"].values if name != "adam++literal"])
    with rc_context(RC):
        figure, axes = new_figure(
            shown.sizes["data"],
            shown.sizes["batch"],
            title="A wrong first scale costs the ++ methods little, a wrong learning rate costs Adam and AdaGrad much",
            sharex=True,
            sharey="row",
        )
        for row, name in zip(axes, shown["data"].values):
            start = float(shown["gap_at_start"].sel(data=name))
            for ax, batch in zip(row, shown["batch"].values):
                part = shown.sel(data=name, batch=batch)
                gap = part["gap"].where(part["status"] == 0)
                where = f"{batch} samples per step" if batch else "all samples in each step"
                panel(
                    ax,
                    part["knob"].isel(seed=0),
                    gap if batch else gap.isel(seed=0),
                    limits=(1e-4, 4.0),
                    levels={"start": start},
                    title=f"{str(name).replace('_', ' ')}, {where}",
                )
        legend_beside(axes[0, -1])
    return figure


def growth(dataset: "xr.Dataset") -> "Figure":
    """The scale along training of Adam++, a panel a table."""
    from lemmata.papers.parameter_free.figures import scale_paths

    name = next((name for name in ("adam++", *PLUS) if name in dataset["optimiser"].values), None)
    chosen = dataset.sel(optimiser=name or dataset["optimiser"].values[0]).isel(seed=0, batch=-1)
    return scale_paths(chosen, "η grows from any η₀ to the distance of the optimum, and stays")


EXPERIMENT = Experiment(
    name="parameter-free-convex",
    paper=PAPER,
    shows="The first scale of AdaGrad++ and Adam++ hardly matters; the learning rates of Adam and AdaGrad do.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("data", str, "breast_cancer or digits"),
        Option("batch", int, "samples per step, 0 for all"),
        Option("optimiser", str, "optimisers to compare"),
        Option("tuning", int, "places in each method's grid of knob values, from 0"),
        Option("steps", int, "steps, from 1", axis=False),
        Option("l2", float, "weight of the squared norm, positive", axis=False),
    ),
    seconds={"smoke": 3, "laptop": 90, "paper": 5000},
)
