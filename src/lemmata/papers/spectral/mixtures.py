"""Networks trained to tell two clusters apart, with a loss that does not care how the clusters are called.

    loss = mean over clouds of min over both namings of mean_i log(1 + e^(-y_i o_i)),   o_i the output at point i

Separations of training clouds are uniform in [0.5, 3]; tests are at 1, 2 and 3, beside the side of the exact first axis
and Bayes' rule. Reference: He et al. 2025, arXiv 2501.01312 (clustering of two-class Gaussian mixtures); its sizes are
not established, these are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from lemmata.claims import Finding, above, at_least, claim, mean, need, usable
from lemmata.lab import Experiment, Size
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Parameters, Task
from lemmata.modules.attention import AttentionNetwork, apply
from lemmata.papers.spectral import setting
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.gmm import Clusters, TwoClusters, accuracy
from lemmata.prompts.pca import eigenpairs
from lemmata.report.curves import curves
from lemmata.report.style import COLOURS, THEORY, new_figure
from lemmata.sweep import Variable
from lemmata.sweep.bodies.of_task import TaskBody

SEPARATIONS = (1.0, 2.0, 3.0)


class Naming(Task):
    """c networks that learn to cluster."""

    def __init__(self, body: "MixturesBody") -> None:
        self.body = body
        self.law = TwoClusters(body.n, body.d, snr=0.5, most_snr=3.0)

    def start(self, seeds: Tensor) -> Parameters:
        """First weights; test clouds of each separation."""
        self.seeds = seeds
        laws = [TwoClusters(self.body.n, self.body.d, snr=snr) for snr in SEPARATIONS]
        self.tests = [law.draw(seeds, f"test/{law.snr}", setting.TESTED) for law in laws]
        return self.body.network.start(seeds)

    def said(self, parameters: Parameters, clouds: Clusters) -> Tensor:
        """Outputs ``(c, b, n)``."""
        return apply(self.body.network, parameters, clouds.points).squeeze(-1)

    def loss(self, parameters: Parameters, step: int) -> Tensor:
        """On fresh clouds."""
        clouds = self.law.draw(self.seeds, f"prompts/{step}", self.body.batch)
        margin = self.said(parameters, clouds) * clouds.labels
        return torch.minimum(F.softplus(-margin).mean(-1), F.softplus(margin).mean(-1)).mean(-1)

    def scores(self, parameters: Parameters) -> Mapping[str, Tensor]:
        """Accuracy at each separation."""
        said = [accuracy(self.said(parameters, clouds), clouds.labels).mean(1) for clouds in self.tests]
        return {f"accuracy/{i}": value for i, value in enumerate(said)}


@dataclass(frozen=True)
class MixturesBody(TaskBody):
    """Trains attention networks to cluster."""

    rule: str = parameter("update rule", str, choices=("sgd", "adam", "adamw", "adam++"), default="adam")
    warmup: int = parameter("steps of linear warm-up", int, units="steps", least=0, per_cell=True, default=100)
    schedule: str = parameter("schedule of the learning rate", str, choices=("constant", "cosine"), default="cosine")
    n: int = parameter("points n", int, units="points", least=2, default=30)
    d: int = parameter("dimension d", int, units="dimensions", least=1, default=2)
    layers: int = parameter("layers", int, units="layers", least=1, default=3)
    width: int = parameter("width E", int, least=1, default=32)
    heads: int = parameter("heads", int, least=1, default=4)
    attention: str = parameter("attention", str, choices=("relu", "softmax", "linear"), default="relu")
    batch: int = parameter("clouds of a step", int, units="clouds", least=1, default=64)

    scores: ClassVar[Mapping[str, Variable]] = {}

    @property
    def network(self) -> AttentionNetwork:
        """Pre-norm blocks without positions, one number read from each token."""
        shape = {"layers": self.layers, "width": self.width, "heads": self.heads}
        return AttentionNetwork.uniform(self.d, 1, **shape, kind=self.attention, readout="all")  # type: ignore[arg-type]

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Accuracy along the steps, and what it is to be compared with."""
        return {
            **super().variables,
            "accuracy": Variable(("step", "separation"), "1", "share of points in the right cluster"),
            "eigh": Variable(("separation",), "1", "the side of the exact first axis"),
            "oracle": Variable(("separation",), "1", "Bayes' rule of who knows the centres"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Steps and separations."""
        return {**super().coordinates, "separation": np.asarray(SEPARATIONS)}

    def labels(self) -> dict[str, Any]:
        """Of both."""
        return {**super().labels(), "separation": Parameter("separation snr", float)}

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Hidden states and what a step keeps of them."""
        values = {name: int(point.get(name, getattr(self, name))) for name in ("n", "layers", "width", "heads")}
        return 4 * self.batch * values["n"] * values["layers"] * (20 * values["width"] + values["heads"] * values["n"])

    def task(self, points: Sequence[dict[str, Any]]) -> Naming:
        """See :class:`Naming`."""
        return Naming(self)

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Separations as a dimension, and the two references."""
        assert isinstance(task, Naming)
        each = [trained.records[f"accuracy/{i}"] for i in range(len(SEPARATIONS))]
        side = [accuracy(first_axis(clouds), clouds.labels).mean(1) for clouds in task.tests]
        best = [accuracy(clouds.oracle, clouds.labels).mean(1) for clouds in task.tests]
        stacked = {"accuracy": each, "eigh": side, "oracle": best}
        found = {name: torch.stack(values, -1).numpy() for name, values in stacked.items()}
        return {**super().measured(points, task, trained), **found}


def first_axis(clouds: Clusters) -> Tensor:
    """Scores ``(c, b, n)`` along the exact first eigenvector."""
    first = eigenpairs(clouds.points, 1)[1][:, :, 0]
    return ((clouds.points - clouds.points.mean(2, keepdim=True)) * first.unsqueeze(2)).sum(-1)


SIZES = {
    "smoke": Size(n=8, width=16, heads=2, layers=1, steps=20, batch=8, records=2, seeds=2),
    "laptop": Size(steps=1000, rate=3e-3, records=12, seeds=3),
    "paper": Size(width=64, layers=12, d=10, steps=60_000, seeds=5),
}


def _last(data: xr.Dataset) -> xr.DataArray:
    return usable(data).accuracy.isel(step=-1, drop=True)


@claim("a trained network clusters as well as the side of the exact first axis", setting.PAPER)
def as_good_as_eigh(data: xr.Dataset) -> Finding:
    """Difference of accuracies at each separation, on the same clouds."""
    need(data, seed=2)
    return at_least(-0.03, mean(_last(data) - data.eigh), format="difference at worst {least:+.4f}")


@claim("accuracy rises with the separation", setting.PAPER)
def rises(data: xr.Dataset) -> Finding:
    """Differences of neighbours."""
    need(data, separation=2, seed=2)
    return above(0.0, mean(_last(data).diff("separation")), format="differences from {least:.3f}")


@claim("far clusters are told apart nearly as well as by who knows the centres", setting.PAPER)
def near_the_oracle(data: xr.Dataset) -> Finding:
    """Accuracy less the oracle's, for separations of two and more."""
    need(data, seed=2)
    loss = (_last(data) - data.oracle).where(data.separation >= 2)
    return at_least(-0.03, mean(loss), format="difference at worst {least:+.4f}", where="for snr ≥ 2")


CLAIMS = (as_good_as_eigh, rises, near_the_oracle)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Accuracy along training, beside the exact first axis."""
    figure, axes = new_figure(title="A trained network clusters nearly as the first axis does", width=5.8, height=3.8)
    ax = axes[0, 0]
    curves(ax, data.accuracy, "step", "separation")
    for colour, separation in zip(COLOURS, data.separation.values):
        ax.axhline(float(data.eigh.sel(separation=separation).mean()), color=colour, **THEORY)
    ax.plot([], [], color="0.3", label="exact first axis", **THEORY)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return {"mixtures": figure}


EXPERIMENT = Experiment(MixturesBody(), SIZES, claims=CLAIMS, figures=figures)
