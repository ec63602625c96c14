"""Logistic regression on real tables, trained by one optimiser per cell: a convex problem whose minimum is known.

    f(W) = mean_n [ logsumexp(s x_n W) - (s x_n W)_{y_n} ] + l2/2 ||s W||^2,      W(0) = 0,
    gap  = f(W_T) - f*

x are standardised features and a column of ones, s the units they are measured in (1 for the column of ones), so f* is
the same in all units; the optimiser sees gradients of q f. The setting is ours; the optimisers are those of
:mod:`lemmata.papers.parameter_free.methods`. ``s`` is ``feature_scale``, q ``loss_scale``.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.papers.parameter_free.logistic_optimum import TABLES, load_table, optimum
from lemmata.papers.parameter_free.methods import (
    METHODS,
    Knobs,
    check_methods,
    check_tuning,
    knob_of,
    scale_of,
    training_mode,
)
from lemmata.sweep.body import Variable

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from lemmata.sweep import Grid

DIVERGED = 2


@dataclass(frozen=True)
class LogisticBody:
    """Trains each cell for ``steps`` steps in float64.

    Axes: ``data``, ``batch`` (samples a step, 0 for all), ``optimiser``, ``tuning``, ``seed`` (the order of the
    samples; paired over all other axes), ``feature_scale`` and ``loss_scale``.

    Gradients of all cells are computed at once; each cell has its own optimiser. Cells with ``batch`` 0 draw nothing
    at random and are trained once for all seeds.
    """

    knobs: Knobs
    steps: int = 1000
    l2: float = 1e-3
    records: int = 25

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.l2 > 0:
            raise ValueError(
                f"steps = {self.steps}, l2 = {self.l2:g} was asked for; take 1 step or more and l2 above 0"
            )

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The gap and the distance scale at the end and along the way."""
        return {
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

    def configuration(self) -> dict[str, Any]:
        """Everything that decides the numbers."""
        return {"kind": "logistic regression", **asdict(self), "dtype": "float64", "device": "cpu"}

    def shape_axes(self, grid: "Grid") -> tuple[str, ...]:
        """``data`` and ``batch``; refuses what cannot run before anything does."""
        axes = {axis.name: axis.values for axis in grid.axes}
        check_methods(axes["optimiser"], self.knobs)
        check_tuning(axes["tuning"], self.knobs)
        for name in axes["data"]:
            if name not in TABLES:
                raise ValueError(f"data {name!r} was asked for; there are {', '.join(TABLES)}")
            for batch in axes["batch"]:
                if not 0 <= batch <= len(load_table(name).y):
                    raise ValueError(
                        f"batch = {batch} was asked for; {name} has {len(load_table(name).y)} samples, 0 takes all"
                    )
        for name in ("feature_scale", "loss_scale"):
            if any(value <= 0 for value in axes.get(name, ())):
                raise ValueError(f"{name} = {min(axes[name]):g} was asked for; take positive numbers")
        return ("data", "batch")

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Weights and optimiser state, the batch, and the scores of all samples."""
        table = load_table(point["data"])
        (n, d), k = table.x.shape, table.classes
        return 8 * (8 * d * k + 2 * point["batch"] * d + 3 * n * k)

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From ten steps of the whole tile and thirty, after a first one that loads code."""

        def timed(steps: int) -> float:
            started = time.perf_counter()
            LogisticBody(self.knobs, steps, self.l2, records=1).run(points)
            return time.perf_counter() - started

        timed(1)
        once = timed(10)
        per_step = max(0.0, timed(30) - once) / 20
        return once + per_step * (self.steps - 10)

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile."""
        keys = [tuple(v for name, v in p.items() if name != "seed" or p["batch"]) for p in points]
        first = {key: index for index, key in reversed(list(enumerate(keys)))}
        distinct = sorted(first.values())
        place = {keys[index]: position for position, index in enumerate(distinct)}
        found = _train(self, [points[index] for index in distinct])
        return {name: values[[place[key] for key in keys]] for name, values in found.items()}


def _train(body: LogisticBody, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    import torch

    problem = _Problem(body, points)
    knobs = [knob_of(point, body.knobs) for point in points]
    weights = torch.zeros(len(points), *problem.shape, dtype=torch.float64)
    gradients = torch.zeros_like(weights)
    optimisers = []
    for index, (point, knob) in enumerate(zip(points, knobs)):
        parameter = torch.nn.Parameter(weights[index])  # shares its memory with the stack, and so does its gradient
        parameter.grad = gradients[index]
        optimisers.append(METHODS[point["optimiser"]]([parameter], knob))
    recorded = {int(step): place for place, step in enumerate(body.coordinates["step"])}
    gaps, etas = np.full((2, len(points), len(recorded)), np.nan)
    _switch(optimisers, True)
    for step in range(body.steps):
        with torch.no_grad():
            gradients.copy_(problem.gradient(weights, step))
        for optimiser in optimisers:
            optimiser.step()
        if (place := recorded.get(step + 1)) is not None:
            _switch(optimisers, False)
            gaps[:, place] = problem.gap(weights)
            etas[:, place] = [scale_of(optimiser) for optimiser in optimisers]
            _switch(optimisers, True)
    return {
        "gap": gaps[:, -1],
        "eta": etas[:, -1],
        "knob": np.array(knobs),
        "gap_path": gaps,
        "eta_path": etas,
        "status": np.where(np.isfinite(gaps[:, -1]), 0, DIVERGED).astype(np.int8),
    }


def _switch(optimisers: "Sequence[Optimizer]", on: bool) -> None:
    for optimiser in optimisers:
        training_mode(optimiser, on)


class _Problem:
    """f and its gradient on the weights ``(c, d, k)`` of all cells of a tile."""

    def __init__(self, body: LogisticBody, points: Sequence[dict[str, Any]]) -> None:
        import torch

        name, self.batch, self.l2 = points[0]["data"], points[0]["batch"], body.l2
        table = load_table(name)
        self.x, self.y = torch.from_numpy(table.x), torch.from_numpy(table.y)
        self.labels = torch.nn.functional.one_hot(self.y, table.classes).to(self.x.dtype)
        self.shape, self.best = (self.x.shape[1], table.classes), optimum(name, body.l2).value
        scales = torch.tensor([point.get("feature_scale", 1.0) for point in points], dtype=self.x.dtype)
        self.units = scales[:, None, None].repeat(1, self.shape[0], 1)
        self.units[:, -1] = 1.0
        self.loss_scale = torch.tensor([point.get("loss_scale", 1.0) for point in points], dtype=self.x.dtype)
        seeds = [point.get("seed", 0) for point in points]
        self.distinct = sorted(set(seeds))
        self.place = torch.tensor([self.distinct.index(seed) for seed in seeds])
        self.epoch, self.order = -1, torch.empty(0)

    def gradient(self, weights: "Tensor", step: int) -> "Tensor":
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

    def gap(self, weights: "Tensor") -> np.ndarray:
        """f - f* ``(c,)``; rounding may leave it at -1e-16, which reads 0."""
        import torch

        scaled = self.units * weights.detach()
        scores = self.x @ scaled
        right = scores.gather(2, self.y[None, :, None].expand(len(scores), -1, 1)).squeeze(2)
        value = (scores.logsumexp(-1) - right).mean(-1) + 0.5 * self.l2 * scaled.square().sum((1, 2))
        return torch.where(value < self.best, 0.0, value - self.best).numpy()

    def _batch(self, step: int) -> "Tensor":
        """Samples of this step for each distinct seed ``(seeds, batch)``; each epoch has an order of its own."""
        from lemmata.draws import cell_seeds, permutation

        n = len(self.x)
        per_epoch = n // self.batch
        epoch, place = divmod(step, per_epoch)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = permutation(cell_seeds(0, self.distinct), f"order of epoch {epoch}", n)
        return self.order[:, place * self.batch : (place + 1) * self.batch]
