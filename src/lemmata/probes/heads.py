"""Linear heads on frozen features, and their error on fresh samples, from the exact law of the features.

A fresh sample has the signal patch y mu and a noise patch of which an encoder sees z ~ N(0, Sigma) alone, so its m
features are

    h = act(y a) + act(z),   a_r = <w_r, mu>,   Sigma = sigma_test^2 (Q - a a^T / |mu|^2),

with Q alone where the noise is not orthogonal to mu: drawn in m dimensions however large d is. Both classes have one
covariance, and for the ReLU all moments are known:

    E h | y=+1  -  E h | y=-1 = a,     E relu(z_r) = s_r / sqrt(2 pi),
    E relu(z_r) relu(z_q) = s_r s_q (sin t + (pi - t) cos t) / (2 pi),   cos t = Sigma_rq / (s_r s_q)

(Cho, Saul 2009, "Kernel methods for deep learning"), hence the best linear head without a single sample. Measuring
features by a head is the downstream task of Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import normal, permutation
from lemmata.nets.activations import Activation, ReLU
from lemmata.parameters import require, require_whole
from lemmata.probes.error_of_law import FreshPoint, TestError, test_error
from lemmata.probes.failure_point import symmetric_root

HEADS = ("lda", "mean", "logistic")
_RIDGE = 1e-6  # of the mean variance: features of a small start are nearly collinear
_NEWTON_STEPS = 40


@dataclass(frozen=True)
class FeatureLaw:
    """The law of the features of fresh samples, for ``c`` encoders.

    Attributes:
        signal: ``(c, r)``, inner products a of the filters with mu.
        covariance: ``(c, r, r)``, Sigma.
        activation: of both patches.
    """

    signal: Tensor
    covariance: Tensor
    activation: Activation

    def shifted(self, factor: float | Tensor) -> "FeatureLaw":
        """The law when test noise is ``factor`` times as large, sigma_test / sigma."""
        return FeatureLaw(self.signal, per_cell(factor, self.covariance) ** 2 * self.covariance, self.activation)

    def class_means(self) -> tuple[Tensor, Tensor]:
        """Mean features ``(c, r)`` of either class, in closed form (ReLU only)."""
        self._require_relu()
        noise = self.covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt() / math.sqrt(2 * math.pi)
        return torch.relu(self.signal) + noise, torch.relu(-self.signal) + noise

    def class_covariance(self) -> Tensor:
        """Covariance ``(c, r, r)`` of the features of one class, in closed form (ReLU only)."""
        self._require_relu()
        scale = self.covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        product = scale.unsqueeze(2) * scale.unsqueeze(1)
        cosine = (self.covariance / product.clamp_min(torch.finfo(product.dtype).tiny)).clamp(-1, 1)
        angle = cosine.acos()
        return product * (angle.sin() + (math.pi - angle) * cosine - 1) / (2 * math.pi)

    def draw(self, seeds: Tensor, name: str, k: int) -> tuple[Tensor, Tensor]:
        """``k`` labelled samples, as many of either class as k allows: features ``(c, k, r)`` and labels ``(c, k)``."""
        alternating = 1.0 - 2.0 * (torch.arange(k, device=seeds.device) % 2).to(self.signal)
        y = alternating[permutation(seeds, name + "/labels", k)]
        z = normal(seeds, name + "/noise", (k, self.signal.shape[1])).to(self.signal)
        z = z @ symmetric_root(self.covariance)
        return self.activation(y.unsqueeze(2) * self.signal.unsqueeze(1)) + self.activation(z), y

    def _require_relu(self) -> None:
        if self.activation != ReLU():
            raise ValueError(
                f"exact moments of features were asked for with {self.activation}; they are known for ReLU(), "
                "give a number of labels to estimate them from"
            )


@dataclass(frozen=True)
class LinearHead:
    """Predicts the sign of ``weights . h + bias``: weights ``(c, r)``, bias ``(c,)``."""

    weights: Tensor
    bias: Tensor

    def error(self, law: FeatureLaw, seeds: Tensor) -> TestError:
        """Probability that a fresh sample of ``law`` is misclassified; the estimate needs no test samples."""
        act = law.activation
        plus, minus = ((self.weights * act(sign * law.signal)).sum(1) + self.bias for sign in (1, -1))
        return test_error(FreshPoint(law.covariance, self.weights, plus, minus, act), seeds, check_draws=0)


def fit_head(
    law: FeatureLaw, kind: Literal["lda", "mean", "logistic"], seeds: Tensor, labels: int | None = None
) -> LinearHead:
    """A head for the features of ``law``.

    Args:
        kind: ``"lda"``, weights Cov^-1 (mean_+ - mean_-), the best linear head for Gaussian features; ``"mean"``,
            weights mean_+ - mean_-; ``"logistic"``, logistic regression on standardised features with the penalty
            |w|^2 / (2 k). The threshold of the first two is midway between the classes.
        seeds: ``(c,)``.
        labels: number k of labelled samples that the head sees, at least 2; None is the whole population, of which
            ``"lda"`` and ``"mean"`` need moments alone.

    Raises:
        ValueError: an unknown kind, fewer labels than classes, or logistic regression on the population.
    """
    require("head", kind, lambda x: x in HEADS, "one of " + ", ".join(HEADS))
    if labels is None:
        if kind == "logistic":
            raise ValueError("a logistic head was asked for without a number of labels; give one, e.g. labels=1000")
        plus, minus = law.class_means()
        covariance = law.class_covariance()
    else:
        require_whole("labels", labels, 2, "the number of labels (of two classes)")
        features, y = law.draw(seeds, "probe", labels)
        if kind == "logistic":
            return _logistic(features, y)
        plus, minus, covariance = _moments(features, y)
    weights = plus - minus
    if kind == "lda":
        size = covariance.diagonal(dim1=1, dim2=2).mean(1).reshape(-1, 1, 1)
        eye = torch.eye(weights.shape[1]).to(weights)
        ridge = (_RIDGE * size + torch.finfo(weights.dtype).tiny) * eye
        weights = torch.linalg.solve_ex(covariance + ridge, weights.unsqueeze(2)).result.squeeze(2)
    return LinearHead(weights, -(weights * (plus + minus)).sum(1) / 2)


def _moments(features: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Class means ``(c, r)`` and the pooled covariance ``(c, r, r)`` of labelled features."""
    means = [(features * (y == s).unsqueeze(2)).sum(1) / (y == s).sum(1, keepdim=True) for s in (1, -1)]
    centred = features - torch.where((y > 0).unsqueeze(2), means[0].unsqueeze(1), means[1].unsqueeze(1))
    return means[0], means[1], centred.mT @ centred / max(1, y.shape[1] - 2)


def _logistic(features: Tensor, y: Tensor) -> LinearHead:
    """L2-penalised logistic regression of every cell at once, by Newton's method with step halving."""
    k = y.shape[1]
    centre, scale = features.mean(1), features.std(1).clamp_min(torch.finfo(features.dtype).tiny)
    design = torch.cat([(features - centre.unsqueeze(1)) / scale.unsqueeze(1), torch.ones_like(y).unsqueeze(2)], 2)
    penalty = torch.ones_like(design[:, 0])
    penalty[:, -1] = 0  # the intercept is free

    def loss(theta: Tensor) -> Tensor:
        margin = y * (design @ theta.unsqueeze(2)).squeeze(2)
        return torch.nn.functional.softplus(-margin).sum(1) + 0.5 * (penalty * theta**2).sum(1)

    theta, best = torch.zeros_like(penalty), torch.full_like(y[:, 0], k * math.log(2))
    for _ in range(_NEWTON_STEPS):
        wrong = torch.sigmoid(-y * (design @ theta.unsqueeze(2)).squeeze(2))
        slope = penalty * theta - ((y * wrong).unsqueeze(2) * design).sum(1)
        weighted = (wrong * (1 - wrong)).unsqueeze(2) * design
        curvature = design.mT @ weighted + torch.diag_embed(penalty + 1e-9)
        step = torch.linalg.solve_ex(curvature, slope.unsqueeze(2)).result.squeeze(2)
        for half in (1.0, 0.5, 0.25, 0.125):
            found = loss(theta - half * step)
            better = (found < best).unsqueeze(1)
            theta, step = torch.where(better, theta - half * step, theta), torch.where(better, 0.0, step)
            best = torch.minimum(best, found)
    weights = theta[:, :-1] / scale
    return LinearHead(weights, theta[:, -1] - (weights * centre).sum(1))
