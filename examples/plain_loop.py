"""A plain training loop: AdamPP where Adam stood, no learning rate to choose."""

import torch

from lemmata.optim import AdamPP

torch.manual_seed(0)
x = torch.randn(512, 8)
y = (x[:, :1] * x[:, 1:2] > 0).float()
model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = AdamPP(model.parameters())

for step in range(401):
    optimizer.zero_grad()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        rate = optimizer.effective_lr().item()
        print(f"step {step:3d}  loss {loss.item():.4f}  eta {optimizer.eta.item():.1e}  effective lr {rate:.1e}")
