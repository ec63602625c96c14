"""Optimisers side by side: every one has a single knob to turn, and the question is how much turning it needs.

The knob is the learning rate of Adam, AdaGrad and Schedule-Free AdamW; where a method finds its own learning rate it is
the first guess of the distance to go, eta0 of the ++ methods and d0 of Prodigy and D-Adaptation. A method with a
``peer`` comes from a package of its own and is refused by name where that is not installed.

References: AdaGrad++, Adam++: Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444. Prodigy: Mishchenko, Defazio 2023,
arXiv 2306.06101. D-Adaptation: Defazio, Mishchenko 2023, arXiv 2301.07733. Schedule-Free: Defazio, Yang, Mehta,
Mishchenko, Khaled, Cutkosky 2024, arXiv 2405.15682.
"""

import dataclasses
import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import xarray as xr
from torch.optim import Optimizer

from lemmata.claims import NotMeasurable
from lemmata.optim import AdaGradPP, AdamPP
from lemmata.parameters import parameter
from lemmata.sweep import Body, Grid

SOURCE = "Tao et al. 2024, abstract"

RATE, SCALE = "learning rate", "first scale"
"""What the knob of a method is."""

Knobs = tuple[tuple[str, tuple[float, ...]], ...]
"""Method name and the values of its knob, one for each index of the axis ``tuning``."""


@dataclass(frozen=True)
class Method:
    """One optimiser.

    Args:
        name: on the axis ``optimiser``.
        label: in figures.
        knob: :data:`RATE` or :data:`SCALE`.
        build: parameters, knob, then ``betas``, ``weight_decay`` and ``decoupled`` → optimiser.
        peer: the package it comes from, if that is not one that Lemmata needs.
    """

    name: str
    label: str
    knob: str
    build: Callable[..., Optimizer]
    peer: str = ""

    def __call__(
        self,
        params: Iterable[Any],
        knob: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> Optimizer:
        """The optimiser; ``decoupled`` takes the weight decay from the parameters instead of adding it to gradients."""
        return self.build(params, knob, betas=betas, weight_decay=weight_decay, decoupled=decoupled)


def _adam(params: Any, lr: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return kind(params, lr=lr, betas=betas, weight_decay=weight_decay)


def _adagrad(params: Any, lr: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
    if decoupled and weight_decay:
        raise ValueError("torch's Adagrad has no decoupled weight decay; leave adagrad out, or take weight decay 0")
    return torch.optim.Adagrad(params, lr=lr, weight_decay=weight_decay)


def _adagrad_pp(params: Any, eta0: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
    return AdaGradPP(params, eta0=eta0, weight_decay=weight_decay, decoupled_weight_decay=decoupled)


def _adam_pp(**options: Any) -> Callable[..., Optimizer]:
    def build(params: Any, eta0: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
        decay: dict[str, Any] = {"weight_decay": weight_decay, "decoupled_weight_decay": decoupled}
        return AdamPP(params, betas=betas, eta0=eta0, **decay, **options)

    return build


def _prodigy(params: Any, d0: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
    from prodigyopt import Prodigy

    return Prodigy(params, lr=1.0, betas=betas, weight_decay=weight_decay, decouple=decoupled, d0=d0)


def _dadapt_adam(params: Any, d0: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
    from dadaptation import DAdaptAdam

    return DAdaptAdam(params, lr=1.0, betas=betas, weight_decay=weight_decay, decouple=decoupled, d0=d0)


def _schedule_free(params: Any, lr: float, *, betas: Any, weight_decay: float, decoupled: bool) -> Optimizer:
    from schedulefree import AdamWScheduleFree

    return AdamWScheduleFree(params, lr=lr, betas=betas, weight_decay=weight_decay)


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("adagrad++", "AdaGrad++", SCALE, _adagrad_pp),
        Method("adam++", "Adam++ (case 2′)", SCALE, _adam_pp(variant="ema")),
        Method("adam++sum", "Adam++ (case 1)", SCALE, _adam_pp(variant="sum")),
        Method("adam++max", "Adam++ (case 2)", SCALE, _adam_pp(variant="ema_max")),
        Method("adam++literal", "Adam++ (case 2′ uncorrected)", SCALE, _adam_pp(variant="ema", bias_correction=False)),
        Method("adam", "Adam", RATE, _adam),
        Method("adagrad", "AdaGrad", RATE, _adagrad),
        Method("prodigy", "Prodigy", SCALE, _prodigy, peer="prodigyopt"),
        Method("dadapt-adam", "D-Adapt Adam", SCALE, _dadapt_adam, peer="dadaptation"),
        Method("schedule-free", "Schedule-Free AdamW", RATE, _schedule_free, peer="schedulefree"),
    )
}
"""Every optimiser that can stand on the axis ``optimiser``."""

PLUS = ("adagrad++", "adam++", "adam++sum")
"""The paper's methods, as one would use them."""
DEFAULT_SCALE = 1e-6
"""First scale that the ++ methods come with."""
PEERS = ("prodigy", "dadapt-adam", "schedule-free")


def check_methods(names: Iterable[str], knobs: Knobs) -> None:
    """Refuse, before anything runs, a method that is unknown, has no values for its knob or is not installed.

    Raises:
        ValueError: the message says which, and what to leave out or install.
    """
    names = tuple(names)
    known = [name for name, _ in knobs]
    for name in names:
        if name not in METHODS or name not in known:
            raise ValueError(f"optimiser {name!r} was asked for; there are {', '.join(known)}")
    missing = [name for name in names if METHODS[name].peer and not importlib.util.find_spec(METHODS[name].peer)]
    if missing:
        rest = " ".join(name for name in names if name not in missing)
        packages = ", ".join(METHODS[name].peer for name in missing)
        raise ValueError(
            f"{packages} must be installed to run {', '.join(missing)}; pip install 'lemmata[bench]', "
            f"or run without with --optimiser {rest or 'adam++'}"
        )


def check_tuning(indices: Iterable[int], knobs: Knobs) -> None:
    """Refuse an index of the axis ``tuning`` that some method has no value for (``ValueError``)."""
    most = min(len(values) for _, values in knobs)
    for index in indices:
        if not 0 <= index < most:
            raise ValueError(f"tuning {index} was asked for; there are 0 to {most - 1}, from the smallest value up")


def knob_of(point: Mapping[str, Any], knobs: Knobs) -> float:
    """The value of the knob at a point with ``optimiser`` and ``tuning``."""
    return dict(knobs)[point["optimiser"]][point["tuning"]]


def place_of(dataset: xr.Dataset, optimiser: str, knob: float) -> int:
    """Where on the axis ``tuning`` of a dataset an optimiser's knob has this value.

    Raises:
        NotMeasurable: the optimiser or the value was not run.
    """
    if optimiser not in dataset["optimiser"].values:
        raise NotMeasurable(f"needs optimiser {optimiser!r}, which was not run")
    found = dataset["knob"].sel(optimiser=optimiser)
    values = found.isel({dim: 0 for dim in found.dims if dim != "tuning"}).values
    for place, value in enumerate(values):
        if abs(value / knob - 1) < 1e-6:
            return place
    raise NotMeasurable(f"needs {optimiser} with {METHODS[optimiser].knob} {knob:g}, which was not run")


def scale_of(optimiser: Optimizer) -> float:
    """The distance scale that a method has reached, eta or d; NaN for one that has none. Waits for the device."""
    if isinstance(optimiser, AdaGradPP | AdamPP):
        return float(optimiser.eta)
    return float(optimiser.param_groups[0].get("d", math.nan))


@dataclass(frozen=True, kw_only=True)
class Compared(Body):
    """A body whose cells differ in their optimiser and in the value of its one knob.

    Args:
        knobs: values by optimiser.
    """

    optimiser: str = parameter("optimiser", str, choices=tuple(METHODS), default="adam++", per_cell=True)
    tuning: int = parameter("place in the method's grid of knob values", int, least=0, default=0, per_cell=True)
    knobs: Knobs = ()

    def at(self, changes: Mapping[str, Any]) -> Body:
        """As every body; a size may also change the values of the knobs, and further fields that are no parameters."""
        parameters = self.parameters()
        own = {name: value for name, value in changes.items() if name not in parameters and name in vars(self)}
        rest = {name: value for name, value in changes.items() if name not in own}
        return super(Compared, dataclasses.replace(self, **own)).at(rest)

    def check(self, grid: Grid) -> None:
        """Refuses, before anything runs, optimisers that are not installed and knobs that have no such value."""
        super().check(grid)
        axes = {axis.name: axis.values for axis in grid.axes}
        check_methods(axes.get("optimiser", (self.optimiser,)), self.knobs)
        check_tuning(axes.get("tuning", (self.tuning,)), self.knobs)

    def knob(self, point: Mapping[str, Any]) -> float:
        """The value of the knob at a point."""
        chosen = {"optimiser": self.optimiser, "tuning": self.tuning, **point}
        return knob_of(chosen, self.knobs)
