"""SKG-FAT with Hugging Face accelerate: several GPUs, mixed precision, one loop.

    accelerate launch accelerate_loop.py

Class counts are summed over the processes when an epoch ends; the memory of perturbations is each process's own.
"""

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

from lemmata.robust import SelfKnowledge

torch.manual_seed(0)
accelerator = Accelerator()
x, y = torch.rand(512, 1, 8, 8) / 2, torch.arange(512) % 4
x[torch.arange(512), 0, y] += 0.5
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
method = SelfKnowledge(num_classes=4, eps=0.1, lam=0.3)

for epoch in range(5):
    for images, labels in loader:
        with accelerator.autocast():
            step = method.loss(model, images, labels)
        optimizer.zero_grad()
        accelerator.backward(step.loss)
        optimizer.step()
    stats = method.epoch_end()  # the same in every process
    accelerator.print(f"epoch {epoch}: {int(stats.count.sum())} images, robust accuracy {stats.robust_average:.3f}")
