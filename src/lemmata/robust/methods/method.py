"""What every method of this room owes a training loop: a loss, the end of an epoch, and its state.

    step = method.loss(model, x, y)        # attacks the batch, returns what to minimise
    step.loss.backward()                   # the optimiser, the schedule, the scaler are the loop's own
    ...
    stats = method.epoch_end()             # once an epoch

Nothing here moves parameters, touches ``.grad`` or reads a global random generator. Random numbers are a pure function
of the seed, the step and the process's rank. On an accelerator no step waits for the device, but the first of an epoch,
whose pixels and labels are checked at once; those of the others are checked when the epoch ends.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lemmata.robust.checks import (
    NORMS,
    check_batch_norm,
    check_choice,
    check_extremes,
    check_number,
    check_shapes,
    check_whole,
    extremes,
)
from lemmata.robust.collective import all_reduce
from lemmata.robust.methods.class_stats import ClassCounts, ClassStats, accuracies
from lemmata.robust.modes import MODES, Passes, differentiable
from lemmata.robust.noise import generator, rank


@dataclass(frozen=True)
class AdvStep:
    """One batch's loss and what it was made of.

    Attributes:
        loss: 0-d, to be minimised.
        logits_adv: of the adversarial images ``(n, K)``.
        logits_clean: of the clean images ``(n, K)``, or None for a method that does not look at them.
        delta: the perturbation, shape of x, without graph; ``(x + delta).clamp(0, 1)`` are the images trained on.
    """

    loss: Tensor
    logits_adv: Tensor
    logits_clean: Tensor | None
    delta: Tensor


class Common(TypedDict, total=False):
    """What every method takes by name; see :class:`Method`."""

    eps: float
    alpha: float | None
    norm: str
    bn: str
    seed: int
    process_group: "dist.ProcessGroup | None"


class Method(ABC):
    """Adversarial training with ``K = num_classes`` classes, within ``eps`` of images in [0, 1].

    Args:
        num_classes: K, at least 2.
        eps: radius of the ball, positive; in pixels of [0, 1] for ``linf``.
        alpha: length of an attack's step, positive; None takes the method's own.
        norm: ``linf`` or ``l2``.
        bn: batch norm in the passes that serve the attack: ``train``, as the released codes do, or ``eval``.
        seed: of the noise.
        process_group: over which class counts are summed; None is the default group, if there is one.
    """

    steps_of_eps: ClassVar[float] = 1.0
    """alpha / eps of the method as published."""

    def __init__(
        self,
        num_classes: int,
        *,
        eps: float = 8 / 255,
        alpha: float | None = None,
        norm: str = "linf",
        bn: str = "train",
        seed: int = 0,
        process_group: "dist.ProcessGroup | None" = None,
    ) -> None:
        check_whole("num_classes", num_classes, 2)
        check_number("eps", eps, above=0)
        if alpha is not None:
            check_number("alpha", alpha, above=0)
        check_choice("norm", norm, NORMS)
        check_choice("bn", bn, MODES)
        check_whole("seed", seed, 0)
        self.num_classes, self.eps, self.norm, self.bn, self.seed = num_classes, eps, norm, bn, seed
        self.alpha = self.steps_of_eps * eps if alpha is None else alpha
        self.step, self.epoch = 0, 0
        self._group = process_group
        self._counts = ClassCounts(num_classes)
        self._looked = False  # whether clean images were looked at in this epoch
        self._extremes: Tensor | None = None
        self._last: ClassStats | None = None

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, index: Tensor | None = None) -> AdvStep:
        """Attack a batch and say what to minimise on it.

        Args:
            model: images ``(n, ...)`` → logits ``(n, K)``, in train mode; it may be wrapped by
                DistributedDataParallel, and run under autocast.
            x: images ``(n, ...)`` in [0, 1].
            y: classes ``(n,)`` int64.
            index: the samples' numbers in the data set ``(n,)``, for methods that remember each of them.

        Raises:
            ValueError: images outside [0, 1], labels outside the classes, a model that returns no logits ``(n, K)``,
                or one image alone in a model with batch norm.
        """
        self._check(model, x, y)
        with differentiable():
            found = self._loss(Passes(model, self.num_classes, self.bn), x.detach(), y, index)
        self._counts.add(y, found.logits_adv, found.logits_clean)
        self._looked = self._looked or found.logits_clean is not None
        self.step += 1
        return found

    @abstractmethod
    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        """The method itself; ``net(x)`` and ``net.attack(x)`` are its passes."""

    def epoch_end(self) -> ClassStats:
        """Close an epoch: what it said of the classes, summed over the processes.

        Raises:
            ValueError: no step was taken, or a batch held pixels outside [0, 1] or labels outside the classes.
        """
        if self._extremes is None:
            raise ValueError("epoch_end() was called without a step since the last one; call loss() on batches first.")
        counts, found = self._counts.over_all(self._group), self._extremes.clone()
        all_reduce(found, "MAX", self._group)
        check_extremes(found, self.num_classes)
        count, clean, robust = counts.cpu()
        before = self._last
        stats = ClassStats(
            self.epoch,
            count,
            accuracies(clean, count, before.clean if before else None) if self._looked else None,
            accuracies(robust, count, before.robust if before else None),
        )
        stats = self._learn(stats)
        self._counts.clear()
        self._extremes, self._looked, self._last = None, False, stats
        self.epoch += 1
        return stats

    def _learn(self, stats: ClassStats) -> ClassStats:
        """What the method takes from an epoch into the next."""
        return stats

    def state_dict(self) -> dict[str, Any]:
        """Everything training needs to go on exactly: tensors, numbers and strings (``torch.load`` reads these).

        Memories of perturbations are this process's own: with several processes save one state each.
        """
        last = self._last
        return {
            "method": type(self).__name__,
            "num_classes": self.num_classes,
            "step": self.step,
            "epoch": self.epoch,
            "counts": self._counts.values.clone(),
            "looked": self._looked,
            "extremes": None if self._extremes is None else self._extremes.clone(),
            "last": None if last is None else {"count": last.count, "clean": last.clean, "robust": last.robust},
            **self._state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state_dict`.

        Raises:
            ValueError: another method's, or another number of classes.
        """
        if state.get("method") != type(self).__name__:
            raise ValueError(f"the state is of {state.get('method')!r}, but this method is {type(self).__name__}.")
        if state["num_classes"] != self.num_classes:
            raise ValueError(
                f"the state has {state['num_classes']} classes, this method {self.num_classes}; make it with those."
            )
        self.step, self.epoch, self._looked = state["step"], state["epoch"], state["looked"]
        self._counts.values = state["counts"].clone()
        self._extremes = None if state["extremes"] is None else state["extremes"].clone()
        last = state["last"]
        self._last = last and ClassStats(self.epoch - 1, last["count"], last["clean"], last["robust"])
        self._load(state)

    def _state(self) -> dict[str, Any]:
        return {}

    def _load(self, state: dict[str, Any]) -> None:
        return None

    def _noise(self, x: Tensor) -> torch.Generator:
        """The generator of this step's noise."""
        return generator(x.device, self.seed, self.step, rank())

    def _check(self, model: nn.Module, x: Tensor, y: Tensor) -> None:
        check_shapes(x, y)
        check_batch_norm(model, len(x))
        found = extremes(x, y)
        if self._extremes is None or x.device.type == "cpu":
            check_extremes(found, self.num_classes)
        earlier = found if self._extremes is None else self._extremes.to(found.device)
        self._extremes = torch.maximum(earlier, found)
