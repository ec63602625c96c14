"""Outputs at the start about their limit: (LM)^(−1/2) where layers are independent, M^(−1/2) where they share draws.

The theorem's M^(−1/2) (Gao et al. 2024, arXiv 2410.23610, theorem 3.1) is the worst case: at s = 0 independent layers
average over depth too. The limit of centred particles leaves its prompts as they are and answers 0. Derived here.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, alike, at, claim, mean, need, one_of_each, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.papers.mean_field.setting import Flowing
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RUN = Flowing(times=(0.0,), probes=0)
SIZES = {
    "smoke": Size(mode=("iid", "path"), layers=(2, 4), particles=(4,), seeds=8),
    "laptop": Size(mode=("iid", "path"), layers=(4, 8, 16, 32), particles=(4, 16), seeds=400),
    "paper": Size(
        half_step=(0.5, 1.0), law=("gaussian", "ball"), mode=("iid", "path"), layers=(4, 8, 16, 32, 64, 128),
        particles=(4, 16, 64, 256), seeds=400,
    ),
}  # fmt: skip


def _scaled(data: xr.Dataset, mode: str) -> xr.DataArray:
    """Root mean square output at s = 0, over its rate; one number per seed."""
    size = at(at(usable(data), mode=mode), time=0.0).output_size.reset_coords(drop=True)
    return size / theory.start_fluctuation(size.layers.astype(float), size.particles.astype(float), mode)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """C (LM)^(−1/2) and C M^(−1/2), C fitted to all sizes of a mode."""
    if "mode" not in data.dims:
        return {}
    made = []
    for mode in data["mode"].values:
        scaled = _scaled(data, str(mode))
        constant = np.exp(rates.logarithm(scaled).mean())
        one = theory.start_fluctuation(data.layers.astype(float), data.particles.astype(float), str(mode))
        made.append((constant * one * xr.ones_like(scaled.isel(seed=0))).expand_dims(mode=[mode]))
    said = {"long_name": "fitted rate", "units": "1"}
    return {"output_size_predicted": xr.concat(made, "mode").assign_attrs(said)}


@claim("independent layers average over depth as well as over width", setting.DERIVED)
def independent_layers_average(data: xr.Dataset) -> Finding:
    """Root mean square output times √(LM), over all seeds, between sizes; geometric means with intervals beside it."""
    need(data, layers=3, particles=2, seed=30)
    constant = (_scaled(data, "iid") ** 2).mean("seed") ** 0.5
    return alike(1.1, constant, expected="rms · √(LM) constant", detail=mean(_scaled(data, "iid"), log=True))


@claim("layers that share their draws do not", setting.DERIVED)
def shared_layers_do_not(data: xr.Dataset) -> Finding:
    """Root mean square output at equal M, between depths, paired over seeds."""
    need(data, layers=3, seed=30)
    size = mean(_scaled(data, "path"), log=True)
    return alike(1.03, size, over="layers", expected="independent of L", detail=size)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Root mean square output against depth."""
    chosen, note = one_of_each(data.isel(time=0), "mode", "layers", "particles", of="output_size")
    modes = {"iid": "independent layers", "path": "layers share their draws"}
    figure, axes = new_figure(1, len(chosen["mode"]), title="Outputs at the start" + note, sharey=True)
    for ax, mode in zip(axes[0], chosen["mode"].values):
        part = chosen.sel(mode=mode)
        curves(
            ax, part.output_size, "layers", "particles", log="xy", theory=part.output_size_predicted,
            theory_label="C(LM)^(−1/2), C M^(−1/2)", legend=ax is axes[0, -1], title=modes[str(mode)],
        )  # fmt: skip
        ticks_at(ax, part.layers.values)
    return {"start": figure}


EXPERIMENT = Experiment(
    RUN, SIZES, claims=(independent_layers_average, shared_layers_do_not), predict=predict, figures=figures
)
