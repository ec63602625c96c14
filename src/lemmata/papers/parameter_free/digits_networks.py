"""Small networks on scikit-learn's digits, trained by one optimiser per cell: cross entropy on mini-batches of 64.

A convolutional network and a transformer are trained on four fifths of the digits and tested on the rest, with a
constant multiplier of the learning rate or one that falls to 0 along a cosine (Loshchilov, Hutter 2016, arXiv
1608.03983). Gradients of several networks at once (``torch.func.vmap``) took longer than one after the other here, so
cells run singly.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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
    from torch import nn

    from lemmata.sweep import Grid

NETS, SCHEDULES = ("cnn", "transformer"), ("constant", "cosine")


@dataclass(frozen=True)
class DigitsBody:
    """Trains one network a cell in float32.

    Axes: ``net``, ``schedule``, ``optimiser``, ``tuning``, ``seed`` (first weights and order of the samples).
    """

    knobs: Knobs
    epochs: int = 15
    batch: int = 64

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs = {self.epochs} was asked for; take 1 or more")

    @property
    def variables(self) -> Mapping[str, Variable]:
        """What is seen after the last step."""
        return {
            "accuracy": Variable(long_name="test accuracy"),
            "train_loss": Variable(long_name="training loss"),
            "eta": Variable(long_name="distance scale η, or d of Prodigy and D-Adaptation"),
            "knob": Variable(long_name="learning rate, or first scale η₀, d₀"),
            "status": Variable(long_name="why the cell ended: 0 took all steps, 2 diverged", dtype="int8"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """None beyond the grid's."""
        return {}

    def configuration(self) -> dict[str, Any]:
        """Everything that decides the numbers."""
        return {"kind": "networks on digits", **asdict(self), "dtype": "float32", "device": "cpu"}

    def shape_axes(self, grid: "Grid") -> tuple[str, ...]:
        """``net``; refuses what cannot run before anything does."""
        axes = {axis.name: axis.values for axis in grid.axes}
        check_methods(axes["optimiser"], self.knobs)
        check_tuning(axes["tuning"], self.knobs)
        for name, known in (("net", NETS), ("schedule", SCHEDULES)):
            for value in axes[name]:
                if value not in known:
                    raise ValueError(f"{name} {value!r} was asked for; there are {', '.join(known)}")
        return ("net",)

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Activations of all test images at once; cells of a tile run one after the other."""
        return 2**22

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From one epoch of the first cell, after another that loads code."""
        short = DigitsBody(self.knobs, 1, self.batch)
        short.run(points[:1])
        started = time.perf_counter()
        short.run(points[:1])
        return (time.perf_counter() - started) * self.epochs * len(points)

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile."""
        rows = [self._cell(point) for point in points]
        return {name: np.array([row[name] for row in rows]) for name in self.variables}

    def _cell(self, point: dict[str, Any]) -> dict[str, Any]:
        import torch
        import torch.nn.functional as F

        from lemmata.draws import cell_seeds, permutation

        (x, y), (x_test, y_test) = _digits()
        seeds, per_epoch = cell_seeds(0, [point["seed"]]), len(x) // self.batch
        net, knob = _net(point["net"]), knob_of(point, self.knobs)
        net.reset_parameters(point["seed"])  # type: ignore[operator]
        optimiser = METHODS[point["optimiser"]](net.parameters(), knob)
        multiplier = schedule(point["schedule"], per_epoch * self.epochs)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, multiplier)
        training_mode(optimiser, True)
        for epoch in range(self.epochs):
            order = permutation(seeds, f"order of epoch {epoch}", len(x))[0]
            for index in order[: per_epoch * self.batch].split(self.batch):
                optimiser.zero_grad()
                F.cross_entropy(net(x[index]), y[index]).backward()
                optimiser.step()
                scheduler.step()
        training_mode(optimiser, False)
        with torch.no_grad():
            loss = float(F.cross_entropy(net(x), y))
            accuracy = float((net(x_test).argmax(1) == y_test).double().mean())
        end = 0 if np.isfinite(loss) else 2
        scores = {"accuracy": accuracy if end == 0 else np.nan, "train_loss": loss}
        return {**scores, "eta": scale_of(optimiser), "knob": knob, "status": np.int8(end)}


def _net(name: str) -> "nn.Module":
    from lemmata.modules.small_cnn import SmallCNN
    from lemmata.modules.small_transformer import SmallTransformer

    return SmallCNN(width=16) if name == "cnn" else SmallTransformer(width=32, depth=1, heads=4)


def _digits() -> Any:
    """Images ``(n, 1, 8, 8)`` and classes ``(n,)``: four fifths to train on and one to test, the same in all cells."""
    import torch

    from lemmata.data.files.images import load_digits
    from lemmata.draws import cell_seeds, permutation

    images = load_digits()
    x = torch.from_numpy(images.x).float().view(-1, 1, 8, 8)
    y = torch.from_numpy(images.y)
    order = permutation(cell_seeds(0, [0]), "split of the digits", len(y))[0]
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    return (x[train], y[train]), (x[test], y[test])


def schedule(name: str, steps: int) -> Callable[[int], float]:
    """Multiplier of the learning rate at each step: 1, or (1 + cos(π t/T))/2."""
    if name == "constant":
        return lambda step: 1.0
    return lambda step: 0.5 * (1 + float(np.cos(np.pi * min(step, steps) / steps)))
