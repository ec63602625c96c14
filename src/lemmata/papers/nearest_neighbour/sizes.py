"""Exact gradient descent for several prompt lengths and dimensions: the late-time law, with its constant.

    L ≈ c(n, d)/ξ1,   ξ1 ≈ (3 c η k/d)^(1/3),   hence L ~ k^(-1/3)

Model: Li et al. 2024, arXiv 2411.10830, sections 2.1 to 2.3; step size, start and law are ours. c = ``tie_constant``:
what costs late is a near tie of the two nearest points.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, among, between, claim, need, within
from lemmata.lab import Experiment, Size
from lemmata.papers.nearest_neighbour import setting, theory
from lemmata.papers.nearest_neighbour.exact import DescentBody
from lemmata.report.curves import curves
from lemmata.report.style import log_scales, new_figure

SIZES = {
    "smoke": Size(n=(4, 8), d=(4,), steps=60, seeds=0),
    "laptop": Size(n=(4, 8, 16, 32, 64), d=(4, 8, 16), steps=2000, seeds=0),
    "paper": Size(n=(4, 8, 16, 32, 64, 256, 1024), d=(4, 8, 16, 32, 64), steps=20_000, seeds=0),
}
_LATE = 1000
"""Steps from which the law is held to the path."""


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """c, and the law's ξ1 and L."""
    c = xr.apply_ufunc(theory.tie_constant, data.n, data.d, vectorize=True)
    xi1 = np.cbrt(3 * c * data.step_size * data.step)
    return {
        "c": c.assign_attrs(long_name="tie constant c(n, d)", units="1"),
        "xi1_law": xi1.assign_attrs(long_name="(3cηk/d)^(1/3)", units="1"),
        "loss_law": (c / xi1.where(data.step > 0)).assign_attrs(long_name="c/ξ1 of the law", units="1"),
    }


@claim("ξ1 grows as (3cηk/d)^(1/3)", setting.DERIVED)
def xi1_follows_the_law(data: xr.Dataset) -> Finding:
    """Relative deviation of ξ1 at the last step, for contexts of 8 points or more."""
    last = late(data).isel(step=-1)
    return within(
        setting.LAW,
        among(last.xi1, last.n >= 8, "n ≥ 8"),
        of=last.xi1_law,
        relative=True,
        where="for n ≥ 8",
        expected="(3cηk/d)^(1/3)",
    )


@claim("the loss falls as k^(-1/3)", setting.DERIVED)
def loss_exponent(data: xr.Dataset) -> Finding:
    """Slope of log L over the last decade of steps."""
    part = late(data)
    part = part.sel(step=slice(int(part.step[-1]) // 10, None))
    slopes = slope(np.log(part.loss), np.log(part.step))
    return between(-0.40, -0.28, slopes, expected="-1/3", format="slopes from {least:.3f} to {most:.3f}")


@claim("late in training the loss is the tie constant over ξ1", setting.DERIVED)
def loss_is_c_over_xi1(data: xr.Dataset) -> Finding:
    """ξ1·L/c at the last step."""
    last = late(data).isel(step=-1)
    ratio = last.xi1 * last.loss / last.c
    return between(0.9, 1.1, ratio, format="ξ1·L/c from {least:.3f} to {most:.3f}", expected="1")


@claim(
    "the loss falls at every step, for every length and dimension", setting.ABSTRACT, sizes=("smoke", "laptop", "paper")
)
def loss_falls(data: xr.Dataset) -> Finding:
    """Largest ratio of neighbouring recorded losses."""
    ratio = data.loss.isel(step=slice(1, None)).values / data.loss.isel(step=slice(None, -1)).values
    found = xr.DataArray(ratio, dims=data.loss.dims)
    return between(0.0, 1.0, found, format="ratio of neighbours at most {most:.4f}", expected="→ 0")


def late(data: xr.Dataset) -> xr.Dataset:
    """The data, if there are steps enough for the law."""
    if int(data.step[-1]) < _LATE:
        raise NotMeasurable(f"needs {_LATE} steps, this run has {int(data.step[-1])}")
    return data


def slope(y: xr.DataArray, x: xr.DataArray) -> xr.DataArray:
    """Least-squares slope along the dimension of ``x``."""
    dim = str(x.dims[0])
    centred = x - x.mean(dim)
    return (centred * (y - y.mean(dim))).sum(dim) / (centred**2).sum(dim)


CLAIMS = (xi1_follows_the_law, loss_exponent, loss_is_c_over_xi1, loss_falls)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """ξ1 and L along the steps at one dimension, and the collapse of all onto c/ξ1."""
    figure, (axes,) = new_figure(1, 2, title="Exact descent approaches ξ1 = (3cηk/d)^(1/3) and L = c/ξ1", width=5.6)
    some = data.sel(step=data.step > 0)
    some = some.isel(d=some.sizes["d"] // 2) if "d" in some.dims else some
    hue = "n" if "n" in some.dims else None
    shared: dict[str, Any] = {"x": "step", "hue": hue, "log": "xy", "theory_label": "law"}
    curves(axes[0], some.xi1, theory=some.xi1_law, legend=False, title=f"ξ1, d = {int(some.d)}", **shared)
    curves(axes[1], some.loss, theory=some.loss_law.where(some.loss_law < 0.6), title="population loss", **shared)
    return {"sizes_paths": figure, "sizes_collapse": collapse(data)}


def collapse(data: xr.Dataset) -> Figure:
    """ξ1·L/c against ξ1 for every (n, d)."""
    figure, axes = new_figure(title="ξ1·L/c tends to one, whatever n and d (darker: smaller n)", width=6.4)
    ratio = data.xi1 * data.loss / data.c
    ax = axes[0, 0]
    ratio = ratio.sel(step=ratio.step > 0)
    need(ratio, step=2)
    stacked = ratio.stack(cell=[name for name in ("n", "d") if name in ratio.dims])
    shades = np.linspace(0.05, 0.7, stacked.sizes["cell"])
    for i in range(stacked.sizes["cell"]):
        one = stacked.isel(cell=i)
        x = data.xi1.sel({name: one[name].item() for name in ("n", "d") if name in data.xi1.dims})
        ax.plot(x.sel(step=one.step), one, color=str(shades[i]), marker="osv^D"[i % 5], markevery=6, ms=3.5, lw=1)
    ax.axhline(1, color="#d55e00", ls=(0, (5, 2.5)), label="law")
    log_scales(ax, "x")
    ax.set_xlim(left=0.3)
    ax.set_ylim(0, 1.5)
    ax.set_xlabel("ξ1")
    ax.set_ylabel("ξ1·L/c(n, d)")
    ax.legend()
    return figure


EXPERIMENT = Experiment(DescentBody(), SIZES, claims=CLAIMS, predict=predict, figures=figures)
