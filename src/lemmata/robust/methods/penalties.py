"""How far two sets of logits lie apart: per sample, averaged within classes, or within groups of classes.

    paired      1/n sum_i |a_i - b_i|^2                               FGSM-PGI: Jia et al. 2022, arXiv 2207.08859
    by class    sum_{c present} w_c mean_{i in c, k} (a_ik - b_ik)^2  SKG-FAT's class-wise regularisation
    by group    sum_{g present} mean_{i in g, k} (a_ik - b_ik)^2      SKG-FAT's adaptive group regularisation

A mean within a class makes its weight independent of how often it occurs; the sum over classes makes the strength
proportional to the number of classes present. Logits ``(n, K)``, in float32; results 0-d. No loop over classes.
"""

import torch
from torch import Tensor

from lemmata.robust.precision import at_least_float32


def paired(a: Tensor, b: Tensor) -> Tensor:
    """Mean over samples of the squared distance."""
    return (at_least_float32(a) - at_least_float32(b)).square().sum(1).mean()


def by_class(a: Tensor, b: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Sum over the classes in the batch, each with its weight.

    Args:
        y: classes ``(n,)``.
        weight: of each class ``(K,)``.
    """
    distance = (at_least_float32(a) - at_least_float32(b)).square().mean(1)
    count = _count(y, len(weight))
    return (weight[y] * distance / count[y]).sum()


def by_group(a: Tensor, b: Tensor, y: Tensor, group: Tensor) -> Tensor:
    """Sum over the four groups in the batch; samples of classes without group take no part.

    Args:
        y: classes ``(n,)``.
        group: of each class ``(K,)``, 0 to 3 or -1.
    """
    mine = group[y]
    place = torch.where(mine < 0, 4, mine)
    distance = (at_least_float32(a) - at_least_float32(b)).square().mean(1)
    return (torch.where(mine < 0, 0.0, distance / _count(place, 5)[place])).sum()


def classes_present(y: Tensor, num_classes: int) -> Tensor:
    """How many classes a batch holds, 0-d, on the device."""
    return (_count(y, num_classes) > 0).sum()


def groups_present(y: Tensor, group: Tensor) -> Tensor:
    """How many of the four groups a batch holds, 0-d, on the device."""
    mine = group[y]
    return (_count(torch.where(mine < 0, 4, mine), 5)[:4] > 0).sum()


def _count(place: Tensor, places: int) -> Tensor:
    return torch.zeros(places, device=place.device).index_add_(0, place, torch.ones(len(place), device=place.device))
