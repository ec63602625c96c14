"""SKG-FAT in a LightningModule: its loss in ``training_step``, its state in the checkpoint.

Needs lightning. Put your model and data in place of the toy.
"""

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lemmata.robust import SelfKnowledge


class Robust(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        convolution = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
        self.net = torch.nn.Sequential(convolution, torch.nn.Flatten(), torch.nn.Linear(288, 4))
        self.method = SelfKnowledge(num_classes=4, eps=0.1, lam=0.3)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        step = self.method.loss(self.net, *batch)
        self.log("loss", step.loss)
        return step.loss

    def on_train_epoch_end(self) -> None:
        self.log("robust", self.method.epoch_end().robust_average)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["self_knowledge"] = self.method.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.method.load_state_dict(checkpoint["self_knowledge"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


torch.manual_seed(0)
x, y = torch.rand(512, 1, 8, 8) / 2, torch.arange(512) % 4
x[torch.arange(512), 0, y] += 0.5
data = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
trainer = lightning.Trainer(
    max_epochs=5, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
)
trainer.fit(module := Robust(), data)
print(f"robust accuracy {trainer.callback_metrics['robust']:.3f} after {module.method.epoch} epochs")
