"""Residual networks whose norms and rectifiers come before the convolutions: PreActResNet-18 and WRN-34-10.

    h <- h' + conv(relu(norm(conv(relu(norm(h))))))

with h' = h, or a 1 x 1 convolution of relu(norm(h)) where sizes change.
He, Zhang, Ren, Sun 2016, arXiv 1603.05027; Zagoruyko, Komodakis 2016, arXiv 1605.07146 (WRN-d-k: three stages of
(d - 4)/6 blocks, widths 16k, 32k, 64k), both with the 3 x 3 first layer of small images. Names: ``width`` is the number
of channels in the first stage: 64 in PreActResNet-18, 160 in WRN-34-10.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch
from lemmata.modules.resnet import draw_convolutions

STAGES = {"preactresnet18": (2, 2, 2, 2), "wrn34": (5, 5, 5)}


class PreActResNet(nn.Module):
    """Images ``(n, 3, side, side)`` → scores ``(n, classes)``.

    Args:
        kind: ``preactresnet18`` (11.2 million weights at width 64) or ``wrn34`` (46.2 million at width 160).
    """

    def __init__(self, kind: str, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        first = width if kind == "preactresnet18" else 16
        self.stem = nn.Conv2d(3, first, 3, padding=1, bias=False)
        blocks, channels = [], first
        for stage, depth in enumerate(STAGES[kind]):
            for place in range(depth):
                blocks.append(_Block(channels, width * 2**stage, 2 if stage and not place else 1))
                channels = width * 2**stage
        self.blocks, self.norm = nn.Sequential(*blocks), nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, classes)

    def reset_parameters(self, seed: int) -> None:
        """Convolutions normal with variance 2/fan_out (He et al. 2015, arXiv 1502.01852), the head as torch does."""
        draw_like_torch(self, seed)
        draw_convolutions(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.blocks(self.stem(x))).relu()
        return self.head(h.mean((2, 3)))


class _Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(out)])
        self.first = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        changes = stride > 1 or channels != out
        self.shortcut = nn.Conv2d(channels, out, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norms[0](x))
        kept = x if self.shortcut is None else self.shortcut(h)
        return kept + self.second(F.relu(self.norms[1](self.first(h))))
