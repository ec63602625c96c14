"""The description of a training run: what is sampled, trained, minimised, how it moves, and what is recorded."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lemmata.dynamics.rules import GD, TorchRule
from lemmata.dynamics.stopping import Until
from lemmata.objectives.margin import Logistic
from lemmata.objectives.objective import Objective
from lemmata.parameters import per_cell_names, require, require_whole
from lemmata.probes.probe import Probe, named

ENGINES = ("auto", "direct", "compressed", "gram")
_PARTS = ("data", "net", "objective", "rule", "until")


@dataclass(frozen=True)
class Run:
    """One cell, or with ``(c,)`` tensors in its value fields ``c`` cells of one shape.

    Args:
        data: e.g. :class:`~lemmata.SignalNoise`.
        net: e.g. :class:`~lemmata.TwoLayerCNN`.
        objective: what is minimised.
        rule: how parameters move.
        steps: most steps taken, at least 1.
        stop_loss: a cell stops when its training loss is at most this; None trains all the steps.
        stop_gradient: a cell has converged when its gradient is no longer than this; None never asks.
        until: a cell stops when a probe reaches a level; None never asks.
        engine: ``"direct"``, ``"compressed"``, ``"gram"``, or ``"auto"``: gram if the rule allows it, else direct.
        dtype: ``"float64"`` or ``"float32"``, of training; sampling and test error are always float64.
        device: where it runs, e.g. ``"cpu"`` or ``"cuda"``.
        probes: quantities recorded, names of :data:`~lemmata.PROBES` or :class:`~lemmata.Probe` objects.
        record: steps at which they are recorded; None is once, at the end.
        seed_root: root of all randomness.

    Raises:
        ValueError: for a value outside its range, or an engine that cannot run the rule, with the reason.
    """

    data: Any
    net: Any
    objective: Objective = field(default_factory=Logistic)
    rule: GD | TorchRule = field(default_factory=GD)
    steps: int = 600
    stop_loss: float | None = None
    stop_gradient: float | None = None
    until: Until | None = None
    engine: str = "auto"
    dtype: str = "float64"
    device: str = "cpu"
    probes: tuple[str | Probe, ...] = ("train_loss",)
    record: tuple[int, ...] | None = None
    seed_root: int = 0

    def __post_init__(self) -> None:
        for part, needed in (("data", "sample"), ("net", "initial_head"), ("objective", "loss"), ("rule", "move")):
            if not hasattr(getattr(self, part), needed):
                raise TypeError(f"{part} = {getattr(self, part)!r} was given, which has no {needed}; see lemmata.Run")
        require_whole("steps", self.steps, 1, "the number of steps")
        require("engine", self.engine, lambda x: x in ENGINES, "one of " + ", ".join(ENGINES))
        require("dtype", self.dtype, lambda x: x in ("float64", "float32"), "float64 or float32")
        for name in ("stop_loss", "stop_gradient"):
            if getattr(self, name) is not None:
                require(name, getattr(self, name), lambda x: x > 0, "above 0, or None")
        if not self.rule.equivariant and self.engine in ("compressed", "gram"):
            raise ValueError(
                f"engine {self.engine!r} was asked for with {self.rule.name}, which treats coordinates one by one "
                "and so is not invariant under rotations of them; use engine='direct'"
            )
        if self.objective.draws and not (isinstance(self.rule, GD) and self.rule.memoryless):
            raise ValueError(
                f"{type(self.objective).__name__} was asked for with {self.rule.name}; its noises are new at every "
                "step, so use GD without momentum, SAM or backtracking"
            )
        check_device(self.device)
        named(self.probes)
        for step in self.record or ():
            if not 0 <= step <= self.steps:
                raise ValueError(f"a record at step {step} was asked for; steps run from 0 to {self.steps}")

    @property
    def engine_used(self) -> str:
        """The engine that ``"auto"`` stands for."""
        return self.engine if self.engine != "auto" else ("gram" if self.rule.equivariant else "direct")

    @property
    def coordinates(self) -> str:
        """``"explicit"`` for the direct engine, ``"compressed"`` for the others."""
        return "explicit" if self.engine_used == "direct" else "compressed"

    @property
    def record_steps(self) -> tuple[int, ...]:
        """The steps recorded, increasing."""
        return (self.steps,) if self.record is None else tuple(sorted(set(self.record)))

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of training."""
        return getattr(torch, self.dtype)

    def axes(self) -> dict[str, str]:
        """Every name that a grid may vary, and the part of the run that it belongs to (``""`` for the run itself)."""
        found = dict.fromkeys(("steps", "stop_loss", "stop_gradient", "engine", "dtype"), "") | {"seed": ""}
        for part in self._parts:
            found |= {f.name: part for f in dataclasses.fields(getattr(self, part))}
        return found

    @property
    def _parts(self) -> tuple[str, ...]:
        return tuple(part for part in _PARTS if getattr(self, part) is not None)

    def is_value(self, name: str) -> bool:
        """Whether an axis changes numbers only, so that its cells share a tile."""
        part = self.axes()[name]
        owner = getattr(self, part) if part else None
        return name == "seed" or name in getattr(owner, "value_fields", ()) or name in per_cell_names(owner, "explicit")

    def at(self, changes: Mapping[str, Any]) -> "Run":
        """The run with some of its axes changed, in whichever part they belong to.

        Raises:
            ValueError: for a name that is no axis, naming those that are; or a value outside its range.
        """
        axes, grouped = self.axes(), {part: {} for part in (*self._parts, "")}  # type: ignore[var-annotated]
        own = {f.name for f in dataclasses.fields(self)} - {*_PARTS}
        if "steps" in changes and self.record is not None and not isinstance(changes["steps"], Tensor):
            # Looks beyond the last step fall away.
            kept = tuple(step for step in self.record if step <= changes["steps"])
            changes = {"record": kept or (changes["steps"],), **changes}
        for name, value in changes.items():
            if name in own and name not in axes:
                grouped[""][name] = value
                continue
            if name not in axes:
                raise ValueError(f"axis {name!r} was asked for; this run has the axes {', '.join(sorted(axes))}")
            if name != "seed":
                grouped[axes[name]][name] = value
        parts = {
            part: dataclasses.replace(getattr(self, part), **grouped[part]) for part in self._parts if grouped[part]
        }
        return dataclasses.replace(self, **parts, **grouped[""])

    def batch(self, points: Sequence[Mapping[str, Any]]) -> tuple["Run", Tensor]:
        """The run that holds all of ``points`` side by side, and each point's index along the seed axis ``(c,)``.

        The points may differ in value axes alone.
        """
        shared, per_cell = {}, {}
        for name in points[0]:
            values = [point[name] for point in points]
            if (name == "d" and len(set(values)) > 1) or (name != "d" and name != "seed" and self.is_value(name)):
                per_cell[name] = torch.tensor(values, dtype=torch.float64, device=self.device)
            elif name != "seed":
                shared[name] = values[0]
        seeds = torch.tensor([int(point.get("seed", 0)) for point in points], dtype=torch.int64, device=self.device)
        return self.at(shared | per_cell), seeds

    def describe(self) -> dict[str, Any]:
        """The run as nested dictionaries of plain values, each part with its class name."""
        return _fields(self)


def check_device(device: str) -> None:
    """Raises ``ValueError`` for a device that is not there."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"device {device!r} was asked for; use 'cpu', or 'cuda' where there is one") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for and this machine has no CUDA device; use device='cpu'")


def _plain(value: Any) -> Any:
    if isinstance(value, Probe):
        return value.name
    if hasattr(value, "describe"):
        return value.describe()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _fields(value: Any) -> dict[str, Any]:
    fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {"kind": type(value).__name__, **fields}
