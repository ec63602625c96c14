"""Networks trained by one of the optimisers that are compared: what CIFAR-10, GPT-2 and the digits share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch.optim import Optimizer

from lemmata.loops.task import NetworkTask
from lemmata.papers.parameter_free.methods import METHODS, Compared, scale_of
from lemmata.parameters import parameter
from lemmata.sweep import Variable
from lemmata.sweep.bodies.of_network import NetworkBody

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class ComparedNetworks(Compared, NetworkBody):
    """Adds the network, the schedule, and the readings ``eta`` and ``knob``.

    Args:
        optimiser_options: further options of :class:`~lemmata.papers.parameter_free.methods.Method`.
    """

    readings_of: ClassVar[Mapping[str, str]] = {"eta": "distance scale η, or d of Prodigy and D-Adaptation"}

    schedule: str = parameter("schedule of the multiplier", str, choices=SCHEDULES, default="constant")
    optimiser_options: tuple[tuple[str, Any], ...] = ()

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Scores and the scale at each recorded step, and the value of the knob."""
        return {**super().variables, "knob": Variable(long_name="learning rate, or first scale η₀, d₀")}

    def built(self, params: Any) -> Optimizer:
        """The optimiser of the one cell that this body is set to."""
        return METHODS[self.optimiser](params, self.knob({}), **dict(self.optimiser_options))

    def run(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> dict[str, np.ndarray]:
        """Every cell, from its checkpoint in ``scratch`` if there is one."""
        return {**super().run(points, scratch), "knob": np.array([self.knob(point) for point in points])}


class ComparedTask(NetworkTask):
    """A network under one of the optimisers; a subclass draws the batches."""

    body: ComparedNetworks
    schedule: Callable[[int], float]
    """Multiplier of the learning rate at a step."""

    def multiplier(self, step: int) -> float:
        """Of the schedule."""
        return self.schedule(step)

    def optimiser(self) -> Optimizer:
        """On all parameters alike."""
        return self.body.built(self.model.parameters())

    def readings(self, optimiser: Optimizer) -> Mapping[str, float]:
        """The scale it has reached."""
        return {"eta": scale_of(optimiser)}
