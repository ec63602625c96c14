"""FGSM-PGI: start where an earlier step ended, and keep the outputs at start and end of the step alike.

    D <- P_box(P_eps(D + alpha s(grad_D CE(f(x + D), LS(y, q)))))
    loss = CE(f(x + D), LS(y, q)) + lam mean_{i, k} (f(x + D)_ik - f(x + D_start)_ik)^2

Jia, Zhang, Wei, Wu, Ma, Wang, Cao 2022, "Prior-Guided Adversarial Initialization for Fast Adversarial Training", arXiv
2207.08859; D is the last batch's (their FGSM-BP) or the sample's own (FGSM-EP). FGSM-MEP, with momentum over epochs,
stands in :mod:`lemmata.robust.methods.fgsm_mep`. The mean is over samples and classes, as in the authors' code.
"""

from typing import Any, Unpack

from torch import Tensor

from lemmata.robust.checks import check_choice, check_confidence, check_number
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.penalties import paired
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import start_of
from lemmata.robust.modes import Passes


class FGSMPGI(Method):
    """FGSM from a prior perturbation, with the prior-guided regulariser.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps by
            default.
        prior: ``batch`` or ``epoch``, which needs ``samples``, and ``index`` in every ``loss``.
        samples: number of samples, for ``prior="epoch"``.
        lam: strength of the regulariser, at least 0; 10 in the authors' code.
        confidence: q of the true class in the relaxed labels, in (1/K, 1]; 0.6 in the authors' code for CIFAR-10.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        prior: str = "batch",
        samples: int | None = None,
        lam: float = 10.0,
        confidence: float = 0.6,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_choice("prior", prior, ("batch", "epoch"))
        check_number("lam", lam, least=0)
        check_confidence("confidence", confidence, num_classes)
        self.lam, self.confidence = lam, confidence
        self.start = start_of({"batch": "batch_memory", "epoch": "sample_memory"}[prior], self.eps, self.norm, samples)

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        start = self.start.draw(x, index, self._noise(x))
        first, gradient = gradient_at(net, x, y, start, self.confidence, keep_graph=True)
        delta = stepped(x, start, gradient, self.alpha, self.eps, self.norm)
        self.start.keep(delta, index)
        logits = net((x + delta).clamp(0, 1))
        loss = relaxed_cross_entropy(logits, y, self.confidence).mean()
        loss = loss + self.lam / self.num_classes * paired(first, logits)
        return AdvStep(loss, logits, None, delta)

    def _state(self) -> dict[str, Any]:
        return {"start": self.start.state()}

    def _load(self, state: dict[str, Any]) -> None:
        self.start.load(state["start"])
