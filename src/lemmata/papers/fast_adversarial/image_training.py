"""One network under adversarial training on a published image set, as the loop room trains it: resumable, shareable.

Two protocols. ``release``, that of SKG-FAT's code: SGD with rate 0.1, momentum 0.9, decay 5e-4, the rate times 0.1 at
100/110 and 105/110 of the training. ``benchmark``, that of the FastAT-Benchmark (arXiv 2604.22853): one rise and fall
of the rate (Smith, Topin 2017, arXiv 1708.07120; largest 0.1), weights averaged with decay 0.9995, of which the average
is attacked. Both hold 1,000 training images out (2,000 of Tiny-ImageNet), on which the monitor looks; the last network
is scored, never one chosen on test images. Pixels stay in [0, 1].

The method's state is every process's own. It is gathered when a checkpoint is due, so that a training of several
processes goes on exactly; batches are not cut into micro-batches, as batch norm and the batch memory are of whole ones.
"""

import copy
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lemmata.data.files.cifar import augment
from lemmata.data.files.crops import centre_crop, resized_crop
from lemmata.data.files.image_sets import SETS, load_split
from lemmata.draws import cell_seeds, permutation
from lemmata.loops.task import NetworkTask
from lemmata.modules.preact_resnet import PreActResNet
from lemmata.modules.resnet import ResNet
from lemmata.robust import CollapseWarning, Monitor, evaluate_robust

if TYPE_CHECKING:
    from lemmata.papers.fast_adversarial.cifar import ImageBody

PROTOCOLS = ("release", "benchmark")
DECAY = 0.9995
CROP = 224
"""Side of what an ImageNet network sees; images are kept with a margin."""
PIECE = 500
"""Test images attacked at once."""


class ImageTraining(NetworkTask):
    """The network of one cell, and its images on the device as bytes."""

    scores_of: Mapping[str, str] = {"clean": "clean accuracy", "pgd10": "accuracy under PGD, 10 steps"}  # type: ignore[misc]

    def __init__(self, body: "ImageBody", seed: int, device: torch.device) -> None:
        self.body, self.seed, self.batch, self.device = body, seed, body.batch_size, device
        train, test = (load_split(body.dataset, body.data or "", split, body.images) for split in ("train", "test"))
        held = min(2000 if body.dataset == "tiny-imagenet" else 1000, len(train.y) // 10)
        order = permutation(cell_seeds(0, [seed]), "held out", len(train.y))[0]
        pick = lambda split, rows: (split.x[rows].to(device), split.y[rows].to(device))  # noqa: E731
        self.held, self.train = pick(train, order[:held]), pick(train, order[held:])
        self.test = pick(test, torch.arange(len(test.y))[: body.test_images])
        if len(self.train[1]) < self.batch:
            raise ValueError(
                f"{body.data} has {len(self.train[1])} images to train on beside {held} held out; one batch takes "
                f"{self.batch}"
            )
        self.per_epoch = len(self.train[1]) // self.batch
        self.model: nn.Module = network(body.net, body.width, SETS[body.dataset].classes, self._large())
        self.model.reset_parameters(seed)  # type: ignore[operator]
        self.model = self.model.to(device)
        self.method = body.method(len(self.train[1]), seed)
        self.monitor = Monitor(body.eps)
        self.average = copy.deepcopy(self.model).requires_grad_(False) if body.protocol == "benchmark" else None
        self.epoch, self.order, self.taken = -1, self.train[1], 0
        self.kept: list[dict[str, Any]] = []
        self.found: dict[str, float] = {}

    def optimiser(self) -> Optimizer:
        """SGD with momentum."""
        return SGD(self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def multiplier(self, step: int) -> float:
        """Of the protocol."""
        return multiplier(self.body.protocol, step, self.body.steps)

    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """The method's loss on the batch of a step, or on this process's rows of it."""
        index = self._samples(step)[rows]
        x = self._augmented(self.train[0][index].float() / 255, step, rows)
        found = self.method.loss(model, x, self.train[1][index], index)
        self.monitor.watch(found)
        return found.loss

    def after_step(self, step: int) -> None:
        """Averages weights, ends epochs, and gathers the processes' states where a checkpoint is due."""
        self.taken = step + 1
        if self.average is not None:
            _move_average(self.average, self.model)
        if self.taken % self.per_epoch == 0:
            self.method.epoch_end()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CollapseWarning)  # what it fired is a reading
                self.monitor.epoch_end()
        if self.taken % self.body.checkpoint_every == 0:
            self.kept = gathered(self.method.state_dict())

    def scores(self, model: nn.Module, share: int, of: int) -> Tensor:
        """Images right clean and under PGD-10, summed; the readings are taken beside."""
        attacked = self.average if self.average is not None else model
        x, y = (part[share::of] for part in self.test)
        names = ["pgd-10"]
        last = self.taken == self.body.steps
        if last:
            names += ["pgd-50", "margin-20", "apgd-10"]
        pieces = [(self._seen(a), b) for a, b in zip(x.split(PIECE), y.split(PIECE))]
        report = evaluate_robust(attacked, pieces, names, eps=self.body.eps, autoattack=self.body.autoattack and last)
        counts = report.class_count.double()  # type: ignore[union-attr]
        hits = {name: (values.nan_to_num() * counts) for name, values in report.per_class.items()}
        totals = summed(torch.stack([counts, *hits.values()]).to(self.device))
        by_class = dict(zip(hits, (totals[1:] / totals[0]).cpu()))
        self.found = {name: float(totals[1 + i].sum() / totals[0].sum()) for i, name in enumerate(hits)}
        robust = by_class["pgd-10"][totals[0].cpu() > 0]
        self.found |= {"worst_class": float(robust.min()), "gap": float(robust.max() - robust.min())}
        self._look(attacked)
        right = torch.stack([hits["clean"].sum(), hits["pgd-10"].sum()])
        return torch.stack([right, counts.sum().expand(2)], 1).to(self.device, torch.float32)

    def readings(self, optimiser: Optimizer) -> Mapping[str, float]:
        """Per class, the last network's further attacks (NaN before), and what the monitor saw and said."""
        reading = self.monitor.readings[-1]
        return {
            "worst_class": self.found["worst_class"],
            "gap": self.found["gap"],
            "pgd50": self.found.get("pgd-50", math.nan),
            "margin20": self.found.get("margin-20", math.nan),
            "apgd10": self.found.get("apgd-10", math.nan),
            "autoattack": self.found.get("autoattack", math.nan),
            "overfitting": reading.gap,
            "warned": float(min(self.monitor.fired.values(), default=-1)),
        }

    def memory(self) -> dict[str, Any]:
        """The methods of all processes, the averaged weights, and where the monitor stands."""
        average = None if self.average is None else self.average.state_dict()
        return {"methods": self.kept, "average": average, "monitor": self.monitor.state_dict(), "taken": self.taken}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Each process takes its own."""
        place = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        self.method.load_state_dict(memory["methods"][place])
        if self.average is not None:
            self.average.load_state_dict(memory["average"])
        self.monitor.load_state_dict(memory["monitor"])
        self.taken = memory["taken"]

    def _large(self) -> bool:
        return self.body.dataset == "imagenet100"

    def _look(self, model: nn.Module) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)
            self.monitor.check(model, self._seen(self.held[0]), self.held[1])

    def _seen(self, x: Tensor) -> Tensor:
        """Test images as the network sees them."""
        return (centre_crop(x, CROP) if self._large() else x).float() / 255

    def _augmented(self, x: Tensor, step: int, rows: slice) -> Tensor:
        """As the release does: shifts and mirrors for CIFAR, nothing for Tiny-ImageNet, resized crops for ImageNet."""
        if self._large():
            return resized_crop(x, self.seed, step, rows, self.batch, CROP).clamp(0, 1)
        return x if self.body.dataset == "tiny-imagenet" else augment(x, self.seed, step, rows, self.batch)

    def _samples(self, step: int) -> Tensor:
        """The batch of a step: each epoch runs through the images in an order of its own, leaving out a rest."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            order = permutation(cell_seeds(0, [self.seed]), f"order of epoch {epoch}", len(self.train[1]))[0]
            self.epoch, self.order = epoch, order.to(self.device)
        return self.order[place * self.batch : (place + 1) * self.batch]


def network(name: str, width: int | None, classes: int, large: bool) -> nn.Module:
    """A network by name, at its published width unless told."""
    if name == "resnet18":
        return ResNet(name, width or 64, classes, large)
    return PreActResNet(name, width or {"preactresnet18": 64, "wrn34": 160}[name], classes)


def multiplier(protocol: str, step: int, steps: int) -> float:
    """Of the learning rate 0.1 at a step: two drops, or torch's OneCycleLR as it comes (rise over 30 %)."""
    if protocol == "release":
        return 0.1 ** sum(step >= steps * mark // 110 for mark in (100, 105))
    turn = 0.3 * steps - 1
    share = step / turn if step <= turn else (step - turn) / (steps - 1 - turn)
    start, end = (1 / 25, 1.0) if step <= turn else (1.0, 1 / 25 * 1e-4)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def gathered(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The states of all processes, in the order of their ranks."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return [state]
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return states


def summed(values: Tensor) -> Tensor:
    """Over all processes."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values


@torch.no_grad()
def _move_average(average: nn.Module, model: nn.Module) -> None:
    for kept, now in zip(average.state_dict().values(), model.state_dict().values()):
        if kept.is_floating_point():
            kept.lerp_(now, 1 - DECAY)
        else:
            kept.copy_(now)
