"""Members of the laws of particles: ours, and one that a user wrote."""

import warnings
from dataclasses import dataclass

import torch

from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particles import Normed, Particle


@dataclass(frozen=True)
class Gate(Particle):
    """A user's own: a · sigmoid(bᵀ T), token by token."""

    def size(self, width):
        return 2 * width  # a and b

    def act(self, tokens, theta):  # (c, s, n, d), (c, m, P)
        a, b = theta.chunk(2, -1)  # (c, m, d) each
        return torch.sigmoid(tokens @ b.transpose(1, 2).unsqueeze(1)) @ a.unsqueeze(1)

    def homogeneous(self, width):
        return slice(0, width)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    NORMED = Normed(Attention())

MEMBERS = {
    "attention": Attention(),
    "causal attention": Attention(causal=True),
    "attention of rank 2": Attention(rank=2),
    "causal, rank 3": Attention(rank=3, causal=True),
    "tanh": FeedForward(),
    "tanh without bias": FeedForward(bias=False),
    "gelu": FeedForward("gelu"),
    "relu": FeedForward("relu"),
    "huber": FeedForward("huber", bias=False),
    "normed attention": NORMED,
    "a user's gate": Gate(),
}
