"""A small convolutional network with batch norm: 3 x 3 convolutions, each normalised and rectified, and a linear layer.

    h <- relu(norm(conv(h))),   scores = linear(flatten(h))

The plainest network in which batch norm (Ioffe, Szegedy 2015, arXiv 1502.03167) meets adversarial training. Names:
``widths`` are the filters of each convolution; the third halves the side.
"""

from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch


class NormedCNN(nn.Module):
    """Images ``(n, 1, side, side)`` → scores ``(n, classes)``; ``side`` is even. 21,626 weights at 8 x 8 pixels."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 16, 32, 32), side: int = 8, classes: int = 10) -> None:
        super().__init__()
        pairs = zip((1, *widths[:-1]), widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, 3, 2 if place == 2 else 1, padding=1, bias=False)
            for place, (into, out) in enumerate(pairs)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.head = nn.Linear(widths[-1] * (side // 2) ** 2, classes)

    def reset_parameters(self, seed: int) -> None:
        """First weights from counters, with torch's own laws."""
        draw_like_torch(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms):
            x = norm(convolution(x)).relu()
        return self.head(x.flatten(1))
