"""Does the trained network do what the constructed one does? Where the query looks, and which samples it needs.

The constructed network's query attends to the samples that agree with it on the parents of the asked variable, to
nothing else. For a trained one the share of each head's attention (the query itself left out) on agreeing samples is
compared with their share of the context; its pull toward samples that agree in one variable is compared between parents
and others; and all disagreeing samples are deleted, which leaves a construction's answer as it was. Reference for the
construction: Cao, He, Wu, Chen, Fan, Liu (2025), arXiv 2501.02547; reviewers of its first version asked the question,
the measurements are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lemmata.claims import Finding, above, at_least, at_most, below, claim, mean, usable
from lemmata.lab import ALL, Experiment, Size
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Task
from lemmata.modules.attention import AttentionNetwork, apply, traced
from lemmata.papers.bayesian_networks import baselines, construction
from lemmata.papers.bayesian_networks.baselines import total_variation
from lemmata.papers.bayesian_networks.setting import DERIVED, REVIEWERS, InContext, TrainedBody
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.bayesian_networks import NetworkSamples
from lemmata.report.style import MARKERS, new_figure, styled
from lemmata.sweep import Variable

_SHARP = 20.0


@dataclass(frozen=True)
class AttentionBody(TrainedBody):
    """Trains, and then looks inside."""

    asked: int = parameter("prompts looked at", int, units="prompts", least=1, default=300)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Those of the training, and of the attention."""
        by_head, along = ("layer", "head"), "1"
        return {
            **super().variables,
            "on_agreeing": Variable(by_head, along, "attention on agreeing samples"),
            "pull_of_parents": Variable(by_head, along, "attention on agreement in a parent, above its share"),
            "pull_of_others": Variable(by_head, along, "attention on agreement in another variable, above its share"),
            "share_agreeing": Variable((), along, "share of agreeing samples in the context"),
            "on_agreeing_built": Variable((), along, "attention on agreeing samples, constructed"),
            "without_others": Variable((), along, "total variation to the MLE with disagreeing samples deleted"),
            "with_others": Variable((), along, "total variation to the MLE, same prompts"),
            "without_others_built": Variable((), along, "the same with samples deleted, constructed"),
            "moved": Variable((), along, "change of the answer where disagreeing samples are deleted"),
            "example": Variable(("layer", "head", "sample"), along, "attention of the query"),
            "example_built": Variable(("sample",), along, "attention of the query, constructed"),
            "example_agrees": Variable(("sample",), along, "sample agrees on the parents"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Layers, heads and samples, besides."""
        further = {"layer": self.layers, "head": self.heads, "sample": self.n}
        return {**super().coordinates, **{name: np.arange(1, size + 1) for name, size in further.items()}}

    def labels(self) -> dict[str, Any]:
        """Of these."""
        further = {"layer": "layer", "head": "head", "sample": "sample of the context"}
        return {**super().labels(), **{name: Parameter(label, int) for name, label in further.items()}}

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Attention on prompts of the training length of which some samples agree and some do not."""
        assert isinstance(task, InContext)
        prompts = self.law(self.n).draw(task.seeds, "looked at", self.asked)
        found = super().measured(points, task, trained)
        agrees = prompts.mismatches() == 0  # (c, b, n)
        mixed = agrees.any(2) & ~agrees.all(2)
        mixed &= prompts.dag.is_parent[prompts.asked].any(2)
        out, attention = looked_at(task.network, trained.parameters, prompts)
        built_net = construction.network(prompts.dag)
        built = construction.parameters(prompts.dag, torch.full((len(points),), _SHARP), dtype=torch.float32)
        _, built_attention = looked_at(built_net, built, prompts)
        on = (attention * agrees[:, :, None, None]).sum(-1)  # (c, b, layer, head)
        on_built = (built_attention[:, :, 0, 0] * agrees).sum(-1)
        few = out.softmax(-1), self._without(task.network, trained.parameters, prompts, agrees).softmax(-1)
        few_built = self._without(built_net, built, prompts, agrees)
        mle = baselines.mle(prompts)
        first = mixed.int().argmax(1)
        rows = torch.arange(len(points))
        values = {
            "on_agreeing": _over(on, mixed),
            "share_agreeing": _over(agrees.float().mean(2), mixed),
            "on_agreeing_built": _over(on_built, mixed),
            "with_others": _over(total_variation(few[0], mle), mixed),
            "without_others": _over(total_variation(few[1], mle), mixed),
            "without_others_built": _over(total_variation(few_built, mle), mixed),
            "moved": _over(total_variation(*few), mixed),
            "example": attention[rows, first],
            "example_built": built_attention[rows, first, 0, 0],
            "example_agrees": agrees[rows, first].float(),
        }
        values |= pulls(prompts, attention)
        return {**found, **{name: value.double().numpy() for name, value in values.items()}}

    @staticmethod
    def _without(
        network: AttentionNetwork, weights: dict[str, Tensor], prompts: NetworkSamples, kept: Tensor
    ) -> Tensor:
        """What a network says if only some samples are shown."""
        times = torch.cat([kept.float(), torch.ones_like(kept[..., :1], dtype=torch.float32)], 2)
        return apply(network, weights, prompts.tokens, times=times)


def looked_at(network: AttentionNetwork, weights: dict[str, Tensor], prompts: NetworkSamples) -> tuple[Tensor, Tensor]:
    """Outputs, and the query's attention to the samples ``(c, b, layer, head, n)``, brought to sum 1 without itself."""
    out, trace = traced(network, weights, prompts.tokens)
    attention = torch.stack([layer[:, :, :, -1, :-1] for layer in trace.attention if layer.numel()], 2)
    return out, attention / attention.sum(-1, keepdim=True).clamp_min(1e-30)


def pulls(prompts: NetworkSamples, attention: Tensor) -> dict[str, Tensor]:
    """Attention on samples that agree in one shown variable, less their share, mean over variables and prompts.

    Each ``(c, layer, head)``: for variables that are parents of the asked one, and for those that are not.
    """
    values = prompts.dag.values
    same = (values[prompts.samples] == values[prompts.query].unsqueeze(2)).to(attention.dtype)  # (c, b, n, M)
    above = torch.einsum("cblhn,cbnm->cblhm", attention, same) - same.mean(2)[:, :, None, None]
    shown = torch.arange(prompts.dag.M) < prompts.asked.unsqueeze(2)
    parent = prompts.dag.is_parent[prompts.asked]
    return {
        name: (above * which[:, :, None, None]).sum((1, 4)) / which.sum((1, 2)).clamp_min(1).view(-1, 1, 1)
        for name, which in (("pull_of_parents", shown & parent), ("pull_of_others", shown & ~parent))
    }


def _over(values: Tensor, which: Tensor) -> Tensor:
    """Mean over some prompts: ``(c, b, ...)`` → ``(c, ...)``."""
    weight = which.to(values.dtype).view(*which.shape, *[1] * (values.ndim - 2))
    return (values * weight).sum(1) / weight.sum(1)


SIZES = {
    "smoke": Size(
        graph="wet-grass", steps=25, batch=16, width=16, heads=2, tested=50, n=10, asked=40, records=2, seeds=2
    ),
    "laptop": Size(steps=2000, tested=300, records=6, seeds=3),
    "paper": Size(
        n=100, layers=6, heads=8, width=256, rate=5e-4, weight_decay=0.05, warmup=2000, steps=50_000, asked=2000,
        records=20, seeds=10,
    ),
}  # fmt: skip


def best_head(array: xr.DataArray) -> xr.DataArray:
    """The largest over layers and heads."""
    return array.max(("layer", "head"))


@claim("the constructed network attends to agreeing samples alone", DERIVED, sizes=ALL)
def built_attends(data: xr.Dataset) -> Finding:
    """Attention of its second layer on them."""
    return at_least(0.9999, data.on_agreeing_built, format="{:.6f}", expected="1")


@claim("deleting disagreeing samples leaves the constructed answer as it is", DERIVED, sizes=ALL)
def built_needs_no_others(data: xr.Dataset) -> Finding:
    """Its distance to the MLE of the whole context when only agreeing samples are shown."""
    return at_most(1e-5, data.without_others_built, format="total variation {:.1e}", expected="0")


@claim("a head of the trained network attends to agreeing samples more than their share", REVIEWERS)
def trained_attends(data: xr.Dataset) -> Finding:
    """Attention of the best head on agreeing samples over their share of the context."""
    used = usable(data)
    lift = mean(best_head(used.on_agreeing) / used.share_agreeing)
    return above(
        1.5,
        lift,
        format="×{:.2f} of their share",
        expected=f"×{float(1 / used.share_agreeing.mean()):.1f}",
    )


@claim("the trained network implements the construction: a head attends to hardly anything else", REVIEWERS)
def trained_is_the_construction(data: xr.Dataset) -> Finding:
    """Attention of the best head on agreeing samples."""
    return at_least(0.9, mean(best_head(usable(data).on_agreeing)), format="{:.3f} of its attention", expected="1")


@claim("it looks for agreement in parents more than in other variables", REVIEWERS)
def parents_pull_more(data: xr.Dataset) -> Finding:
    """Pull of agreement in a parent minus that in another variable, in the head with the strongest pull of parents."""
    used = usable(data)
    heads = used.stack(place=("layer", "head"))
    strongest = heads.pull_of_parents.argmax("place")
    apart = heads.pull_of_parents.isel(place=strongest) - heads.pull_of_others.isel(place=strongest)
    return above(
        0.05,
        mean(apart.drop_vars(("place", "layer", "head"), errors="ignore")),
        format="stronger by {:.3f}",
        expected="stronger",
    )


@claim("it needs agreeing samples alone: with the others deleted it still says the MLE", REVIEWERS)
def trained_needs_no_others(data: xr.Dataset) -> Finding:
    """Distance to the MLE of the whole context when only agreeing samples are shown, as the training length allows."""
    used = usable(data)
    said = f"total variation {{:.4f}}, with all samples {float(used.with_others.mean()):.4f}"
    return below(0.05, mean(used.without_others), format=said, expected="as with all samples")


CLAIMS = (
    built_attends,
    built_needs_no_others,
    trained_attends,
    trained_is_the_construction,
    parents_pull_more,
    trained_needs_no_others,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Attention of one query by layer and head beside the construction's, and the mass on agreeing samples by head."""
    one = data.isel(seed=0) if "seed" in data.dims else data
    title = "One prompt: where the query looks, agreeing samples left of the line"
    figure, axes = new_figure(title=title, width=9.0, height=0.42 * (one.sizes["layer"] * one.sizes["head"] + 3) + 1)
    heat_map(axes[0, 0], one)
    return {"attention_map": figure, "attention_mass": masses(data)}


@styled
def heat_map(ax: Axes, one: xr.Dataset) -> None:
    """Rows: heads, then the constructed one; columns: samples, those that agree first."""
    order = np.argsort(-one.example_agrees.values, kind="stable")
    names = [f"layer {layer}, head {head}" for layer in one["layer"].values for head in one["head"].values]
    rows = one.example.values.reshape(len(names), -1)[:, order]
    shown = np.vstack([rows, one.example_built.values[order]])
    image = ax.imshow(shown / np.maximum(shown.max(1, keepdims=True), 1e-30), aspect="auto", cmap="viridis", vmin=0)
    ax.axvline(float(one.example_agrees.sum()) - 0.5, color="white", lw=2)
    ax.axhline(len(names) - 0.5, color="white", lw=2)
    ax.set_yticks(range(len(names) + 1), [*names, "constructed"])
    ax.set_xlabel("samples of the context, agreeing ones first")
    ax.figure.colorbar(image, ax=ax, label="attention over the row's largest")


@styled
def masses(data: xr.Dataset) -> Figure:
    """Attention on agreeing samples, head by head and seed by seed."""
    figure, axes = new_figure(title="Attention of each head on the samples that agree with the query", width=7.0)
    ax, names = axes[0, 0], [f"{layer}.{head}" for layer in data["layer"].values for head in data["head"].values]
    part = data.on_agreeing if "seed" in data.dims else data.on_agreeing.expand_dims("seed")
    part = part.transpose("seed", "layer", "head")
    for i, seed in enumerate(part.values.reshape(part.sizes["seed"], -1)):
        ax.plot(names, seed, ls="", marker=MARKERS[i % 7], label=f"seed {i}", ms=5, alpha=0.8)
    ax.axhline(float(data.share_agreeing.mean()), color="0.4", ls=":", label="their share of the context")
    ax.axhline(float(data.on_agreeing_built.mean()), color="0.1", ls=(0, (5, 2.5)), label="constructed")
    ax.set_xlabel("layer.head")
    ax.set_ylabel("attention on agreeing samples")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return figure


EXPERIMENT = Experiment(AttentionBody(), SIZES, claims=CLAIMS, figures=figures)
