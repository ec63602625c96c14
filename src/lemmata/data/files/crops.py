"""Random crops of a batch on its device, from counters: which crop a sample gets depends on seed and step alone.

    shift      zeros around, a window of the same size moved by up to four pixels, mirrored half of the time
    resized    a window of 8 % to 100 % of the area and aspect ratio 3/4 to 4/3, scaled to ``side``, mirrored likewise

The first is usual for CIFAR (:func:`lemmata.data.files.cifar.augment`), the second, torchvision's RandomResizedCrop
after Szegedy et al. 2014, arXiv 1409.4842, for ImageNet.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.draws import cell_seeds, uniform

AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)


def resized_crop(x: Tensor, seed: int, step: int, rows: slice, batch: int, side: int) -> Tensor:
    """Rows of a batch, cropped, scaled and mirrored, bilinear: ``(rows, 3, side, side)``.

    Args:
        x: ``(rows, 3, H, W)`` float, the samples ``rows`` of the ``batch`` of this step.
    """
    draws = uniform(cell_seeds(0, [seed]), f"crops of step {step}", (batch, 5), torch.float32)[0, rows].to(x.device)
    area = AREA[0] + (AREA[1] - AREA[0]) * draws[:, 0]
    low, high = (math.log(ratio) for ratio in ASPECT)
    aspect = torch.exp(low + (high - low) * draws[:, 1])
    width, height = (area * aspect).sqrt().clamp_max(1), (area / aspect).sqrt().clamp_max(1)  # shares of the sides
    across, down = (1 - width) * (2 * draws[:, 2] - 1), (1 - height) * (2 * draws[:, 3] - 1)
    mirrored = torch.where(draws[:, 4] < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(width)
    maps = torch.stack([torch.stack([mirrored * width, zero, across], 1), torch.stack([zero, height, down], 1)], 1)
    grid = F.affine_grid(maps.to(x.dtype), [len(x), x.shape[1], side, side], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def centre_crop(x: Tensor, side: int) -> Tensor:
    """The middle ``(n, 3, side, side)``."""
    top, left = (x.shape[2] - side) // 2, (x.shape[3] - side) // 2
    return x[:, :, top : top + side, left : left + side]
