"""A snapshot: all that a probe may look at, at one step of ``c`` cells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lemmata.objectives.objective import Objective, Products


@dataclass(frozen=True)
class Snapshot:
    """One moment of training.

    Attributes:
        step: steps taken so far.
        objective: what is minimised.
        products: inner products A ``(c, r, k)`` and Q ``(c, r, r)``, head, network, sample; labels and weights are
            those of the full batch.
        loss: ``(c,)`` training loss.
        witnesses: ``(c, r, j)`` inner products of the filters with the sample's witnesses, if it has any.
        seeds: ``(c,)``, for probes that draw.
        gradient_norm: gives the length ``(c,)`` of the gradient of the loss in parameter space, full batch.
        memo: results that several probes share.
    """

    step: int
    objective: Objective
    products: Products
    loss: Tensor
    witnesses: Tensor | None
    seeds: Tensor
    gradient_norm: Callable[[], Tensor]
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def signal(self) -> Tensor:
        """Pre-activations ``(c, r, n)`` of the training samples' signal patches."""
        return self.products.sample.signal.read(self.products.A)

    @property
    def noise(self) -> Tensor:
        """Pre-activations ``(c, r, n)`` of the training samples' noise patches."""
        return self.products.sample.noise.read(self.products.A)

    @property
    def same_class(self) -> Tensor:
        """``(c, r, n)``, True where the sign of the filter's output weight is the sample's true label."""
        truth = self.products.sample.true_labels
        return self.products.net.signs(truth[0]).unsqueeze(1) == truth.unsqueeze(1)
