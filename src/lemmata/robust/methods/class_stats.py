"""What an epoch of training says of the classes: how many samples, how many right clean and how many under attack.

Counts are gathered on the device, three numbers per class, by one ``index_add_`` a step: no loop over classes and
nothing read on the host until the epoch ends. Under torch.distributed they are then summed over the processes.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from lemmata.robust.collective import all_reduce

LEAST = 1e-3
"""Lower end of a class's accuracy, of which a logarithm will be taken."""


@dataclass(frozen=True)
class ClassStats:
    """One epoch of training, class by class, measured in train mode on the training stream, before each step.

    Attributes:
        epoch: from 0.
        count: samples seen ``(K,)``; where it is 0, accuracies are those of the epoch before, or else of the mean of
            the other classes.
        clean: accuracy on clean images ``(K,)``, clamped to [0.001, 1]; None for a method that never looks at these.
        robust: accuracy on the method's own adversarial images ``(K,)``, clamped to [0.001, 1].
        clean_average, robust_average: over classes.
        factor: what a self-knowledge method makes of it for the next epoch ``(K,)``; else None.
        groups: 0 good clean and good robust, 1 good and bad, 2 bad and good, 3 bad and bad, -1 on an average ``(K,)``;
            None where clean is.
    """

    epoch: int
    count: Tensor
    clean: Tensor | None
    robust: Tensor
    factor: Tensor | None = None

    @property
    def clean_average(self) -> float | None:
        return None if self.clean is None else float(self.clean.mean())

    @property
    def robust_average(self) -> float:
        return float(self.robust.mean())

    @property
    def groups(self) -> Tensor | None:
        return None if self.clean is None else groups(self.clean, self.robust)


def groups(clean: Tensor, robust: Tensor) -> Tensor:
    """The four groups of classes ``(K,)`` int64, -1 for a class exactly on an average.

    SKG-FAT's adaptive group regularisation (arXiv 2409.17589): above or below the average clean accuracy, above or
    below the average robust accuracy.
    """
    high, low = clean - clean.mean(), robust - robust.mean()
    group = 2 * (high < 0).long() + (low < 0).long()
    return torch.where((high == 0) | (low == 0), -1, group)


class ClassCounts:
    """Samples, clean hits and robust hits per class, ``(3, K)`` int64 on the device of the batches."""

    def __init__(self, num_classes: int) -> None:
        self.values = torch.zeros(3, num_classes, dtype=torch.int64)

    def add(self, y: Tensor, logits_adv: Tensor, logits_clean: Tensor | None) -> None:
        """One batch: classes ``(n,)``, logits ``(n, K)``."""
        if self.values.device != y.device:
            self.values = self.values.to(y.device)
        hit = logits_adv.detach().argmax(1) == y
        clean = torch.zeros_like(hit) if logits_clean is None else logits_clean.detach().argmax(1) == y
        self.values.index_add_(1, y, torch.stack([torch.ones_like(y), clean.long(), hit.long()]))

    def over_all(self, process_group: "dist.ProcessGroup | None") -> Tensor:
        """Summed over the processes ``(3, K)``; this process's own counts are left as they are."""
        values = self.values.clone()
        all_reduce(values, "SUM", process_group)
        return values

    def clear(self) -> None:
        """Back to zero, for the next epoch."""
        self.values.zero_()


def accuracies(hits: Tensor, count: Tensor, before: Tensor | None) -> Tensor:
    """Accuracy per class ``(K,)`` in [0.001, 1]: a number for every class, absent ones too.

    Args:
        hits, count: ``(K,)``, at least one count above 0.
        before: of the last epoch ``(K,)``, for classes not seen.
    """
    seen = count > 0
    measured = hits / count.clamp_min(1)
    average = measured[seen].mean()
    absent = average.expand_as(measured) if before is None else before.to(measured)
    return torch.where(seen, measured, absent).clamp(LEAST, 1)
