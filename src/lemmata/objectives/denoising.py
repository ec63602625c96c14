"""The DDPM loss at a fixed diffusion time, as a function of inner products: exact over the noise, or sampled.

    x_t = alpha x_0 + beta eps,   alpha = exp(-t),   beta = sqrt(1 - exp(-2t)),
    L = 1/2 sum_i weight_i sum_patches E_eps |f(x_t) - eps|^2,     f(x_t) = 1/sqrt(m) sum_r act(<w_r, x_t>) w_r

(Han, Huang, Cao, Zou 2024, arXiv 2412.01021, with weights 1/n). The pre-activations z_r = <w_r, x_t> are Gaussian with
means alpha a_r, a = A[:, k], and covariance beta^2 Q. For a polynomial activation the expectation is therefore closed:
with e_jr = E act^(j)(z_r),

    E <f, eps> = beta/sqrt(m) sum_r Q_rr e_1r                               (Stein's lemma),
    E |f|^2    = 1/m sum_{r,s} Q_rs sum_j (beta^2 Q_rs)^j / j!  e_jr e_js   (Mehler's formula; ends at the degree).

Averaged over the data, the last is a sum of (r, k) x (k, r) products, one per derivative. Gradients follow from
d e_j / d a = alpha e_{j+1} and d e_j / d Q_rr = beta^2/2 e_{j+2} (the heat equation).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.patches import Own, Patch
from lemmata.data.sample import DiffusionSample, Sample
from lemmata.nets.activations import Activation, Power
from lemmata.nets.net import ActivatedNet
from lemmata.objectives.objective import FreshGradient, Gradient, Objective, Products
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class Denoising(Objective):
    """The denoising loss, its expectation over the noise taken exactly.

    Args:
        t: diffusion time, above 0. May be a ``(c,)`` tensor, one value per cell.

    Raises:
        ValueError: t <= 0, or not a number. On use, TypeError for an activation that is no polynomial.
    """

    t: float | Tensor = parameter("diffusion time t", above=0, scale="log", per_cell=True, default=0.2)

    trains: ClassVar[type] = ActivatedNet
    reads_filter_gram: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)

    def schedule(self, like: Tensor) -> tuple[Any, Any]:
        """alpha and beta: numbers, or tensors shaped to broadcast against ``like`` ``(c, ...)``."""
        if not isinstance(self.t, Tensor):  # numbers spare a step a dozen operations on tensors of one element
            return math.exp(-self.t), math.sqrt(-math.expm1(-2 * self.t))
        t = per_cell(self.t, like)
        return torch.exp(-t), torch.sqrt(-torch.expm1(-2 * t))

    def loss(self, products: Products) -> Tensor:
        """``(c,)``, see the module's formula."""
        p, weights, act = products, vector_weights(products), polynomial(products)
        alpha, beta = self.schedule(p.A)
        covariance = beta**2 * p.Q
        moments = act.gaussian_moments(alpha * p.A, _diagonal(covariance))
        return _expected_loss(moments, weights, covariance, p.Q, beta, dimension(p), act.power)

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss ``(c,)`` and its gradients, by the formulas at the head of the file."""
        p, weights, act = products, vector_weights(products), polynomial(products)
        m, power, Q = p.A.shape[-2], act.power, p.Q
        alpha, beta = self.schedule(p.A)
        variance = beta**2
        q = _diagonal(Q)  # (c, r, 1)
        e: list = act.gaussian_moments(alpha * p.A, variance * q)
        e += [float(math.factorial(power)), 0.0, 0.0]
        total = weights.sum(-1, keepdim=True)  # (c, 1, 1)
        weighted = [weights * moment for moment in e[: power + 1]]
        pull = beta * (-2 / math.sqrt(m))

        # -2 E <f, eps>
        pulled_q = pull * q
        inner = weighted[1].sum(-1, keepdim=True)  # (c, r, 1): sum_k c_k e_1
        loss = (pulled_q * inner).sum((-2, -1))
        on_A = pulled_q * weighted[2]
        on_q = pull * inner
        if power > 2:
            on_q = on_q + (0.5 * variance) * pulled_q * weighted[3].sum(-1, keepdim=True)

        # E |f|^2
        on_Q = torch.zeros_like(Q)
        weighted_Q, scale = Q / m, 1 / m  # variance^j / j! Q^(j+1) / m, and the same without Q^(j+1)
        Q_to_j: Tensor | float = 1.0
        for j in range(power):
            outer = torch.bmm(weighted[j], e[j].mT)  # (c, r, r): sum_k c_k e_jr e_js
            loss = loss + (weighted_Q * outer).sum((-2, -1))
            on_Q = on_Q + (scale * (j + 1) * Q_to_j) * outer
            on_moment = torch.bmm(2 * weighted_Q, weighted[j])
            on_A = on_A + on_moment * e[j + 1]
            if j + 2 <= power:
                on_q = on_q + ((0.5 * variance) * on_moment * e[j + 2]).sum(-1, keepdim=True)
            weighted_Q, scale = weighted_Q * Q * (variance / (j + 1)), scale * (variance / (j + 1))
            Q_to_j = Q_to_j * Q
        constant = math.factorial(power) ** 2 * total
        loss = loss + constant[..., 0, 0] * weighted_Q.sum((-2, -1))
        on_Q = on_Q + (constant * scale * (power + 1)) * Q_to_j
        on_Q.diagonal(dim1=-2, dim2=-1).add_(on_q.squeeze(-1))
        loss = 0.5 * (loss + total[..., 0, 0] * dimension(p))
        return loss, Gradient((0.5 * alpha) * on_A, 0.5 * on_Q, {})

    def fresh_loss(self, products: Products) -> Tensor:
        """The expected loss ``(c,)`` at a fresh point: either signal with equal chance, and a fresh noise patch.

        The inner products of a fresh noise patch with the filters are Gaussian too, so they only widen the law of the
        pre-activations.

        Raises:
            TypeError: the data has no law of a fresh signal patch, as images have not.
        """
        p, act, d, sample = products, polynomial(products), dimension(products), cast(DiffusionSample, products.sample)
        if isinstance(sample.signal, Own):
            raise TypeError("the loss at a fresh point was asked for on images, whose law is not known; use TwoSignals")
        alpha, beta = self.schedule(p.A)
        covariance = beta**2 * p.Q
        signals = torch.stack(sample.signal.fresh(p.A), dim=-1)  # (c, r, 2)
        half = torch.full_like(signals[:, :1], 0.5)
        moments = act.gaussian_moments(alpha * signals, _diagonal(covariance))
        on_signal = _expected_loss(moments, half, covariance, p.Q, beta, d, act.power)
        squared = sample.vectors.square().sum(-1)
        covariance = covariance + alpha**2 * sample.fresh_noise.covariance(p.A, p.Q, squared)
        moments = act.gaussian_moments(torch.zeros_like(signals[..., :1]), _diagonal(covariance))
        one = torch.ones_like(half[..., :1])
        return on_signal + _expected_loss(moments, one, covariance, p.Q, beta, d, act.power)


@dataclass(frozen=True)
class FixedNoiseDenoising(Denoising):
    """The denoising loss averaged over a finite set of noises that is drawn once, any activation.

    The data model holds the noises among its vectors: ``TwoSignals(..., diffusion_noises=N)``.
    """

    def loss(self, products: Products) -> Tensor:
        """``(c,)``: ``1/2 sum_i weight_i sum_patches mean_noises |f(x_t) - eps|^2``."""
        p, sample, act = products, _sample(products), cast(ActivatedNet, products.net).activation
        noises, n = sample.diffusion_noises, p.labels.shape[-1]
        if noises == 0:
            raise ValueError("FixedNoiseDenoising needs noises to predict, the data has none; set diffusion_noises > 0")
        alpha, beta = self.schedule(p.A.unsqueeze(-1).unsqueeze(-1))
        clean = torch.stack([sample.signal.read(p.A), sample.noise.read(p.A)], dim=-2).unsqueeze(-2)  # (c, r, 2, 1, n)
        on_noise = p.A[..., -2 * noises * n :].unflatten(-1, (2, noises, n))
        hidden = act(alpha * clean + beta * on_noise).flatten(-3)  # (c, r, 2 N n)
        squared = sample.vectors[..., -2 * noises * n :, :].square().sum(-1)
        m = p.A.shape[-2]
        error = ((p.Q @ hidden) * hidden).sum(-2) / m + squared
        error = error - 2 / math.sqrt(m) * (hidden * on_noise.flatten(-3)).sum(-2)
        per_sample = error.unflatten(-1, (2, noises, n)).mean(-2).sum(-2)
        return 0.5 * (p.weights * per_sample).sum(-1)

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss and its gradients, by autograd."""
        return Objective.gradient(self, products)


@dataclass(frozen=True)
class FreshNoiseDenoising(Denoising):
    """The denoising loss with ``noises`` new noises for every patch at every step: stochastic gradient descent.

    :meth:`loss` is the expectation that the steps sample, :meth:`fresh_gradient` a step's own.

    Args:
        noises: noises per patch and step, at least 1.
    """

    noises: int = parameter("noises per patch and step", int, least=1, default=1)

    draws: ClassVar[bool] = True

    def fresh_vectors(self, sample: Sample) -> int:
        """One for every noise of every patch: signal patches first; the noises of one patch stand together."""
        return 2 * sample.labels.shape[-1] * self.noises

    def fresh_gradient(self, products: Products, inner: Tensor) -> tuple[Tensor, FreshGradient]:
        """The sampled loss ``(c,)``, its term |eps|^2 replaced by its mean d, and its gradient's coefficients."""
        p, sample, act = products, _sample(products), cast(ActivatedNet, products.net).activation
        r, k = p.A.shape[-2:]
        alpha, beta = self.schedule(p.A)
        patches = [_index(patch, k, p.A) for patch in (sample.signal, sample.noise)]
        source = torch.cat(patches, -1).repeat_interleave(self.noises, -1)  # (c, e), which vector is noised
        scale = torch.cat([p.weights, p.weights], -1).repeat_interleave(self.noises, -1) / self.noises
        z = alpha * p.A.gather(-1, source.unsqueeze(-2).expand(-1, r, -1)) + beta * inner
        hidden, slope = act(z), act.derivative(z)
        predicted = p.Q @ hidden / math.sqrt(r)  # <w_r, f>
        fit = scale.unsqueeze(-2) / math.sqrt(r)
        loss = 0.5 * (scale * ((hidden * predicted).sum(-2) / math.sqrt(r))).sum(-1)
        loss = loss - (fit * hidden * inner).sum((-2, -1))
        loss = loss + 0.5 * scale.sum(-1) * sample.dimension
        on_z = fit * slope * (predicted - inner)
        on_X = torch.zeros_like(p.A).scatter_add_(-1, source.unsqueeze(-2).expand_as(on_z), alpha * on_z)
        on_W = (fit / math.sqrt(r) * hidden) @ hidden.mT
        return loss, FreshGradient(on_X, on_W, beta * on_z - fit * hidden, {})


def dimension(products: Products) -> Tensor:
    """Ambient dimension ``(c,)`` of a patch.

    Raises:
        TypeError: data or network are not made for denoising.
    """
    return _sample(products).dimension


def vector_weights(products: Products) -> Tensor:
    """Weight ``(c, 1, k)`` of every data vector: the weights of the patches that read it, summed."""
    return torch.bmm(products.weights.unsqueeze(-2), _sample(products).reads)


def polynomial(products: Products) -> Power:
    """The network's activation.

    Raises:
        TypeError: it is no polynomial.
    """
    activation: Activation = cast(ActivatedNet, products.net).activation
    if not hasattr(activation, "gaussian_moments"):
        raise TypeError(
            f"the expectation over the noise was asked for with {activation}, which has no closed Gaussian moments; "
            "use Power, or FixedNoiseDenoising"
        )
    return cast(Power, activation)


def _sample(products: Products) -> DiffusionSample:
    if not isinstance(products.sample, DiffusionSample):
        raise TypeError(
            f"a denoising loss was asked for on {type(products.sample).__name__}; use data such as TwoSignals"
        )
    if products.head:
        raise TypeError(
            f"a denoising loss was asked for with {type(products.net).__name__}, which has a head, and reads the "
            "filters alone; use TiedDenoiser"
        )
    return products.sample


def _index(patch: Patch, k: int, like: Tensor) -> Tensor:
    """Which data vector ``(c, n)`` a patch reads, for every sample."""
    return patch.read(torch.arange(k, device=like.device).expand(like.shape[0], 1, k)).squeeze(-2)


def _expected_loss(
    moments: list[Tensor], weights: Tensor, covariance: Tensor, Q: Tensor, beta: Any, d: Tensor, power: int
) -> Tensor:
    """1/2 sum_k weights_k (d - 2 E<f, eps> + E|f|^2), ``(c,)``, moments ``(c, r, k)``, weights ``(c, 1, k)``."""
    m, total = Q.shape[-1], weights.sum((-2, -1))
    inner = (beta * _diagonal(Q) * (weights * moments[1])).sum((-2, -1))
    squared = math.factorial(power) * (covariance**power).mul(Q).sum((-2, -1)) * total
    for j, moment in enumerate(moments):
        outer = (weights * moment) @ moment.mT
        squared = squared + (covariance**j * Q * outer).sum((-2, -1)) / math.factorial(j)
    return 0.5 * (total * d - 2 / math.sqrt(m) * inner + squared / m)


def _diagonal(matrix: Tensor) -> Tensor:
    """The diagonal as a column, ``(c, r, 1)``."""
    return matrix.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
