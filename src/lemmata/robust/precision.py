"""Losses are taken in float32 at least, whatever the passes ran in."""

import torch
from torch import Tensor


def at_least_float32(logits: Tensor) -> Tensor:
    """The same in float32, or in float64 if it comes so."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
