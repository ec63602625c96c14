"""N-FGSM: one step from noise larger than eps, and no projection after it.

    delta = P_box(u + alpha s(grad CE(f(x + u), y))),   u ~ U(ball of k eps), k = 2,   loss = CE(f(x + delta), y)

de Jorge, Bibi, Volpi, Sanyal, Torr, Rogez, Dokania 2022, arXiv 2202.01181: noise alone keeps single-step training from
catastrophic overfitting. The images trained on may lie outside eps. Names: k is ``noise``.
"""

from typing import Unpack

from torch import Tensor

from lemmata.robust.checks import check_number
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import Noise
from lemmata.robust.modes import Passes


class NFGSM(Method):
    """FGSM from noise.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps by
            default.
        noise: k, radius of the noise over eps, positive.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        noise: float = 2.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_number("noise", noise, above=0)
        self.start = Noise(self.eps, self.norm, noise)

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        start = self.start.draw(x, index, self._noise(x))
        _, gradient = gradient_at(net, x, y, start, 1.0)
        delta = stepped(x, start, gradient, self.alpha, None, self.norm)
        logits = net((x + delta).clamp(0, 1))
        return AdvStep(relaxed_cross_entropy(logits, y, 1.0).mean(), logits, None, delta)
