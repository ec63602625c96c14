"""The one gradient that fast adversarial training lives on: at a start, with respect to the perturbation alone.

    g = grad_delta sum_i CE(f(x_i + delta_i), ytilde_i),        delta' = P_box(P_eps(delta + alpha s(g)))

The sum, not the mean, is differentiated, because steps use the sign or the direction only while in float16 a mean's
small gradients would round to zero; there the loss is scaled up as well. ``torch.autograd.grad`` stops at delta: no
gradient of a parameter is computed, where the released codes compute all of them and throw them away.
"""

import torch
from torch import Tensor

from lemmata.robust.attacks.norms import into_box, project, steepest
from lemmata.robust.labels import relaxed_cross_entropy
from lemmata.robust.modes import Passes

HALF_SCALE = 1024.0


def gradient_at(
    net: Passes, x: Tensor, y: Tensor, delta: Tensor, confidence: Tensor | float, *, keep_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """Logits ``(n, K)`` at ``x + delta`` and the gradient there, shape of x.

    Args:
        confidence: of the true class in the relaxed labels, a number or ``(n,)``.
        keep_graph: leave the logits differentiable in the parameters; else they come without a graph.
    """
    delta = delta.detach().requires_grad_()
    logits = net.attack(x + delta)
    scale = HALF_SCALE if logits.dtype == torch.float16 else 1.0
    loss = scale * relaxed_cross_entropy(logits, y, confidence).sum()
    (gradient,) = torch.autograd.grad(loss, delta, retain_graph=keep_graph)
    return (logits if keep_graph else logits.detach()), gradient


def stepped(x: Tensor, delta: Tensor, direction: Tensor, alpha: float, eps: float | None, norm: str) -> Tensor:
    """``delta + alpha s(direction)``, within eps (unless None) and with ``x + delta`` in [0, 1]; no graph."""
    moved = delta.detach() + alpha * steepest(direction, norm)
    return into_box(moved if eps is None else project(moved, eps, norm), x)
