"""AdamPP in a LightningModule: return it from ``configure_optimizers`` and log its effective learning rate.

Needs ``pip install 'lemmata[examples]'``.
"""

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from lemmata.optim import AdamPP


class Regression(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.net(x), y)
        # The optimiser's "lr" is only a multiplier; this is what Adam calls its learning rate.
        self.log_dict({"loss": loss, "effective_lr": self.optimizers().optimizer.effective_lr()})
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return AdamPP(self.parameters())


torch.manual_seed(0)
x = torch.randn(256, 4)
data = DataLoader(TensorDataset(x, x[:, :1].sin()), batch_size=32, shuffle=True)
trainer = lightning.Trainer(
    max_epochs=15, accelerator="auto", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
)
module = Regression()
trainer.fit(module, data)
print(f"loss {trainer.callback_metrics['loss']:.4f}, effective lr {trainer.callback_metrics['effective_lr']:.1e}")
