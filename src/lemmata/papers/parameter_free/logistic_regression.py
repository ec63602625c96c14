"""Logistic regression on real tables, trained by one optimiser per cell: a convex problem whose minimum is known.

    f(W) = mean_n [ logsumexp(s x_n W) - (s x_n W)_{y_n} ] + l2/2 ||s W||^2,      W(0) = 0,
    gap  = f(W_T) - f*

x are standardised features and a column of ones, s the units they are measured in (1 for the column of ones), so f* is
the same in all units; the optimiser sees gradients of q f. The setting is ours; the optimisers are those of
:mod:`lemmata.papers.parameter_free.methods`. ``s`` is ``feature_scale``, q ``loss_scale``.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from lemmata.draws import cell_seeds, permutation
from lemmata.loops.loop import set_mode
from lemmata.optim import AdaGradPP, AdamPP
from lemmata.papers.parameter_free.logistic_optimum import TABLES, load_table, optimum
from lemmata.papers.parameter_free.methods import METHODS, Compared, scale_of
from lemmata.parameters import Parameter, check, parameter
from lemmata.status import Status
from lemmata.sweep import Grid, Variable


@dataclass(frozen=True, kw_only=True)
class LogisticBody(Compared):
    """Trains each cell in float64.

    The seed is that of the order of the samples, paired over all other axes. Gradients of all cells are computed at
    once; each cell has its own optimiser. Cells with ``batch`` 0 draw nothing at random and are trained once for all
    seeds.

    Args:
        records: steps at which the gap is recorded, evenly in their logarithms.
        averaged: whether the gap of the average of iterates is recorded too, which the theorems are about: weighted by
            eta_t for the ++ methods, uniform for all others.
    """

    data: str = parameter("data", str, choices=TABLES, default=TABLES[0])
    batch: int = parameter("samples per step, 0 for all", int, units="samples", least=0, default=0)
    feature_scale: float = parameter("features multiplied by s", above=0, scale="log", default=1.0, per_cell=True)
    loss_scale: float = parameter("loss multiplied by q", above=0, scale="log", default=1.0, per_cell=True)
    steps: int = parameter("steps t", int, units="steps", least=1, default=1000, axis=False)
    l2: float = parameter("weight of the squared norm", above=0, scale="log", default=1e-3, axis=False)
    records: int = 25
    averaged: bool = False

    def __post_init__(self) -> None:
        check(self)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The gap and the distance scale at the end and along the way."""
        average = Variable(("step",), long_name="gap of the average of iterates, f(x̄) − f*")
        return {
            **({"average_gap_path": average} if self.averaged else {}),
            "gap": Variable(long_name="gap to the optimum f − f*"),
            "eta": Variable(long_name="distance scale η, or d of Prodigy and D-Adaptation"),
            "knob": Variable(long_name="learning rate, or first scale η₀, d₀"),
            "gap_path": Variable(("step",), long_name="gap to the optimum f − f*"),
            "eta_path": Variable(("step",), long_name="distance scale η, or d"),
            "status": Variable(long_name="why the cell ended: 0 took all steps, 2 diverged", dtype="int8"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Recorded steps, evenly in their logarithms."""
        return {"step": np.unique(np.geomspace(self.steps, 1, self.records).round().astype(np.int64))}

    def labels(self) -> dict[str, Parameter]:
        """Of the recorded steps."""
        return {"step": Parameter("step t", int, units="steps", scale="log")}

    def check(self, grid: Grid) -> None:
        """Refuses also batches with more samples than there are."""
        super().check(grid)
        axes = {axis.name: axis.values for axis in grid.axes}
        for name in axes.get("data", (self.data,)):
            for batch in axes.get("batch", (self.batch,)):
                if batch > len(load_table(name).y):
                    raise ValueError(
                        f"batch = {batch} was asked for; {name} has {len(load_table(name).y)} samples, 0 takes all"
                    )

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Weights and optimiser state, the batch, and the scores of all samples."""
        table = load_table(point.get("data", self.data))
        (n, d), k = table.x.shape, table.classes
        return 8 * (8 * d * k + 2 * point.get("batch", self.batch) * d + 3 * n * k)

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From ten steps of the whole tile and thirty, after a first one that loads code."""

        def timed(steps: int) -> float:
            started = time.perf_counter()
            dataclasses.replace(self, steps=steps, records=1).run(points)
            return time.perf_counter() - started

        timed(1)
        once = timed(10)
        per_step = max(0.0, timed(30) - once) / 20
        return once + per_step * (self.steps - 10)

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile."""
        points = [{**self._own(), **point} for point in points]
        keys = [tuple(v for name, v in p.items() if name != "seed" or p["batch"]) for p in points]
        first = {key: index for index, key in reversed(list(enumerate(keys)))}
        distinct = sorted(first.values())
        place = {keys[index]: position for position, index in enumerate(distinct)}
        found = _train(self, [points[index] for index in distinct])
        return {name: values[[place[key] for key in keys]] for name, values in found.items()}

    def _own(self) -> dict[str, Any]:
        names = ("data", "batch", "feature_scale", "loss_scale", "optimiser", "tuning")
        return {name: getattr(self, name) for name in names}


def _train(body: LogisticBody, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    problem = _Problem(body, points)
    knobs = [body.knob(point) for point in points]
    weights = torch.zeros(len(points), *problem.shape, dtype=torch.float64)
    gradients = torch.zeros_like(weights)
    average = torch.zeros_like(weights)
    total = torch.zeros(len(points), 1, 1, dtype=torch.float64)
    optimisers: list[Optimizer] = []
    for index, (point, knob) in enumerate(zip(points, knobs)):
        parameter = torch.nn.Parameter(weights[index])  # shares its memory with the stack, and so does its gradient
        parameter.grad = gradients[index]
        optimisers.append(METHODS[point["optimiser"]]([parameter], knob))
    recorded = {int(step): place for place, step in enumerate(body.coordinates["step"])}
    gaps, etas, of_average = np.full((3, len(points), len(recorded)), np.nan)
    for optimiser in optimisers:
        set_mode(optimiser, "train")
    for step in range(body.steps):
        with torch.no_grad():
            gradients.copy_(problem.gradient(weights, step))
        if body.averaged:
            share = _weights(optimisers)
            total += share
            average += (weights - average) * (share / total)
        for optimiser in optimisers:
            optimiser.step()
        if (place := recorded.get(step + 1)) is not None:
            for optimiser in optimisers:
                set_mode(optimiser, "eval")
            gaps[:, place] = problem.gap(weights)
            of_average[:, place] = problem.gap(average)
            etas[:, place] = [scale_of(optimiser) for optimiser in optimisers]
            for optimiser in optimisers:
                set_mode(optimiser, "train")
    return {
        "gap": gaps[:, -1],
        "eta": etas[:, -1],
        "knob": np.array(knobs),
        "gap_path": gaps,
        **({"average_gap_path": of_average} if body.averaged else {}),
        "eta_path": etas,
        "status": np.where(np.isfinite(gaps[:, -1]), Status.ALL_STEPS, Status.DIVERGED).astype(np.int8),
    }


def _weights(optimisers: Sequence[Optimizer]) -> Tensor:
    """Weight of each cell's iterate in its average, ``(c, 1, 1)``."""
    plus = (AdaGradPP, AdamPP)
    weights = [float(o.eta) if isinstance(o, plus) else 1.0 for o in optimisers]
    return torch.tensor(weights, dtype=torch.float64).view(-1, 1, 1)


class _Problem:
    """f and its gradient on the weights ``(c, d, k)`` of all cells of a tile."""

    def __init__(self, body: LogisticBody, points: Sequence[dict[str, Any]]) -> None:
        name, self.batch, self.l2 = points[0]["data"], points[0]["batch"], body.l2
        table = load_table(name)
        self.x, self.y = torch.from_numpy(table.x), torch.from_numpy(table.y)
        self.labels = torch.nn.functional.one_hot(self.y, table.classes).to(self.x.dtype)
        self.shape, self.best = (self.x.shape[1], table.classes), optimum(name, body.l2).value
        scales = torch.tensor([point["feature_scale"] for point in points], dtype=self.x.dtype)
        self.units = scales[:, None, None].repeat(1, self.shape[0], 1)
        self.units[:, -1] = 1.0
        self.loss_scale = torch.tensor([point["loss_scale"] for point in points], dtype=self.x.dtype)
        seeds = [point.get("seed", 0) for point in points]
        self.distinct = sorted(set(seeds))
        self.place = torch.tensor([self.distinct.index(seed) for seed in seeds])
        self.epoch, self.order = -1, torch.empty(0)

    def gradient(self, weights: Tensor, step: int) -> Tensor:
        """Of q f on the batch of this step, ``(c, d, k)``."""
        scaled = self.units * weights
        if self.batch:
            index = self._batch(step)[self.place]
            x, labels = self.x[index], self.labels[index]
        else:
            x, labels = self.x, self.labels
        residual = (x @ scaled).softmax(-1) - labels
        mean = x.mT @ residual / x.shape[-2]
        return self.loss_scale[:, None, None] * self.units * (mean + self.l2 * scaled)

    def gap(self, weights: Tensor) -> np.ndarray:
        """f - f* ``(c,)``; rounding may leave it at -1e-16, which reads 0."""
        scaled = self.units * weights.detach()
        scores = self.x @ scaled
        right = scores.gather(2, self.y[None, :, None].expand(len(scores), -1, 1)).squeeze(2)
        value = (scores.logsumexp(-1) - right).mean(-1) + 0.5 * self.l2 * scaled.square().sum((1, 2))
        return torch.where(value < self.best, 0.0, value - self.best).numpy()

    def _batch(self, step: int) -> Tensor:
        """Samples of this step for each distinct seed ``(seeds, batch)``; each epoch has an order of its own."""
        n = len(self.x)
        per_epoch = n // self.batch
        epoch, place = divmod(step, per_epoch)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = permutation(cell_seeds(0, self.distinct), f"order of epoch {epoch}", n)
        return self.order[:, place * self.batch : (place + 1) * self.batch]
