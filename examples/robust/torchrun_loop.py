"""SKG-FAT under DistributedDataParallel: ``torchrun --nproc_per_node 2 torchrun_loop.py``.

The wrapped model goes straight into ``method.loss``; only ``static_graph=True`` must stay off.
"""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from lemmata.robust import SelfKnowledge

dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
device = torch.device("cuda", dist.get_rank()) if torch.cuda.is_available() else torch.device("cpu")
torch.manual_seed(0)
x, y = torch.rand(512, 1, 8, 8) / 2, torch.arange(512) % 4
x[torch.arange(512), 0, y] += 0.5
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
)
model = DistributedDataParallel(model.to(device))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
sampler = DistributedSampler(data := TensorDataset(x, y), seed=0)
method = SelfKnowledge(num_classes=4, eps=0.1, lam=0.3)

for epoch in range(5):
    sampler.set_epoch(epoch)
    for images, labels in DataLoader(data, batch_size=32, sampler=sampler):
        step = method.loss(model, images.to(device), labels.to(device))
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
    stats = method.epoch_end()  # class counts are summed over the processes
    if dist.get_rank() == 0:
        print(f"epoch {epoch}: {int(stats.count.sum())} images, robust accuracy {stats.robust_average:.3f}")
dist.destroy_process_group()
