"""What the experiments on trained networks share: trainings on fresh networks of one graph, scored at several lengths.

    fresh tables and samples at each step; pre-norm layers without positions and mask, so that order cannot matter
    loss "mle": cross-entropy to the in-context MLE;  "label": to the value that the query has;  "l1": ½ Σ|p - MLE|

On labels the best possible answer is the mean of the posterior and not the MLE: the two differ by 0.028 at n = 50 for
the graph "general" and tables from U(0.1, 0.9). Setting: Cao, He, Wu, Chen, Fan, Liu (2025), arXiv 2501.02547, where
networks have 6 layers, 8 heads and width 256 and are trained on labels with n = 100, by what its readers report; sizes
below ``paper`` are ours, as is training on the MLE, which is the authors' later code's ("l1").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Parameters, Task
from lemmata.modules.attention import AttentionNetwork, apply
from lemmata.papers.bayesian_networks import baselines
from lemmata.papers.bayesian_networks.baselines import total_variation
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.bayesian_networks import NetworkPrompts, NetworkSamples
from lemmata.prompts.dags import GRAPHS
from lemmata.sweep import Variable
from lemmata.sweep.bodies.of_task import TaskBody

FIGURES = "Cao et al. 2025, experiments"
ABSTRACT = "Cao et al. 2025, abstract"
REVIEWERS = "asked for by reviewers of Cao et al. 2025"
DERIVED = "derived here"

LOSSES = ("mle", "label", "l1")
LENGTHS = (5, 10, 20, 50, 100, 200)
"""Of the test contexts; training has one length."""
ESTIMATES = (*baselines.NAMES, "mle, unseen fails", "naive, unseen fails", "truth")
_BINARY = tuple(name for name, dag in GRAPHS.items() if dag.d == 2)


class InContext(Task):
    """Networks of c cells that are asked for the law of a variable."""

    def __init__(self, body: "TrainedBody") -> None:
        self.body, self.network = body, body.network

    def start(self, seeds: Tensor) -> Parameters:
        """First weights; and the test prompts of every length, with their MLE."""
        self.seeds = seeds
        self.test = [self.body.law(n).draw(seeds, f"test/{n}", self.body.tested) for n in LENGTHS]
        self.test_mle = [baselines.mle(prompts) for prompts in self.test]
        return self.network.start(seeds)

    def said(self, parameters: Parameters, prompts: NetworkSamples) -> Tensor:
        """Logits ``(c, b, d)``, from counts where there are fewer states than samples."""
        few = prompts.dag.states <= prompts.samples.shape[2]
        return apply(self.network, parameters, prompts.multiset if few else prompts.tokens)

    def loss(self, parameters: Parameters, step: int) -> Tensor:
        """On the prompts of this step."""
        prompts = self.body.law(self.body.n).draw(self.seeds, f"prompts/{step}", self.body.batch)
        logits = self.said(parameters, prompts)
        if self.body.loss == "l1":
            return total_variation(logits.softmax(-1), baselines.mle(prompts)).mean(1)
        log = logits.log_softmax(-1)
        if self.body.loss == "label":
            return -log.gather(2, prompts.targets.unsqueeze(2)).mean((1, 2))
        return -(baselines.mle(prompts) * log).sum(-1).mean(1)

    def scores(self, parameters: Parameters) -> Mapping[str, Tensor]:
        """Distances to the truth and to the MLE, and expected accuracy, for each length."""
        found = {}
        for i, (prompts, mle) in enumerate(zip(self.test, self.test_mle)):
            p = self.said(parameters, prompts).softmax(-1)
            found[f"to_truth/{i}"] = total_variation(p, prompts.truth).mean(1)
            found[f"to_mle/{i}"] = total_variation(p, mle).mean(1)
            found[f"accuracy/{i}"] = accuracy(p, prompts)
        return found


def accuracy(p: Tensor, prompts: NetworkSamples) -> Tensor:
    """Probability that the most likely value is right, mean over prompts, ``(c,)``; 0 where an estimate has failed.

    The likeliest value under equal probabilities is a fair choice among them: their mean.
    """
    best = (p == p.amax(-1, keepdim=True)).to(prompts.truth.dtype)
    right = (best * prompts.truth).sum(-1) / best.sum(-1).clamp_min(1)
    return right.mean(1)


@dataclass(frozen=True)
class TrainedBody(TaskBody):
    """Trains networks on one graph."""

    steps: int = parameter("training steps", int, units="steps", least=0, default=3000)
    rate: float = parameter("learning rate η", least=0, scale="log", per_cell=True, default=2e-3)
    weight_decay: float = parameter("weight decay", least=0, per_cell=True, default=0.01)
    warmup: int = parameter("steps of linear warm-up", int, units="steps", least=0, per_cell=True, default=200)
    schedule: str = parameter("schedule of the learning rate", str, choices=("constant", "cosine"), default="cosine")
    graph: str = parameter("graph", str, choices=_BINARY, default="general")
    loss: str = parameter("what is descended", str, choices=LOSSES, default="mle")
    n: int = parameter("samples of a training context n", int, units="samples", least=1, default=50)
    least_p: float = parameter("smallest P(X = 0)", least=0, most=1, default=0.1)
    most_p: float = parameter("largest P(X = 0)", least=0, most=1, default=0.9)
    layers: int = parameter("layers", int, least=1, default=2)
    heads: int = parameter("heads", int, least=1, default=4)
    width: int = parameter("width", int, least=1, default=32)
    batch: int = parameter("prompts of a step", int, units="prompts", least=1, default=64)
    tested: int = parameter("test prompts of each length", int, units="prompts", least=1, default=1000)

    scores: ClassVar[Mapping[str, Variable]] = {
        "to_truth": Variable(("length",), "1", "total variation to the true conditional law"),
        "to_mle": Variable(("length",), "1", "total variation to the in-context MLE"),
        "accuracy": Variable(("length",), "1", "probability that its likeliest value is right"),
    }

    @property
    def network(self) -> AttentionNetwork:
        """No positions and no mask."""
        dag = GRAPHS[self.graph]
        inputs = dag.M * (dag.d + 1)
        return AttentionNetwork.uniform(inputs, dag.d, layers=self.layers, width=self.width, heads=self.heads)

    def law(self, n: int) -> NetworkPrompts:
        """Of prompts with a context of n."""
        return NetworkPrompts(GRAPHS[self.graph], n, low=self.least_p, high=self.most_p)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Those of the trained networks along the steps, those of the baselines once."""
        return {
            **super().variables,
            "baseline_to_truth": Variable(("estimate", "length"), "1", "total variation to the true conditional law"),
            "baseline_to_mle": Variable(("estimate", "length"), "1", "total variation to the in-context MLE"),
            "baseline_accuracy": Variable(("estimate", "length"), "1", "probability that its likeliest value is right"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Steps, lengths and names of the baselines."""
        return {**super().coordinates, "length": np.asarray(LENGTHS), "estimate": np.asarray(ESTIMATES)}

    def labels(self) -> dict[str, Any]:
        """Of all three."""
        of_length = Parameter("samples of a test context", int, units="samples", scale="log")
        return {**super().labels(), "length": of_length, "estimate": Parameter("estimate", str)}

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """The test prompts, and hidden states of a step and of a test."""
        dag, n = GRAPHS[str(point.get("graph", self.graph))], int(point.get("n", self.n))
        tokens = min(dag.states, max(LENGTHS)) * self.tested + 4 * self.layers * min(dag.states, n) * self.batch
        return 4 * (8 * self.width * tokens + sum(LENGTHS) * self.tested * dag.M * 3)

    def task(self, points: Sequence[dict[str, Any]]) -> InContext:
        """See :class:`InContext`."""
        if self.least_p >= self.most_p:
            raise ValueError(f"P(X = 0) from {self.least_p:g} to {self.most_p:g} was asked for; take the smaller first")
        return InContext(self)

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Lengths as a dimension, and what the baselines say to the same prompts."""
        assert isinstance(task, InContext)
        found = super().measured(points, task, trained)
        for name in self.scores:
            each = [trained.records[f"{name}/{i}"] for i in range(len(LENGTHS))]
            found[name] = torch.stack(each, -1).numpy()
        rows = [self._baselines(prompts, mle) for prompts, mle in zip(task.test, task.test_mle)]
        for i, name in enumerate(("baseline_to_truth", "baseline_to_mle", "baseline_accuracy")):
            found[name] = torch.stack([row[i] for row in rows], -1).numpy()
        return found

    def _baselines(self, prompts: NetworkSamples, mle: Tensor) -> Tensor:
        """``(3, c, estimate)``."""
        named = baselines.estimates(prompts, self.least_p, self.most_p)
        named["mle, unseen fails"] = baselines.mle(prompts, unseen="fail")
        named["naive, unseen fails"] = baselines.mle(prompts, prompts.dag.complete, "fail")
        named["truth"] = prompts.truth
        columns = [
            torch.stack([total_variation(p, prompts.truth).mean(1), total_variation(p, mle).mean(1),
                         accuracy(p, prompts)])
            for p in (named[name] for name in ESTIMATES)
        ]  # fmt: skip
        return torch.stack(columns, -1)
