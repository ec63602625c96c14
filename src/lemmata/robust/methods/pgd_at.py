"""PGD-AT, the slow reference: train on the end of several steps of projected ascent.

    delta_0 ~ U(ball of eps),   delta <- P_box(P_eps(delta + alpha s(grad CE(f(x + delta), y))))   (steps times)
    loss = CE(f(x + delta), y)

Madry, Makelov, Schmidt, Tsipras, Vladu 2017, arXiv 1706.06083. 11 forward and 11 backward passes a step, one of the
latter to the parameters, at ten steps of ascent.
"""

from typing import Unpack

from torch import Tensor

from lemmata.robust.checks import check_whole
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import start_of
from lemmata.robust.modes import Passes


class PGDAT(Method):
    """Adversarial training with projected gradient ascent.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps/4 by
            default.
        steps: of the ascent, from 1.

    Raises:
        ValueError: an argument out of range.
    """

    steps_of_eps = 0.25

    def __init__(
        self,
        num_classes: int,
        *,
        steps: int = 10,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_whole("steps", steps, 1)
        self.steps = steps
        self.start = start_of("uniform", self.eps, self.norm)

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        delta = self.start.draw(x, index, self._noise(x))
        for _ in range(self.steps):
            _, gradient = gradient_at(net, x, y, delta, 1.0)
            delta = stepped(x, delta, gradient, self.alpha, self.eps, self.norm)
        logits = net((x + delta).clamp(0, 1))
        return AdvStep(relaxed_cross_entropy(logits, y, 1.0).mean(), logits, None, delta)
