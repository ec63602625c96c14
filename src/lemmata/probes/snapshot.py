"""A snapshot: all that a probe may look at, at one step of ``c`` cells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from torch import Tensor

from lemmata.data.sample import Sample, TwoPatchSample
from lemmata.nets.net import Classifier
from lemmata.objectives.objective import Objective, Products

Kind = TypeVar("Kind", bound=Sample)


@dataclass(frozen=True)
class Snapshot:
    """One moment of training.

    Attributes:
        step: steps taken so far.
        objective: what is minimised.
        products: inner products A ``(c, r, k)`` of filters and data vectors and Q ``(c, r, r)`` of filters, always
            both; the ``head``, the ``net``, the ``sample`` with its ground truth; labels and weights of the full batch.
        loss: ``(c,)`` training loss.
        witnesses: ``(c, r, j)`` inner products of the filters with the sample's witnesses, if it has any.
        seeds: ``(c,)``, for probes that draw.
        gradient_norm: gives the length ``(c,)`` of the gradient of the loss in parameter space, full batch.
        memo: results that several probes share, such as the law of a fresh point.

    Where samples are two patches, :attr:`signal` and :attr:`noise` are what the filters see of them.
    """

    step: int
    objective: Objective
    products: Products
    loss: Tensor
    witnesses: Tensor | None
    seeds: Tensor
    gradient_norm: Callable[[], Tensor]
    memo: dict[str, Any] = field(default_factory=dict)

    def sample(self, kind: type[Kind]) -> Kind:
        """The sample, for a probe that asks for one kind of it.

        Raises:
            TypeError: the run trains on another kind.
        """
        if not isinstance(self.products.sample, kind):
            raise TypeError(
                f"a probe was asked for that reads a {kind.__name__}, and this run trains on a "
                f"{type(self.products.sample).__name__}; leave that probe out, or take other data"
            )
        return self.products.sample

    @property
    def signal(self) -> Tensor:
        """Pre-activations ``(c, r, n)`` of the training samples' signal patches."""
        return self._patches.signal.read(self.products.A)

    @property
    def noise(self) -> Tensor:
        """Pre-activations ``(c, r, n)`` of the training samples' noise patches."""
        return self._patches.noise.read(self.products.A)

    @property
    def same_class(self) -> Tensor:
        """``(c, r, n)``, True where the sign of the filter's output weight is the sample's true label."""
        truth = self._patches.true_labels
        return cast(Classifier, self.products.net).signs(truth[0]).unsqueeze(1) == truth.unsqueeze(1)

    @property
    def _patches(self) -> TwoPatchSample:
        """Every sample of two patches names them alike."""
        return cast(TwoPatchSample, self.products.sample)
