"""What the experiments on one-nearest-neighbour share: trainings of the full matrix, and how they are scored.

    prompts of n points on S^(d-1) with signs as labels, fresh at each step or a fixed pool; start W = diag(0, .., 0,
    -σ), 0, or normal entries; (stochastic) gradient descent or Adam on all of W

Setting: Li, Cao, Gao, He, Liu, Klusowski, Fan, Wang (2024), arXiv 2411.10830, sections 2 and 5: there n in {16, 32,
64}, d in {8, 16}, 10 000 prompts, 2 000 epochs of SGD with batches of 128 and rate 0.1, a Gaussian start of unstated
scale, 10 trials, δ = 0.1. Sizes below ``paper`` take larger steps and fewer of them; that is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lemmata.draws import normal
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Parameters, Task
from lemmata.papers.nearest_neighbour.network import errors, loss, parameters_of, weights
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.prompt import rows_of_step
from lemmata.prompts.shifts import Separated, Unnormalised
from lemmata.prompts.sphere import LabelledPoints, SpherePrompts
from lemmata.sweep import Variable
from lemmata.sweep.bodies.of_task import TaskBody

ABSTRACT = "Li et al. 2024, abstract"
SECTION_5 = "Li et al. 2024, section 5"
FIGURE_3 = "Li et al. 2024, figure 3"
THEOREM_2 = "Li et al. 2024, theorem 2"
APPENDIX_C = "Li et al. 2024, lemmas 9, 12 and 13 of appendix C"
DERIVED = "derived here"

LAW = 0.15
"""How near the late-time law of ξ1 is to be met: its corrections fall only as slowly as ξ1 grows."""
STARTS = ("sparse", "zero", "gaussian")
DELTAS = (0.1, 0.5, 1.0)
_TESTED = 512  # prompts that scores are means over


class FullMatrix(Task):
    """W of c cells on prompts of one shape.

    Args:
        body: what all cells share.
        sigma, init_scale: per cell, ``(c,)``.
        deltas: separations of the test prompts.
    """

    def __init__(self, body: "FullMatrixBody", sigma: Tensor, init_scale: Tensor, deltas: tuple[float, ...]) -> None:
        self.body, self.sigma, self.init_scale, self.deltas = body, sigma, init_scale, deltas
        self.law = Unnormalised(body.n, body.d) if body.trained_on == "unnormalised" else SpherePrompts(body.n, body.d)

    def start(self, seeds: Tensor) -> Parameters:
        """W, the pool of training prompts if it is fixed, and the test prompts."""
        self.seeds, body = seeds, self.body
        if body.pool:
            self.pool = self.law.draw(seeds, "pool", body.pool)
            self.pool_tokens, self.pool_targets = self.tokens(self.pool), self.pool.targets
        self.test = self.law.draw(seeds, "test", _TESTED)
        self.shifted = [
            Separated(body.n, body.d, "normal", delta=x).draw(seeds, f"test/{x}", _TESTED) for x in self.deltas
        ]
        W = torch.zeros(len(seeds), body.width, body.width)
        if body.start == "sparse":
            W[:, body.d + 1, body.d + 1] = -self.sigma.to(W.dtype)
        elif body.start == "gaussian":
            W = normal(seeds, "W", W.shape[1:], W.dtype) * self.init_scale.to(W.dtype).view(-1, 1, 1)
        return {"W": W}

    def tokens(self, prompts: LabelledPoints) -> Tensor:
        """As the network reads them."""
        return prompts.tokens_with_norms if self.body.tokens == "with norms" else prompts.tokens

    def loss(self, parameters: Parameters, step: int) -> Tensor:
        """½ E(ŷ - y_*)² on the prompts of this step."""
        W, body = parameters["W"], self.body
        if not body.pool:
            prompts = self.law.draw(self.seeds, f"prompts/{step}", body.batch)
            return loss(W, self.tokens(prompts), prompts.targets, body.d)
        if body.batch == body.pool:
            return loss(W, self.pool_tokens, self.pool_targets, body.d)
        rows = rows_of_step(self.seeds, step, body.batch, body.pool)
        flat = (rows + torch.arange(len(rows)).unsqueeze(1) * body.pool).view(-1)
        tokens = self.pool_tokens.flatten(0, 1).index_select(0, flat).view(*rows.shape, body.n + 1, body.width)
        return loss(W, tokens, self.pool_targets.gather(1, rows), body.d)

    def scores(self, parameters: Parameters) -> Mapping[str, Tensor]:
        """Test loss, agreement, parameters, and the error on separated prompts for each δ."""
        W, body = parameters["W"], self.body
        p = weights(W, self.tokens(self.test))
        error = errors(p, self.test.labels, self.test.targets)
        on_nearest = p[..., :-1].gather(2, self.test.nearest.unsqueeze(2)).squeeze(2)
        found = {"test_loss": 0.5 * error.square().mean(1), "agreement": (error.abs() < 1).float().mean(1)}
        found |= {"on_nearest": on_nearest.mean(1), "on_query": p[..., -1].mean(1), **parameters_of(W, body.d, body.d)}
        for i, prompts in enumerate(self.shifted):
            apart = errors(weights(W, self.tokens(prompts)), prompts.labels, prompts.targets)
            found[f"shift_error/{i}"] = apart.square().mean(1)
        return found


@dataclass(frozen=True)
class FullMatrixBody(TaskBody):
    """Trains the whole of W."""

    steps: int = parameter("training steps", int, units="steps", least=0, default=4000)
    rate: float = parameter("step size η", least=0, scale="log", per_cell=True, default=1.0)
    rule: str = parameter("update rule", str, choices=("sgd", "adam", "adamw", "adam++"), default="sgd")
    n: int = parameter("points in the context n", int, units="points", least=1, default=16)
    d: int = parameter("dimension d", int, units="dimensions", least=2, default=8)
    batch: int = parameter("prompts of a step", int, units="prompts", least=1, default=256)
    pool: int = parameter(
        "fixed training prompts (0: fresh at each step)", int, units="prompts", least=0, default=10_000
    )
    start: str = parameter("where W starts", str, choices=STARTS, default="sparse")
    sigma: float = parameter("start of ξ2, σ", per_cell=True, default=3.0)
    init_scale: float = parameter("scale of a Gaussian start", least=0, scale="log", per_cell=True, default=0.1)
    tokens: str = parameter("what a token holds", str, choices=("plain", "with norms"), default="plain")
    trained_on: str = parameter("law of training prompts", str, choices=("sphere", "unnormalised"), default="sphere")

    scores: ClassVar[Mapping[str, Variable]] = {
        "test_loss": Variable(units="1", long_name="test loss ½E(ŷ − y*)²"),
        "agreement": Variable(units="1", long_name="share of signs as 1-NN says"),
        "on_nearest": Variable(units="1", long_name="mean attention on the nearest point"),
        "on_query": Variable(units="1", long_name="mean attention on the query itself"),
        "xi1": Variable(units="1", long_name="ξ1"),
        "xi2": Variable(units="1", long_name="ξ2"),
        "off_structure": Variable(units="1", long_name="share of ‖W‖ outside diag(ξ1 I, *, −ξ2)"),
        "shift_error": Variable(("delta",), "1", "E(ŷ − y*)² on δ-separated prompts"),
    }
    deltas: ClassVar[tuple[float, ...]] = DELTAS

    @property
    def width(self) -> int:
        """D, of a token."""
        return self.d + (3 if self.tokens == "with norms" else 2)

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Steps and separations."""
        return {**super().coordinates, "delta": np.asarray(self.deltas)}

    def labels(self) -> dict[str, Any]:
        """Of both."""
        return {**super().labels(), "delta": Parameter("separation δ (squared distance)")}

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """The pool and its copy as tokens, the test prompts, and what a step holds."""
        n, d = (int(point.get(name, getattr(self, name))) for name in ("n", "d"))
        return 8 * (n + 1) * (d + 3) * (max(self.pool, self.batch) + 4 * _TESTED + 2 * self.batch)

    def task(self, points: Sequence[dict[str, Any]]) -> FullMatrix:
        """See :class:`FullMatrix`."""
        if self.pool and self.batch > self.pool:
            raise ValueError(f"batches of {self.batch} out of {self.pool} prompts were asked for; take smaller ones")
        sigma, scale = (
            torch.tensor(self.column(points, name), dtype=torch.float64) for name in ("sigma", "init_scale")
        )
        return FullMatrix(self, sigma, scale, self.deltas)

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Separations as a dimension."""
        each = [trained.records[f"shift_error/{i}"] for i in range(len(self.deltas))]
        return {**super().measured(points, task, trained), "shift_error": torch.stack(each, -1).numpy()}
