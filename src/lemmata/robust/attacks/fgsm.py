"""The fast gradient sign method: one step of steepest ascent from the image itself.

    x_adv = clip(x + eps s(grad_x loss(f(x), y)), 0, 1),       s = sign (l_inf) or g / |g| (l_2)

Goodfellow, Shlens, Szegedy 2014, arXiv 1412.6572.
"""

from torch import Tensor, nn

from lemmata.robust.attacks.pgd import pgd


def fgsm(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, loss: str = "ce", norm: str = "linf", bn: str = "eval"
) -> Tensor:
    """Images ``(n, ...)`` in [0, 1] within eps of x: one full step of :func:`~lemmata.robust.pgd` from x.

    The arguments are those of :func:`~lemmata.robust.pgd`; so are the errors, and what is restored.
    """
    return pgd(model, x, y, eps=eps, steps=1, step_size=eps, random_start=False, loss=loss, norm=norm, bn=bn)
