"""What the trained networks share: blocks with ReLU or softmax attention that read a cloud and say its eigenpairs.

    vectors: 1 - mean_j |cos(v̂_j, v_j)|, or signed;   values: mean_j ((λ̂_j - λ_j)/λ_j)²

Setting: He, Cao, Chen, Wu, Fan, Liu (2025), arXiv 2501.01312, and the authors' code: pre-norm blocks without mask,
read-out of all tokens side by side, Adam with rate 1e-3, batches of 64, 3 to 12 layers of width 64 to 256. Losses there
are signed; |cos| is ours, because a sign of an eigenvector is no property of the cloud. A network without positions is
equivariant to the order of points up to its read-out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lemmata.draws import cell_seeds, normal
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Parameters, Task
from lemmata.modules.attention import AttentionNetwork, apply
from lemmata.papers.spectral import theory
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.pca import PointClouds, RandomCovariance
from lemmata.prompts.prompt import PromptLaw
from lemmata.sweep import Variable
from lemmata.sweep.bodies.of_task import TaskBody

PAPER = "He et al. 2025"
CODE = "code of the authors of He et al. 2025"
DERIVED = "derived here"
TESTED = 512  # clouds that scores are means over
POWER_STEPS = (1, 2, 3, 4, 6, 8, 12, 20)


def cosines(said: Tensor, vectors: Tensor) -> Tensor:
    """Signed cosines ``(c, b, k)`` of ``(c, b, k, d)`` with unit vectors."""
    length = torch.linalg.vector_norm(said, dim=-1).clamp_min(1e-12)
    return (said * vectors).sum(-1) / length


class Eigenpairs(Task):
    """c networks that learn eigenpairs of clouds of one law.

    Args:
        body: what all cells share.
        law, test_law: of training and of test clouds.
    """

    def __init__(self, body: "EigenpairsBody", law: PromptLaw[PointClouds], test_law: PromptLaw[PointClouds]) -> None:
        self.body, self.law, self.test_law, self.network = body, law, test_law, body.network

    def start(self, seeds: Tensor) -> Parameters:
        """First weights; test clouds."""
        self.seeds = seeds
        self.test = self.test_law.draw(seeds, "test", TESTED)
        self.own = self.law.draw(seeds, "test of the training law", TESTED)
        return self.network.start(seeds)

    def said(self, parameters: Parameters, clouds: PointClouds) -> Tensor:
        """Vectors ``(c, b, k, d)``, or values ``(c, b, k)``."""
        out = apply(self.network, parameters, clouds.points)
        return out if self.body.wanted == "values" else out.unflatten(-1, (self.body.k, self.body.d))

    def loss(self, parameters: Parameters, step: int) -> Tensor:
        """On fresh clouds."""
        clouds = self.law.draw(self.seeds, f"prompts/{step}", self.body.batch)
        said = self.said(parameters, clouds)
        if self.body.wanted == "values":
            return ((said - clouds.values) / clouds.values.clamp_min(1e-8)).square().mean((1, 2))
        found = cosines(said, clouds.vectors)
        return 1 - (found if self.body.wanted == "signed vectors" else found.abs()).mean((1, 2))

    def scores(self, parameters: Parameters) -> Mapping[str, Tensor]:
        """For each index j the means over test clouds."""
        found: dict[str, Tensor] = {}
        for where, clouds in {"": self.test, "own_": self.own}.items():
            said = self.said(parameters, clouds)
            if self.body.wanted == "values":
                each = {"error": ((said - clouds.values) / clouds.values).square().mean(1)}
            else:
                cos = cosines(said, clouds.vectors)
                each = {"cosine": cos.abs().mean(1), "signed": cos.mean(1)}
            found |= {f"{where}{name}/{j}": each[name][:, j] for name in each for j in range(self.body.k)}
        return found


@dataclass(frozen=True)
class EigenpairsBody(TaskBody):
    """Trains attention networks on eigenpairs; beside them power iteration on the same test clouds."""

    steps: int = parameter("training steps", int, units="steps", least=0, default=1500)
    rule: str = parameter("update rule", str, choices=("sgd", "adam", "adamw", "adam++"), default="adam")
    warmup: int = parameter("steps of linear warm-up", int, units="steps", least=0, per_cell=True, default=100)
    schedule: str = parameter("schedule of the learning rate", str, choices=("constant", "cosine"), default="cosine")
    n: int = parameter("points n", int, units="points", least=2, default=20)
    d: int = parameter("dimension d", int, units="dimensions", least=1, default=5)
    k: int = parameter("eigenpairs k", int, least=1, default=2, axis=False)
    wanted: str = parameter("what is learnt", str, choices=("vectors", "signed vectors", "values"), default="vectors")
    layers: int = parameter("layers", int, units="layers", least=1, default=3)
    width: int = parameter("width E", int, least=1, default=64)
    heads: int = parameter("heads", int, least=1, default=4)
    attention: str = parameter("attention", str, choices=("relu", "softmax", "linear"), default="relu")
    batch: int = parameter("clouds of a step", int, units="clouds", least=1, default=64)

    scores: ClassVar[Mapping[str, Variable]] = {}

    @property
    def network(self) -> AttentionNetwork:
        """Pre-norm blocks without positions, all tokens read side by side."""
        outputs = self.k if self.wanted == "values" else self.k * self.d
        return AttentionNetwork.uniform(
            self.d,
            outputs,
            layers=self.layers,
            width=self.width,
            heads=self.heads,
            kind=self.attention,  # type: ignore[arg-type]
            readout="flatten",
            tokens=self.n,
        )

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Of vectors the cosines, of values the errors; those not learnt stay missing."""
        along = ("step", "j")
        return {
            **super().variables,
            "cosine": Variable(along, "1", "mean |cos| with the eigenvector"),
            "signed": Variable(along, "1", "mean cos with the eigenvector, signed"),
            "own_cosine": Variable(along, "1", "mean |cos| on clouds of the training law"),
            "error": Variable(along, "1", "mean squared relative error of the eigenvalue"),
            "power": Variable(("power_step", "j"), "1", "mean |cos| of power iteration with the eigenvector"),
            "values_spread": Variable(("j",), "1", "least mean squared relative error of a constant"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Steps, indices and steps of power iteration."""
        return {**super().coordinates, "j": np.arange(1, self.k + 1), "power_step": np.asarray(POWER_STEPS)}

    def labels(self) -> dict[str, Any]:
        """Of these."""
        return {
            **super().labels(),
            "j": Parameter("index j", int),
            "power_step": Parameter("power steps per eigenvector τ", int, units="steps", scale="log"),
        }

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Hidden states and what a step keeps of them."""
        values = {name: int(point.get(name, getattr(self, name))) for name in ("n", "layers", "width", "heads")}
        return 4 * self.batch * values["n"] * values["layers"] * (20 * values["width"] + values["heads"] * values["n"])

    def laws(self) -> tuple[PromptLaw[PointClouds], PromptLaw[PointClouds]]:
        """Of training and of test clouds."""
        law = RandomCovariance(self.n, self.d, self.k, "raw" if self.wanted == "signed vectors" else "largest")
        return law, law

    def task(self, points: Sequence[dict[str, Any]]) -> Eigenpairs:
        """See :class:`Eigenpairs`."""
        return Eigenpairs(self, *self.laws())

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Indices as a dimension, and power iteration on the test clouds."""
        assert isinstance(task, Eigenpairs)
        found = super().measured(points, task, trained)
        missing = np.full((len(points), len(trained.steps), self.k), math.nan)
        for name in ("cosine", "signed", "own_cosine", "error"):
            each = [trained.records.get(f"{name}/{j}") for j in range(self.k)]
            found[name] = missing if each[0] is None else torch.stack(each, -1).numpy()  # type: ignore[arg-type]
        found["power"] = by_power_iteration(task.test, self.k)
        values = task.test.values.double().numpy()
        inverse = 1 / values
        best = inverse.mean(1) / np.square(inverse).mean(1)  # minimises E (a/λ - 1)²
        found["values_spread"] = np.square(best[:, None] * inverse - 1).mean(1)
        return found


def by_power_iteration(clouds: PointClouds, k: int) -> np.ndarray:
    """Mean |cos| ``(c, τ, k)`` after each number of :data:`POWER_STEPS`, from one random start for all clouds."""
    points, vectors = clouds.points.double().numpy(), clouds.vectors.double().numpy()
    starts = normal(cell_seeds(0, [0]), "starts", (k, points.shape[-1]))[0].numpy()
    found = [theory.batched_power_iteration(points, starts, steps) for steps in POWER_STEPS]
    return np.stack([np.abs((each * vectors).sum(-1)).mean(1) for each in found], 1)
