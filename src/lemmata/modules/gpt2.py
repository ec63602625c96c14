"""GPT-2: a causal transformer over tokens, whose embedding is also its last layer.

    h = E[tokens] + P,   h += attention(norm(h)),   h += mlp(norm(h))  (``depth`` times),   scores = norm(h) E^T

Radford, Wu, Child, Luan, Amodei, Sutskever 2019, "Language models are unsupervised multitask learners"; details as in
nanoGPT (Karpathy 2022): no biases, no dropout, weights normal with standard deviation 0.02, and 0.02/√(2 depth) where a
block adds to h. Small is depth 12, width 768, 12 heads (124 million weights); medium 24, 1024, 16 (354 million).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.modules.draw import draw_normal


class GPT2(nn.Module):
    """Tokens ``(n, t)`` → scores of the next token ``(n, t, vocabulary)``; t at most ``context``."""

    def __init__(
        self, vocabulary: int = 50304, context: int = 1024, width: int = 768, depth: int = 12, heads: int = 12
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be split among {heads} heads; take a multiple")
        self.context = context
        self.embedding, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, bias=False)

    def reset_parameters(self, seed: int) -> None:
        """First weights from counters, with nanoGPT's laws."""
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                adds = name.endswith(("mix.weight", "narrow.weight"))
                std = 0.02 / math.sqrt(2 * len(self.blocks)) if adds else 0.02
                draw_normal(parameter, seed, name, std)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        if length > self.context:
            raise ValueError(f"{length} tokens were given; this network reads {self.context}, give fewer")
        h = self.embedding(tokens) + self.positions(torch.arange(length, device=tokens.device))
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.embedding.weight)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attend, self.mix = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.widen, self.narrow = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        n, tokens, width = h.shape
        q, k, v = self.attend(self.before_attention(h)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.mix(attended.transpose(1, 2).reshape(n, tokens, width))
        return h + self.narrow(F.gelu(self.widen(self.before_mlp(h))))
