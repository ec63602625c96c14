"""TDAT: a batch memory, labels that grow softer as training goes, and a regulariser that spares what is learnt.

    gamma_t = max(gamma_min, beta tan(1 - t/T))                                     t: epoch, T: epochs
    D <- P_box(P_eps(D + alpha s(grad_D CE(f(x + D), LS(y, gamma_t)))))
    loss = CE(f(x + D), smooth(y, 1 - gamma_t)) + lam/n sum_i tanh(1 - p_i) |f(x + D)_i - f(x + D_start)_i|^2

p_i is the start's probability of the true class. Tong, Jiang, Gui, Cao 2024, "Taxonomy Driven Fast Adversarial
Training", AAAI 2024, as in the authors' code for CIFAR-10: smooth is torch's label smoothing, and the memory is the
last perturbation itself, because the line that averages it (their batch-m 0.75) is overwritten by the next;
``memory_decay`` averages.
"""

import math
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.robust.attacks.norms import into_box
from lemmata.robust.checks import check_confidence, check_number, check_share, check_whole
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import BatchMemory
from lemmata.robust.modes import Passes
from lemmata.robust.precision import at_least_float32


class TDAT(Method):
    """Taxonomy driven fast adversarial training.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps by
            default.
        epochs: T, from 1.
        lam: strength of the regulariser, at least 0.
        beta: of the label schedule, in [0, 1].
        gamma_min: least confidence of the true class, in (1/K, 1].
        memory_decay: weight of the old memory in the new, in [0, 1); 0 as the authors' code runs, 0.75 as it is meant.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        epochs: int,
        lam: float = 0.65,
        beta: float = 0.6,
        gamma_min: float = 0.15,
        memory_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_whole("epochs", epochs, 1)
        check_number("lam", lam, least=0)
        for name, value in (("beta", beta), ("memory_decay", memory_decay)):
            check_share(name, value)
        check_confidence("gamma_min", gamma_min, num_classes)
        self.epochs, self.lam, self.beta, self.gamma_min = epochs, lam, beta, gamma_min
        self.memory_decay = memory_decay
        self.start = BatchMemory(self.eps, self.norm)

    def confidence(self) -> float:
        """gamma_t of this epoch, at most 1."""
        scheduled = self.beta * math.tan(1 - min(self.epoch / self.epochs, 1.0))
        return min(1.0, max(self.gamma_min, scheduled))

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        gamma = self.confidence()
        start = self.start.draw(x, index, self._noise(x))
        first, gradient = gradient_at(net, x, y, start, gamma, keep_graph=True)
        delta = stepped(x, start, gradient, self.alpha, self.eps, self.norm)
        kept = into_box(self.memory_decay * start + (1 - self.memory_decay) * delta, x)
        self.start.keep(kept, index)
        logits = net((x + delta).clamp(0, 1))
        fit = F.cross_entropy(at_least_float32(logits), y, label_smoothing=1 - gamma)
        true = torch.softmax(at_least_float32(first), 1).gather(1, y[:, None])[:, 0]
        apart = (at_least_float32(first) - at_least_float32(logits)).square().sum(1)
        return AdvStep(fit + self.lam * (apart * torch.tanh(1.0000001 - true)).mean(), logits, None, delta)

    def _state(self) -> dict[str, Any]:
        return {"start": self.start.state()}

    def _load(self, state: dict[str, Any]) -> None:
        self.start.load(state["start"])
