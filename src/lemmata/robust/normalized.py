"""Normalisation inside the model, where it belongs in adversarial training: ``f(x) = model((x - mean) / std)``.

Attacks and eps live in pixels of [0, 1]. Normalising in the loader makes eps a number per channel, which is the most
common mistake in this field (fra31/auto-attack, issues 13, 46, 55, 86).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NormalizedModel(nn.Module):
    """Images ``(n, C, H, W)`` in [0, 1] → what ``model`` returns for ``(x - mean) / std``.

    Args:
        model: takes normalised images.
        mean, std: per channel, C numbers each; ``std`` positive.

    Raises:
        ValueError: another number of means than of deviations, or a deviation that is not positive.

    Example:
        >>> model = NormalizedModel(torch.nn.Flatten(), mean=[0.5], std=[0.25])
        >>> model(torch.ones(1, 1, 1, 2))
        tensor([[2., 2.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(
                f"mean = {list(mean)} and std = {list(std)} were given; give one of each per channel, std above 0."
            )
        self.model = model
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.model((x - self.mean.to(x.dtype)) / self.std.to(x.dtype))
