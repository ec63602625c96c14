"""Residual networks for 32 x 32 images: ResNet-18 and ResNet-50 with a 3 x 3 first layer and no first pooling.

    h <- relu(h + f(h)),   f: two 3 x 3 convolutions ("basic") or 1 x 1, 3 x 3, 1 x 1 ("bottleneck"), each normalised

He, Zhang, Ren, Sun 2015, arXiv 1512.03385; on CIFAR-10 the first layer is that of their section 4.2, as is common.
Names: ``width`` is the number of channels in the first of the four stages, 64 in the paper; it doubles with each stage.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch, draw_normal

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


class ResNet(nn.Module):
    """Images ``(n, 3, 32, 32)`` → scores ``(n, classes)``.

    Args:
        kind: ``resnet18`` (11.2 million weights at width 64) or ``resnet50`` (23.5 million).
        large: for images of 224 x 224, with the first layer of the paper: 7 x 7 of stride 2 and a pooling.
    """

    def __init__(self, kind: str, width: int = 64, classes: int = 10, large: bool = False) -> None:
        super().__init__()
        wide = 4 if kind == "resnet50" else 1
        self.pool: nn.Module = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        side, step = (7, 2) if large else (3, 1)
        self.stem = nn.Conv2d(3, width, side, step, padding=side // 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        stages, channels = [], width
        for stage, depth in enumerate(DEPTHS[kind]):
            inner = width * 2**stage
            for place in range(depth):
                stride = 2 if stage and not place else 1
                stages.append(_Block(channels, inner, wide, stride))
                channels = inner * wide
        self.blocks = nn.Sequential(*stages)
        self.head = nn.Linear(channels, classes)

    def reset_parameters(self, seed: int) -> None:
        """Convolutions normal with variance 2/fan_out (He et al. 2015, arXiv 1502.01852), the head as torch does."""
        draw_like_torch(self, seed)
        draw_convolutions(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.pool(self.stem_norm(self.stem(x)).relu()))
        return self.head(h.mean((2, 3)))


def draw_convolutions(module: nn.Module, seed: int) -> None:
    """Every convolution normal with variance 2/fan_out, its bias 0."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.weight[:, 0].numel()
            draw_normal(part.weight, seed, f"{name}.weight", math.sqrt(2 / fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)


class _Block(nn.Module):
    """``wide`` 1: basic, ``wide`` 4: bottleneck, with ``wide`` times the inner channels going out."""

    def __init__(self, channels: int, inner: int, wide: int, stride: int) -> None:
        super().__init__()
        sizes = [(channels, inner, 3, stride), (inner, inner, 3, 1)]
        if wide > 1:
            sizes = [(channels, inner, 1, 1), (inner, inner, 3, stride), (inner, inner * wide, 1, 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, side, step, padding=side // 2, bias=False) for i, o, side, step in sizes
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in sizes)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != inner * wide:
            change = nn.Conv2d(channels, inner * wide, 1, stride, bias=False)
            self.shortcut = nn.Sequential(change, nn.BatchNorm2d(inner * wide))

    def forward(self, x: Tensor) -> Tensor:
        h, last = x, len(self.convolutions) - 1
        for place, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            h = norm(convolution(h))
            if place < last:
                h = F.relu(h)
        return F.relu(h + self.shortcut(x))
