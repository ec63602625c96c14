"""A convolutional network for small grey images: two 3 x 3 convolutions, one max-pooling and a linear layer.

    x -> relu(conv(x)) -> pool(relu(conv(.))) -> linear(flatten(.))

The plainest of its kind, after LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition". Names: ``width`` filters in the first layer, twice as many in the second.
"""

from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch


class SmallCNN(nn.Module):
    """Images ``(n, 1, side, side)`` → scores ``(n, classes)``; ``side`` is even. 9,930 weights with 16 filters."""

    def __init__(self, width: int = 16, side: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(2 * width * (side // 2) ** 2, classes)

    def reset_parameters(self, seed: int) -> None:
        """First weights from counters, with torch's own laws."""
        draw_like_torch(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        x = self.pool(self.second(x).relu())
        return self.head(x.flatten(1))
