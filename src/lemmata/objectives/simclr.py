"""The SimCLR loss: of all other samples, tell which one is the augmentation of this one.

    L = -sum_i weight_i log  e^{s(x_i, x~_i)} / ( e^{s(x_i, x~_i)} + sum_{i' != i} e^{s(x_i, x_i')} ),
    s(x, x') = <h(x), h(x')> / tau,   or the cosine of the two over tau,

with h the encoder, Zhang, Cao 2024 (arXiv 2409.18685). With ``negatives="both"`` every view is an anchor once and all
views of other pairs are its negatives: NT-Xent of Chen, Kornblith, Norouzi, Hinton 2020 (arXiv 2002.05709). Our names:
``temperature`` is tau. Dot product, first views as negatives and a full gradient are our reading of the paper.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.pairs import PairSample
from lemmata.data.sample import Sample
from lemmata.nets.net import Net
from lemmata.objectives.objective import Gradient, Objective, Products
from lemmata.parameters import check, parameter

_ABSENT = -1e30  # finite, so that no row can become inf - inf


@dataclass(frozen=True)
class SimCLR(Objective):
    """Contrastive loss of pairs; needs data with two views, e.g. :class:`~lemmata.SignalNoisePairs`.

    Args:
        temperature: tau, above 0.
        similarity: ``"dot"`` or ``"cosine"``; the latter does not see the scale of the filters.
        negatives: ``"first"`` takes the first views of the other pairs, ``"both"`` all their views.
        stop_gradient: what an anchor is compared with counts as constant.

    Raises:
        ValueError: for a value outside its range.

    ``temperature`` may be a ``(c,)`` tensor. In a mini-batch only members of the batch are anchors and negatives.
    """

    temperature: float | Tensor = parameter("temperature τ", above=0, scale="log", per_cell=True, default=1.0)
    similarity: Literal["dot", "cosine"] = parameter("similarity", str, choices=("dot", "cosine"), default="dot")
    negatives: Literal["first", "both"] = parameter(
        "views taken as negatives", str, choices=("first", "both"), default="first"
    )
    stop_gradient: bool = parameter("keys held fixed", bool, default=False)

    reads: ClassVar[type[Sample]] = PairSample

    def __post_init__(self) -> None:
        check(self)

    def step_scale(self, net: Net) -> float | Tensor:
        """tau: the similarities, and with them the curvature, are divided by it.

        Raises:
            ValueError: for the cosine, which leaves the scale of the filters free and with it the stable step.
        """
        if self.similarity == "cosine":
            raise ValueError(
                "step_size = 'auto' was asked for with the cosine, whose gradient grows as filters shrink, so that no "
                "step is stable at every scale; give GD(step_size=...) of the order of their squared scale"
            )
        return self.temperature

    def loss(self, products: Products) -> Tensor:
        """``(c,)``, see the module's formula."""
        anchors, keys, weights = self._sides(products)
        others = anchors
        if self.stop_gradient:
            others, keys = others.detach(), keys.detach()
        positive, logits = self._logits(anchors, others, keys, weights)
        return (weights * (logits.logsumexp(-1) - positive)).sum(1)

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss and its gradients, written by hand.

        With p_ij the softmax of row i times the weight of anchor i, sum_j p_ij s_ij pulls at both its arguments.
        """
        anchors, keys, weights = self._sides(products)
        positive, logits = self._logits(anchors, anchors, keys, weights)
        level = logits.logsumexp(-1)
        share = logits.sub_(level.unsqueeze(-1)).exp_().mul_(weights.unsqueeze(-1))  # p, (c, a, a)
        pull = -weights
        if self.negatives == "first":  # the diagonal is the positives': its pull goes to another vector
            pull = pull + share.diagonal(dim1=1, dim2=2)
            share.diagonal(dim1=1, dim2=2).zero_()
        pull = pull.unsqueeze(1)
        on_anchors = anchors @ (share.mT if self.stop_gradient else share + share.mT)
        if self.negatives == "both":  # every positive is an anchor as well
            found = on_anchors + (pull if self.stop_gradient else 2 * pull) * keys
        else:
            on_keys = torch.zeros_like(keys) if self.stop_gradient else pull * anchors
            found = torch.cat([on_anchors + pull * keys, on_keys], dim=-1)
        first, second = self._through_embedding(found, products).chunk(2, dim=-1)
        gradient = torch.zeros_like(products.A)
        cast(PairSample, products.sample).write_views(first, second, gradient)
        return (weights * (level - positive)).sum(1), Gradient(gradient, None, {})

    def _sides(self, products: Products) -> tuple[Tensor, Tensor, Tensor]:
        """Anchors ``(c, r, a)``, their positives ``(c, r, a)`` and the anchors' weights ``(c, a)``; a = n or 2n."""
        embedded = self._embedded(products)
        first, second = embedded.chunk(2, dim=-1)
        if self.negatives == "first":
            return first, second, products.weights
        return embedded, torch.cat([second, first], dim=-1), torch.cat([products.weights, products.weights], 1) / 2

    def _embedded(self, products: Products) -> Tensor:
        """Both views, one after the other ``(c, r, 2n)``, scaled so that their inner products are s."""
        views = torch.cat(cast(PairSample, products.sample).views(products.A), dim=-1)
        if self.similarity == "cosine":
            views = views / _length(views)
        return views * self._scale(views)

    def _scale(self, like: Tensor) -> float | Tensor:
        """tau^(-1/2), a number or ``(c, 1, 1)``."""
        temperature = self.temperature
        return (per_cell(temperature, like) if isinstance(temperature, Tensor) else temperature) ** -0.5

    def _through_embedding(self, gradient: Tensor, products: Products) -> Tensor:
        """A gradient ``(c, r, 2n)`` with respect to the scaled views, as one with respect to the views."""
        gradient = gradient * self._scale(gradient)
        if self.similarity == "dot":
            return gradient
        views = torch.cat(cast(PairSample, products.sample).views(products.A), dim=-1)
        unit = views / _length(views)
        return (gradient - unit * (unit * gradient).sum(1, keepdim=True)) / _length(views)

    def _logits(self, anchors: Tensor, others: Tensor, keys: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Similarities of the anchors with their positives ``(c, a)`` and with all they meet ``(c, a, a)``.

        An anchor is not its own negative: its place on the diagonal holds the positive, or nothing where the positive
        has a column of its own. Samples outside the batch are out of reach.
        """
        positive = (anchors * keys).sum(1)
        absent = (weights == 0).to(anchors.dtype).mul_(_ABSENT).unsqueeze(1)
        logits = torch.baddbmm(absent, anchors.mT, others)
        own = positive if self.negatives == "first" else torch.full_like(positive, _ABSENT)
        return positive, torch.diagonal_scatter(logits, own, dim1=1, dim2=2)


def _length(views: Tensor) -> Tensor:
    return views.norm(dim=1, keepdim=True).clamp_min(torch.finfo(views.dtype).tiny)
