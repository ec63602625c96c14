"""The SimCLR loss: of all other samples, tell which one is the augmentation of this one.

    L = -sum_i weight_i log  e^{s(x_i, x~_i)} / ( e^{s(x_i, x~_i)} + sum_{i' != i} e^{s(x_i, x_i')} ),
    s(x, x') = <h(x), h(x')> / tau,   or the cosine of the two over tau,

with h the encoder, Zhang, Cao 2024 (arXiv 2409.18685). With ``negatives="both"`` every view is an anchor once and all
views of other pairs are its negatives: NT-Xent of Chen, Kornblith, Norouzi, Hinton 2020 (arXiv 2002.05709). Our names:
``temperature`` is tau. Dot product, first views as negatives and a full gradient are our reading of the paper.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.check import require
from lemmata.objectives.objective import Gradient, Objective, Products

_ABSENT = -1e30  # finite, so that no row can become inf - inf


@dataclass(frozen=True)
class SimCLR(Objective):
    """Contrastive loss of pairs; needs data with two views, e.g. :class:`~lemmata.SignalNoisePairs`.

    Args:
        temperature: tau, above 0.
        similarity: ``"dot"`` or ``"cosine"``.
        negatives: ``"first"`` takes the first views of the other pairs, ``"both"`` all their views.
        stop_gradient: what an anchor is compared with counts as constant.

    Raises:
        ValueError: for a value outside its range.

    ``temperature`` may be a ``(c,)`` tensor. In a mini-batch only members of the batch are anchors and negatives.
    """

    temperature: float | Tensor = 1.0
    similarity: Literal["dot", "cosine"] = "dot"
    negatives: Literal["first", "both"] = "first"
    stop_gradient: bool = False

    value_fields: ClassVar[tuple[str, ...]] = ("temperature",)

    def __post_init__(self) -> None:
        require("temperature", self.temperature, lambda x: x > 0, "above 0")
        require("similarity", self.similarity, lambda x: x in ("dot", "cosine"), "'dot' or 'cosine'")
        require("negatives", self.negatives, lambda x: x in ("first", "both"), "'first' or 'both'")

    @property
    def step_scale(self) -> float | Tensor:
        """tau: the similarities, and with them the curvature, are divided by it."""
        return self.temperature

    def loss(self, products: Products) -> Tensor:
        """``(c,)``, see the module's formula."""
        anchors, keys, weights = self._sides(products)
        others = anchors
        if self.stop_gradient:
            others, keys = others.detach(), keys.detach()
        return _cross_entropy(self._logits(anchors, others, keys, weights), weights, self._target(weights))

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss and its gradients, written by hand."""
        anchors, keys, weights = self._sides(products)
        logits, (row, column) = self._logits(anchors, anchors, keys, weights), self._target(weights)
        loss = _cross_entropy(logits, weights, (row, column))
        on_logits = logits.softmax(-1) * weights.unsqueeze(-1)
        on_logits[:, row, column] -= weights
        if self.negatives == "both":
            on_anchors, on_keys = anchors @ on_logits.mT, anchors @ on_logits
            total = on_anchors if self.stop_gradient else on_anchors + on_keys
            first, second = self._through_embedding(total, products).chunk(2, dim=-1)
        else:
            pair = on_logits.diagonal(dim1=1, dim2=2).unsqueeze(1).clone()  # (c, 1, n)
            on_logits.diagonal(dim1=1, dim2=2).zero_()
            other = on_logits.mT if self.stop_gradient else on_logits + on_logits.mT
            on_first = anchors @ other + pair * keys
            on_second = torch.zeros_like(keys) if self.stop_gradient else pair * anchors
            both = self._through_embedding(torch.cat([on_first, on_second], dim=-1), products)
            first, second = both.chunk(2, dim=-1)
        gradient = torch.zeros_like(products.A)
        products.sample.write_views(first, second, gradient)
        return loss, Gradient(gradient, None, {})

    def _sides(self, products: Products) -> tuple[Tensor, Tensor, Tensor]:
        """Anchors ``(c, r, a)``, their positives ``(c, r, a)`` and the anchors' weights ``(c, a)``; a = n or 2n."""
        embedded = self._embedded(products)
        first, second = embedded.chunk(2, dim=-1)
        if self.negatives == "first":
            return first, second, products.weights
        return embedded, torch.cat([second, first], dim=-1), torch.cat([products.weights, products.weights], 1) / 2

    def _embedded(self, products: Products) -> Tensor:
        """Both views, one after the other ``(c, r, 2n)``, scaled so that their inner products are s."""
        views = torch.cat(products.sample.views(products.A), dim=-1)
        if self.similarity == "cosine":
            views = views / _length(views)
        return views / per_cell(self.temperature, views) ** 0.5

    def _through_embedding(self, gradient: Tensor, products: Products) -> Tensor:
        """A gradient ``(c, r, 2n)`` with respect to the scaled views, as one with respect to the views."""
        gradient = gradient / per_cell(self.temperature, gradient) ** 0.5
        if self.similarity == "dot":
            return gradient
        views = torch.cat(products.sample.views(products.A), dim=-1)
        unit = views / _length(views)
        return (gradient - unit * (unit * gradient).sum(1, keepdim=True)) / _length(views)

    def _logits(self, anchors: Tensor, others: Tensor, positives: Tensor, weights: Tensor) -> Tensor:
        """Similarities ``(c, a, a)``: rows are anchors; samples outside the batch are out of reach."""
        absent = torch.where(weights == 0, _ABSENT, 0.0).to(anchors).unsqueeze(1)
        logits = torch.baddbmm(absent, anchors.mT, others)
        own = (anchors * positives).sum(1) if self.negatives == "first" else torch.full_like(weights, _ABSENT)
        # An anchor is not its own negative: its place holds the positive, or nothing where that has its own column.
        return torch.diagonal_scatter(logits, own.to(logits), dim1=1, dim2=2)

    def _target(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of the anchors' positives among the logits."""
        anchor = torch.arange(weights.shape[1], device=weights.device)
        return anchor, anchor if self.negatives == "first" else anchor.roll(weights.shape[1] // 2)


def _cross_entropy(logits: Tensor, weights: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
    """sum_i weight_i (log sum_j exp z_ij - z_i,target), ``(c,)``."""
    row, column = target
    return (weights * (logits.logsumexp(-1) - logits[:, row, column])).sum(1)


def _length(views: Tensor) -> Tensor:
    return views.norm(dim=1, keepdim=True).clamp_min(torch.finfo(views.dtype).tiny)
