"""Relaxed labels, the true class with confidence q and the others sharing the rest evenly, and their cross-entropy.

    LS(y, q) = q e_y + (1 - q)/(K - 1) (1 - e_y),      CE = -q log p_y - (1 - q)/(K - 1) sum_{k != y} log p_k

Szegedy et al. 2015, arXiv 1512.00567, in the parametrisation of FGSM-PGI and SKG-FAT, where q is the weight that the
true class keeps (torch's ``label_smoothing`` s gives it 1 - s + s/K).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.robust.precision import at_least_float32


def relaxed_labels(y: Tensor, confidence: Tensor | float, num_classes: int) -> Tensor:
    """Targets ``(n, K)`` that sum to 1.

    Args:
        y: classes ``(n,)``.
        confidence: q in [0, 1], a number or ``(n,)``.
    """
    q = torch.as_tensor(confidence, dtype=torch.float32, device=y.device).expand(len(y))[:, None]
    rest = ((1 - q) / (num_classes - 1)).expand(-1, num_classes)
    return rest.scatter(1, y[:, None], q)


def relaxed_cross_entropy(logits: Tensor, y: Tensor, confidence: Tensor | float) -> Tensor:
    """Cross-entropy ``(n,)`` of logits ``(n, K)`` with the relaxed labels of ``y``, without building these; float32."""
    if isinstance(confidence, float | int) and confidence == 1:
        return F.cross_entropy(at_least_float32(logits), y, reduction="none")
    log_p = F.log_softmax(at_least_float32(logits), 1)
    true = log_p.gather(1, y[:, None])[:, 0]
    return -confidence * true - (1 - confidence) / (logits.shape[1] - 1) * (log_p.sum(1) - true)
