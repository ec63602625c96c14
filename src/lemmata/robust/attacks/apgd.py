"""Auto-PGD: projected ascent with momentum that halves an image's step by itself where it oscillates or stands still.

    z = P(x_k + a_k s(g_k)),   x_{k+1} = P(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_{k-1})),   a_0 = 2 eps

At checkpoints (0.22 N, then at distances shrinking by 0.03 N to 0.06 N) an image whose loss grew in fewer than 0.75 of
the steps since the last one, or whose best loss and step are those of the last one, goes back to its best point with
half the step. Croce, Hein 2020, arXiv 2003.01690; P is the projection on ball and box.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.robust.attacks.arguments import check_attack
from lemmata.robust.attacks.losses import LOSSES, Loss, errs
from lemmata.robust.attacks.norms import into_box, on_the_edge, per_image, project, steepest
from lemmata.robust.checks import (
    check_labels,
    check_logits,
)
from lemmata.robust.modes import differentiable, in_eval_mode
from lemmata.robust.noise import generator, uniform_like


def apgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    steps: int = 100,
    restarts: int = 1,
    loss: str = "ce",
    norm: str = "linf",
    seed: int = 0,
) -> Tensor:
    """Images ``(n, ...)`` in [0, 1] within eps of x: a wrong one where one was found, else the one of largest loss.

    Args:
        model, x, y, eps, restarts, loss, norm, seed: as for :func:`~lemmata.robust.pgd`; the model runs in eval mode,
            which is restored.
        steps: N, from 1; there is no step size to choose.

    Raises:
        ValueError: an argument out of range, pixels outside [0, 1], or a model that returns no ``(n, K)`` tensor.
    """
    check_attack(x, y, eps, steps, restarts, loss, norm)
    best = x.detach().clone()
    with differentiable(), in_eval_mode(model):
        rows = torch.arange(len(x), device=x.device)
        for number in range(restarts):
            start = _start(x, eps, norm, generator(x.device, seed, number)).to(x.dtype)
            ascent = _Ascent(model, x[rows].detach().clone(), y[rows].clone(), eps, norm, LOSSES[loss])
            best[rows], wrong = ascent.run(start[rows], steps)
            rows = rows[~wrong]
            if not len(rows):
                break
    return best


def _start(x: Tensor, eps: float, norm: str, source: torch.Generator) -> Tensor:
    """On the surface of the ball: a uniform (l_inf) or normal (l_2) draw, scaled to length eps."""
    if norm == "l2":
        return on_the_edge(x, eps, norm, source)
    drawn = uniform_like(x, source)
    return eps * drawn / per_image(drawn.flatten(1).abs().amax(1), x)


def checkpoints(steps: int) -> list[int]:
    """The steps at which step sizes are looked at, as in the authors' code."""
    gap, least, shrink = max(int(0.22 * steps), 1), max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
    found, at = [], gap
    while at <= steps:
        found.append(at)
        gap = max(gap - shrink, least)
        at += gap
    return found


@dataclass
class _Best:
    """The best point of each image so far, its gradient and its loss."""

    point: Tensor
    gradient: Tensor
    loss: Tensor


class _Ascent:
    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, eps: float, norm: str, loss: Loss) -> None:
        self.model, self.x, self.y, self.eps, self.norm, self.loss = model, x, y, eps, norm, loss
        self.wrong = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.found = x.clone()  # the first wrong point

    def run(self, delta: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Points ``(n, ...)`` and whether each is wrong ``(n,)``."""
        now = before = self._inside(self.x + delta)
        loss, gradient = self._look(now)
        best = _Best(now, gradient, loss)
        step = torch.full_like(loss, 2 * self.eps)
        rises = torch.zeros_like(loss)
        kept_loss, kept_step, marks, last = loss, step, checkpoints(steps), 0
        for k in range(1, steps + 1):
            ahead = self._inside(now + per_image(step, now) * steepest(gradient, self.norm))
            weight = 0.75 if k > 1 else 1.0
            now, before = self._inside(now + weight * (ahead - now) + (1 - weight) * (now - before)), now
            earlier, (loss, gradient) = loss, self._look(now)
            rises += loss > earlier
            self._keep(best, now, gradient, loss)
            if k not in marks:
                continue
            if bool(self.wrong.all()):
                break
            still = (best.loss <= kept_loss) & (step == kept_step)
            halve = (rises < 0.75 * (k - last)) | (still & (k > marks[0]))
            kept_loss, kept_step, last, rises = best.loss, step, k, torch.zeros_like(loss)
            step = torch.where(halve, step / 2, step)
            now = torch.where(per_image(halve, now), best.point, now)
            gradient = torch.where(per_image(halve, now), best.gradient, gradient)
            loss = torch.where(halve, best.loss, loss)
        return torch.where(per_image(self.wrong, now), self.found, best.point), self.wrong

    def _inside(self, point: Tensor) -> Tensor:
        delta = project(point - self.x, self.eps, self.norm)
        return (self.x + into_box(delta, self.x)).clamp(0, 1)

    def _look(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Loss ``(n,)`` and gradient ``(n, ...)``; remembers what is wrong."""
        point = point.detach().requires_grad_()
        logits = check_logits(self.model(point), len(point), None)
        check_labels(self.y, logits)
        loss = self.loss(logits, self.y)
        (gradient,) = torch.autograd.grad(loss.sum(), point)
        fails = errs(logits.detach(), self.y)
        self.found = torch.where(per_image(fails & ~self.wrong, point), point.detach(), self.found)
        self.wrong = self.wrong | fails
        return loss.detach(), gradient

    @staticmethod
    def _keep(best: _Best, point: Tensor, gradient: Tensor, loss: Tensor) -> None:
        better = loss > best.loss
        best.point = torch.where(per_image(better, point), point, best.point)
        best.gradient = torch.where(per_image(better, point), gradient, best.gradient)
        best.loss = torch.where(better, loss, best.loss)
