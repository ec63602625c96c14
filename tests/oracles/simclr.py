"""Slow twin of the SimCLR loss: loops over anchors and what they are compared with."""

import math

import torch


def simclr_loop(filters, first, second, objective):
    """The loss of pairs with summed patches ``first``, ``second`` ``(n, d)`` under filters ``(r, d)``."""
    views = [torch.stack([filters @ z for z in side]) for side in (first, second)]
    if objective.similarity == "cosine":
        views = [side / side.norm(dim=1, keepdim=True) for side in views]
    n, total = len(first), 0.0
    anchors = [(0, i) for i in range(n)] + ([(1, i) for i in range(n)] if objective.negatives == "both" else [])
    for side, i in anchors:
        positive = float(views[side][i] @ views[1 - side][i]) / objective.temperature
        sides = (0, 1) if objective.negatives == "both" else (0,)
        negatives = [
            float(views[side][i] @ views[s][j]) / objective.temperature for s in sides for j in range(n) if j != i
        ]
        total -= math.log(math.exp(positive) / (math.exp(positive) + sum(map(math.exp, negatives))))
    return total / len(anchors)
