"""Trainings of small networks by autograd as the body of a sweep: a tile is one ensemble, with a checkpoint in scratch.

A subclass adds the parameters of its task and says what is trained::

    @dataclass(frozen=True)
    class Parity(TaskBody):
        n: int = parameter("bits n", int, least=1, default=8)
        scores: ClassVar = {"error": Variable(units="1", long_name="share of wrong answers")}

        def task(self, points):
            return ParityTask(self.n)

Values of parameters that are per cell come as ``self.column(points, name)``, one for each cell.
"""

import dataclasses
import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lemmata.draws import cell_seeds
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import LOSS, Trained, train
from lemmata.loops.rules import RULES
from lemmata.loops.task import Task
from lemmata.parameters import Parameter, check, parameter
from lemmata.sweep.body import Body, Variable, endings

_NUMBERS = ("rate", "weight_decay", "warmup")


@dataclass(frozen=True)
class TaskBody(Body):
    """Trains the networks of a tile side by side.

    Variables: the scores and ``train_loss`` along ``step``, and ``status`` with ``status_step``.
    """

    steps: int = parameter("training steps", int, units="steps", least=0, default=1000)
    rate: float = parameter("learning rate η", least=0, scale="log", per_cell=True, default=1e-3)
    rule: str = parameter("update rule", str, choices=tuple(RULES), default="adamw")
    weight_decay: float = parameter("weight decay", least=0, per_cell=True, default=0.0)
    warmup: int = parameter("steps of linear warm-up", int, units="steps", least=0, per_cell=True, default=0)
    schedule: str = parameter("schedule of the learning rate", str, choices=("constant", "cosine"), default="constant")
    clip: float | None = parameter("largest gradient norm", above=0, optional=True, default=None)
    records: int = parameter("how often scores are taken", int, least=1, default=20, axis=False)
    checkpoint_every: int = parameter(
        "steps between checkpoints", int, units="steps", least=1, default=1000, axis=False
    )
    seed_root: int = parameter("root of all random draws", int, least=0, default=0, axis=False)
    device: str = parameter("device", str, default="cpu", axis=False)

    scores: ClassVar[Mapping[str, Variable]] = {}
    """Each score of the task and what it is; recorded along ``step``."""

    def __post_init__(self) -> None:
        check(self)

    @abstractmethod
    def task(self, points: Sequence[dict[str, Any]]) -> Task:
        """The task of these cells; parameters that are no per-cell ones are the same in all, and in ``self``."""

    @property
    def record_steps(self) -> tuple[int, ...]:
        """Step counts at which scores are taken: 0, then denser at the beginning."""
        shares = np.linspace(0, 1, self.records + 1)
        return tuple(sorted({round(self.steps * share**2) for share in shares.tolist()}))

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Scores along the steps, and why each cell ended."""
        found = {name: dataclasses.replace(says, dims=("step", *says.dims)) for name, says in self.scores.items()}
        found[LOSS] = Variable(("step",), "1", "training loss, mean since the record before")
        return {**found, **endings()}

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The steps of the records."""
        return {"step": np.asarray(self.record_steps)}

    def labels(self) -> dict[str, Parameter]:
        """Of the steps."""
        return {"step": Parameter("training step k", int, units="steps", scale="log")}

    def run(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> Mapping[str, np.ndarray]:
        """One tile: one ensemble."""
        body = self.at({name: v for name, v in points[0].items() if self.parameters()[name].per_cell is not True})
        assert isinstance(body, TaskBody)
        return body.measured(points, *body.trained(points, scratch))

    def trained(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> tuple[Task, Trained]:
        """The task and what its training left."""
        numbers: dict[str, Any] = {name: torch.tensor(self.column(points, name)) for name in _NUMBERS}
        numbers |= {"rule": RULES[self.rule], "schedule": self.schedule, "clip": self.clip}
        descent = Descent(self.steps, **numbers)
        index = [int(point.get("seed", 0)) for point in points]
        task, seeds = self.task(points), cell_seeds(self.seed_root, index, self.device)
        path = None
        if scratch is not None:
            path = scratch / (hashlib.sha256(repr(points).encode()).hexdigest()[:16] + ".pt")
        return task, train(task, seeds, descent, records=self.record_steps, path=path, every=self.checkpoint_every)

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """The variables; a subclass with more of them adds them here."""
        found = {name: values.cpu().numpy() for name, values in trained.records.items() if name in self.variables}
        return {
            **found,
            "status": trained.status.cpu().numpy(),
            "status_step": trained.status_step.cpu().numpy(),
        }


def as_column(body: Body, points: Sequence[dict[str, Any]], name: str, dtype: torch.dtype) -> Tensor:
    """A per-cell parameter as a tensor ``(c,)``."""
    return torch.tensor(body.column(points, name).tolist(), dtype=dtype)
