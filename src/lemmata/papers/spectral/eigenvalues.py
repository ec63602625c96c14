"""Networks trained on eigenvalues: relative squared error, index by index.

    loss = mean_j ((λ̂_j - λ_j)/λ_j)²

against the best constant, whose error is 1 - E[1/λ]²/E[1/λ²]. Reference: He et al. 2025, arXiv 2501.01312; loss and
sizes from the authors' code.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, at_most, below, claim, mean, need, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.spectral import setting
from lemmata.papers.spectral.setting import EigenpairsBody
from lemmata.report.curves import curves
from lemmata.report.style import THEORY, new_figure

BODY = EigenpairsBody(wanted="values", width=32, steps=1200, rate=3e-3, records=12)
SIZES = {
    "smoke": Size(n=6, d=3, width=16, heads=2, layers=1, steps=20, batch=8, records=2, seeds=2),
    "laptop": Size(seeds=3),
    "paper": Size(width=64, layers=12, steps=60_000, k=5, seeds=5),
}


@claim("every eigenvalue is said better than by a constant", setting.PAPER)
def better_than_a_constant(data: xr.Dataset) -> Finding:
    """Relative squared error over that of the best constant."""
    need(data, seed=2)
    used = usable(data)
    ratio = mean(used.error.isel(step=-1, drop=True) / used.values_spread)
    return below(1.0, ratio, format="error at most ×{most:.3f} of the constant's")


@claim("the largest eigenvalue is said best", setting.PAPER)
def largest_best(data: xr.Dataset) -> Finding:
    """Error of the second less that of the first."""
    need(data, seed=2, j=2)
    error = usable(data).error.isel(step=-1, drop=True)
    rest = error.sel(j=data.j[1:]) - error.sel(j=1, drop=True)
    return above(0.0, mean(rest), format="difference at least {least:.4f}")


@claim("the relative squared error is a few percent", setting.PAPER)
def few_percent(data: xr.Dataset) -> Finding:
    """Of the first eigenvalue."""
    need(data, seed=2)
    return at_most(0.05, mean(usable(data).error.isel(step=-1, drop=True).sel(j=1)))


CLAIMS = (better_than_a_constant, largest_best, few_percent)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Errors along training, beside the best constant."""
    figure, axes = new_figure(title="The largest eigenvalue is learnt best", width=5.8, height=3.8)
    ax = axes[0, 0]
    curves(ax, data.error, "step", "j", log="y")
    for line, j in zip(list(ax.get_lines()), data.j.values):
        ax.axhline(float(data.values_spread.sel(j=j).mean()), color=line.get_color(), **THEORY)
    ax.plot([], [], color="0.3", label="best constant", **THEORY)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), title="eigenvalue j")
    return {"eigenvalues": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
