"""The particles themselves along training: clouds over training time s and depth t, and what they learn.

The task's answer averages labels by softmax(κ⟨x_k, x_n⟩). A head helps if it writes labels into the answer, V_{answer,
label} > 0, and attends to near tokens, A positive on features; or if both are negative. So the two become aligned over
the cloud, at every depth. Derived here; the measures are those of Gao et al. 2024, arXiv 2410.23610, equation (3.5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, all_of, claim, mean, need, one_of_each, usable, within
from lemmata.lab import ALL, Experiment, Size
from lemmata.loops import flow_probes
from lemmata.papers.mean_field import setting
from lemmata.papers.mean_field.setting import Network, stacked
from lemmata.parameters import check
from lemmata.report.curves import curves
from lemmata.report.style import COLOUR_MAP, new_figure
from lemmata.sweep import Variable


@dataclass(frozen=True)
class Moving(Network):
    """Two numbers of every attention particle along training; widths and depths are one choice for the whole sweep."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Training times, depths t = l/L and indices of particles."""
        depth = np.arange(self.layers) / self.layers
        return {**super().coordinates, "depth": depth, "particle": np.arange(self.particles)}

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Per particle, and what they say together."""
        each = ("time", "depth", "particle")
        return {
            "value": Variable(each, "1", "V from label to answer", "float32"),
            "key_query": Variable(each, "1", "A on features (mean of diagonal)", "float32"),
            "alignment": Variable(("time",), "1", "correlation of V and A over particles"),
            "risk": Variable(("time",), "1", "risk R"),
            "movement": Variable(("time",), "1", "mean movement ‖β − β(0)‖"),
        }

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Flows of one shape."""
        here = self.own(points)
        assert isinstance(here, Moving)
        seeds, d, f = here.seeds(points), here.width, here.features
        energy, first = here.energy(seeds, here.column(points, "decay")), here.start(seeds, here.layers, here.particles)
        rows, value, key_query = [], [], []
        for state in here.flow(energy, first, here.column(points, "step")):
            V = state.theta[..., : d * d].unflatten(-1, (d, d))
            A = state.theta[..., d * d : 2 * d * d].unflatten(-1, (d, d))
            ahead = d - f - 2  # a row of ones, where there is one, comes before the features
            block = A[..., ahead : ahead + f, ahead : ahead + f]
            value.append(V[..., -1, -2].cpu().numpy().copy())  # the state goes on changing
            key_query.append(block.diagonal(dim1=-2, dim2=-1).mean(-1).cpu().numpy())
            rows.append({"risk": state.risk.clone(), "movement": flow_probes.movement(state.theta, first)})
        clouds = {"value": np.stack(value, 1), "key_query": np.stack(key_query, 1)}
        flat = [x.reshape(*x.shape[:2], -1) for x in clouds.values()]
        x, y = (part - part.mean(-1, keepdims=True) for part in flat)
        alignment = (x * y).mean(-1) / (x.std(-1) * y.std(-1))
        return {**{name: x.astype(np.float32) for name, x in clouds.items()}, "alignment": alignment, **stacked(rows)}


RUN = Moving(layers=8, particles=64, decay=1e-3, times=tuple(float(s) for s in range(0, 42, 2)))
SIZES = {
    "smoke": Size(layers=2, particles=8, seeds=3, changes={"times": (0.0, 1.0, 2.0)}),
    "laptop": Size(seeds=4),
    "paper": Size(layers=32, particles=256, prompts=256, seeds=16),
}


@claim("heads that write the label come to attend to near tokens", setting.DERIVED)
def value_and_attention_align(data: xr.Dataset) -> Finding:
    """Correlation of V from label to answer with A on features over the particles: at the start, after training."""
    need(data, time=3, seed=2)
    alignment = usable(data).alignment.reset_coords(drop=True)
    return all_of(
        within(0.1, float(alignment.isel(time=0).mean()), of=0.0, where="at the start"),
        above(0.2, mean(alignment.isel(time=-1)), where="after training"),
        expected="0, then positive",
    )


@claim("the risk falls at every recorded time", setting.DERIVED, ALL)
def risk_falls(data: xr.Dataset) -> Finding:
    """Smallest fall of the mean risk from one recorded time to the next, relative to the start."""
    need(data, time=2)
    risk = usable(data).risk.mean("seed") if "seed" in data.risk.dims else usable(data).risk
    falls = -risk.diff("time") / float(risk.isel(time=0).max())
    return above(0.0, falls.reset_coords(drop=True), expected="> 0", format="smallest fall {least:.2g} of the start")


def scatter(ax: Axes, data: xr.Dataset, time: float, limits: tuple[float, float]) -> Any:
    """The cloud of one network at a training time, shaded by depth."""
    now = data.sel(time=time)
    depth = now.depth.broadcast_like(now.value)
    points = ax.scatter(now.key_query, now.value, c=depth, cmap=COLOUR_MAP, s=9, vmin=0, vmax=1, linewidths=0)
    ax.axhline(0, color="0.8", lw=0.6, zorder=0)
    ax.axvline(0, color="0.8", lw=0.6, zorder=0)
    ax.set(xlim=limits, ylim=limits, xlabel=str(data.key_query.attrs["long_name"]), title=f"s = {time:g}")
    return points


def limits_of(data: xr.Dataset) -> tuple[float, float]:
    """One square that holds the cloud at all times."""
    widest = float(max(abs(data.value).max(), abs(data.key_query).max()))
    edge = 1.05 * widest if np.isfinite(widest) and widest > 0 else 1.0
    return -edge, edge


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The cloud of the first seed at four times, and how aligned all are along training."""
    chosen, note = one_of_each(data, "time", "depth", "particle", of="value")
    one = chosen.isel(seed=0) if "seed" in chosen.dims else chosen
    steps = np.unique(np.linspace(0, one.sizes["time"] - 1, 4).round().astype(int))
    figure, axes = new_figure(
        1, len(steps) + 1, title="Attention particles along training" + note, width=3.6, height=3.3
    )
    for ax, step in zip(axes[0], steps):
        points = scatter(ax, one, float(one.time[step]), limits_of(one))
    axes[0, 0].set_ylabel(str(one.value.attrs["long_name"]))
    figure.colorbar(points, ax=axes[0, len(steps) - 1], label="depth t = l/L")
    curves(axes[0, -1], chosen.alignment, "time", title="aligned at all depths together")
    return {"particles": figure}


EXPERIMENT = Experiment(RUN, SIZES, claims=(value_and_attention_align, risk_falls), figures=figures)
