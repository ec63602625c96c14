"""A transformer for small grey images: every row of pixels is a token.

    h = rows W + positions,  h += attention(norm(h)),  h += mlp(norm(h))  (``depth`` times),  scores = mean(norm(h)) V

Pre-norm blocks as in Radford, Wu, Child, Luan, Amodei, Sutskever 2019 ("GPT-2"), without the causal mask; tokens from
pieces of an image after Dosovitskiy et al. 2020, arXiv 2010.11929. Names: ``width`` of a token, ``heads``, ``depth``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch, draw_normal


class SmallTransformer(nn.Module):
    """Images ``(n, 1, side, side)`` → scores ``(n, classes)``; ``width`` is divisible by ``heads``."""

    def __init__(self, width: int = 32, depth: int = 2, heads: int = 4, side: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.rows = nn.Linear(side, width)
        self.positions = nn.Parameter(torch.zeros(side, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def reset_parameters(self, seed: int) -> None:
        """First weights from counters, with torch's own laws; positions normal with standard deviation 0.02."""
        draw_like_torch(self, seed)
        draw_normal(self.positions, seed, "positions", 0.02)

    def forward(self, x: Tensor) -> Tensor:
        h = self.rows(x.squeeze(1)) + self.positions  # (n, side, width)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h).mean(1))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Tensor) -> Tensor:
        n, tokens, width = h.shape
        q, k, v = self.attend(self.before_attention(h)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        h = h + self.mix(attended)
        return h + self.narrow(F.gelu(self.widen(self.before_mlp(h))))
