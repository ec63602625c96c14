"""The figure that width-and-depth experiments share: the risk that training ends with."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import one_of_each
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.report.curves import curves
from lemmata.report.style import new_figure


def risk_at_the_end(data: xr.Dataset, title: str) -> Figure:
    """Risk at the last time against width, a curve for each depth, a panel for each half step."""
    chosen, note = one_of_each(data.isel(time=-1), "half_step", "layers", "particles", of="risk")
    steps = np.atleast_1d(chosen.half_step.values)
    figure, axes = new_figure(1, len(steps), title=title + note, sharey=True)
    for ax, half_step in zip(axes[0], steps):
        part = chosen.sel(half_step=half_step) if "half_step" in chosen.dims else chosen
        panel = f"half step η = {half_step:g}"
        curves(ax, part.risk, "particles", "layers", log="xy", legend=ax is axes[0, -1], title=panel)
        ticks_at(ax, part.particles.values)
    return figure
