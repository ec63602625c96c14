"""The InfoNCE loss between paired views: which pairs attract, which repel, and what is held fixed is written out.

    L = sum_g sum_i weight_i * -log( e^{s_ii / tau} / (e^{s_ii / tau} + sum_{j in N(i)} e^{s_ij / tau}) ),
    s_ii = Sim(x_i, sg x'_i),   s_ij = Sim(x_i, sg x'_j),

over modalities g, with x' the view that x is compared to and sg the stop-gradient. With two modalities x' is the other
one, in positives and negatives (both directions are summed); with one, the positive is the augmented view and negatives
are the samples themselves. N(i) is the boolean mask that the sample carries. The similarity is one of

    patchwise:  Sim(x, x') = sum_r sum_p h_r(x_p) h_r(x'_p)            summed:  sum_r (sum_p h_r(x_p)) (sum_p h_r(x'_p))

with h_r(x_p) = act(<w_r, x_p>) of patch p. Patchwise is that of Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv
2411.02837, section 3), after van den Oord, Li, Vinyals 2018 (arXiv 1807.03748); theirs is divided by m, which is tau
times m here and ``divide_by_m`` on request. Summed adds products of one's signal with another's noise (ours).

With p_ij the softmax weights and the keys k held fixed, the gradient with respect to a query's features of one patch is
-(weight_i / tau) D_i,  D_i = (1 - p_ii) k_ii - sum_{j in N(i)} p_ij k_j,  k that patch of the key (or the sum of them):
filters meet in D alone. Keys never enter it otherwise, so eps drawn anew at every step is seen through <w_r, eps_i>
only, Gaussian with covariance sigma_aug^2 Q: a fresh augmentation is exact in law from inner products. The signal patch
has two values, one per label, so what it adds to similarities and to D is a 2 x 2 table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.paired import PairedSample
from lemmata.data.sample import Sample
from lemmata.draws import normal
from lemmata.nets.net import Encoder, Net
from lemmata.objectives.objective import Gradient, Objective, Products
from lemmata.parameters import check, parameter


class _Views(NamedTuple):
    """Features ``(c, g, f, n)`` whose inner products are similarities."""

    query: Tensor
    positive: Tensor
    keys: Tensor


@dataclass(frozen=True)
class InfoNCE(Objective):
    """InfoNCE on a :class:`~lemmata.data.paired.PairedSample` and a :class:`~lemmata.nets.patch_encoder.PatchEncoder`.

    Labels act through the sample's mask of negatives alone, so label noise of a rule changes nothing.

    Args:
        tau: temperature, above 0; ``(c,)`` for one per cell.
        similarity: ``"patchwise"`` or ``"summed"``, see above.
        divide_by_m: similarities are divided by the number of features m, as in the paper; the same as tau times m.
        stop_gradient: the keys are held fixed; otherwise they are trained as well.
        normalise: similarities are cosines, of features scaled to length one.
        augmentation: of a single modality, ``"fixed"`` for the whole run or ``"fresh"`` at every step.

    Raises:
        ValueError: tau <= 0, or fresh augmentation without stop-gradient, where eps would enter the filters.
    """

    tau: float | Tensor = parameter("temperature τ", above=0, scale="log", per_cell=True, default=1.0)
    similarity: Literal["patchwise", "summed"] = parameter(
        "similarity, patch by patch or of summed patches", str, choices=("patchwise", "summed"), default="patchwise"
    )
    divide_by_m: bool = parameter("similarities divided by m", bool, default=False)
    stop_gradient: bool = parameter("keys held fixed", bool, default=True)
    normalise: bool = parameter("similarities are cosines", bool, default=False)
    augmentation: Literal["fixed", "fresh"] = parameter(
        "augmentations drawn once, or at every step", str, choices=("fixed", "fresh"), default="fixed"
    )

    trains: ClassVar[type] = Encoder
    reads: ClassVar[type[Sample]] = PairedSample

    def __post_init__(self) -> None:
        check(self)
        if self.draws and not self.stop_gradient:
            raise ValueError(
                "augmentation='fresh' was asked for with stop_gradient=False, where every new eps enters the filters "
                "and inner products no longer suffice; use augmentation='fixed' or stop_gradient=True"
            )

    @property
    def draws(self) -> bool:  # type: ignore[override]
        """Whether every step draws augmentations of its own."""
        return self.augmentation == "fresh"

    @property
    def reads_filter_gram(self) -> bool:  # type: ignore[override]
        """The law of a fresh augmentation is read off Q."""
        return self.draws

    def step_scale(self, net: Net) -> float | Tensor:
        """tau (times m): while features are small they grow at a rate of one over it, and training ends at its root."""
        return self.tau * net.filters if self.divide_by_m else self.tau

    def reached(self, sample: Sample) -> int | None:
        """Augmented views stay out of the filters while keys are held fixed."""
        return 1 + cast(PairedSample, sample).noise.n if self.stop_gradient else None

    def loss(self, products: Products) -> Tensor:
        """``(c,)``, see the module's formula."""
        return self.by_direction(products).sum(1)

    def by_direction(self, products: Products) -> Tensor:
        """The loss of every modality's queries, ``(c, g)``."""
        views = self.views(products)
        if self.normalise:
            views = _Views(*(torch.nn.functional.normalize(h, dim=-2, eps=1e-30) for h in views))
        logits = self._logits(products, views)
        surprise = logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)
        return (products.weights.unsqueeze(1) * surprise).sum(-1)

    def views(self, products: Products) -> _Views:
        """Features of the queries, of their positives and of the keys of negatives; f is r if summed, 2r patchwise."""
        sample, net = _sample(products), cast(Encoder, products.net)
        signal, noise = sample.signal.read(products.A), sample.noise.read(products.A)
        if self.similarity == "summed":
            return self._paired(products, noise, lambda z: net.features(signal, z))
        act = net.activation
        return self._paired(products, noise, lambda z: torch.cat([act(signal), act(z)], -2))

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss and its gradient, hand-written where keys are held fixed and similarities are dot products."""
        if self.normalise or not self.stop_gradient:
            return super().gradient(products)
        if self.similarity == "patchwise":
            return self._patchwise_gradient(products)
        p, sample, net = products, _sample(products), cast(Encoder, products.net)
        signal, noise, gradient = sample.signal.read(p.A), sample.noise.read(p.A), torch.zeros_like(p.A)
        loss, slope = self._pulled(p, self._paired(p, noise, lambda z: net.features(signal, z)))
        sample.signal.write(slope * net.activation.derivative(signal), gradient)
        sample.noise.write(slope * net.activation.derivative(noise), gradient)
        return loss, Gradient(gradient, None, {})

    def _patchwise_gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """Queries hold, beside the features of their noise patch, their similarity with either class's signal patch.

        Keys hold which class they are, so inner products of r + 2 rows are patchwise similarities; the last two rows of
        the pull say how much of either class's signal patch a query is pulled to.
        """
        p, sample, act, r = products, _sample(products), cast(Encoder, products.net).activation, products.A.shape[-2]
        read = torch.cat([noise := sample.noise.read(p.A), *(a.unsqueeze(-1) for a in sample.signal.fresh(p.A))], -1)
        n, features = noise.shape[-1], act(read)  # (c, g, r, n + 2), the signal patch of either class last
        key_features = features.flip(1) if sample.augmented is None else features
        own = sample.classes.mT.expand(-1, read.shape[1], -1, -1)  # (c, g, 2, n)
        table = key_features[..., n:].mT @ features[..., n:]  # (c, g, 2, 2), by the key's and by the query's class
        query = torch.cat([features[..., :n], table @ own], -2)
        keys = positive = torch.cat([key_features[..., :n], own], -2)
        if sample.augmented is not None:
            positive = torch.cat([act(self._augmented(p, noise)), own], -2)
        loss, slope = self._pulled(p, _Views(query, positive, keys))
        pulled = key_features[..., n:] @ (slope[..., r:, :] @ sample.classes)  # (c, g, r, 2), by the query's class
        on_read = torch.cat([slope[..., :r, :], pulled], -1).mul_(act.derivative(read))
        gradient = torch.zeros_like(p.A)
        sample.noise.write(on_read[..., :n], gradient)
        torch.sub(on_read[..., n], on_read[..., n + 1], out=gradient[..., sample.signal.vector])
        return loss, Gradient(gradient, None, {})

    def _pulled(self, products: Products, views: _Views) -> tuple[Tensor, Tensor]:
        """The loss ``(c,)`` and -(weight_i / tau) D_i ``(c, g, f, n)``."""
        _, positive, keys = views
        logits = self._logits(products, views)
        share = logits.softmax(-1)
        # -log of the positive's share by way of the largest one, which never underflows.
        surprise = logits.amax(-1) - logits.diagonal(dim1=-2, dim2=-1) - share.amax(-1).log()
        missing = share.diagonal(dim1=-2, dim2=-1).sub_(1)
        if positive is keys:
            pull = keys @ share.mT
        else:
            missing, own = missing.clone(), missing
            own.zero_()
            pull = torch.addcmul(keys @ share.mT, positive, missing.unsqueeze(-2))
        weights = products.weights.unsqueeze(1)
        slope = pull * (weights / self._tau(products, weights)).unsqueeze(-2)
        return (weights * surprise).sum((1, 2)), slope

    def _paired(self, products: Products, noise: Tensor, features: Callable[[Tensor], Tensor]) -> _Views:
        """Who meets whom, where ``features`` gives those of samples with these pre-activations of the noise patch."""
        query = features(noise)
        if _sample(products).augmented is None:
            positive = keys = query.flip(1)
        else:
            positive, keys = features(self._augmented(products, noise)), query
        if not self.stop_gradient:
            return _Views(query, positive, keys)
        held = keys.detach()
        return _Views(query, held if positive is keys else positive.detach(), held)

    def _augmented(self, products: Products, noise: Tensor) -> Tensor:
        """Pre-activations ``(c, 1, r, n)`` of the augmented noise patches."""
        augmented = _sample(products).augmented
        assert augmented is not None
        return noise + self._fresh(products) if self.draws else augmented.read(products.A)

    def _logits(self, products: Products, views: _Views) -> Tensor:
        """s_ij / tau ``(c, g, n, n)``: positives on the diagonal, -inf where j is no negative of i."""
        query, positive, keys = views
        tau = self._tau(products, query)
        query = query if isinstance(tau, float) and tau == 1.0 else query / tau
        unseen = ~(_sample(products).negatives & (products.weights > 0).unsqueeze(1))  # negatives come from the batch
        if positive is keys:  # the positive's score is on the diagonal already
            unseen.diagonal(dim1=-2, dim2=-1).fill_(False)
        scores = (query.mT @ keys).masked_fill_(unseen.unsqueeze(1), -torch.inf)
        if positive is not keys:
            scores.diagonal(dim1=-2, dim2=-1).copy_((query * positive).sum(-2))
        return scores

    def _tau(self, products: Products, like: Tensor) -> float | Tensor:
        tau = self.step_scale(products.net)
        return per_cell(tau, like) if isinstance(tau, Tensor) else tau

    def _fresh(self, products: Products) -> Tensor:
        """Inner products ``(c, 1, r, n)`` of the filters with this step's augmentations."""
        A, Q, seeds, sample = products.A[:, 0], products.Q, products.seeds, _sample(products)
        assert seeds is not None
        squared = sample.vectors[:, 0].square().sum(-1)
        root = _root(sample.augmentation.covariance(A.detach(), Q[:, 0].detach(), squared))
        draws = normal(seeds, "augmentation", (A.shape[-2], sample.noise.n), A.dtype)
        return (root @ draws).unsqueeze(1)


def _sample(products: Products) -> PairedSample:
    return cast(PairedSample, products.sample)


def _root(covariance: Tensor) -> Tensor:
    """A lower factor ``(c, r, r)`` of covariances that may be singular to rounding, or not finite."""
    size = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    ridge = 1e-13 if covariance.dtype == torch.float64 else 1e-6
    eye = torch.eye(covariance.shape[-1]).to(covariance)
    return torch.linalg.cholesky_ex(covariance + (ridge * size + torch.finfo(covariance.dtype).tiny) * eye).L
