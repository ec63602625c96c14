"""Networks on handwritten digits: any first scale against a grid of Adam's learning rates, two schedules.

A convolutional network and a transformer are trained for 15 epochs of mini-batches of 64 on four fifths of
scikit-learn's digits, with a constant multiplier and with one that falls to 0 along a cosine. Tao, Yuan, Zhou, Cao, Gu
2024, arXiv 2412.19444, show the same on CIFAR-10; the small setting is ours. Sizes of the networks were chosen so that
Adam over its learning rates spans the range from useless to best. Gradients of several networks at once
(``torch.func.vmap``) took longer than one after the other here, so cells run singly.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.experiments.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.experiments.experiment import SIZES, Experiment, Option
from lemmata.experiments.parameter_free_methods import (
    DEFAULT_SCALE,
    METHODS,
    PAPER,
    PEERS,
    PLUS,
    SOURCE,
    Knobs,
    check_methods,
    check_tuning,
    knob_of,
    place_of,
    scale_of,
    training_mode,
)
from lemmata.sweep.body import Variable

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from torch import nn

    from lemmata.sweep import Grid

NETS, SCHEDULES = ("cnn", "transformer"), ("constant", "cosine")
LEVELS = {"cnn": (0.975, 0.975), "transformer": (0.90, 0.935)}
"""Test accuracy that the ++ methods exceed at η₀ below 1e-7 and from there on, set by a study before this one."""


def knobs(size: str) -> Knobs:
    """Values by optimiser; the first of the ++ methods is far below any sensible guess."""
    scales: tuple[float, ...] = (1e-8, 1e-6, 1e-4, 1e-2)
    rates: dict[str, tuple[float, ...]] = {
        "adam": (1e-4, 1e-3, 3e-3, 3e-2),
        "schedule-free": (1e-4, 1e-3, 1e-2, 3e-2),
    }
    if size == "paper":
        scales = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
        rates = dict.fromkeys(rates, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1))
    own = dict.fromkeys((*PLUS, "adam++max", "adam++literal", "prodigy", "dadapt-adam"), scales)
    return tuple({**own, **rates}.items())


def grid(size: str) -> "Grid":
    from lemmata.sweep import Axis, Grid

    schedules, optimisers, tunings, seeds = {
        "smoke": (SCHEDULES[:1], ("adam++", "adam"), (1, 3), 1),
        "laptop": (SCHEDULES, (*PLUS, "adam", "prodigy"), range(4), 3),
        "paper": (SCHEDULES, (*PLUS, "adam++max", "adam++literal", "adam", *PEERS), range(7), 10),
    }[size]
    return Grid(
        (
            Axis("net", NETS, long_name="network"),
            Axis("schedule", schedules, long_name="schedule"),
            Axis("optimiser", optimisers, long_name="optimiser"),
            Axis("tuning", tuple(tunings), long_name="place in the method's grid of knob values"),
            Axis("seed", tuple(range(seeds)), long_name="seed"),
        )
    )


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

        from lemmata.cells import cell_seeds, permutation

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
    from lemmata.nets.small_cnn import SmallCNN
    from lemmata.nets.small_transformer import SmallTransformer

    return SmallCNN(width=16) if name == "cnn" else SmallTransformer(width=32, depth=1, heads=4)


def _digits() -> Any:
    """Images ``(n, 1, 8, 8)`` and classes ``(n,)``: four fifths to train on and one to test, the same in all cells."""
    import torch

    from lemmata.cells import cell_seeds, permutation
    from lemmata.data.images import load_digits

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


def body(size: str, *, epochs: int | None = None) -> DigitsBody:
    default = {"smoke": 4, "laptop": 15, "paper": 60}[size]
    return DigitsBody(knobs(size), default if epochs is None else epochs)


# -- claims ----------------------------------------------------------------------------------------------------------


def _accuracy(dataset: "xr.Dataset", schedule: str) -> "xr.DataArray":
    """Mean over seeds ``(net, optimiser, tuning)``; 0 where a seed diverged."""
    kept = at(dataset, schedule=schedule)
    return kept["accuracy"].where(kept["status"] == 0, 0.0).mean("seed")


def _own(accuracy: "xr.DataArray") -> "xr.DataArray":
    names = [name for name in accuracy["optimiser"].values if name in PLUS]
    if not names or accuracy.sizes["tuning"] < 2:
        raise NotMeasurable("needs a ++ method at two values of η₀ or more")
    return accuracy.sel(optimiser=names)


def _any_first_scale(dataset: "xr.Dataset", schedule: str) -> Finding:
    own = _own(_accuracy(dataset, schedule))
    knob = dataset["knob"].isel(schedule=0, seed=0).sel(optimiser=own["optimiser"])
    worst, holds, levels = [], True, []
    for name in map(str, own["net"].values):
        here, far = own.sel(net=name), knob.sel(net=name) < 1e-7
        low, high = LEVELS[name]
        holds = holds and not bool((here < far * (low - high) + high).any())
        worst.append(f"{float(here.min()):.3f} ({name})")
        levels.append(f"≥ {high}" + (f", {low} below η₀ = 1e-7" if low < high else "") + f" ({name})")
    return Finding(
        holds=holds,
        measured="worst accuracy " + ", ".join(worst),
        predicted="near the best for every η₀",
        tolerance=", ".join(levels),
    )


def any_first_scale_trains(dataset: "xr.Dataset") -> Finding:
    return _any_first_scale(dataset, "constant")


def any_first_scale_trains_on_cosine(dataset: "xr.Dataset") -> Finding:
    return _any_first_scale(dataset, "cosine")


def flatter_than_adam(dataset: "xr.Dataset") -> Finding:
    accuracy = _accuracy(dataset, "constant")
    spread = accuracy.max("tuning") - accuracy.min("tuning")
    own, adam = _own(accuracy), at(spread.to_dataset(name="spread"), optimiser="adam")["spread"]
    widest = (own.max("tuning") - own.min("tuning")).max("optimiser")
    return Finding(
        holds=bool((adam >= 3 * widest).all()),
        measured=f"range ≤ {float(widest.max()):.3f} over η₀, ≥ {float(adam.min()):.3f} over learning rates",
        predicted="flat over η₀",
        tolerance="three times flatter for each network",
    )


def _below_adam(dataset: "xr.Dataset", schedule: str) -> Finding:
    accuracy = _accuracy(dataset, schedule)
    best = at(accuracy.to_dataset(name="accuracy"), optimiser="adam")["accuracy"].max("tuning")
    below = best - accuracy.sel(optimiser="adam++").isel(tuning=place_of(dataset, "adam++", DEFAULT_SCALE))
    found = {str(name): float(below.sel(net=name)) for name in below["net"].values}
    return Finding(
        holds=all(value <= 0.01 for value in found.values()),
        measured=", ".join(f"{value:+.3f} ({name})" for name, value in found.items()),
        predicted="0",
        tolerance="at most 0.010 below the best learning rate",
    )


def matches_tuned_adam(dataset: "xr.Dataset") -> Finding:
    return _below_adam(dataset, "constant")


def matches_tuned_adam_on_cosine(dataset: "xr.Dataset") -> Finding:
    return _below_adam(dataset, "cosine")


def all_end(dataset: "xr.Dataset") -> Finding:
    kept = converged(dataset)
    return Finding(
        holds=not kept.left_out,
        measured=f"{sum(kept.left_out.values())} of {kept.usable.size} diverged",
        predicted="none diverges",
    )


CLAIMS = (
    Claim("all-end", "every run ends", SOURCE, all_end, SIZES),
    Claim("any-first-scale", "the ++ methods train well from every η₀", SOURCE, any_first_scale_trains),
    Claim("any-on-cosine", "the same under a cosine schedule", SOURCE, any_first_scale_trains_on_cosine),
    Claim("flatter-than-adam", "η₀ matters less than Adam's learning rate", SOURCE, flatter_than_adam),
    Claim("matches-tuned-adam", "Adam++ as it comes matches Adam at its best", SOURCE, matches_tuned_adam),
    Claim("matches-on-cosine", "so it does under a cosine schedule", SOURCE, matches_tuned_adam_on_cosine),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error against knob; rows: networks, columns: schedules."""
    from lemmata.experiments.parameter_free_figures import by_net_and_schedule

    title = "Networks on digits: any first scale trains, unless a cosine ends before η has grown"
    return {"networks": by_net_and_schedule(dataset["accuracy"], dataset["status"], dataset["knob"], title, 1 / 360)}


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    import xarray as xr

    return xr.Dataset()


EXPERIMENT = Experiment(
    name="parameter-free-networks",
    paper=PAPER,
    shows="A CNN and a transformer on digits: any first scale trains, few learning rates of Adam do.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("net", str, "cnn or transformer"),
        Option("schedule", str, "constant or cosine"),
        Option("optimiser", str, "optimisers to compare"),
        Option("tuning", int, "places in each method's grid of knob values, from 0"),
        Option("epochs", int, "passes through the data, from 1", axis=False),
    ),
    seconds={"smoke": 3, "laptop": 240, "paper": 40000},
)
