"""Frameworks that stop in mid-run and go on: their checkpoints must carry the whole optimiser, bit for bit."""

import os

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lemmata.optim import AdaGradPP, AdamPP, AdamWPP

MAKE = {
    "AdaGradPP": AdaGradPP,
    "AdamPP tensor": lambda params: AdamPP(params, distance="tensor"),
    "AdamWPP": lambda params: AdamWPP(params, eta0=1e-4),
}


def _net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def _data():
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    return TensorDataset(x, x.sum(1, keepdim=True).sin())


def _flat(module):
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


@pytest.mark.parametrize("name", MAKE)
def test_lightning_goes_on_from_its_checkpoint(name, tmp_path):
    lightning = pytest.importorskip("lightning")

    class Regression(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = _net()

        def training_step(self, batch, index):
            return nn.functional.mse_loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            optimizer = MAKE[name](self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)]

    def run(epochs, checkpoint=None):
        module = Regression()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", devices=1, enable_checkpointing=False, **quiet
        )
        trainer.fit(module, DataLoader(_data(), batch_size=16), ckpt_path=checkpoint)
        return trainer, module

    whole = run(6)
    half = run(3)
    half[0].save_checkpoint(tmp_path / "half.ckpt")
    resumed = run(6, tmp_path / "half.ckpt")
    assert torch.equal(_flat(resumed[1]), _flat(whole[1]))
    assert not torch.equal(_flat(half[1]), _flat(whole[1]))
    assert torch.equal(resumed[0].optimizers[0].eta, whole[0].optimizers[0].eta)


@pytest.mark.parametrize("name", MAKE)
def test_a_hugging_face_trainer_goes_on_from_its_checkpoint(name, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")

    class Regression(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = _net()

        def forward(self, x, labels=None):
            out = self.net(x)
            return {"loss": nn.functional.mse_loss(out, labels), "logits": out}

    def run(checkpoint=None):
        model = Regression()
        optimizer = MAKE[name](model.parameters())
        schedule = transformers.get_cosine_schedule_with_warmup(optimizer, 2, 12)
        arguments = transformers.TrainingArguments(
            str(tmp_path), max_steps=12, per_device_train_batch_size=16, report_to=[], save_steps=6, use_cpu=True,
            disable_tqdm=True, logging_steps=100,
        )  # fmt: skip
        rows = [{"x": x, "labels": y} for x, y in _data()]
        trainer = transformers.Trainer(model, arguments, train_dataset=rows, optimizers=(optimizer, schedule))
        trainer.train(resume_from_checkpoint=checkpoint)
        return model, optimizer

    whole = run()
    resumed = run(str(tmp_path / "checkpoint-6"))
    assert torch.equal(_flat(resumed[0]), _flat(whole[0]))
    assert torch.equal(resumed[1].eta, whole[1].eta)
    assert all(state["step"] == 12 for state in resumed[1].state.values())
