"""The forward passes of one step, and the mode they run in; what is switched here is switched back.

Attacks differentiate with respect to the images alone (``torch.autograd.grad``), so no parameter's ``.grad`` is
touched. Batch norm is the one thing an attack could spoil: in ``"eval"`` mode its running statistics are used and stay
as they are, in ``"train"`` mode a pass moves them, which the released codes of fast adversarial training do.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from lemmata.robust.checks import check_logits

MODES = ("train", "eval")


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode inside, each back to its own mode afterwards, also after an error."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients on, whatever the caller switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Passes:
    """A model's forward passes in one training step.

    Under DistributedDataParallel the first pass with gradients goes through the wrapper, which prepares the all-reduce
    and spreads rank 0's buffers; the others go to the module inside. Through the wrapper again they would overwrite
    those buffers while the first pass still needs them, and backward would fail.

    Args:
        model: images ``(n, ...)`` → logits ``(n, K)``.
        num_classes: K.
        bn: mode of the passes of an attack, ``"train"`` (the model's own mode) or ``"eval"``.

    Raises:
        ValueError: the wrapper has ``static_graph=True``.
    """

    def __init__(self, model: nn.Module, num_classes: int, bn: str) -> None:
        self._next, self._classes, self._bn = model, num_classes, bn
        self.inner: nn.Module = model.module if isinstance(model, DistributedDataParallel | DataParallel) else model
        self._wrapped = isinstance(model, DistributedDataParallel)
        if self._wrapped and getattr(model, "static_graph", False):
            raise ValueError(
                "the model is wrapped by DistributedDataParallel with static_graph=True, which counts the attack's "
                "backward pass as the training one and leaves gradients unsummed; leave static_graph off."
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(n, K)``."""
        if not torch.is_grad_enabled():  # the wrapper would not prepare anything, and must do so once
            return check_logits(self.inner(x), len(x), self._classes)
        model, self._next = self._next, (self.inner if self._wrapped else self._next)
        return check_logits(model(x), len(x), self._classes)

    def attack(self, x: Tensor) -> Tensor:
        """Logits ``(n, K)`` of a pass that serves an attack."""
        with in_eval_mode(self.inner) if self._bn == "eval" else nullcontext():
            return self(x)
