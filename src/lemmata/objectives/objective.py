"""What an objective is: a function of inner products.

The loss of a cell depends on the filters W through their inner products with the data and with each other,

    A = W X^T  (r, k),      Q = W W^T  (r, r),

and on the other trained parameters (the *head*). So one objective serves every engine: gradients with respect to W are
``(dL/dA) X + 2 (dL/dQ) W`` whatever coordinates W is held in.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from lemmata.data.sample import Sample
from lemmata.nets.net import Net


@dataclass(frozen=True)
class Products:
    """Everything an objective may read, for ``c`` cells.

    Attributes:
        A: ``(c, r, k)`` inner products of filters and data vectors.
        filter_gram: ``(c, r, r)``, see :attr:`Q`; None unless the objective says that it reads them.
        head: the other parameters of the network, by name.
        net: the network's description.
        sample: the data; how patches read the vectors.
        labels: ``(c, n)``, ±1, as this step sees them.
        weights: ``(c, n)``, this step's weights of the samples, summing to 1 (1/n, or 1/batch on the batch).
        seeds: ``(c,)``, this step's seeds, for an objective that draws; None unless it says that it does.
    """

    A: Tensor
    filter_gram: Tensor | None
    head: dict[str, Tensor]
    net: Net
    sample: Sample
    labels: Tensor
    weights: Tensor
    seeds: Tensor | None = None

    @property
    def Q(self) -> Tensor:
        """``(c, r, r)`` inner products of the filters with each other.

        Raises:
            TypeError: the objective did not say that it reads them.
        """
        if self.filter_gram is None:
            raise TypeError(
                "an objective read products.Q without saying so, and Q is formed for those alone that do; "
                "write reads_filter_gram = True into its class"
            )
        return self.filter_gram


@dataclass(frozen=True)
class Gradient:
    """Gradients of the summed loss: with respect to A ``(c, r, k)``, Q ``(c, r, r)`` or None, and the head."""

    A: Tensor
    Q: Tensor | None
    head: dict[str, Tensor]


@dataclass(frozen=True)
class FreshGradient:
    """The gradient ``on_X X + on_W W + on_E E`` of a loss that saw ``e`` fresh vectors E, as its coefficients.

    Attributes:
        on_X: ``(c, r, k)``, on the data vectors.
        on_W: ``(c, r, r)``, on the filters.
        on_E: ``(c, r, e)``, on the fresh vectors.
        head: gradients with respect to the head, by name.
    """

    on_X: Tensor
    on_W: Tensor
    on_E: Tensor
    head: dict[str, Tensor]


class Objective:
    """Base of all objectives. A subclass is a frozen dataclass that writes :meth:`loss`."""

    trains: ClassVar[type] = Net
    """What of a network it asks: a protocol or class of :mod:`lemmata.nets`."""
    reads: ClassVar[type[Sample]] = Sample
    """What it is computed on: a class of samples."""
    reads_filter_gram: ClassVar[bool] = False
    """Whether it reads Q."""
    draws: ClassVar[bool] = False
    """Whether every step sees new randomness, so that the loss is an expectation that steps sample."""

    def reached(self, sample: Sample) -> int | None:
        """How many leading data vectors gradients reach; None is all. The others are seen and never enter a filter."""
        return None

    def fresh_vectors(self, sample: Sample) -> int:
        """How many standard Gaussian vectors of R^d every step draws anew and moves the filters along.

        Where it is not 0 the objective writes :meth:`fresh_gradient`, and the sample says its ``dimension`` ``(c,)``.
        """
        return 0

    def fresh_gradient(self, products: Products, inner: Tensor) -> tuple[Tensor, FreshGradient]:
        """The loss ``(c,)`` on this step's fresh vectors and its gradient, from their inner products with the filters.

        Args:
            inner: ``(c, r, e)``, with e that of :meth:`fresh_vectors`.
        """
        raise TypeError(f"{type(self).__name__} has fresh vectors and no fresh_gradient; write it, as its base says")

    def step_scale(self, net: Net) -> float | Tensor:
        """What the network's stable step is multiplied by: 1 for a loss whose slope in the output is at most 1."""
        return 1.0

    def loss(self, products: Products) -> Tensor:
        """The loss of every cell, ``(c,)``, from ``products`` alone; cells must not mix."""
        raise TypeError(f"{type(self).__name__} has no loss; write loss(self, products) -> (c,)")

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss ``(c,)`` and its gradients, by autograd. A subclass may hand-write it; a law holds it to this."""
        reads_gram = products.filter_gram is not None
        with torch.enable_grad():
            A = products.A.detach().requires_grad_()
            Q = products.filter_gram.detach().requires_grad_() if products.filter_gram is not None else None
            head = {name: value.detach().requires_grad_() for name, value in products.head.items()}
            loss = per_cell_loss(self, self.loss(replace(products, A=A, filter_gram=Q, head=head)), len(A))
            leaves = [A, *([Q] if Q is not None else []), *head.values()]
            found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True)
        by_head = dict(zip(head, found[1 + reads_gram :], strict=True))
        return loss.detach(), Gradient(found[0], found[1] if reads_gram else None, by_head)


def per_cell_loss(objective: Objective, loss: Tensor, cells: int) -> Tensor:
    """The loss as it came, ready to be differentiated.

    Raises:
        TypeError: it is not one number per cell, or does not depend on what is trained.
    """
    name = type(objective).__name__
    if not isinstance(loss, Tensor) or tuple(loss.shape) != (cells,):
        found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"{type(loss).__name__} {loss!r}"
        raise TypeError(
            f"{name}.loss gave {found} for {cells} cells; give one number per cell, e.g. "
            "return (products.weights * per_sample).sum(1)"
        )
    if not loss.requires_grad:
        raise TypeError(
            f"{name}.loss does not depend on what is trained, or was cut off from it; compute it from products.A, "
            "products.Q and products.head without .detach() or .item()"
        )
    return loss
