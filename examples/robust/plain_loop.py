"""SKG-FAT in a plain training loop: one call makes the adversarial images and the loss, one ends the epoch."""

import torch

from lemmata.robust import Monitor, SelfKnowledge, evaluate_robust

torch.manual_seed(0)
x, y = torch.rand(512, 1, 8, 8) / 2, torch.arange(512) % 4
x[torch.arange(512), 0, y] += 0.5  # a bright row says the class; pixels lie in [0, 1]
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
method, monitor = SelfKnowledge(num_classes=4, eps=0.1, lam=0.3), Monitor(eps=0.1)

for epoch in range(5):
    for rows in torch.randperm(448).split(64):
        step = method.loss(model, x[rows], y[rows])
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: robust accuracy {method.epoch_end().robust_average:.3f} on the training stream")
    monitor.check(model, x[448:], y[448:])  # warns of catastrophic overfitting
print(evaluate_robust(model, [(x[448:], y[448:])], ["pgd-50", "margin-50"], eps=0.1).to_markdown())
