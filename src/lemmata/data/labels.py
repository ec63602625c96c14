"""Labels of two classes, ±1, drawn by coin toss or balanced."""

import torch
from torch import Tensor

from lemmata.draws import normal, permutation, uniform


def labels(seeds: Tensor, n: int, balanced: bool) -> Tensor:
    """Labels ``(c, n)``, ±1 in float64: coin tosses, or as many of either class as n allows, in random order."""
    if not balanced:
        return torch.where(uniform(seeds, "labels", (n,)) < 0.5, 1.0, -1.0).to(torch.float64)
    alternating = 1.0 - 2.0 * (torch.arange(n, device=seeds.device) % 2).to(torch.float64)
    sign = torch.sign(normal(seeds, "odd class", (1,)))
    return alternating[permutation(seeds, "labels", n)] * sign


def nested_labels(seeds: Tensor, n: int, balanced: bool) -> Tensor:
    """Labels ``(c, n)`` of which any even number of first ones is balanced: the classes alternate."""
    if not balanced:
        return labels(seeds, n, balanced)
    alternating = 1.0 - 2.0 * (torch.arange(n, device=seeds.device) % 2).to(torch.float64)
    return alternating * torch.sign(normal(seeds, "odd class", (1,)))
