"""A vision transformer whose width, depth, heads and head size are set apart: more heads are more parameters.

    h = patches W + positions,  h += attention(norm(h)),  h += mlp(norm(h))  (``layers`` times),  mean(norm(h)) V

Heads keep their size when there are more of them, as in Gao et al. 2024, arXiv 2410.23610, appendix H (head size 128,
128 GELU neurons, dropout 0.1, four patches an image), not width/heads. Pre-norm, learnt positions and mean pooling are
ours: the paper does not say. Dosovitskiy et al. 2020, arXiv 2010.11929. Dropout is drawn by :meth:`reseed`'s counter.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.modules.draw import draw_like_torch, draw_normal


class VisionTransformer(nn.Module):
    """Images ``(n, channels, side, side)`` → scores ``(n, classes)``; ``patch`` divides ``side``."""

    def __init__(
        self, *, side: int, channels: int, patch: int, width: int, layers: int, heads: int, head_size: int, hidden: int,
        dropout: float = 0.0, classes: int = 10,
    ) -> None:  # fmt: skip
        super().__init__()
        if side % patch:
            raise ValueError(f"patches of {patch} were asked for in images of {side}; take a divisor")
        self.patch, self.dropout = patch, Dropout(dropout)
        self.embed = nn.Linear(channels * patch * patch, width)
        self.positions = nn.Parameter(torch.zeros((side // patch) ** 2, width))
        self.blocks = nn.ModuleList(_Block(width, heads, head_size, hidden, self.dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def reset_parameters(self, seed: int) -> None:
        """First weights from counters, with torch's own laws; positions normal with standard deviation 0.02."""
        draw_like_torch(self, seed)
        draw_normal(self.positions, seed, "positions", 0.02)

    def reseed(self, key: int) -> None:
        """What dropout draws next is a function of the key and of the order of layers alone."""
        self.dropout.generator = torch.Generator(self.positions.device).manual_seed(key)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)) + self.positions
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h).mean(1))


class Dropout(nn.Module):
    """``nn.Dropout`` with a generator of its own."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        kept = torch.rand(x.shape, device=x.device, generator=self.generator) >= self.rate
        return x * kept / (1 - self.rate)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, head_size: int, hidden: int, dropout: Dropout) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.mix = nn.Linear(width, 3 * heads * head_size), nn.Linear(heads * head_size, width)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        n, tokens, _ = h.shape
        q, k, v = self.attend(self.before_attention(h)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, -1)
        h = h + self.dropout(self.mix(attended))
        return h + self.dropout(self.narrow(self.dropout(F.gelu(self.widen(self.before_mlp(h))))))
