"""A network with written weights is power iteration with deflation, and its angles fall as that says.

    tan θ_τ <= tan θ_0 (λ_2/λ_1)^τ,   layers = 1 + k(τ + 2) with a norm layer

Reference: He et al. 2025, arXiv 2501.01312 (theorem on principal components, by power iteration layer by layer). Clouds
have exactly the spectrum λ_1 ρ^(j-1), so that nothing but τ limits the angle.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Estimate, Finding, above, at, at_most, claim, mean, need, within
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.spectral import setting, theory
from lemmata.papers.spectral.constructed import ConstructedBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

SIZES = {
    "smoke": Size(power_steps=(2, 4, 8), ratio=(0.5,), n=20, d=4, clouds=4, seeds=3),
    "laptop": Size(power_steps=(1, 2, 3, 4, 6, 8, 12, 20), ratio=(0.3, 0.5, 0.7), clouds=10,
                   seeds=8),
    "paper": Size(power_steps=(1, 2, 3, 4, 6, 8, 12, 20, 40), ratio=(0.3, 0.5, 0.7, 0.9), clouds=200, seeds=20, n=200,
                  d=16),
}  # fmt: skip
_FLOOR = 1e-10  # below it tangents are rounding


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The bound on the first angle."""
    bound = xr.apply_ufunc(theory.angle_bound, data.start_tangent, data.ratio, data.power_steps)
    return {"bound": bound.assign_attrs(long_name="tan θ_0 (λ_2/λ_1)^τ", units="1")}


@claim("the constructed network is power iteration with deflation", setting.PAPER, sizes=ALL)
def is_power_iteration(data: xr.Dataset) -> Finding:
    """Largest difference of any entry or relative eigenvalue, in float64."""
    return at_most(1e-12, data.disagreement, format="difference at most {most:.1e}", expected="rounding")


@claim("its depth is 1 + k(τ + 2) with a norm layer", setting.DERIVED, sizes=ALL)
def depth_is_as_said(data: xr.Dataset) -> Finding:
    """Layers counted, less the formula."""
    return within(0, data.layers, of=1 + data.sizes["j"] * (data.power_steps + 2))


@claim("the angle to the first eigenvector stays below its bound", setting.PAPER, sizes=ALL)
def below_its_bound(data: xr.Dataset) -> Finding:
    """tan θ over tan θ_0 (λ_2/λ_1)^τ, where it is above rounding."""
    first = data.tangent.sel(j=1, drop=True)
    ratio = (first / data.bound).where(first > _FLOOR)
    return at_most(1 + 1e-9, ratio, format="at most {most:.3f} of the bound")


@claim("the angle falls with each layer by the ratio of eigenvalues", setting.PAPER, sizes=ALL)
def rate_is_the_ratio(data: xr.Dataset) -> Finding:
    """Slope of log tan θ in τ over log(λ_2/λ_1), from the fourth step on."""
    need(data, power_steps=3, seed=3)
    tangent = data.tangent.sel(j=1, drop=True)
    late = tangent.where((tangent > _FLOOR) & (tangent.power_steps >= min(4, data.power_steps.values[1])))
    slope = np.log(late).polyfit("power_steps", 1, skipna=True).polyfit_coefficients.sel(degree=1, drop=True)
    return within(0.2, mean(slope / np.log(slope.ratio)), of=1.0, format="slopes off by {:+.3f} at most")


@claim("twenty steps find three eigenvectors", setting.PAPER)
def twenty_steps(data: xr.Dataset) -> Finding:
    """Median |cos| for the ratio one half."""
    return above(0.999, mean(at(data.cosine, power_steps=20, ratio=0.5)), format="median |cos| at least {least:.6f}")


@claim("the later an eigenvector, the larger its angle", setting.PAPER)
def later_is_worse(data: xr.Dataset) -> Finding:
    """tan θ of the third over that of the first after four steps, geometric mean over ratios of eigenvalues."""
    part = at(data.tangent, power_steps=4)
    need(part, j=2)
    ratio = np.log(part.isel(j=-1, drop=True) / part.isel(j=0, drop=True))
    ratio = ratio.mean("ratio") if "ratio" in ratio.dims else ratio
    return above(1.0, Estimate(ratio, log=True), format="×{:.2f}")


CLAIMS = (is_power_iteration, depth_is_as_said, below_its_bound, rate_is_the_ratio, twenty_steps, later_is_worse)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Angles over τ, for each ratio, and for each eigenvector."""
    if "ratio" not in data.dims or "power_steps" not in data.dims:
        return {}
    seen = data.tangent.where(data.tangent > 1e-14)
    bound = data.bound.mean("seed") if "seed" in data.bound.dims else data.bound
    figure, axes = new_figure(1, 2, title="Each layer turns the iterate nearer by the ratio of eigenvalues")
    first = seen.sel(j=1).assign_attrs(long_name="tan of the angle, first eigenvector", units="1")
    curves(axes[0, 0], first, "power_steps", "ratio", log="y", theory=bound, theory_label="tan θ₀ (λ₂/λ₁)^τ",
           title="constructed network", legend=False)  # fmt: skip
    middle = data.ratio.values[len(data.ratio) // 2]
    each = seen.sel(ratio=middle).assign_attrs(long_name="tan of the angle", units="1")
    curves(axes[0, 1], each, "power_steps", "j", log="y", title=f"λ_(j+1)/λ_j = {middle:g}")
    axes[0, 0].legend(loc="lower left", fontsize=8)
    return {"power_angles": figure}


EXPERIMENT = Experiment(ConstructedBody(), SIZES, claims=CLAIMS, predict=predict, figures=figures)
