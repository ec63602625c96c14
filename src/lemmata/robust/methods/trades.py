"""TRADES, the other slow reference: fit the clean images, and keep the output alike in their neighbourhood.

    delta ascends KL(f(x) || f(x + delta)) from a small normal start,
    loss = CE(f(x), y) + beta KL(f(x) || f(x + delta))

Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan 2019, arXiv 1901.08573. The ascent runs with batch norm in eval mode, as in the
authors' code (``bn``). Names: beta is their 1/lambda.
"""

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.robust.checks import check_number, check_whole
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.single_step import HALF_SCALE, stepped
from lemmata.robust.modes import Passes
from lemmata.robust.noise import normal_like
from lemmata.robust.precision import at_least_float32

START = 1e-3


class TRADES(Method):
    """Adversarial training that trades clean against robust error.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps/4 by
            default, bn ``eval``.
        steps: of the ascent, from 1.
        beta: weight of the second term, at least 0.

    Raises:
        ValueError: an argument out of range.
    """

    steps_of_eps = 0.25

    def __init__(
        self,
        num_classes: int,
        *,
        steps: int = 10,
        beta: float = 6.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **Common(**{"bn": "eval", **common}))
        check_whole("steps", steps, 1)
        check_number("beta", beta, least=0)
        self.steps, self.beta = steps, beta

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        with torch.no_grad():
            reference = F.log_softmax(net.attack(x).float(), 1)
        delta = START * normal_like(x, self._noise(x)).to(x.dtype)
        for _ in range(self.steps):
            delta = delta.detach().requires_grad_()
            logits = net.attack(x + delta)
            scale = HALF_SCALE if logits.dtype == torch.float16 else 1.0
            (gradient,) = torch.autograd.grad(scale * _divergence(reference, logits).sum(), delta)
            delta = stepped(x, delta, gradient, self.alpha, self.eps, self.norm)
        clean = net(x)
        logits = net((x + delta).clamp(0, 1))
        apart = _divergence(F.log_softmax(at_least_float32(clean), 1), logits)
        return AdvStep((relaxed_cross_entropy(clean, y, 1.0) + self.beta * apart).mean(), logits, clean, delta)


def _divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """``KL(p || softmax(logits))`` per sample ``(n,)``, log p being ``reference`` ``(n, K)``."""
    return F.kl_div(F.log_softmax(at_least_float32(logits), 1), reference, reduction="none", log_target=True).sum(1)
