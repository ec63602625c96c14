"""Projected gradient ascent inside the ball, from random starts, on the images that the network still gets right.

    delta <- P_box(P_eps(delta + step s(grad_delta loss(f(x + delta), y))))

Madry, Makelov, Schmidt, Tsipras, Vladu 2017, arXiv 1706.06083. An image is left alone from the first point at which the
network errs, as the evaluation of FGSM-RS does (Wong, Rice, Kolter 2020, arXiv 2001.03994): which costs less, and finds
no fewer errors than looking at the last point alone.
"""

import torch
from torch import Tensor, nn

from lemmata.robust.attacks.arguments import check_attack
from lemmata.robust.attacks.losses import LOSSES, Loss, errs
from lemmata.robust.attacks.norms import inside, into_box, per_image, project, steepest
from lemmata.robust.checks import (
    check_choice,
    check_labels,
    check_logits,
    check_number,
)
from lemmata.robust.modes import MODES, differentiable, in_eval_mode
from lemmata.robust.noise import generator


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    steps: int = 50,
    step_size: float | None = None,
    restarts: int = 1,
    random_start: bool = True,
    loss: str = "ce",
    norm: str = "linf",
    stop_when_wrong: bool = True,
    bn: str = "eval",
    seed: int = 0,
) -> Tensor:
    """Images ``(n, ...)`` in [0, 1] within eps of x, wrong ones where some were found, else those of largest loss.

    The model runs in eval mode, each module's mode is restored, no ``.grad`` is touched and no global generator read.

    Args:
        model: images → logits ``(n, K)``; normalisation belongs inside (:class:`~lemmata.robust.NormalizedModel`).
        x: images ``(n, ...)`` in [0, 1].
        y: classes ``(n,)``.
        eps: radius, in pixels of [0, 1]; positive.
        steps: number of steps per restart, from 1.
        step_size: length of a step; ``eps / 4`` by default.
        restarts: starts, from 1; only images still right take part in the next.
        random_start: start uniformly in the ball, else at x.
        loss: ``ce``, ``margin`` or ``dlr``.
        norm: ``linf`` or ``l2``.
        stop_when_wrong: leave an image at the first point found wrong; False takes all steps with all images and
            keeps the last point, as plain implementations do.
        bn: ``eval``, or ``train`` to leave the model in its own mode, which moves batch norm's running statistics.
        seed: of the random starts.

    Raises:
        ValueError: an argument out of range, pixels outside [0, 1], or a model that returns no ``(n, K)`` tensor.
    """
    check_attack(x, y, eps, steps, restarts, loss, norm)
    if step_size is not None:
        check_number("step_size", step_size, above=0)
    check_choice("bn", bn, MODES)
    step_size = eps / 4 if step_size is None else step_size
    ascend = _Ascent(model, eps, step_size, steps, norm, LOSSES[loss], stop_when_wrong)
    with differentiable():
        if bn == "train":
            return _restart(ascend, x, y, restarts, random_start, seed)
        with in_eval_mode(model):
            return _restart(ascend, x, y, restarts, random_start, seed)


class _Ascent:
    """One start to its end: points ``(n, ...)``, whether each is wrong ``(n,)``, and its loss ``(n,)``."""

    def __init__(
        self, model: nn.Module, eps: float, step_size: float, steps: int, norm: str, loss: Loss, stop: bool
    ) -> None:
        self.model, self.eps, self.step_size, self.steps = model, eps, step_size, steps
        self.norm, self.loss, self.stop, self.checked = norm, loss, stop, False

    def run(self, x: Tensor, y: Tensor, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        point = (x + delta).clamp(0, 1)
        wrong = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for _ in range(self.steps):
            rows = torch.nonzero(~wrong)[:, 0] if self.stop else None
            if rows is not None and not len(rows):
                break
            here, now, fails = self._step(x, y, point, rows)
            if rows is None:
                point = now
            else:
                point = point.index_copy(0, rows, torch.where(per_image(fails, here), here, now))
                wrong = wrong.index_copy(0, rows, fails)
        with torch.no_grad():
            logits = check_logits(self.model(point), len(x), None)
            return point, errs(logits, y), self.loss(logits, y)

    def _step(self, x: Tensor, y: Tensor, point: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Where the rows stand, where the step takes them, and which of them are wrong already."""
        if rows is not None:
            x, y, point = x[rows], y[rows], point[rows]
        here = point.detach().requires_grad_()
        logits = check_logits(self.model(here), len(x), None)
        if not self.checked:
            self.checked = check_labels(y, logits)
        (gradient,) = torch.autograd.grad(self.loss(logits, y).sum(), here)
        delta = project(here.detach() - x + self.step_size * steepest(gradient, self.norm), self.eps, self.norm)
        return here.detach(), (x + into_box(delta, x)).clamp(0, 1), errs(logits.detach(), y)


def _restart(ascend: _Ascent, x: Tensor, y: Tensor, restarts: int, random_start: bool, seed: int) -> Tensor:
    x = x.detach().clone()
    best = x.clone()
    loss = torch.full((len(x),), -float("inf"), device=x.device)
    wrong = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for number in range(restarts):
        rows = torch.nonzero(~wrong)[:, 0] if number else torch.arange(len(x), device=x.device)
        if not len(rows):
            break
        delta = torch.zeros_like(x[rows])
        if random_start:
            delta = inside(x, ascend.eps, ascend.norm, generator(x.device, seed, number)).to(x.dtype)[rows]
        point, fails, height = ascend.run(x[rows], y[rows], delta)
        better = fails | (height > loss[rows]) | ~torch.isfinite(loss[rows])
        best[rows] = torch.where(per_image(better, point), point, best[rows])
        loss[rows], wrong[rows] = torch.where(better, height.to(loss.dtype), loss[rows]), fails
    return best
