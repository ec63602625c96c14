"""Ten decades of time, for two published statements on how the parameters grow, and for ours that contradict them.

The paper's appendix C derives ξ1, ξ2 = Θ(log k) and ξ1 ≤ ½ ξ2 for all k (lemmas 9, 12, 13); its theorems need the lower
half alone, which gives L ≤ poly/log k. Since L ≥ const/ξ1 (its lemma 20), the slope of L in ξ1 cannot decay
exponentially; it is of order 1/ξ1², and ξ1 grows as the cube root of time. Reference: Li et al. 2024, arXiv 2411.10830;
flow instead of steps, times and starts are ours. A start of σ = 12 fulfils what can be computed of Theorem 1's
condition for (16, 8).
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, among, at_most, between, claim, within
from lemmata.lab import Experiment, Size
from lemmata.papers.nearest_neighbour import setting, theory
from lemmata.papers.nearest_neighbour.exact import FlowBody
from lemmata.papers.nearest_neighbour.sizes import slope
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

SIZES = {
    "smoke": Size(sigma=(3.0, 12.0), longest=1e3, seeds=0),
    "laptop": Size(sigma=(3.0, 12.0, 30.0), n=(8, 16), d=(4, 8), longest=1e7, seeds=0),
    "paper": Size(sigma=(3.0, 12.0, 30.0, 60.0), n=(8, 16, 64), d=(4, 8, 16), longest=1e7, seeds=0),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The cube root law, and whether the start is outside Theorem 1 by its computable conditions."""
    c = xr.apply_ufunc(theory.tie_constant, data.n, data.d, vectorize=True)
    xi1 = np.cbrt(3 * c * data.time / data.d)
    outside = xr.apply_ufunc(
        lambda *cell: theory.theorem_regime(*cell).holds is False, data.n, data.d, data.sigma, vectorize=True
    )
    return {
        "xi1_law": xi1.assign_attrs(long_name="(3cτ/d)^(1/3)", units="1"),
        "loss_law": (c / xi1).assign_attrs(long_name="c/ξ1 of the law", units="1"),
        "outside": outside.assign_attrs(long_name="start outside Theorem 1"),
    }


def last_decades(data: xr.Dataset, decades: float, least: float = 1e5) -> xr.Dataset:
    """The end of the path, of starts that Theorem 1 does not exclude."""
    if float(data.time[-1]) < least:
        raise NotMeasurable(f"needs times to {least:g}, this run ends at {float(data.time[-1]):g}")
    return data.sel(time=slice(float(data.time[-1]) / 10**decades, None))


@claim("ξ1 is of order log k, from above as from below", setting.APPENDIX_C)
def xi1_is_logarithmic(data: xr.Dataset) -> Finding:
    """How much ξ1/log k still grows over the last two decades, from starts that Theorem 1 does not exclude."""
    part = last_decades(data, 2)
    ratio = part.xi1 / np.log(part.time)
    growth = among(ratio.isel(time=-1) / ratio.isel(time=0), ~part.outside, "starts not outside Theorem 1")
    said = "ξ1/log k grows ×{least:.2f} to ×{most:.2f} in two decades"
    return at_most(1.2, growth, format=said, expected="×1", where="for starts not outside Theorem 1")


@claim("ξ1 stays below half of ξ2 for all k", setting.APPENDIX_C)
def xi1_below_half_of_xi2(data: xr.Dataset) -> Finding:
    """Largest ξ1/ξ2 on the path, from starts that Theorem 1 does not exclude."""
    ratio = among((last_decades(data, 20).xi1 / data.xi2).max("time"), ~data.outside, "starts not outside Theorem 1")
    said = "largest ξ1/ξ2 from {least:.2f} to {most:.2f}"
    return at_most(0.5, ratio, format=said, expected="≤ ½", where="for starts not outside Theorem 1")


@claim("the loss is at most poly/log k", "Li et al. 2024, theorem 1 and appendix C")
def loss_below_one_over_log(data: xr.Dataset) -> Finding:
    """Growth of L·log k over the last four decades: a bound that holds cannot be overtaken."""
    part = last_decades(data, 4)
    product = part.loss * np.log(part.time)
    growth = product.isel(time=-1) / product.isel(time=0)
    return at_most(1.0, growth, format="L·log k changes by ×{least:.3f} to ×{most:.3f}", expected="bounded")


@claim("ξ1 grows as the cube root of time, whatever σ", setting.DERIVED)
def xi1_is_a_cube_root(data: xr.Dataset) -> Finding:
    """Slope of log ξ1 over the last two decades."""
    part = last_decades(data, 2)
    slopes = slope(np.log(part.xi1), np.log(part.time))
    return between(0.30, 0.36, slopes, format="slopes from {least:.3f} to {most:.3f}", expected="1/3")


@claim("the loss falls as the inverse cube root of time", setting.DERIVED)
def loss_is_an_inverse_cube_root(data: xr.Dataset) -> Finding:
    """Slope of log L over the last two decades."""
    part = last_decades(data, 2)
    slopes = slope(np.log(part.loss), np.log(part.time))
    return between(-0.36, -0.30, slopes, format="slopes from {least:.3f} to {most:.3f}", expected="-1/3")


@claim("ξ1 is (3cτ/d)^(1/3) itself", setting.DERIVED)
def xi1_has_the_constant(data: xr.Dataset) -> Finding:
    """Relative deviation at the last time."""
    last = last_decades(data, 2).isel(time=-1)
    return within(setting.LAW, last.xi1, of=last.xi1_law, relative=True, expected="(3cτ/d)^(1/3)")


CLAIMS = (
    xi1_is_logarithmic,
    xi1_below_half_of_xi2,
    loss_below_one_over_log,
    xi1_is_a_cube_root,
    loss_is_an_inverse_cube_root,
    xi1_has_the_constant,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """ξ1, ξ1/ξ2 and L against time for the last n and d."""
    one = data.isel({name: -1 for name in ("n", "d") if name in data.dims})
    one = one.sel(time=one.time >= 10)
    title = f"ξ1 leaves log k and half of ξ2 behind: n = {int(one.n)}, d = {int(one.d)}"
    figure, (axes,) = new_figure(1, 3, title=title, width=4.9)
    hue = "sigma" if "sigma" in one.dims else None
    curves(
        axes[0],
        one.xi1,
        "time",
        hue,
        log="xy",
        theory=one.xi1_law,
        theory_label="(3cτ/d)^(1/3)",
        legend=False,
        title="ξ1",
    )
    begun = one.sel(time=one.time >= 1e3)
    if begun.sizes["time"]:
        scale = float(begun.xi1.isel(time=0).max()) / np.log(float(begun.time[0]))
        axes[0].plot(one.time, scale * np.log(one.time), color="0.5", ls=":", label="∝ log k")
    axes[0].legend(loc="upper left", handles=axes[0].get_lines()[-1:])
    ratio = (one.xi1 / one.xi2).assign_attrs(long_name="ξ1/ξ2", units="1")
    curves(axes[1], ratio, "time", hue, log="x", legend=False, title="ξ1/ξ2, published: at most ½")
    axes[1].axhline(0.5, color="0.5", ls=":")
    curves(
        axes[2],
        one.loss,
        "time",
        hue,
        log="xy",
        theory=one.loss_law,
        theory_label="cube root law",
        title="population loss",
    )
    return {"decades": figure}


EXPERIMENT = Experiment(FlowBody(), SIZES, claims=CLAIMS, predict=predict, figures=figures)
