"""Dimension and depth: trained networks get worse with d and better with layers, as power iteration does.

Power iteration converges as (λ_2/λ_1)^τ, and in more dimensions neighbouring eigenvalues crowd. Reference: He et al.
2025, arXiv 2501.01312 (accuracy falls with the dimension); networks and losses as in the training experiment.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Estimate, Finding, above, claim, mean, need, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.spectral import setting, theory
from lemmata.papers.spectral.setting import EigenpairsBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

BODY = EigenpairsBody(width=32, batch=32, steps=1200, rate=3e-3, records=4, k=2)
SIZES = {
    "smoke": Size(d=(2, 3), layers=(1, 2), n=6, width=16, heads=2, batch=8, steps=10, records=2, seeds=2),
    "laptop": Size(d=(2, 5, 8), layers=(1, 3), seeds=3),
    "paper": Size(d=(2, 5, 10, 20), layers=(1, 3, 6, 12), width=64, batch=64, steps=60_000, n=50, seeds=5),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """A direction drawn at random."""
    chance = xr.apply_ufunc(theory.random_cosine, data.d)
    return {"chance": chance.assign_attrs(long_name="|cos| of a random direction", units="1")}


def _first(data: xr.Dataset) -> xr.DataArray:
    return usable(data).cosine.isel(step=-1, drop=True).sel(j=1, drop=True)


def _between_neighbours(cos: xr.DataArray, axis: str) -> Estimate:
    """Every difference of neighbours, larger value of the axis less smaller."""
    return mean(cos.diff(axis))


@claim("more dimensions are harder", setting.PAPER)
def falls_with_dimension(data: xr.Dataset) -> Finding:
    """|cos| with the first eigenvector, each dimension against the next, at each depth."""
    need(data, d=2, seed=2)
    return above(0.0, _between_neighbours(-_first(data), "d"), format="differences from {least:.3f}")


@claim("more layers help", setting.PAPER)
def rises_with_layers(data: xr.Dataset) -> Finding:
    """|cos| with the first eigenvector, each depth against the next, in each dimension."""
    need(data, layers=2, seed=2)
    return above(0.0, _between_neighbours(_first(data), "layers"), format="differences from {least:.3f}")


@claim("every network says more than chance", setting.DERIVED)
def better_than_chance(data: xr.Dataset) -> Finding:
    """|cos| with the first eigenvector less that of a random direction."""
    need(data, seed=2)
    return above(0.0, mean(_first(data) - data.chance), format="difference at least {least:.3f}")


CLAIMS = (falls_with_dimension, rises_with_layers, better_than_chance)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Final |cos| over layers for each dimension, beside power iteration over its steps."""
    if not {"layers", "d"} <= set(data.dims):
        return {}
    figure, axes = new_figure(1, 2, title="The first eigenvector over layers (trained) and over power steps")
    final = data.cosine.isel(step=-1).sel(j=1)
    curves(axes[0, 0], final, "layers", "d", legend=False, title="trained networks")
    power = data.power.isel(layers=0).sel(j=1)
    curves(axes[0, 1], power, "power_step", "d", log="x", title="power iteration")
    for ax in axes[0]:
        ax.set_ylim(0.3, 1.02)
        ax.set_ylabel("mean |cos| with the first eigenvector (1)")
    axes[0, 0].set_xticks(data.layers.values)
    return {"depth": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
