"""Small networks on scikit-learn's digits, trained by one optimiser per cell: cross entropy on mini-batches of 64.

A convolutional network and a transformer are trained on four fifths of the digits and tested on the rest, with a
constant multiplier of the learning rate or one that falls to 0 along a cosine (Loshchilov, Hutter 2016, arXiv
1608.03983). Gradients of several networks at once (``torch.func.vmap``) took longer than one after the other here, so
cells run singly.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.data.files.images import load_digits
from lemmata.draws import cell_seeds, permutation
from lemmata.modules.small_cnn import SmallCNN
from lemmata.modules.small_transformer import SmallTransformer
from lemmata.papers.parameter_free.compared_networks import ComparedNetworks, ComparedTask
from lemmata.parameters import parameter

NETS = ("cnn", "transformer")


SCORES = {
    "accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
    "test_loss": "test loss",
    "train_loss": "training loss",
}


@dataclass(frozen=True, kw_only=True)
class DigitsBody(ComparedNetworks):
    """Trains one network a cell in float32."""

    scores_of: ClassVar[Mapping[str, str]] = SCORES

    net: str = parameter("network", str, choices=NETS, default="cnn")
    epochs: int = parameter("passes through the data", int, units="epochs", least=1, default=15, axis=False)
    batch_size: int = parameter("images a step", int, units="images", least=1, most=1438, default=64, axis=False)
    steps: int = 0  # follows from the epochs
    records: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "steps", self.epochs * (len(_digits()[0][0]) // self.batch_size))

    def task(self, seed: int, device: torch.device) -> "DigitsTask":
        """The network, with weights and orders of the seed."""
        return DigitsTask(self, seed, device)


class DigitsTask(ComparedTask):
    """One network and the digits beside it."""

    scores_of = SCORES
    body: DigitsBody

    def __init__(self, body: DigitsBody, seed: int, device: torch.device) -> None:
        self.body, self.batch = body, body.batch_size
        self.train, self.test = ((x.to(device), y.to(device)) for x, y in _digits())
        self.key, self.epoch, self.order = cell_seeds(0, [seed]), -1, torch.empty(0)
        net = SmallCNN(width=16) if body.net == "cnn" else SmallTransformer(width=32, depth=1, heads=4)
        net.reset_parameters(seed)
        self.model: nn.Module = net.to(device)
        self.schedule = schedule(body.schedule, body.steps)

    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """Cross entropy; each epoch has an order of its own and leaves out a rest."""
        x, y = self.train
        epoch, place = divmod(step, len(x) // self.batch)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = permutation(self.key, f"order of epoch {epoch}", len(x))[0].to(y.device)
        index = self.order[place * self.batch : (place + 1) * self.batch][rows]
        return F.cross_entropy(model(x[index]), y[index])

    def scores(self, model: nn.Module, share: int, of: int) -> Tensor:
        """Means over all test and all training images, as they are."""
        found = []
        for x, y in (self.test, self.train):
            logits = model(x)
            found += [(logits.argmax(1) == y).double().mean(), F.cross_entropy(logits, y).double()]
        means = torch.stack([found[0], found[2], found[1], found[3]])
        return torch.stack([means, torch.ones_like(means)], 1)


@functools.cache
def _digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images ``(n, 1, 8, 8)`` and classes ``(n,)``: four fifths to train on and one to test, the same in all cells."""
    images = load_digits()
    x = torch.from_numpy(images.x).float().view(-1, 1, 8, 8)
    y = torch.from_numpy(images.y)
    order = permutation(cell_seeds(0, [0]), "split of the digits", len(y))[0]
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    return (x[train], y[train]), (x[test], y[test])


def schedule(name: str, steps: int) -> Callable[[int], float]:
    """Multiplier of the learning rate at each step: 1, or (1 + cos(π t/T))/2."""
    if name == "constant":
        return lambda step: 1.0
    return lambda step: 0.5 * (1 + float(np.cos(np.pi * min(step, steps) / steps)))
