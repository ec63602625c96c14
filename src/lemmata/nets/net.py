"""What a network owes, in types: the least that any run asks, and what families of objectives ask besides.

Filters and data meet in inner products alone, so a network is a description: how many filters, how they start, which
further parameters (the *head*) it has. Networks that come with Lemmata derive from
:class:`~lemmata.nets.filters.Filters`.
"""

from typing import Protocol

from torch import Tensor

from lemmata.nets.activations import Activation


class Net(Protocol):
    """What every run asks of its network."""

    @property
    def filters(self) -> int:
        """Number of filters r."""

    @property
    def moving_head(self) -> tuple[str, ...]:
        """Names of the head's parameters that are trained."""

    def initial_scale(self, seeds: Tensor) -> Tensor:
        """Standard deviation ``(c, r)`` of the coordinates of the filters at the start."""

    def initial_head(self, seeds: Tensor) -> dict[str, Tensor]:
        """Parameters beside the filters at the start, by name, cells first."""

    def stable_step(self, curvature: Tensor) -> Tensor:
        """The step size ``(c,)`` that ``"auto"`` takes a fraction of, from the data's scale ``(c,)``."""


class ActivatedNet(Net, Protocol):
    """A network whose filters pass through an activation."""

    @property
    def activation(self) -> Activation:
        """Of the hidden layer."""


class Classifier(ActivatedNet, Protocol):
    """A network with one output on samples of two patches, for losses of the margin."""

    def signs(self, like: Tensor) -> Tensor:
        """Sign ``(r,)`` of every filter's output weight at the start."""

    def patch_weights(self, head: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Output weights ``(c, r)`` on the first and on the second patch."""

    def output(self, signal: Tensor, noise: Tensor, head: dict[str, Tensor], position: Tensor) -> Tensor:
        """f ``(c, n)`` from the pre-activations ``(c, r, n)`` of both patches."""

    def pullback(
        self, slope: Tensor, signal: Tensor, noise: Tensor, head: dict[str, Tensor], position: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Gradients of ``sum_i slope_i f_i``, slope ``(c, n)``, in both patches' pre-activations and in the head."""


class Encoder(ActivatedNet, Protocol):
    """A network with a vector of features for every sample, for contrastive losses."""

    def features(self, signal: Tensor, noise: Tensor) -> Tensor:
        """h ``(..., r, n)`` from the pre-activations ``(..., r, n)`` of both patches."""
