"""Parts of coloured digits that know no training: paint, the loss of a pair of encoders, a logistic head."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def paint(grey: Tensor, hue: Tensor, hues: int) -> Tensor:
    """Pictures ``(n, 3, p)`` from grey ones ``(n, p)`` and a hue ``(n,)`` each, of a wheel of ``hues`` full colours."""
    angle = 6 * torch.arange(hues, device=grey.device, dtype=grey.dtype) / hues
    channel = torch.tensor([0.0, 4.0, 2.0], device=grey.device, dtype=grey.dtype)
    wheel = ((angle.unsqueeze(1) + channel) % 6 - 3).abs().sub(1).clamp(0, 1)  # HSV at full saturation and value
    return wheel[hue].unsqueeze(2) * grey.unsqueeze(1)


def symmetric_info_nce(first: Tensor, second: Tensor, tau: float) -> Tensor:
    """InfoNCE of cosine similarities, mean of both directions; row i of either is a pair. ``(b, f)`` each."""
    logits = nn.functional.normalize(first, dim=1) @ nn.functional.normalize(second, dim=1).T / tau
    pairs = torch.arange(len(first), device=first.device)
    return (nn.functional.cross_entropy(logits, pairs) + nn.functional.cross_entropy(logits.T, pairs)) / 2


def logistic_head(
    features: Tensor, y: Tensor, classes: int, *, standardise: bool = False
) -> Callable[[Tensor], Tensor]:
    """Multinomial logistic regression with the penalty |w|^2 / (2n), by L-BFGS: features ``(b, f)`` -> logits.

    The penalty weighs on features as they are, so directions of small variance count for little; standardised, all
    directions count the same.
    """
    features = features.double()
    centre, scale = torch.zeros_like(features[0]), torch.ones_like(features[0])
    if standardise:
        centre, scale = features.mean(0), features.std(0).clamp_min(1e-12)
    linear = nn.Linear(features.shape[1], classes, dtype=torch.float64, device=features.device)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")
    scaled = (features - centre) / scale

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(linear(scaled), y) + linear.weight.square().sum() / (2 * len(y))
        loss.backward()
        return loss

    optimizer.step(closure)
    weight, bias = linear.weight.detach(), linear.bias.detach()
    return lambda x: ((x.double() - centre) / scale) @ weight.T + bias
