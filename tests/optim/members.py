"""One table of the room's optimisers, and the small problems they are tried on."""

import torch
from torch import nn

from lemmata.optim import AdaGradPP, AdamPP, AdamWPP


def _member(cls, **fixed):
    return lambda params, **options: cls(params, **fixed | options)


MEMBERS = {
    "AdaGradPP": _member(AdaGradPP),
    "AdaGradPP decoupled": _member(AdaGradPP, weight_decay=1e-4, decoupled_weight_decay=True),
    "AdaGradPP tensor": _member(AdaGradPP, distance="tensor"),
    "AdamPP ema": _member(AdamPP),
    "AdamPP ema_max": _member(AdamPP, variant="ema_max"),
    "AdamPP sum": _member(AdamPP, variant="sum"),
    "AdamPP auto": _member(AdamPP, eta0="auto"),
    "AdamPP group": _member(AdamPP, distance="group"),
    "AdamPP tensor": _member(AdamPP, distance="tensor"),
    "AdamPP lam": _member(AdamPP, momentum_decay=0.999),
    "AdamPP coupled": _member(AdamPP, weight_decay=1e-4),
    "AdamWPP": _member(AdamWPP, weight_decay=1e-4),
}


def params_of(*shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(s, generator=generator, dtype=dtype)) for s in shapes]


def quadratic(params, t=0, noise=0.0):
    """sum a (x - 1)^2 / 2 with a from 0.1 to 10, and linear noise that depends on the step only."""
    generator = torch.Generator().manual_seed(t)
    loss = 0.0
    for p in params:
        scale = torch.logspace(-1, 1, p.numel(), dtype=p.dtype).view(p.shape)
        tilt = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        loss = loss + (scale * (p - 1) ** 2 / 2 + noise * tilt * p).sum()
    return loss


def train(optimizer, params, steps, start=0, loss=quadratic, noise=0.1):
    for t in range(start, start + steps):
        optimizer.zero_grad()
        loss(params, t, noise).backward()
        optimizer.step()


def flat(params):
    return torch.cat([p.detach().reshape(-1) for p in params])
