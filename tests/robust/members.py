"""The methods of the room, each made for three classes and forty samples, and a small network with batch norm."""

import torch
from torch import nn

from lemmata.robust import FGSMMEP, FGSMPGI, FGSMRS, NFGSM, PGDAT, TDAT, TRADES, SelfKnowledge

K, SAMPLES = 3, 40
METHODS = {
    "FGSM": lambda **o: FGSMRS(K, **{"start": "zero", **o}),
    "FGSM-RS": lambda **o: FGSMRS(K, **o),
    "N-FGSM": lambda **o: NFGSM(K, **o),
    "FGSM-PGI": lambda **o: FGSMPGI(K, **{"lam": 1.0, **o}),
    "FGSM-PGI epoch": lambda **o: FGSMPGI(K, **{"lam": 1.0, "prior": "epoch", "samples": SAMPLES, **o}),
    "FGSM-MEP": lambda **o: FGSMMEP(K, **{"lam": 1.0, "samples": SAMPLES, "reset_every": 2, **o}),
    "TDAT": lambda **o: TDAT(K, **{"epochs": 12, "gamma_min": 0.6, "memory_decay": 0.75, **o}),
    "SKG class": lambda **o: SelfKnowledge(K, **{"lam": 0.3, **o}),
    "SKG group": lambda **o: SelfKnowledge(
        K, **{"lam": 0.3, "reg": "group", "relaxation": "class", "label_min": 0.7, **o}
    ),
    "SKG released": lambda **o: SelfKnowledge(K, **{"relaxation": "released", "stats": "ema", "label_min": 0.4, **o}),
    "SKG pgi": lambda **o: SelfKnowledge(K, **{"reg": "pgi", **o}),
    "SKG none": lambda **o: SelfKnowledge(K, **{"reg": "none", **o}),
    "SKG mean": lambda **o: SelfKnowledge(K, **{"class_reduction": "mean", "ramp": 5, **o}),
    "SKG sample memory": lambda **o: SelfKnowledge(K, **{"init": "sample_memory", "samples": SAMPLES, **o}),
    "PGD-AT": lambda **o: PGDAT(K, **{"steps": 2, **o}),
    "TRADES": lambda **o: TRADES(K, **{"steps": 2, **o}),
}


def network(seed=0, side=4, dtype=torch.float32):
    """Images (n, 1, side, side) -> logits (n, 3); a convolution with batch norm and a linear layer."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * side**2, K)
    )
    with torch.no_grad():
        for p in model.parameters():
            drawn = torch.randn(p.shape, generator=generator)
            p.copy_(drawn / p[0].numel() ** 0.5 if p.ndim > 1 else 0.1 * drawn)
        model[1].weight.add_(1)
    return model.to(dtype)


def samples(n=SAMPLES, seed=0, side=4, dtype=torch.float32):
    """Images whose brightest third says their class, labels, and their numbers."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % K
    x = 0.5 * torch.rand(n, 1, side, side, generator=generator, dtype=dtype)
    for i, c in enumerate(y.tolist()):
        x[i, :, c] += 0.45
    return x, y, torch.arange(n)


def train(method, model, epochs=2, batch=16, lr=0.05, seed=0, x=None):
    """A loop as a user writes it, with a short last batch; every step's loss."""
    data = samples(dtype=next(model.parameters()).dtype)
    x, (_, y, numbers) = data[0] if x is None else x, data
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    losses = []
    for epoch in range(method.epoch, method.epoch + epochs):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(100 * seed + epoch))
        for rows in order.split(batch):
            step = method.loss(model, x[rows], y[rows], numbers[rows])
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
            losses.append(float(step.loss.detach()))
        method.epoch_end()
    return losses
