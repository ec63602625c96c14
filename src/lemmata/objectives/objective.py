"""What an objective is: a function of inner products.

The loss of a cell depends on the filters W through their inner products with the data and with each other,

    A = W X^T  (r, k),      Q = W W^T  (r, r),

and on the other trained parameters (the *head*). So one objective serves every engine: gradients with respect to W are
``(dL/dA) X + 2 (dL/dQ) W`` whatever coordinates W is held in.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Products:
    """Everything an objective may read, for ``c`` cells.

    Attributes:
        A: ``(c, r, k)`` inner products of filters and data vectors.
        Q: ``(c, r, r)`` inner products of filters; None unless the objective says that it reads them.
        head: the other parameters of the network, by name.
        net: the network's description.
        sample: the data, :class:`~lemmata.data.sample.Sample`; how patches read the vectors.
        labels: ``(c, n)``, ±1, as this step sees them.
        weights: ``(c, n)``, this step's weights of the samples, summing to 1 (1/n, or 1/batch on the batch).
        seeds: ``(c,)``, this step's seeds, for an objective that draws; None unless it says that it does.
    """

    A: Tensor
    Q: Tensor | None
    head: dict[str, Tensor]
    net: Any
    sample: Any
    labels: Tensor
    weights: Tensor
    seeds: Tensor | None = None


@dataclass(frozen=True)
class Gradient:
    """Gradients of the summed loss: with respect to A ``(c, r, k)``, Q ``(c, r, r)`` or None, and the head."""

    A: Tensor
    Q: Tensor | None
    head: dict[str, Tensor]


class Objective:
    """Base of all objectives. A subclass is a frozen dataclass that writes :meth:`loss`."""

    reads_filter_gram: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    """Whether every step sees new randomness, so that the loss is an expectation that steps sample."""

    def reached(self, sample: Any) -> int | None:
        """How many leading data vectors gradients reach; None is all. The others are seen and never enter a filter."""
        return None

    @property
    def step_scale(self) -> float | Tensor:
        """What the network's stable step is multiplied by: 1 for a loss whose slope in the output is at most 1."""
        return 1.0

    def loss(self, products: Products) -> Tensor:
        """The loss of every cell, ``(c,)``, from ``products`` alone; cells must not mix."""
        raise TypeError(f"{type(self).__name__} has no loss; write loss(self, products) -> (c,)")

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss ``(c,)`` and its gradients, by autograd. A subclass may hand-write it; a law holds it to this."""
        reads_gram = products.Q is not None
        with torch.enable_grad():
            A = products.A.detach().requires_grad_()
            Q = products.Q.detach().requires_grad_() if products.Q is not None else None
            head = {name: value.detach().requires_grad_() for name, value in products.head.items()}
            loss = self.loss(replace(products, A=A, Q=Q, head=head))
            leaves = [A, *([Q] if Q is not None else []), *head.values()]
            found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True)
        by_head = dict(zip(head, found[1 + reads_gram :], strict=True))
        return loss.detach(), Gradient(found[0], found[1] if reads_gram else None, by_head)
