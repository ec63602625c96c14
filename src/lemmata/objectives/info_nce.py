"""The InfoNCE loss between paired views: which pairs attract, which repel, and what is held fixed is written out.

    L = sum_g sum_i weight_i * -log( e^{s_ii / tau} / (e^{s_ii / tau} + sum_{j in N(i)} e^{s_ij / tau}) ),
    s_ii = <h(x_i), sg h(x'_i)>,   s_ij = <h(x_i), sg h(x'_j)>,

over modalities g, with x' the view that x is compared to and sg the stop-gradient. With two modalities x' is the other
one, in positives and negatives (both directions are summed); with one, the positive is the augmented view and negatives
are the samples themselves. N(i) is the boolean mask that the sample carries. Loss and setting: Huang, Han, Chen, Cao,
Xu, Suzuki 2024 (arXiv 2411.02837), after van den Oord, Li, Vinyals 2018 (arXiv 1807.03748).

With p_ij the softmax weights and the keys k held fixed, the gradient with respect to a query's features is
-(weight_i / tau) D_i,  D_i = (1 - p_ii) k_ii - sum_{j in N(i)} p_ij k_j: filters meet in D alone. Keys never enter it
otherwise, so eps drawn anew at every step is seen through <w_r, eps_i> only, Gaussian with covariance sigma_aug^2 Q: a
fresh augmentation is exact in law from inner products.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.paired import PairedSample
from lemmata.data.sample import Sample
from lemmata.draws import normal
from lemmata.nets.net import Encoder
from lemmata.objectives.objective import Gradient, Objective, Products
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class InfoNCE(Objective):
    """InfoNCE on a :class:`~lemmata.data.paired.PairedSample` and a :class:`~lemmata.nets.patch_encoder.PatchEncoder`.

    Labels act through the sample's mask of negatives alone, so label noise of a rule changes nothing.

    Args:
        tau: temperature, above 0; ``(c,)`` for one per cell.
        stop_gradient: the keys are held fixed; otherwise they are trained as well.
        normalise: similarities are cosines, of features scaled to length one.
        augmentation: of a single modality, ``"fixed"`` for the whole run or ``"fresh"`` at every step.

    Raises:
        ValueError: tau <= 0, or fresh augmentation without stop-gradient, where eps would enter the filters.
    """

    tau: float | Tensor = parameter("temperature τ", above=0, scale="log", per_cell=True, default=1.0)
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

    @property
    def step_scale(self) -> float | Tensor:
        """tau: while features are small they grow at a rate of 1 / tau, and training ends where they reach its root."""
        return self.tau

    def loss(self, products: Products) -> Tensor:
        """``(c,)``, see the module's formula."""
        return self.by_direction(products).sum(1)

    def by_direction(self, products: Products) -> Tensor:
        """The loss of every modality's queries, ``(c, g)``."""
        query, positive, keys = self.views(products)
        if self.normalise:
            query, positive, keys = (
                torch.nn.functional.normalize(h, dim=-2, eps=1e-30) for h in (query, positive, keys)
            )
        logits = self.logits(products, query, positive, keys)
        return (products.weights.unsqueeze(1) * _surprise(logits)).sum(-1)

    def reached(self, sample: Sample) -> int | None:
        """Augmented views stay out of the filters while keys are held fixed."""
        return 1 + cast(PairedSample, sample).noise.n if self.stop_gradient else None

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss and its gradient, hand-written where keys are held fixed and similarities are dot products."""
        if self.normalise or not self.stop_gradient:
            return super().gradient(products)
        p, sample = products, _sample(products)
        signal, noise = sample.signal.read(p.A), sample.noise.read(p.A)
        query, positive, keys = self._views(p, signal, noise)
        logits = self.logits(p, query, positive, keys)
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
        weights = p.weights.unsqueeze(1)
        slope = pull * (weights / self._tau(weights)).unsqueeze(-2)  # -(weight_i / tau) D_i, (c, g, r, n)
        act = cast(Encoder, p.net).activation
        gradient = torch.zeros_like(p.A)
        sample.signal.write(slope * act.derivative(signal), gradient)
        sample.noise.write(slope * act.derivative(noise), gradient)
        return (weights * surprise).sum((1, 2)), Gradient(gradient, None, {})

    def views(self, products: Products) -> tuple[Tensor, Tensor, Tensor]:
        """Features ``(c, g, r, n)`` of the queries, of their positive keys, and of the keys of negatives."""
        sample, A = _sample(products), products.A
        return self._views(products, sample.signal.read(A), sample.noise.read(A))

    def _views(self, products: Products, signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p, sample, net = products, _sample(products), cast(Encoder, products.net)
        query = net.features(signal, noise)
        if sample.augmented is None:
            positive = keys = query.flip(1)
        else:
            augmented = noise + self._fresh(p) if self.draws else sample.augmented.read(p.A)
            positive, keys = net.features(signal, augmented), query
        if not self.stop_gradient:
            return query, positive, keys
        held = keys.detach()
        return query, held if positive is keys else positive.detach(), held

    def logits(self, products: Products, query: Tensor, positive: Tensor, keys: Tensor) -> Tensor:
        """s_ij / tau ``(c, g, n, n)``: positives on the diagonal, -inf where j is no negative of i."""
        query = query / self._tau(query)
        unseen = ~(_sample(products).negatives & (products.weights > 0).unsqueeze(1))  # negatives come from the batch
        if positive is keys:  # the positive's score is on the diagonal already
            unseen.diagonal(dim1=-2, dim2=-1).fill_(False)
        scores = (query.mT @ keys).masked_fill_(unseen.unsqueeze(1), -torch.inf)
        if positive is not keys:
            scores.diagonal(dim1=-2, dim2=-1).copy_((query * positive).sum(-2))
        return scores

    def _tau(self, like: Tensor) -> float | Tensor:
        return per_cell(self.tau, like) if isinstance(self.tau, Tensor) else self.tau

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


def _surprise(logits: Tensor) -> Tensor:
    """-log of the positive's share ``(..., n)``, from logits ``(..., n, n)``."""
    return logits.logsumexp(-1) - logits.diagonal(dim1=-2, dim2=-1)


def _root(covariance: Tensor) -> Tensor:
    """A lower factor ``(c, r, r)`` of covariances that may be singular to rounding, or not finite."""
    size = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    ridge = 1e-13 if covariance.dtype == torch.float64 else 1e-6
    eye = torch.eye(covariance.shape[-1]).to(covariance)
    return torch.linalg.cholesky_ex(covariance + (ridge * size + torch.finfo(covariance.dtype).tiny) * eye).L
