"""The clouds of ``mean-field-particles`` as an animated image: one frame per recorded training time.

from lemmata.papers.mean_field.animation import animate
animate(xarray.open_zarr("results/mean-field-particles/data.zarr"), "clouds.gif")
"""

from pathlib import Path

import xarray as xr
from matplotlib.animation import FuncAnimation, PillowWriter

from lemmata.papers.mean_field.particles import limits_of, scatter
from lemmata.report.style import new_figure, styled


@styled
def animate(data: xr.Dataset, path: str | Path, *, seed: int = 0, frames_per_second: int = 5) -> Path:
    """Write a GIF of one seed's cloud beside its risk; returns the path.

    Raises:
        ValueError: the dataset holds no clouds.
    """
    if not {"value", "key_query", "risk"} <= set(data.data_vars):
        raise ValueError("the dataset holds no clouds of particles; run mean-field-particles and give its data.zarr")
    one = data.sel(seed=seed).squeeze(drop=True).load()
    figure, ((left, right),) = new_figure(1, 2, width=3.7, height=3.4)
    limits = limits_of(one)
    figure.colorbar(scatter(left, one, float(one.time[0]), limits), ax=left, label="depth t = l/L")
    right.plot(one.time, one.risk, color="0.6")
    right.set(xlabel="training time s", ylabel="risk R", yscale="log")
    (mark,) = right.plot([], [], "o", color="#d55e00")

    def draw(frame: int) -> tuple:
        left.clear()
        scatter(left, one, float(one.time[frame]), limits)
        left.set_ylabel(str(one.value.attrs["long_name"]))
        mark.set_data([float(one.time[frame])], [float(one.risk[frame])])
        return (mark,)

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    FuncAnimation(figure, draw, frames=one.sizes["time"]).save(path, writer=PillowWriter(fps=frames_per_second), dpi=90)
    return path
