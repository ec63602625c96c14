"""Depth: a Transformer of L layers is an Euler scheme of its limit in depth, at distance 1/L all along training.

All depths share their particles' draws (mode ``path``), so that width adds nothing; the reference has 256 layers. Rate:
Gao et al. 2024, arXiv 2410.23610, theorem 3.1, first term. Both weights of a half step are run: η = 1/2 is the paper's.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, claim, one_of_each, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.papers.mean_field.coupled import Coupled
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RUN = Coupled(mode="path", particles=8, reference_layers=256, reference_particles=8, times=(0.0, 5.0, 10.0))
SIZES = {
    "smoke": Size(half_step=(0.5,), layers=(2, 4, 8), reference_layers=16, seeds=2, changes={"times": (0.0, 1.0)}),
    "laptop": Size(half_step=(0.5, 1.0), layers=(2, 4, 8, 16, 32), seeds=24),
    "paper": Size(
        half_step=(0.5, 1.0), layers=(2, 4, 8, 16, 32, 64), particles=32, reference_particles=32, reference_layers=1024,
        seeds=48, changes={"times": (0.0, 5.0, 10.0, 20.0)},
    ),
}  # fmt: skip


def _base(data: xr.Dataset) -> rates.Base:
    reference = float(data.reference_layers)
    return lambda layers: theory.depth_error(layers, reference)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """C(1/L − 1/L_ref), C fitted at each time."""
    if "layers" not in data.dims:
        return {}
    return {"output_error_predicted": rates.fitted(data.output_error, "layers", _base(data))}


@claim("outputs approach their limit in depth like 1/L", setting.THEOREM_31)
def outputs_like_one_over_depth(data: xr.Dataset) -> Finding:
    """Exponent of the outputs' distance, at every recorded time."""
    return rates.rate_finding(usable(data).output_error, "layers", _base(data), -1.15, -0.8, "−1")


@claim("risks approach their limit in depth like 1/L", setting.THEOREM_31)
def risks_like_one_over_depth(data: xr.Dataset) -> Finding:
    """Exponent of the risks' distance."""
    return rates.rate_finding(usable(data).risk_error, "layers", _base(data), -1.15, -0.8, "−1")


@claim("energies approach their limit in depth like 1/L", setting.THEOREM_31)
def energies_like_one_over_depth(data: xr.Dataset) -> Finding:
    """Exponent of the energies' distance."""
    return rates.rate_finding(usable(data).energy_error, "layers", _base(data), -1.15, -0.8, "−1")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distance of outputs against depth, one panel per weight of a half step."""
    chosen, note = one_of_each(data, "half_step", "layers", "time", of="output_error")
    figure, axes = new_figure(1, chosen.sizes["half_step"], title="Distance to the limit in depth" + note, sharey=True)
    for ax, half_step in zip(axes[0], chosen.half_step.values):
        part = chosen.sel(half_step=half_step)
        curves(
            ax, part.output_error, "layers", "time", log="xy", theory=part.output_error_predicted,
            theory_label="C(1/L − 1/L_ref)", legend=ax is axes[0, -1], title=f"half step η = {half_step:g}",
        )  # fmt: skip
        ticks_at(ax, part.layers.values)
    return {"depth": figure}


EXPERIMENT = Experiment(
    RUN,
    SIZES,
    claims=(outputs_like_one_over_depth, risks_like_one_over_depth, energies_like_one_over_depth),
    predict=predict,
    figures=figures,
)
