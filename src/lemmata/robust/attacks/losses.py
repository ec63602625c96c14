"""What an attack ascends, one number per image, positive or larger the more wrong the network is.

    ce      -log softmax(z)_y
    margin  max_{k != y} z_k - z_y                                 Carlini, Wagner 2016, arXiv 1608.04644
    dlr     (max_{k != y} z_k - z_y) / (z_(1) - z_(3))             Croce, Hein 2020, arXiv 2003.01690

Cross-entropy is blind where training flattened the softmax (relaxed labels do); the margin is not, and DLR is the
margin made independent of the scale of the logits. z_(i) is the i-th largest logit; DLR needs three classes or more.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.robust.precision import at_least_float32

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """``(n,)`` from logits ``(n, K)``, in float32."""
    return F.cross_entropy(at_least_float32(logits), y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """``(n,)`` from logits ``(n, K)``, in float32; positive exactly where another class wins."""
    logits = at_least_float32(logits)
    true = logits.gather(1, y[:, None])[:, 0]
    return logits.scatter(1, y[:, None], -float("inf")).amax(1) - true


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """``(n,)`` from logits ``(n, K)``, in float32.

    Raises:
        ValueError: fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise ValueError(f"the DLR loss was asked for with {logits.shape[1]} classes; it needs 3, use margin.")
    top = at_least_float32(logits).topk(3, dim=1).values
    return margin(logits, y) / (top[:, 0] - top[:, 2] + 1e-12)


def errs(logits: Tensor, y: Tensor) -> Tensor:
    """``(n,)`` bool: another class has the largest logit, or a logit is not finite."""
    return (logits.argmax(1) != y) | ~torch.isfinite(logits).all(1)


LOSSES: dict[str, Loss] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}
