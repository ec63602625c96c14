"""VGG-16 with batch normalisation for 32 x 32 images: thirteen 3 x 3 convolutions in five stages, one linear layer.

    h <- pool(relu(norm(conv(...)))) five times,   scores = head(h)

Simonyan, Zisserman 2014, arXiv 1409.1556, configuration D; on CIFAR-10 the three large linear layers become one, as is
common. Names: ``width`` is the number of channels in the first stage, 64 in the paper.
"""

from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch
from lemmata.modules.resnet import draw_convolutions

STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""Channels as a multiple of the width, and number of convolutions."""


class VGG16(nn.Module):
    """Images ``(n, 3, 32, 32)`` → scores ``(n, classes)``; 14.7 million weights at width 64."""

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for times, depth in STAGES:
            for _ in range(depth):
                layers += [
                    nn.Conv2d(channels, times * width, 3, padding=1),
                    nn.BatchNorm2d(times * width),
                    nn.ReLU(inplace=True),
                ]
                channels = times * width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)

    def reset_parameters(self, seed: int) -> None:
        """Convolutions normal with variance 2/fan_out and no bias at first, the head as torch does."""
        draw_like_torch(self, seed)
        draw_convolutions(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))
