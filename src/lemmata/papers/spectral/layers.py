"""What a constructed network holds after each layer: the iterate turns to one eigenvector after the other.

Once it has found one, the points lose their variance along it, and the next start takes the iterate's place. Reference:
He et al. 2025, arXiv 2501.01312 (power iteration, then deflation); the trace is ours.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, at_most, claim, mean, need
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.spectral import setting, theory
from lemmata.papers.spectral.constructed import LayersBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

SIZES = {
    "smoke": Size(power_steps=6, ratio=0.3, n=20, d=4, k=2, seeds=2),
    "laptop": Size(power_steps=12, ratio=0.5, seeds=8),
    "paper": Size(power_steps=30, ratio=0.7, n=200, d=16, seeds=20),
}


@claim("after each layer the iterate is that of the algorithm", setting.PAPER, sizes=ALL)
def each_layer_is_a_step(data: xr.Dataset) -> Finding:
    """Largest difference of |cos| at any layer that holds an iterate."""
    return at_most(1e-12, abs(data.overlap - data.by_hand), format="difference at most {most:.1e}", expected="rounding")


@claim("at the end of each stretch it lies along its eigenvector", setting.PAPER, sizes=ALL)
def finds_each(data: xr.Dataset) -> Finding:
    """Mean |cos| of the iterate before the j-th deflation with the j-th eigenvector."""
    need(data, layer=2, seed=2)
    ends = xr.DataArray(deflations(data) - 1, dims="j", coords={"j": data.j})
    return above(0.98, mean(data.overlap.sel(layer=ends)), format="|cos| at least {least:.5f}")


@claim("deflation takes the variance along what was found", setting.PAPER, sizes=ALL)
def deflation_takes_it(data: xr.Dataset) -> Finding:
    """Share of λ_1 that is left along the j-th eigenvector after the last layer."""
    need(data, layer=2)
    return at_most(0.05, data.variance.isel(layer=-1), format="at most {most:.1e} of λ_1")


CLAIMS = (each_layer_is_a_step, finds_each, deflation_takes_it)


def deflations(data: xr.Dataset) -> np.ndarray:
    """The layers ``(k,)`` at which points lose an eigenvector."""
    steps = int(data.power_steps)
    found: np.ndarray = 1 + (1 + np.arange(data.sizes["j"])) * (steps + 2)
    return found


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Overlap and variance along the layers of one network."""
    if data.sizes["layer"] != theory.depth(data.sizes["j"], int(data.power_steps)) + 1:
        return {}
    title = "One eigenvector after the other is found and taken out"
    figure, axes = new_figure(2, 1, title=title, width=7.6, height=2.9)
    one = data.isel(seed=0)
    curves(axes[0, 0], one.overlap, "layer", "j", title="iterate (grey lines: deflation)")
    curves(axes[1, 0], one.variance, "layer", "j", legend=False, title="points")
    for ax in axes[:, 0]:
        for layer in deflations(data):
            ax.axvline(layer, color="0.7", lw=0.8, zorder=0)
        ax.set_ylim(-0.03, 1.05)
    axes[0, 0].set_ylabel("|cos| with eigenvector (1)")
    axes[1, 0].set_ylabel("variance along it over λ₁ (1)")
    return {"layers_trace": figure}


EXPERIMENT = Experiment(LayersBody(k=3), SIZES, claims=CLAIMS, figures=figures)
