"""What a training by autograd owes its loop: a start, a loss, scores; the loop does the rest.

Two kinds, one for each loop. A :class:`Task` is c small networks of one shape, side by side: parameters are tensors
with the cells first, and everything it returns is one number per cell. A :class:`NetworkTask` is one large network, an
ordinary ``nn.Module``, whose batches a loop may cut and share among devices. Both are made *for their cells*: what
differs between cells (a learning target, a noise level) are fields of shape ``(c,)``.

Nothing a task draws may come from global random state: first weights, prompts and order of samples are functions of
the cell's seed and the step (:mod:`lemmata.cells`). Then a cell does not know its neighbours, and a training that was
killed goes on bit for bit from the step, the parameters and the optimiser.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Parameters = dict[str, Tensor]
"""Name → tensor ``(c, ...)``: the trainable numbers of all cells."""


class Task(ABC):
    """c small networks, trained as one tensor program.

    Axis c comes first everywhere, and no operation may mix cells: the gradient of the *sum* of the losses is then the
    gradient of each.

    Example, linear regression on fresh standard normal inputs, learning ``x -> sum(x)``::

        class Sum(Task):
            scores_of = {"error": "squared distance to the solution"}

            def start(self, seeds):
                self.seeds = seeds
                return {"w": normal(seeds, "w", (3,), torch.float32)}

            def loss(self, parameters, step):
                x = normal(self.seeds, f"inputs/{step}", (16, 3), torch.float32)  # (c, b, d)
                return ((x @ parameters["w"].unsqueeze(2)).squeeze(2) - x.sum(2)).square().mean(1)

            def scores(self, parameters):
                return {"error": (parameters["w"] - 1).square().sum(1)}
    """

    scores_of: ClassVar[Mapping[str, str]] = {}
    """Name of each score and what it is (units in brackets), in the order they are stored."""

    @abstractmethod
    def start(self, seeds: Tensor) -> Parameters:
        """Parameters at step 0, leaf tensors without gradients.

        Called once, before everything else, also when a training is resumed (the loop then overwrites the values); keep
        here what later draws need.

        Args:
            seeds: ``(c,)`` int64, as :func:`lemmata.cells.cell_seeds` gives them, on the device to train on.
        """

    @abstractmethod
    def loss(self, parameters: Parameters, step: int) -> Tensor:
        """What step number ``step`` (from 0) descends, ``(c,)``, differentiable."""

    def scores(self, parameters: Parameters) -> Mapping[str, Tensor]:
        """The recorded numbers, each ``(c,)``; called under ``torch.no_grad``."""
        return {}

    def after_step(self, parameters: Parameters, step: int) -> None:  # noqa: B027  by default nothing
        """Called when step number ``step`` has been taken; the end of an epoch belongs here."""

    def memory(self) -> dict[str, Any]:
        """What besides parameters decides the next steps, as tensors, numbers and lists; kept in checkpoints."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:  # noqa: B027  by default nothing
        """Go on from :meth:`memory`, after :meth:`start`."""


class NetworkTask(ABC):
    """One large network, trained by :func:`lemmata.loops.loop.train`.

    The loop cuts the batch of a step into rows: pieces that a device takes at once, shares of several processes. A task
    must draw the *whole* batch from the step number and then take ``rows`` of it, so that the samples of a step do not
    depend on how it was cut.

    Attributes:
        model: the network, on its device.
        batch: number of rows of a step.
    """

    scores_of: ClassVar[Mapping[str, str]] = {}
    """Name of each score and what it is (units in brackets), in the order they are stored."""

    model: nn.Module
    batch: int

    @abstractmethod
    def optimiser(self) -> Optimizer:
        """The optimiser of the model's parameters; its rates are those of multiplier 1."""

    @abstractmethod
    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """Mean loss ``()`` over some rows of the batch of step number ``step``; ``model`` is the network, prepared."""

    def rows(self, step: int) -> int:
        """Rows of the batch of a step, :attr:`batch` unless batches differ."""
        return self.batch

    def multiplier(self, step: int) -> float:
        """Of every learning rate at a step: the schedule."""
        return 1.0

    def scores(self, model: nn.Module, share: int, of: int) -> Tensor:
        """Sum and number of samples of each score, ``(s, 2)``, over share number ``share`` of ``of`` of the test data.

        Called in eval mode under ``torch.no_grad``; the loop adds the shares and divides.
        """
        return torch.zeros(0, 2)

    def readings(self, optimiser: Optimizer) -> Mapping[str, float]:
        """Numbers that are not means over samples, recorded with the scores: state of the optimiser, of the task."""
        return {}

    def after_step(self, step: int) -> None:  # noqa: B027  by default nothing
        """Called when step number ``step`` has been taken; the end of an epoch belongs here."""

    def memory(self) -> dict[str, Any]:
        """What besides model and optimiser decides the next steps, as tensors, numbers, lists; kept in checkpoints."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:  # noqa: B027  by default nothing
        """Go on from :meth:`memory`."""


def steps_at(records: int, steps: int) -> tuple[int, ...]:
    """``records`` step counts from ``steps / records`` to ``steps``, evenly, each once: when scores are recorded."""
    return tuple(sorted({round(k * steps / records) for k in range(1, records + 1)} - {0}))
