"""The batch axis: a cell is one training run, and a tile holds ``c`` of them side by side.

Per-cell numbers (signal strength, step size, ...) become tensors that broadcast against any tensor whose first axis is
``c``.
"""

import torch
from torch import Tensor


def per_cell(value: float | Tensor, like: Tensor) -> Tensor:
    """A number or a ``(c,)`` tensor, shaped ``(c, 1, ..., 1)`` to broadcast against ``like`` ``(c, ...)``."""
    tensor = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return tensor.reshape(-1, *[1] * (like.ndim - 1)) if tensor.ndim else tensor
