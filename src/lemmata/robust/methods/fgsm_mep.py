"""FGSM-MEP: FGSM-PGI whose prior is each sample's own, moved along a momentum of its gradients over all epochs.

    m <- g / |g|_1 + mu m,   delta = P_box(P_eps(D + alpha s(g))),   D <- P_box(P_eps(D + alpha s(m)))
    loss = CE(f(x + delta), LS(y, q)) + lam mean_{i, k} (f(x + delta)_ik - f(x + D)_ik)^2

Jia et al. 2022, arXiv 2207.08859, as in the authors' code: |g|_1 is the l_1 norm of the whole batch's gradient of the
mean loss, and every 40 epochs D returns to random corners and m to 0. Names: mu is ``decay``, 40 ``reset_every``. Two
tensors of the size of the data set are kept on the device of the images.
"""

from typing import Any, Unpack

import torch
from torch import Tensor

from lemmata.robust.checks import check_confidence, check_number, check_share, check_whole
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.class_stats import ClassStats
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.penalties import paired
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import SampleMemory
from lemmata.robust.modes import Passes


class FGSMMEP(Method):
    """FGSM from each sample's prior, with momentum; every ``loss`` takes ``index``.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps by
            default.
        samples: number of samples in the data set.
        lam: strength of the regulariser, at least 0.
        confidence: q of the true class in the relaxed labels, in (1/K, 1].
        decay: mu in [0, 1].
        reset_every: epochs after which memory and momentum start anew, from 1.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        samples: int,
        lam: float = 10.0,
        confidence: float = 0.6,
        decay: float = 0.3,
        reset_every: int = 40,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_number("lam", lam, least=0)
        check_confidence("confidence", confidence, num_classes)
        check_share("decay", decay)
        check_whole("reset_every", reset_every, 1)
        self.lam, self.confidence, self.decay, self.reset_every = lam, confidence, decay, reset_every
        self.start = SampleMemory(self.eps, self.norm, samples)
        self.momentum: Tensor | None = None

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        index = self.start.check(x, index)
        prior = self.start.draw(x, index, self._noise(x))
        first, gradient = gradient_at(net, x, y, prior, self.confidence, keep_graph=True)
        delta = stepped(x, prior, gradient, self.alpha, self.eps, self.norm)
        momentum = self._moved(gradient, index)
        self.start.keep(stepped(x, prior, momentum, self.alpha, self.eps, self.norm), index)
        logits = net((x + delta).clamp(0, 1))
        loss = relaxed_cross_entropy(logits, y, self.confidence).mean()
        return AdvStep(loss + self.lam / self.num_classes * paired(first, logits), logits, None, delta)

    def _moved(self, gradient: Tensor, index: Tensor) -> Tensor:
        if self.momentum is None:
            self.momentum = torch.zeros(self.start.samples, *gradient.shape[1:], device=gradient.device)
        self.momentum = self.momentum.to(gradient.device)
        total = torch.linalg.vector_norm(gradient.float(), ord=1).clamp_min(torch.finfo().tiny)
        now = gradient.float() / total + self.decay * self.momentum[index]
        self.momentum[index] = now
        return now

    def _learn(self, stats: ClassStats) -> ClassStats:
        if (self.epoch + 1) % self.reset_every == 0:
            self.start.memory = self.momentum = None
        return stats

    def _state(self) -> dict[str, Any]:
        momentum = None if self.momentum is None else self.momentum.clone()
        return {"start": self.start.state(), "momentum": momentum}

    def _load(self, state: dict[str, Any]) -> None:
        self.start.load(state["start"])
        self.momentum = None if state["momentum"] is None else state["momentum"].clone()
