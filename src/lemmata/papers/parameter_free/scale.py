"""Changing units: logistic regression on breast_cancer with features measured in other units, or the loss multiplied.

Features times s (the penalty in the same units) leave the minimum where it is and move the minimiser by 1/s; the loss
times q leaves both. A tuned learning rate belongs to one s; a method that finds its scale should not care. Tao, Yuan,
Zhou, Cao, Gu 2024, arXiv 2412.19444, have no such study; the setting is ours. ``feature_scale`` is s, ``loss_scale`` q.
All samples in each step, 600 steps.
"""

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, above, at, at_most, claim
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.parameter_free.figures import legend_beside, look
from lemmata.papers.parameter_free.logistic_regression import LogisticBody
from lemmata.papers.parameter_free.methods import METHODS, PEERS, PLUS, Knobs
from lemmata.report.style import RC, log_scales, new_figure
from lemmata.status import Status

DEFAULT, TUNED = 0, 1
"""Indices of ``tuning``: what the method comes with, and the best at s = 1 (for the ++ methods a larger eta0)."""

KNOBS: Knobs = (
    *((name, (1e-6, 1e-4)) for name in (*PLUS, "prodigy", "dadapt-adam")),
    ("adam", (1e-3, 0.1)),
    ("adagrad", (1e-2, 1.0)),
    ("schedule-free", (2.5e-3, 0.1)),
)
OWN = (*PLUS, "adam", "adagrad")
SIZES = {
    "smoke": Size(
        data=("breast_cancer",),
        batch=(0,),
        optimiser=OWN,
        tuning=(DEFAULT, TUNED),
        feature_scale=(0.01, 1.0, 100.0),
        loss_scale=(1.0, 1e6),
        steps=150,
        seeds=0,
    ),
    "laptop": Size(
        data=("breast_cancer",),
        batch=(0,),
        optimiser=(*OWN, *PEERS),
        tuning=(DEFAULT, TUNED),
        feature_scale=(0.01, 0.1, 1.0, 10.0, 100.0),
        loss_scale=(1e-6, 1e-3, 1.0, 1e6),
        seeds=0,
    ),
    "paper": Size(
        data=("breast_cancer",),
        batch=(0,),
        optimiser=(*OWN, *PEERS),
        tuning=(DEFAULT, TUNED),
        feature_scale=tuple(np.geomspace(1e-3, 1e3, 13).tolist()),
        loss_scale=tuple(np.geomspace(1e-6, 1e6, 9).tolist()),
        steps=2000,
        seeds=0,
    ),
}


def _gap(data: xr.Dataset) -> xr.DataArray:
    """``(optimiser, tuning, feature_scale, loss_scale)``; infinite where a cell diverged."""
    kept = data.isel(data=0, batch=0)
    return kept.gap.where(kept.status == Status.ALL_STEPS, np.inf)


def _pick(gap: xr.DataArray, *names: str) -> xr.DataArray:
    if missing := [name for name in names if name not in gap.optimiser.values]:
        raise NotMeasurable(f"needs optimiser {missing[0]!r}, which was not run")
    return gap.sel(optimiser=list(names))


@claim("the ++ methods need no new setting when features change units", "derived here")
def one_setting_for_all_units(data: xr.Dataset) -> Finding:
    """Worst over best gap along the units of the features, all at the default η₀."""
    gap = _pick(at(_gap(data), tuning=DEFAULT, loss_scale=1.0), *PLUS)
    spread = gap.max("feature_scale") / gap.min("feature_scale")
    said = f"worst over best gap ×{{:.1f}}, worst gap {float(gap.max()):.4f}"
    return at_most(10, spread, expected="the same in all units", where="over all s at η₀ = 1e-6", format=said)


@claim("a learning rate tuned in one unit fails in another", "derived here")
def a_learning_rate_belongs_to_its_units(data: xr.Dataset) -> Finding:
    """Adam and AdaGrad tuned at s = 1, at their worst s."""
    gap = _pick(at(_gap(data), tuning=TUNED, loss_scale=1.0), "adam", "adagrad")
    here, elsewhere = at(gap, feature_scale=1.0), gap.max("feature_scale")
    said = ", ".join(
        f"{METHODS[str(name)].label} {float(here.sel(optimiser=name)):.4f} at s = 1, worst "
        f"{float(elsewhere.sel(optimiser=name)):.2f}"
        for name in gap.optimiser.values
    )
    return above(1, elsewhere, expected="fails in other units", where="worst gap", format=said)


@claim("multiplying the loss changes nothing for the ++ methods", "derived here", ALL)
def loss_scale_drops_out(data: xr.Dataset) -> Finding:
    """From q = 1e-3 on; below, the eps of 1e-8 is no longer small beside the gradients."""
    gap = _pick(at(_gap(data), feature_scale=1.0), *PLUS)
    change = abs(gap - at(gap, loss_scale=1.0))
    inside = change.where(change.loss_scale >= 1e-3)
    outside = change.where(change.loss_scale < 1e-3).max()
    note = f"q < 1e-3 moves it by {float(outside):.4f}" if np.isfinite(outside) else ""
    said = "gap moves by at most {:.1e}"
    return at_most(1e-4, inside, expected="0", where="for q ≥ 1e-3", format=said, detail=note)


CLAIMS = (one_setting_for_all_units, a_learning_rate_belongs_to_its_units, loss_scale_drops_out)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Gap against s, as methods come and tuned."""
    q = data["loss_scale"].values
    chosen = _gap(data).isel(loss_scale=int(np.abs(np.log(q)).argmin()))
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
            log_scales(ax, "xy")
            ax.set_ylim(7e-5, 5.0)
            ax.set_xlabel("features multiplied by s")
            ax.set_title(f"Methods {titles[int(tuning)]}")
        axes[0, 0].set_ylabel("gap to the optimum f − f*")
        legend_beside(axes[0, -1])
    return {"scale": figure}


BODY = LogisticBody(knobs=KNOBS, steps=600, records=1)
EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
