"""Pictures on the sphere: labelled points, the decision regions of 1-NN and of the trained head, and where it looks.

The paper's figure 1 shows 500 labelled points on the sphere in three dimensions and the partition by nearest
neighbours. Here the head is trained on prompts of 20 points and shown longer ones too. Reference: Li et al. 2024, arXiv
2411.10830.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lemmata.claims import Finding, among, at, at_least, claim, usable
from lemmata.lab import Experiment, Size
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Task
from lemmata.papers.nearest_neighbour import setting
from lemmata.papers.nearest_neighbour.network import weights
from lemmata.papers.nearest_neighbour.setting import FullMatrix, FullMatrixBody
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.sphere import LabelledPoints, SpherePrompts, nearest_point
from lemmata.report.style import new_figure
from lemmata.sweep import Variable

_LONGITUDES, _LATITUDES = 96, 48
_LOOKED_AT = 24
"""Points along the equator at which attention is shown."""


@dataclass(frozen=True)
class SphereBody(FullMatrixBody):
    """Trains in three dimensions, then answers a whole sphere of queries on one prompt of ``shown`` points."""

    d: int = parameter("dimension d", int, units="dimensions", least=3, most=3, default=3, axis=False)
    shown: int = parameter("points shown in the picture", int, units="points", least=2, default=20)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Those of the training, and the pictures."""
        grid, look = ("latitude", "longitude"), ("query", "key")
        return {
            **super().variables,
            "said": Variable(grid, "1", "answer ŷ of the trained head"),
            "nearest_label": Variable(grid, "1", "label of the nearest point"),
            "attention": Variable(look, "1", "attention of the trained head"),
            "is_nearest": Variable(look, "1", "1 at the nearest point"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Queries of the map and of the equator, and keys, as far as they are shown."""
        return {
            **super().coordinates,
            "latitude": np.degrees(np.arcsin(np.linspace(-1, 1, _LATITUDES + 2)[1:-1])),
            "longitude": np.linspace(-180, 180, _LONGITUDES, endpoint=False),
            "query": np.arange(_LOOKED_AT),
            "key": np.arange(_LOOKED_AT),
        }

    def labels(self) -> dict[str, Any]:
        """Of these."""
        return {
            **super().labels(),
            "latitude": Parameter("latitude", units="degrees"),
            "longitude": Parameter("longitude", units="degrees"),
            "query": Parameter("query on the equator", int),
            "key": Parameter("context point, by longitude", int),
        }

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """The pictures."""
        assert isinstance(task, FullMatrix)
        W, coordinates = trained.parameters["W"], self.coordinates
        context = SpherePrompts(self.shown, 3).draw(task.seeds, "picture", 1)
        maps = _directions(coordinates["latitude"][:, None], coordinates["longitude"][None])
        p, prompts = self._answered(W, task, context, maps.reshape(-1, 3))
        said = (p[..., :-1] * prompts.labels).sum(-1).view(-1, _LATITUDES, _LONGITUDES)
        found = {"said": said.numpy(), "nearest_label": prompts.targets.view(said.shape).numpy()}
        equator = _directions(np.zeros(_LOOKED_AT), np.linspace(-180, 180, _LOOKED_AT, endpoint=False))
        p, prompts = self._answered(W, task, context, equator)
        turn = torch.atan2(context.points[:, 0, :-1, 1], context.points[:, 0, :-1, 0]).argsort(1)[:, :_LOOKED_AT]
        order = torch.nn.functional.pad(turn, (0, _LOOKED_AT - turn.shape[1]), value=-1)
        index = order.clamp_min(0).unsqueeze(1).expand(-1, _LOOKED_AT, -1)
        missing = (order < 0).unsqueeze(1)
        looked = p[..., :-1].gather(2, index).masked_fill(missing, torch.nan)
        nearest = (prompts.nearest.unsqueeze(2) == index).float().masked_fill(missing, torch.nan)
        return {
            **super().measured(points, task, trained),
            **found,
            "attention": looked.numpy(),
            "is_nearest": nearest.numpy(),
        }

    def _answered(
        self, W: torch.Tensor, task: FullMatrix, context: LabelledPoints, queries: np.ndarray
    ) -> tuple[torch.Tensor, LabelledPoints]:
        """Attention weights and prompts of one context with many queries."""
        asked = torch.tensor(queries, dtype=torch.float32)
        c, q = len(W), len(queries)
        points = context.points[:, :, :-1].expand(c, q, -1, 3)
        points = torch.cat([points, asked.expand(c, q, 3).unsqueeze(2)], 2)
        prompts = LabelledPoints(points, context.labels.expand(c, q, -1), nearest_point(points))
        return weights(W, task.tokens(prompts)), prompts


def _directions(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    a, b = np.radians(np.broadcast_arrays(latitude, longitude))
    return np.stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)], -1)


BODY = SphereBody(n=20, d=3, steps=2000, rule="adam", rate=0.05, pool=4000, batch=256, records=10)
SIZES = {
    "smoke": Size(shown=(10, 40), steps=100, pool=500, batch=64, seeds=1),
    "laptop": Size(shown=(20, 500), seeds=3),
    "paper": Size(shown=(20, 100, 500), steps=10_000, pool=10_000, seeds=10),
}


@claim("the head's decision regions are those of 1-NN", setting.ABSTRACT)
def regions_agree(data: xr.Dataset) -> Finding:
    """Share of the sphere where the signs agree, for as many points as it was trained on."""
    same = np.sign(usable(data).said) == data.nearest_label
    share = at(same, shown=20).mean(("latitude", "longitude", "seed"))
    return at_least(0.93, share, format="{least:.3f} of the sphere", expected="1", where="for 20 points")


@claim("it looks at the nearest point", setting.DERIVED)
def looks_at_the_nearest(data: xr.Dataset) -> Finding:
    """Attention on the nearest point, mean over queries on the equator that are shown."""
    part = at(usable(data), shown=20)
    weight = (part.attention * part.is_nearest).sum(("query", "key")) / part.is_nearest.sum(("query", "key"))
    return at_least(0.7, weight.mean("seed"), format="weight {least:.3f} on average", where="for 20 points")


CLAIMS = (regions_agree, looks_at_the_nearest)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Regions for the fewest and the most points, and attention beside the nearest point."""
    among(data.attention, data.attention.notnull(), "an attention weight that is a number")
    one = data.isel(seed=0)
    few = one.isel(shown=0) if "shown" in one.dims else one
    many = one.isel(shown=-1) if "shown" in one.dims else one
    title = "Regions of 1-NN (left) and of the trained head (right); white line: where it changes its mind"
    figure, axes = new_figure(2, 2, title=title, width=5.4, height=2.9)
    for row, part in zip(axes, (few, many)):
        _region(row[0], part.nearest_label, f"1-NN, {int(part.shown)} points")
        _region(row[1], part.said, f"trained head, {int(part.shown)} points")
    look, axes = new_figure(1, 2, title="The head looks where the nearest point is", width=4.6, height=4.0)
    _heat(axes[0, 0], few.is_nearest, "nearest point")
    _heat(axes[0, 1], few.attention, "attention of the trained head")
    return {"sphere_regions": figure, "sphere_attention": look}


def _region(ax: Axes, values: xr.DataArray, title: str) -> None:
    mesh = ax.pcolormesh(values.longitude, values.latitude, values, cmap=colormaps["cividis"], vmin=-1, vmax=1)
    if len(np.unique(np.sign(values))) > 1:
        ax.contour(values.longitude, values.latitude, values, levels=[0], colors="white", linewidths=0.8)
    ax.figure.colorbar(mesh, ax=ax, label="label", ticks=[-1, 0, 1])
    ax.set_xlabel("longitude (degrees)")
    ax.set_ylabel("latitude (degrees)")
    ax.set_title(title)


def _heat(ax: Axes, values: xr.DataArray, title: str) -> None:
    shown = values.dropna("key", how="all")
    mesh = ax.pcolormesh(shown.key, shown["query"], shown, cmap=colormaps["viridis"], vmin=0, vmax=1)
    ax.figure.colorbar(mesh, ax=ax, label="weight")
    ax.set_xlabel("context point, by longitude")
    ax.set_ylabel("query on the equator, by longitude")
    ax.set_title(title)


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
