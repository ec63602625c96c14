"""Changing units: logistic regression on breast_cancer with features measured in other units, or the loss multiplied.

Features times s (the penalty in the same units) leave the minimum where it is and move the minimiser by 1/s; the loss
times q leaves both. A tuned learning rate belongs to one s; a method that finds its scale should not care. Tao, Yuan,
Zhou, Cao, Gu 2024, arXiv 2412.19444, have no such study; the setting is ours. ``feature_scale`` is s, ``loss_scale`` q.
All samples in each step, 600 steps.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.papers.parameter_free.logistic_regression import LogisticBody
from lemmata.papers.parameter_free.methods import METHODS, PAPER, PEERS, PLUS, Knobs

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Grid

DEFAULT, TUNED = 0, 1
"""Indices of ``tuning``: what the method comes with, and the best at s = 1 (for the ++ methods a larger eta0)."""

KNOBS: Knobs = (
    *((name, (1e-6, 1e-4)) for name in (*PLUS, "prodigy", "dadapt-adam")),
    ("adam", (1e-3, 0.1)),
    ("adagrad", (1e-2, 1.0)),
    ("schedule-free", (2.5e-3, 0.1)),
)


def grid(size: str) -> "Grid":
    """The points at each size."""
    from lemmata.sweep import Axis, Grid

    own = (*PLUS, "adam", "adagrad")
    sizes: dict[str, Any] = {
        "smoke": (own, (0.01, 1.0, 100.0), (1.0, 1e6)),
        "laptop": ((*own, *PEERS), (0.01, 0.1, 1.0, 10.0, 100.0), (1e-6, 1e-3, 1.0, 1e6)),
        "paper": ((*own, *PEERS), np.geomspace(1e-3, 1e3, 13), np.geomspace(1e-6, 1e6, 9)),
    }
    optimisers, features, losses = sizes[size]
    return Grid(
        (
            Axis("data", ("breast_cancer",), long_name="data"),
            Axis("batch", (0,), "samples", "samples per step, 0 for all"),
            Axis("optimiser", optimisers, long_name="optimiser"),
            Axis("tuning", (DEFAULT, TUNED), long_name="0 as it comes, 1 tuned at s = q = 1"),
            Axis("feature_scale", tuple(features), long_name="features multiplied by s"),
            Axis("loss_scale", tuple(losses), long_name="loss multiplied by q"),
        )
    )


def body(size: str, *, steps: int | None = None, l2: float = 1e-3) -> LogisticBody:
    """Trainings at a size: 150, 600 or 2000 steps unless ``steps`` says otherwise."""
    default = {"smoke": 150, "laptop": 600, "paper": 2000}[size]
    return LogisticBody(KNOBS, default if steps is None else steps, l2, records=1)


def _gap(dataset: "xr.Dataset") -> "xr.DataArray":
    """``(optimiser, tuning, feature_scale, loss_scale)``; infinite where a cell diverged."""
    kept = dataset.isel(data=0, batch=0)
    return kept["gap"].where(kept["status"] == 0, np.inf)


def _pick(gap: "xr.DataArray", *names: str) -> "xr.DataArray":
    missing = [name for name in names if name not in gap["optimiser"].values]
    if missing:
        raise NotMeasurable(f"needs optimiser {missing[0]!r}, which was not run")
    return gap.sel(optimiser=list(names))


def _at(gap: "xr.DataArray", **values: float) -> "xr.DataArray":
    return at(gap.to_dataset(name="gap"), **values)["gap"]


def one_setting_for_all_units(dataset: "xr.Dataset") -> Finding:
    """Worst over best gap along the units of the features, all at the default η₀."""
    gap = _pick(_at(_gap(dataset), tuning=DEFAULT, loss_scale=1.0), *PLUS)
    spread = gap.max("feature_scale") / gap.min("feature_scale")
    return Finding(
        holds=bool((spread <= 10).all()),
        measured=f"worst over best gap ×{float(spread.max()):.1f}, worst gap {float(gap.max()):.4f}",
        predicted="the same in all units",
        tolerance="≤ ×10 over all s at η₀ = 1e-6",
    )


def a_learning_rate_belongs_to_its_units(dataset: "xr.Dataset") -> Finding:
    """Adam and AdaGrad tuned at s = 1, at their worst s."""
    gap = _pick(_at(_gap(dataset), tuning=TUNED, loss_scale=1.0), "adam", "adagrad")
    here, elsewhere = _at(gap, feature_scale=1.0), gap.max("feature_scale")
    return Finding(
        holds=bool((elsewhere > 1).all()),
        measured=", ".join(
            f"{METHODS[str(name)].label} {float(here.sel(optimiser=name)):.4f} at s = 1, worst "
            f"{float(elsewhere.sel(optimiser=name)):.2f}"
            for name in gap["optimiser"].values
        ),
        predicted="fails in other units",
        tolerance="worst gap > 1",
    )


def the_loss_scale_drops_out(dataset: "xr.Dataset") -> Finding:
    """From q = 1e-3 on; below, the eps of 1e-8 is no longer small beside the gradients."""
    gap = _pick(_at(_gap(dataset), feature_scale=1.0), *PLUS)
    change = abs(gap - _at(gap, loss_scale=1.0))
    above = change.where(change["loss_scale"] >= 1e-3)
    below = change.where(change["loss_scale"] < 1e-3).max()
    note = f"q < 1e-3 moves it by {float(below):.4f}" if np.isfinite(below) else ""
    return Finding(
        holds=float(above.max()) <= 1e-4,
        measured=f"gap moves by at most {float(above.max()):.1e}",
        predicted="0",
        tolerance="≤ 1e-4 for q ≥ 1e-3",
        detail=note,
    )


CLAIMS = (
    Claim(
        "one-setting-for-all-units",
        "the ++ methods need no new setting when features change units",
        "derived here",
        one_setting_for_all_units,
    ),
    Claim(
        "a-learning-rate-belongs-to-its-units",
        "a learning rate tuned in one unit fails in another",
        "derived here",
        a_learning_rate_belongs_to_its_units,
    ),
    Claim(
        "loss-scale-drops-out",
        "multiplying the loss changes nothing for the ++ methods",
        "derived here",
        the_loss_scale_drops_out,
        SIZES,
    ),
)


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Gap against s, as methods come and tuned."""
    from matplotlib import rc_context

    from lemmata.papers.parameter_free.figures import legend_beside, look
    from lemmata.report.style import RC, new_figure

    q = dataset["loss_scale"].values
    chosen = _gap(dataset).isel(loss_scale=int(np.abs(np.log(q)).argmin()))
    titles = {DEFAULT: "as they come", TUNED: "tuned where s = 1"}
    with rc_context(RC):
        figure, axes = new_figure(
            1, chosen.sizes["tuning"], title="Other units for the features: one η₀ does for four decades", sharey=True
        )
        for ax, tuning in zip(axes[0], chosen["tuning"].values):
            for name in map(str, chosen["optimiser"].values):
                gap = chosen.sel(optimiser=name, tuning=tuning)
                label = METHODS[name].label
                ax.plot(gap["feature_scale"], gap.clip(1e-4, 4.0), label=label, **look(name))
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_ylim(7e-5, 5.0)
            ax.set_xlabel("features multiplied by s")
            ax.set_title(f"Methods {titles[int(tuning)]}")
        axes[0, 0].set_ylabel("gap to the optimum f − f*")
        legend_beside(axes[0, -1])
    return {"scale": figure}


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Nothing: no prediction is made without running."""
    import xarray as xr

    return xr.Dataset()


EXPERIMENT = Experiment(
    name="parameter-free-scale",
    paper=PAPER,
    shows="Features in other units: one first scale does for four decades, a learning rate does not.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("data", str, "breast_cancer or digits"),
        Option("batch", int, "samples per step, 0 for all"),
        Option("optimiser", str, "optimisers to compare"),
        Option("tuning", int, "0 as it comes, 1 tuned at s = q = 1"),
        Option("feature_scale", float, "s, positive"),
        Option("loss_scale", float, "q, positive"),
        Option("steps", int, "steps, from 1", axis=False),
        Option("l2", float, "weight of the squared norm, positive", axis=False),
    ),
    seconds={"smoke": 2, "laptop": 30, "paper": 1500},
)
