"""Which step sizes keep the matrix in its two-parameter family, and that its start hardly matters.

The family is invariant and unstable across: adding w y_i to the scores (row of the label, column of the query's mark)
has the curvature of ``theory.transverse_curvature``, at most 0.93 early for n = 16, d = 8, so that steps above 2/0.93
climb out of it. The two-parameter recursion has no such direction. Model: Li et al. 2024, arXiv 2411.10830, whose
theorem states no condition on the step; curvature and limit are derived here.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, above, alike, among, at, below, claim, need
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.nearest_neighbour import setting, theory
from lemmata.papers.nearest_neighbour.setting import STARTS, FullMatrixBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

BODY = FullMatrixBody(steps=1000, pool=4000, batch=256, records=25)
SIZES = {
    "smoke": Size(start=("sparse", "gaussian"), rate=(1.0, 4.0), steps=150, pool=500, batch=64, records=10, seeds=2),
    "laptop": Size(start=STARTS, rate=(1.0, 1.5, 2.5, 4.0), steps=2500, seeds=3),
    "paper": Size(
        start=STARTS, rate=(0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 8.0, 16.0), steps=8000, pool=10_000, seeds=10
    ),
}
_TIME = 2500.0
"""η·k from which starts are compared."""


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The largest stable step."""
    limit = xr.apply_ufunc(lambda n, d: theory.max_stable_step(int(n), int(d)), data.n, data.d, vectorize=True)
    return {"rate_limit": limit.assign_attrs(long_name="largest stable step size 2/curvature", units="1")}


def worst_loss(data: xr.Dataset) -> xr.DataArray:
    """Largest training loss on the way over the loss at the start, from the sparse start."""
    loss = at(data, start="sparse").train_loss
    need(loss, step=2)
    return (loss.isel(step=slice(1, 8)).max("step") / loss.isel(step=0)).mean("seed")


@claim("below the limit a step does not climb above the loss at the start", setting.DERIVED, sizes=ALL)
def stable_below_the_limit(data: xr.Dataset) -> Finding:
    """Early losses over the start's, for rates at most three quarters of the limit."""
    worst = among(worst_loss(data), data.rate <= 0.75 * data.rate_limit, "η ≤ 3/4 of the limit")
    where = "for η ≤ 3/4 of 2/curvature"
    return below(1.05, worst, where=where, format="early loss at most ×{most:.3f} of the start's", expected="below 1")


@claim("above the limit it does", setting.DERIVED)
def unstable_above_the_limit(data: xr.Dataset) -> Finding:
    """Early losses over the start's, for rates at least one and a half times the limit."""
    worst = among(worst_loss(data), data.rate >= 1.5 * data.rate_limit, "η ≥ 3/2 of the limit")
    where = "for η ≥ 3/2 of 2/curvature"
    return above(1.05, worst, where=where, format="early loss at least ×{least:.3f} of the start's", expected="above 1")


@claim("sparse, zero and Gaussian starts end alike", setting.DERIVED)
def starts_alike(data: xr.Dataset) -> Finding:
    """Ratio of final losses between starts for stable rates, late in training."""
    need(data, start=2)
    stable = (data.rate <= 0.75 * data.rate_limit) & (data.rate * data.step[-1] >= _TIME)
    if not bool(stable.any()):
        raise NotMeasurable(f"needs a stable step size with η·k ≥ {_TIME:g}")
    last = among(data.test_loss.isel(step=slice(-3, None)).mean(("step", "seed")), stable, f"η·k ≥ {_TIME:g}")
    return alike(
        1.05,
        last,
        over="start",
        format="losses differ by at most ×{:.3f}",
        expected="×1",
        where=f"for stable η, η·k ≥ {_TIME:g}",
    )


CLAIMS = (stable_below_the_limit, unstable_above_the_limit, starts_alike)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Training loss for each step size from the sparse start, and for each start at one step size."""
    limit = float(data.rate_limit.mean())
    figure, (axes,) = new_figure(
        1, 2, title=f"Steps above 2/curvature = {limit:.2f} climb at first; all starts end alike", width=5.8
    )
    shown = data.sel(step=data.step > 0)
    one = shown.sel(start="sparse") if "start" in shown.dims else shown
    curves(
        axes[0], one.train_loss, "step", "rate" if "rate" in one.dims else None, log="xy", title="from the sparse start"
    )
    near = shown.sel(rate=1.0, method="nearest") if "rate" in shown.dims else shown
    curves(
        axes[1],
        near.test_loss,
        "step",
        "start" if "start" in near.dims else None,
        log="xy",
        title=f"step size η = {float(near.rate):g}",
    )
    return {"steps": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
