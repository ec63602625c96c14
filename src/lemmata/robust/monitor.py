"""A watch for the two ways in which fast adversarial training fails silently.

Catastrophic overfitting: the network learns the single-step attack alone, so its accuracy under FGSM rises while that
under PGD falls (Wong, Rice, Kolter 2020, arXiv 2001.03994; Andriushchenko, Flammarion 2020, arXiv 2007.02617). Constant
predictions: a regulariser that ties logits together is least where all images get the same ones, and where it is strong
that minimum wins early in training. Losses and training accuracies show neither.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.robust.attacks.fgsm import fgsm
from lemmata.robust.attacks.losses import errs
from lemmata.robust.attacks.pgd import pgd
from lemmata.robust.checks import NORMS, check_choice, check_logits, check_number, check_share, check_whole
from lemmata.robust.methods.method import AdvStep
from lemmata.robust.modes import in_eval_mode


class CollapseWarning(UserWarning):
    """Training went astray: see the message."""


@dataclass(frozen=True)
class Reading:
    """One look at a batch: accuracies in [0, 1] under FGSM and PGD."""

    step: int
    fgsm: float
    pgd: float

    @property
    def gap(self) -> float:
        return self.fgsm - self.pgd


class Monitor:
    """Warns once of catastrophic overfitting and once of constant predictions, with the step and what to do.

        monitor.watch(step)                      # every step: counts predicted classes, waits for nothing
        monitor.check(model, x, y)               # now and then, on images not trained on: FGSM against PGD
        monitor.epoch_end()                      # once an epoch: the entropy of the predicted classes

    Args:
        eps: radius at which the network is trained, positive.
        gap: accuracy under FGSM minus under PGD from which overfitting is called catastrophic, in [0, 1].
        entropy: of an epoch's predicted classes, in nats, below which predictions are called constant; at least 0. Ten
            classes predicted equally often have 2.3.
        steps: of PGD, from 1.
        norm: ``linf`` or ``l2``.
        seed: of PGD's random start.

    Attributes:
        readings: what every :meth:`check` saw.
        fired: ``overfitting`` or ``constant`` → the step at which it was warned of.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        *,
        gap: float = 0.2,
        entropy: float = 0.1,
        steps: int = 10,
        norm: str = "linf",
        seed: int = 0,
    ) -> None:
        check_number("eps", eps, above=0)
        check_share("gap", gap)
        check_number("entropy", entropy, least=0)
        check_whole("steps", steps, 1)
        check_choice("norm", norm, NORMS)
        self.eps, self.gap, self.entropy, self.steps, self.norm, self.seed = eps, gap, entropy, steps, norm, seed
        self.readings: list[Reading] = []
        self.fired: dict[str, int] = {}
        self.step = 0
        self._predicted: Tensor | None = None

    def watch(self, step: AdvStep) -> None:
        """Count the classes a training step predicted for its adversarial images."""
        logits = step.logits_adv.detach()
        if self._predicted is None or len(self._predicted) != logits.shape[1]:
            self._predicted = torch.zeros(logits.shape[1], device=logits.device)
        ones = torch.ones(len(logits), device=logits.device)
        self._predicted = self._predicted.to(logits.device).index_add_(0, logits.argmax(1), ones)
        self.step += 1

    def check(self, model: nn.Module, x: Tensor, y: Tensor) -> Reading:
        """FGSM against PGD on a batch, which should not be trained on; the model's modes are restored.

        Raises:
            ValueError: as :func:`~lemmata.robust.pgd`.
        """
        ball = {"eps": self.eps, "norm": self.norm}
        single = fgsm(model, x, y, **ball)  # type: ignore[arg-type]
        many = pgd(model, x, y, steps=self.steps, seed=self.seed, **ball)  # type: ignore[arg-type]
        with torch.no_grad(), in_eval_mode(model):
            shares = [
                float((~errs(check_logits(model(images), len(x), None), y)).float().mean()) for images in (single, many)
            ]
        reading = Reading(self.step, *shares)
        self.readings.append(reading)
        if reading.gap > self.gap:
            self._fire(
                "overfitting",
                f"catastrophic overfitting at step {self.step}: accuracy {reading.fgsm:.3f} under FGSM and "
                f"{reading.pgd:.3f} under PGD-{self.steps} at eps = {self.eps:.4g}; go back to a checkpoint and lower "
                f"alpha or eps, or take SelfKnowledge or NFGSM.",
            )
        return reading

    def epoch_end(self) -> float | None:
        """Entropy of the epoch's predicted classes in nats; None if nothing was watched. Reads it on the host."""
        if self._predicted is None:
            return None
        shares = (self._predicted / self._predicted.sum()).tolist()
        self._predicted = None
        entropy = -sum(share * math.log(share) for share in shares if share > 0)
        if entropy < self.entropy:
            self._fire(
                "constant",
                f"constant predictions at step {self.step}: class {shares.index(max(shares))} for {max(shares):.1%} "
                f"of an epoch's images (entropy {entropy:.3f} nats); start again with a smaller lam, "
                f'class_reduction="mean" or a ramp.',
            )
        return entropy

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, readings left out: tensors, numbers and strings."""
        predicted = None if self._predicted is None else self._predicted.clone()
        return {"step": self.step, "fired": dict(self.fired), "predicted": predicted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state_dict`."""
        self.step, self.fired = state["step"], dict(state["fired"])
        self._predicted = None if state["predicted"] is None else state["predicted"].clone()

    def _fire(self, what: str, message: str) -> None:
        if what not in self.fired:
            self.fired[what] = self.step
            warnings.warn(message, CollapseWarning, stacklevel=3)
