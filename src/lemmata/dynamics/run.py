"""The description of a training run: what is sampled, trained, minimised, how it moves, and what is recorded."""

import dataclasses
import inspect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from lemmata.data.model import DataModel
from lemmata.dynamics.rule import Rule
from lemmata.dynamics.rules import GD
from lemmata.dynamics.stopping import Until
from lemmata.nets.net import Net
from lemmata.objectives.margin import Logistic
from lemmata.objectives.objective import Objective
from lemmata.parameters import Parameter, check, parameter, parameters_of
from lemmata.probes.probe import Probe
from lemmata.probes.shipped import named

_PARTS = ("data", "net", "objective", "rule", "until")


@dataclass(frozen=True)
class Run:
    """One cell, or with ``(c,)`` tensors in its per-cell parameters ``c`` cells of one shape.

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
        record: steps at which they are recorded, increasing; None is once, at the end.
        seed_root: root of all randomness.

    Raises:
        ValueError: for a value outside its range, or an engine that cannot run the rule, with the reason.
        TypeError: for a part that is not one, or that the objective cannot train, naming what it lacks.
    """

    data: DataModel
    net: Net
    objective: Objective = field(default_factory=Logistic)
    rule: Rule = field(default_factory=GD)
    steps: int = parameter("gradient steps", int, units="steps", least=1, default=600)
    stop_loss: float | None = parameter(
        "training loss at which a cell stops", above=0, scale="log", optional=True, default=None
    )
    stop_gradient: float | None = parameter(
        "length of the gradient at which a cell has converged", above=0, scale="log", optional=True, default=None
    )
    until: Until | None = None
    engine: str = parameter("engine", str, choices=("auto", "direct", "compressed", "gram"), default="auto")
    dtype: str = parameter("number format of training", str, choices=("float64", "float32"), default="float64")
    device: str = parameter("device", str, axis=False, default="cpu")
    probes: tuple[str | Probe, ...] = ("train_loss",)
    record: tuple[int, ...] | None = None
    seed_root: int = parameter("root of all randomness", int, least=0, axis=False, default=0)

    def __post_init__(self) -> None:
        for part, owed in (("data", DataModel), ("net", Net), ("objective", Objective), ("rule", Rule)):
            _check_owed(getattr(self, part), owed, f"{part} = {getattr(self, part)!r} was given, which", "lemmata.Run")
        name = type(self.objective).__name__
        asked = f"{name} was asked for with {type(self.net).__name__}, which"
        _check_owed(self.net, self.objective.trains, asked, f"lemmata.nets.net.{self.objective.trains.__name__}")
        check(self)
        if not self.rule.equivariant and self.engine in ("compressed", "gram"):
            raise ValueError(
                f"engine {self.engine!r} was asked for with {self.rule.name}, which treats coordinates one by one "
                "and so is not invariant under rotations of them; use engine='direct'"
            )
        if self.objective.draws and not self.rule.memoryless:
            raise ValueError(
                f"{name} was asked for with {self.rule.name}; its noises are new at every step, so use GD without "
                "momentum, SAM or backtracking"
            )
        check_device(self.device)
        named(self.probes)
        _check_record(self.record, self.steps)

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

    def parameters(self) -> dict[str, Parameter]:
        """Everything that may be set in the run, by name."""
        found: dict[str, Parameter] = {}
        for part in (*self._parts, ""):
            found |= _parameters(getattr(self, part) if part else self)
        return found

    def value(self, name: str) -> Any:
        """What a parameter is set to, whichever part it belongs to.

        Raises:
            ValueError: for a name that is no parameter, naming those that are.
        """
        part = self._owners(name)[name]
        return getattr(getattr(self, part) if part else self, name)

    def axes(self) -> dict[str, str]:
        """Every name that a grid may vary, and the part of the run that it belongs to (``""`` for the run itself)."""
        found = {name: "" for name, says in _parameters(self).items() if says.axis} | {"seed": ""}
        for part in self._parts:
            found |= {name: part for name, says in _parameters(getattr(self, part)).items() if says.axis}
        return found

    @property
    def _parts(self) -> tuple[str, ...]:
        return tuple(part for part in _PARTS if getattr(self, part) is not None)

    def _owners(self, *asked: str) -> dict[str, str]:
        """The part that each parameter belongs to; raises ``ValueError`` for one that is asked for and is not there."""
        owners = dict.fromkeys(_parameters(self), "")
        for part in self._parts:
            owners |= dict.fromkeys(_parameters(getattr(self, part)), part)
        for name in asked:
            if name not in owners:
                raise ValueError(f"axis {name!r} was asked for; this run has the axes {', '.join(sorted(self.axes()))}")
        return owners

    def is_value(self, name: str, *, compressed: bool = False) -> bool:
        """Whether an axis changes numbers only, so that its cells share a tile.

        Args:
            compressed: whether all cells in question are held in compressed coordinates, which some axes need.
        """
        if name == "seed":
            return True
        varies = self.parameters()[name].per_cell
        return varies is True or (varies == "compressed" and compressed)

    def at(self, changes: Mapping[str, Any]) -> "Run":
        """The run with some of its parameters changed, in whichever part they belong to.

        With fewer steps, those recorded that are no longer taken give way to the last.

        Raises:
            ValueError: for a name that is no parameter, naming those that are; or a value outside its range.
        """
        own = {field.name for field in dataclasses.fields(self)} - {*_PARTS}
        record, steps = changes.get("record", self.record), changes.get("steps", self.steps)
        if "steps" in changes and record and max(record) > steps:  # looks beyond the last step give way to one there
            changes = {**changes, "record": (*(step for step in record if step < steps), steps)}
        owners = self._owners(*(name for name in changes if name != "seed" and name not in own))
        grouped: dict[str, dict[str, Any]] = {part: {} for part in (*self._parts, "")}
        for name, value in changes.items():
            if name != "seed":
                grouped[owners.get(name, "")][name] = value
        parts = {
            part: dataclasses.replace(getattr(self, part), **grouped[part]) for part in self._parts if grouped[part]
        }
        return dataclasses.replace(self, **parts, **grouped[""])

    def batch(self, points: Sequence[Mapping[str, Any]]) -> tuple["Run", Tensor]:
        """The run that holds all of ``points`` side by side, and each point's index along the seed axis ``(c,)``.

        The points may differ in axes alone in which cells of one tile may differ.
        """
        shared: dict[str, Any] = {}
        each: dict[str, Tensor] = {}
        parameters = self.parameters()
        for name in points[0]:
            values = [point[name] for point in points]
            varies = name != "seed" and name in parameters and parameters[name].per_cell
            # What compressed coordinates alone can vary stays one number where it can: then any coordinates will do.
            if varies is True or (varies == "compressed" and len(set(values)) > 1):
                each[name] = torch.tensor(values, dtype=torch.float64, device=self.device)
            elif name != "seed":
                shared[name] = values[0]
        seeds = torch.tensor([int(point.get("seed", 0)) for point in points], dtype=torch.int64, device=self.device)
        return self.at(shared | each), seeds

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


def _parameters(part: Any) -> dict[str, Parameter]:
    """The parameters of a part; of one that says none, all its fields, without a range."""
    said = parameters_of(part)
    if said or isinstance(part, Run | Until):
        return said
    return {f.name: Parameter(f.name) for f in dataclasses.fields(part)}


def _check_owed(part: Any, owed: type, asked: str, where: str) -> None:
    """Raises ``TypeError`` unless a part has every public member of a class or protocol."""
    # Statically, because a property may refuse to be read before anything runs.
    lacking = [n for n in dir(owed) if not n.startswith("_") and inspect.getattr_static(part, n, None) is None]
    if lacking:
        raise TypeError(f"{asked} has no {', '.join(lacking)}; see {where}")


def _check_record(record: tuple[int, ...] | None, steps: int) -> None:
    """Raises ``ValueError`` unless the steps of a record increase and are taken."""
    for step in record or ():
        if not isinstance(step, Integral) or isinstance(step, bool) or not 0 <= int(step) <= steps:
            raise ValueError(f"a record at step {step} was asked for; steps run from 0 to {steps}")
    if record is not None and (not record or any(a >= b for a, b in itertools.pairwise(record))):
        raise ValueError(
            f"record = {record!r} was asked for; name steps in increasing order, each once, "
            f"e.g. record={tuple(sorted(set(record))) or (0, steps)}"
        )


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
