"""SKG-FAT: single-step adversarial training that weighs each class by how well it was learnt an epoch ago.

    D      the batch memory: D <- P_box(P_eps(D + alpha sign grad_D CE(f(x + D), LS(y, q))))
    phi_c  = clip(|ln a_c|, q_min, q_max),      a_c clean accuracy of class c in the last epoch
    loss   = CE(f(x + D), LS(y, q)) + lam sum_{c present} phi_c mean_{i in c, k} (f(x)_ik - f(x + D)_ik)^2

Jiang, Wang, Dong, Gui, Shi, Cao, Tang, Kwok 2024, "Improving Fast Adversarial Training via Self-Knowledge Guidance",
arXiv 2409.17589, re-expressed from the authors' release. The first ``begin`` epochs have q = q_max and FGSM-PGI's
regulariser instead. Names: lam is their lamda, ``label_max``, ``label_min`` their LS_max, LS_min, ``reg`` class and
group their CWR and AGR, pgi their Normal; relaxation fixed their SLS.

``relaxation`` says what the labels do. ``class``: q_c = phi_c, once an epoch, as the text intends. ``released``: phi is
put through clip(|ln phi|) again at every batch, as the release does, whose variable is overwritten inside the loop; the
map's fixed point 0.567 is unstable, so after a few batches every class alternates between hard and soft labels, and
what was known of it decides the phase alone. ``fixed``: q = q_max, which our experiments favour.
"""

from typing import Any, Unpack

import torch
from torch import Tensor

from lemmata.robust.checks import check_choice, check_confidence, check_number, check_share, check_whole
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.methods.class_stats import ClassStats, groups
from lemmata.robust.methods.method import AdvStep, Common, Method
from lemmata.robust.methods.penalties import by_class, by_group, classes_present, groups_present, paired
from lemmata.robust.methods.single_step import gradient_at, stepped
from lemmata.robust.methods.starts import STARTS, start_of
from lemmata.robust.modes import Passes

REGULARISERS = ("class", "group", "pgi", "none")
RELAXATIONS = ("released", "class", "fixed")


class SelfKnowledge(Method):
    """SKG-FAT for any training loop.

    Args:
        num_classes: K, at least 2.
        common: eps, alpha, norm, bn, seed, process_group of :class:`~lemmata.robust.Method`; alpha is eps by default
            (1.25 eps with ``init="uniform"``).
        begin: first epoch that uses what was learnt of the classes, from 1.
        lam: strength of the regulariser, at least 0. Its best value falls as eps grows: 0.3 served at eps 0.2 and 0.1
            at 0.25 on digits, where 4 made the network constant.
        reg: ``class``, ``group``, ``pgi`` or ``none``.
        relaxation: ``fixed``, ``class`` or ``released`` (above).
        label_min, label_max: ends of phi, in [0, 1]; above 1/K where they are a label's confidence.
        fixed_weight: with fixed labels the class weight is ``factor`` (phi) or ``accuracy`` (the raw a_c, as the
            release has it).
        class_reduction: ``sum`` over the classes or groups in the batch, as published, or ``mean``, which makes lam
            comparable across numbers of classes (lam K by sum is about lam by mean); take mean from K = 100 on.
        mean_over: with mean, divide by the classes ``present`` in the batch or by ``all`` K (4 groups).
        ramp: steps over which lam rises linearly from 0; a guard against the constant network.
        warm_reg: regulariser before ``begin``: ``pgi``, or ``none``; None takes pgi unless reg is none.
        init: ``batch_memory``, ``sample_memory``, ``uniform``, ``zero`` or ``noise``.
        samples: number of samples, for ``sample_memory``, whose ``loss`` also takes ``index``.
        stats: ``epoch`` uses the last epoch's accuracies, ``ema`` their running mean, ``a <- a/2 + a_epoch/2``.

    Raises:
        ValueError: an argument out of range.

    Passes per step: three forward (two where the clean images are not needed: reg pgi or none with fixed labels), one
    backward to the images and one to the parameters through both training passes.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> method = SelfKnowledge(num_classes=2, eps=0.1, lam=0.3)
        >>> step = method.loss(model, torch.rand(8, 1, 2, 2), torch.arange(8) % 2)
        >>> step.loss.backward()
        >>> method.epoch_end().count
        tensor([4, 4])
    """

    def __init__(
        self,
        num_classes: int,
        *,
        begin: int = 1,
        lam: float = 1.0,
        reg: str = "class",
        relaxation: str = "fixed",
        label_min: float = 0.3,
        label_max: float = 0.9,
        fixed_weight: str = "factor",
        class_reduction: str = "sum",
        mean_over: str = "present",
        ramp: int = 0,
        warm_reg: str | None = None,
        init: str = "batch_memory",
        samples: int | None = None,
        stats: str = "epoch",
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        check_whole("begin", begin, 1)
        check_number("lam", lam, least=0)
        check_whole("ramp", ramp, 0)
        check_share("label_min", label_min)
        check_share("label_max", label_max)
        check_number("label_max", label_max, least=label_min)
        for name, value, choices in (
            ("reg", reg, REGULARISERS),
            ("relaxation", relaxation, RELAXATIONS),
            ("fixed_weight", fixed_weight, ("factor", "accuracy")),
            ("class_reduction", class_reduction, ("sum", "mean")),
            ("mean_over", mean_over, ("present", "all")),
            ("warm_reg", warm_reg or "pgi", ("pgi", "none")),
            ("init", init, STARTS),
            ("stats", stats, ("epoch", "ema")),
        ):
            check_choice(name, value, choices)
        check_confidence("label_max", label_max, num_classes)
        if relaxation != "fixed":
            check_confidence("label_min", label_min, num_classes)
        if common.get("alpha") is None and init == "uniform":
            self.alpha = 1.25 * self.eps
        self.begin, self.lam, self.reg, self.relaxation = begin, lam, reg, relaxation
        self.label_min, self.label_max, self.fixed_weight = label_min, label_max, fixed_weight
        self.class_reduction, self.mean_over, self.ramp, self.stats = class_reduction, mean_over, ramp, stats
        self.warm_reg = warm_reg or ("none" if reg == "none" else "pgi")
        self.start = start_of(init, self.eps, self.norm, samples)
        self._clean: Tensor | None = None  # (K,) accuracies that guide this epoch
        self._robust: Tensor | None = None
        self._factor: Tensor | None = None  # (K,) phi, moved at every batch by "released"

    def factor(self, accuracy: Tensor) -> Tensor:
        """``clip(|ln a|, label_min, label_max)``: large for a weak class, small for a strong one."""
        return accuracy.log().abs().clamp(self.label_min, self.label_max)

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        reg = self.reg if self._guided() else self.warm_reg
        confidence = self._confidence(y)
        start = self.start.draw(x, index, self._noise(x))
        first, gradient = gradient_at(net, x, y, start, confidence, keep_graph=reg == "pgi")
        delta = stepped(x, start, gradient, self.alpha, self.eps if self.start.projects else None, self.norm)
        self.start.keep(delta, index)
        logits = net((x + delta).clamp(0, 1))
        clean = self._clean_logits(net, x, reg)
        loss = relaxed_cross_entropy(logits, y, confidence).mean()
        if reg != "none" and self.lam:
            loss = loss + self._strength() * self._penalty(reg, first, logits, clean, y)
        return AdvStep(loss, logits, clean, delta)

    def _guided(self) -> bool:
        """Whether the classes' own accuracies are in use."""
        return self.epoch >= self.begin

    def _confidence(self, y: Tensor) -> Tensor | float:
        """q of the true class: a number, or one per sample ``(n,)``; under "released" this moves phi on."""
        if not self._guided() or self.relaxation == "fixed":
            return self.label_max
        assert self._factor is not None
        if self.relaxation == "released":
            self._factor = self.factor(self._factor.to(y.device))
        return self._factor.to(y.device)[y]

    def _clean_logits(self, net: Passes, x: Tensor, reg: str) -> Tensor | None:
        """Of the clean images ``(n, K)``: with a graph if the regulariser uses them, at all if somebody does."""
        if reg in ("class", "group"):
            return net(x)
        if self.reg in ("class", "group") or self.relaxation != "fixed":
            with torch.no_grad():
                return net(x)
        return None

    def _penalty(self, reg: str, first: Tensor, logits: Tensor, clean: Tensor | None, y: Tensor) -> Tensor:
        if reg == "pgi":
            return paired(first, logits)
        assert clean is not None
        assert self._clean is not None
        assert self._robust is not None
        if reg == "group":
            group = groups(self._clean, self._robust).to(y.device)
            total, parts, every = by_group(clean, logits, y, group), groups_present(y, group).clamp_min(1), 4
        else:
            total = by_class(clean, logits, y, self._class_weight().to(y.device))
            parts, every = classes_present(y, self.num_classes), self.num_classes
        if self.class_reduction == "sum":
            return total
        return total / (parts if self.mean_over == "present" else every)

    def _class_weight(self) -> Tensor:
        assert self._clean is not None
        assert self._factor is not None
        if self.relaxation == "fixed" and self.fixed_weight == "accuracy":
            return self._clean
        return self._factor

    def _strength(self) -> float:
        return self.lam * min(1.0, (self.step + 1) / self.ramp) if self.ramp else self.lam

    def _learn(self, stats: ClassStats) -> ClassStats:
        clean, robust = stats.clean, stats.robust
        if clean is None:
            return stats
        if self.stats == "ema" and self._clean is not None and self._robust is not None:
            clean, robust = (self._clean.cpu() + clean) / 2, (self._robust.cpu() + robust) / 2
        device = self._counts.values.device  # to the device once an epoch, so that no step has to
        self._clean, self._robust = clean.to(device), robust.to(device)
        factor = self.factor(clean)
        # "released" applies the map at every batch, the first one too, so it starts from the accuracy itself.
        self._factor = (clean if self.relaxation == "released" else factor).to(device)
        return ClassStats(stats.epoch, stats.count, stats.clean, stats.robust, factor)

    def _state(self) -> dict[str, Any]:
        known = {"clean": self._clean, "robust": self._robust, "factor": self._factor}
        return {"known": known, "start": self.start.state()}

    def _load(self, state: dict[str, Any]) -> None:
        known = state["known"]
        self._clean, self._robust, self._factor = known["clean"], known["robust"], known["factor"]
        self.start.load(state["start"])
