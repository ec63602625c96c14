"""FGSM-RS: one step from a uniform start; and FGSM itself, one step from the image.

    delta = P_box(P_eps(u + alpha s(grad CE(f(x + u), y)))),   u ~ U(ball of eps),   loss = CE(f(x + delta), y)

Wong, Rice, Kolter 2020, arXiv 2001.03994, with alpha = 1.25 eps; start ``zero`` with alpha = eps is Goodfellow, Shlens,
Szegedy 2014, arXiv 1412.6572. Both may overfit catastrophically where eps or alpha is large: watch them with a
:class:`~lemmata.robust.Monitor`.
"""

from typing import Unpack

from torch import Tensor

from lemmata.robust.checks import check_choice
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import start_of
from lemmata.robust.modes import Passes


class FGSMRS(Method):
    """FGSM from a random start.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is 1.25 eps
            by default, eps from the start ``zero``.
        start: ``uniform`` (FGSM-RS) or ``zero`` (FGSM).

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        start: str = "uniform",
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_choice("start", start, ("uniform", "zero"))
        if common.get("alpha") is None and start == "uniform":
            self.alpha = 1.25 * self.eps
        self.start = start_of(start, self.eps, self.norm)

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        start = self.start.draw(x, index, self._noise(x))
        _, gradient = gradient_at(net, x, y, start, 1.0)
        delta = stepped(x, start, gradient, self.alpha, self.eps, self.norm)
        logits = net((x + delta).clamp(0, 1))
        return AdvStep(relaxed_cross_entropy(logits, y, 1.0).mean(), logits, None, delta)
