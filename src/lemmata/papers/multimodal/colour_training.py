"""Coloured digits: pictures whose colour betrays the class while training and deceives afterwards, with captions.

An encoder is trained by InfoNCE (cosine similarity, both directions) on pairs of a picture and its augmentation (shift
by a pixel, Gaussian noise), or of an augmented picture and its caption; a logistic head on its frozen features is then
fitted to the training pictures, once as they are and once standardised. A caption *carries the label*: the two are not
compared at equal supervision. Controls are ``random`` captions, of a class drawn at random, and an ``untrained``
encoder. Colours and captions: :mod:`lemmata.papers.multimodal.colours`.

Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837, Table 1, ColoredMNIST); its encoder, batch, epochs and
temperature are not printed and are ours. Coloured digits go back to Arjovsky, Bottou, Gulrajani, Lopez-Paz 2019 (arXiv
1907.02893).
"""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.data.files.images import Images
from lemmata.draws import cell_seeds, normal, permutation, uniform
from lemmata.dynamics.run import check_device
from lemmata.loops.loop import Alone, Plan, Training
from lemmata.loops.task import NetworkTask
from lemmata.papers.multimodal import colours
from lemmata.papers.multimodal.colour_parts import logistic_head, paint, symmetric_info_nce
from lemmata.papers.multimodal.colours import PROTOCOLS, TESTS
from lemmata.parameters import check, parameter
from lemmata.status import Status
from lemmata.sweep import Body, Variable

PAIRINGS = ("single", "caption", "random", "untrained")
_TRAIN_SHARE = 1300 / 1797
_CHECKPOINT_EVERY = 500


@dataclass(frozen=True)
class ColouredDigits(Body):
    """A training loop as the body of a sweep over ``p``, ``pairing`` and ``seed``, one cell per tile.

    Args:
        images: square grey pictures and their classes.
        epochs, batch_size, hidden, features: of the training and of the multilayer perceptrons p-hidden-features.

    Raises:
        ValueError: a value outside its range, or pictures that are not square.
    """

    images: Images
    p: float = parameter("probability p of the own colour", least=0, most=1, default=0.7)
    pairing: str = parameter("contrast with", str, choices=PAIRINGS, default="single")
    protocol: str = parameter("labels, colours and captions", str, choices=PROTOCOLS, default="plain")
    label_noise: float = parameter("share of random labels, in the paper's protocol", least=0, most=1, default=0.1)
    epochs: int = parameter("passes over the training pictures", int, units="epochs", least=1, default=60)
    batch_size: int = parameter("pairs contrasted with each other", int, units="pairs", least=2, default=256)
    hidden: int = parameter("hidden units", int, least=1, default=256)
    features: int = parameter("features", int, least=1, default=64)
    learning_rate: float = parameter("learning rate", above=0, scale="log", default=1e-3)
    tau: float = parameter("temperature τ", above=0, scale="log", default=0.5)
    pixel_noise: float = parameter("noise of the views", least=0, default=0.1)
    caption_noise: float | None = parameter(
        "noise of the captions, 0.3 and in the paper's protocol none if not given", least=0, optional=True, default=None
    )
    jitter: float = parameter("how much colour channels of a view are dimmed", least=0, most=1, default=0.0)
    device: str = parameter("device", str, axis=False, default="cpu")
    seed_root: int = parameter("root of all randomness", int, least=0, axis=False, default=0)

    variables: ClassVar[Mapping[str, Variable]] = {
        **{f"accuracy_{name}": Variable(long_name=f"accuracy, {name} colours") for name in TESTS},
        **{
            f"accuracy_{name}_standardised": Variable(long_name=f"accuracy, {name} colours, standardised features")
            for name in TESTS
        },
        "train_loss": Variable(long_name="training loss of the last epoch"),
        "status": Variable(long_name="why the cell ended: 0 all steps, 2 diverged", dtype="int8"),
    }

    def __post_init__(self) -> None:
        check(self)
        check_device(self.device)
        side = round(self.images.x.shape[1] ** 0.5)
        if side * side != self.images.x.shape[1]:
            raise ValueError(
                f"pictures of {self.images.x.shape[1]} pixels were given, which are not square; pad or crop them"
            )
        if len(self.images.classes) < 2:
            raise ValueError(
                f"{self.images.source} has the one class {self.images.classes[0]}; at least two are needed"
            )

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Pictures in colour, four sets of them, and the parameters with Adam's memory."""
        return 4 * 3 * self.images.x.size * 5 + 16 * self.hidden * (3 * self.images.x.shape[1] + self.features)

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From one epoch and from two of the costliest pairing, timed once."""
        one, two = _seconds(replace(self, p=0.5, pairing="single", epochs=1))
        return (one + max(0.0, two - one) * (self.epochs - 1)) * len(points)

    def run(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> dict[str, np.ndarray]:
        """Every cell, one after the other; ``scratch`` holds the checkpoint of the one under way."""
        found = []
        for k, point in enumerate(points):
            values = {name: value for name, value in point.items() if name != "seed"}
            place = None if scratch is None else scratch / f"{k}.pt"
            task = ColourTask(replace(self, **values), int(point.get("seed", 0)))
            Training(
                task, Plan(steps=task.steps, record=(), checkpoint_every=_CHECKPOINT_EVERY), Alone(self.device), place
            ).run()
            found.append(task.measured())
        return {
            name: np.asarray([cell[name] for cell in found], dtype=variable.dtype)
            for name, variable in self.variables.items()
        }


@functools.lru_cache(maxsize=8)
def _seconds(body: ColouredDigits) -> tuple[float, float]:
    """Seconds of one epoch and of two, heads and tests included."""
    took = []
    for epochs in (1, 3):  # the first also loads code
        started = time.perf_counter()
        replace(body, epochs=epochs).run([{}])
        took.append(time.perf_counter() - started)
    return took[0], took[0] + max(0.0, took[1] - took[0]) / 2


class ColourTask(NetworkTask):
    """One training: its pictures, captions and encoders, and the loss of an epoch as it adds up."""

    def __init__(self, of: ColouredDigits, seed: int) -> None:
        self.of, device = of, of.device
        self.key = cell_seeds(of.seed_root, [seed], device)
        _, y = np.unique(of.images.y, return_inverse=True)
        grey = torch.as_tensor(of.images.x / max(1e-12, np.abs(of.images.x).max()), dtype=torch.float32, device=device)
        self.classes = int(y.max()) + 1
        order = permutation(self.key, "split", len(y))[0]
        cut = min(len(y) - 1, max(1, round(_TRAIN_SHARE * len(y))))
        labels = torch.as_tensor(y, device=device)
        self.x, self.y = grey[order[:cut]], self.labelled("train", labels[order[:cut]])
        self.held, self.truth = grey[order[cut:]], self.labelled("test", labels[order[cut:]])
        hue = self.colour("train", self.y)
        self.pictures = paint(self.x, hue, self.classes)
        self.captions = self.caption(hue)
        self.model = self.initial()
        self.batch, rest = of.batch_size, len(self.y) % of.batch_size
        self.per_epoch = len(self.y) // of.batch_size + (rest >= 2)  # a single picture has nothing to be told from
        self.epoch_loss, self.total = float("nan"), torch.zeros((), device=device)
        self.drawn, self.order = -1, self.y

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return 0 if self.of.pairing == "untrained" else self.of.epochs * self.per_epoch

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.model.parameters(), lr=self.of.learning_rate)

    def rows(self, step: int) -> int:
        """All of a batch but the last of an epoch, which holds what is left."""
        return min(self.batch, len(self.y) - step % self.per_epoch * self.batch)

    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """InfoNCE of the whole batch: every picture is told from all others in it."""
        epoch, batch = divmod(step, self.per_epoch)
        if epoch != self.drawn:
            self.order, self.drawn = permutation(self.key, f"order/{epoch}", len(self.y))[0], epoch
        index = self.order[batch * self.batch :][rows]
        names = [f"view/{epoch}/{batch}/{k}" for k in range(2)]
        encoders: Any = model
        first = encoders["picture"](self.view(index, names[0]))
        if self.of.pairing == "single":
            second = encoders["picture"](self.view(index, names[1]))
        else:
            second = encoders["caption"](self.captions[index])
        loss = symmetric_info_nce(first, second, self.of.tau)
        self.total = self.total + loss.detach()
        return loss

    def after_step(self, step: int) -> None:
        """The mean loss of an epoch, at its end."""
        if (step + 1) % self.per_epoch == 0:
            self.epoch_loss, self.total = float(self.total) / self.per_epoch, torch.zeros_like(self.total)

    def memory(self) -> dict[str, Any]:
        """The loss of the last epoch and of this one so far."""
        return {"epoch_loss": self.epoch_loss, "total": self.total}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.epoch_loss, self.total = memory["epoch_loss"], memory["total"]

    def measured(self) -> dict[str, float]:
        """What is seen of the encoders as they are: accuracies of heads under all laws of colour."""
        sets = {"train": (self.pictures, self.y)}
        sets |= {
            name: (paint(self.held, self.colour(name, self.truth), self.classes), self.truth) for name in TESTS[1:]
        }
        accuracy = {}
        for ending, standardise in (("", False), ("_standardised", True)):
            head = logistic_head(self.encode(self.pictures), self.y, self.classes, standardise=standardise)
            for name, (x, t) in sets.items():
                right = head(self.encode(x)).argmax(1) == t
                accuracy[f"accuracy_{name}{ending}"] = float(right.double().mean())
        diverged = self.of.pairing != "untrained" and not np.isfinite(self.epoch_loss)
        ended = Status.DIVERGED if diverged else Status.ALL_STEPS
        return {**accuracy, "train_loss": self.epoch_loss, "status": ended}

    def labelled(self, name: str, y: Tensor) -> Tensor:
        """The classes as the protocol labels them."""
        of = self.of
        return colours.labels(self.key, name, y, self.classes, of.label_noise) if of.protocol == "paper" else y

    def colour(self, law: str, y: Tensor) -> Tensor:
        """The hue ``(n,)`` of every picture under one of the laws of :data:`TESTS`."""
        return colours.hues(self.key, self.of.protocol, law, y, self.classes, self.of.p)

    def caption(self, hue: Tensor) -> Tensor:
        """Captions of the training pictures, fixed for the run: a caption is data."""
        said = self.y
        if self.of.pairing == "random":
            said = (uniform(self.key, "random caption", (len(self.y),))[0] * self.classes).long()
            hue = (uniform(self.key, "random caption/hue", (len(self.y),))[0] * self.classes).long()
        of, usual = self.of, 0.0 if self.of.protocol == "paper" else 0.3
        noise = usual if of.caption_noise is None else of.caption_noise
        return colours.captions(self.key, of.protocol, said, hue, self.classes, noise)

    def view(self, index: Tensor, name: str) -> Tensor:
        """Augmented pictures ``(b, 3, p)``: shifted by up to a pixel either way, noise, channels dimmed by jitter."""
        b, side = len(index), round(self.x.shape[1] ** 0.5)
        pictures = self.pictures[index].reshape(b, 3, side, side)
        shift = (uniform(self.key, name + "/shift", (2, b))[0] * 3).long()
        padded = nn.functional.pad(pictures, (1, 1, 1, 1))
        rows = shift[0].unsqueeze(1) + torch.arange(side, device=shift.device)
        columns = shift[1].unsqueeze(1) + torch.arange(side, device=shift.device)
        at = torch.arange(b, device=shift.device).reshape(-1, 1, 1)
        moved = padded.permute(0, 2, 3, 1)[at, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
        if self.of.jitter:
            dim = 1 - self.of.jitter * uniform(self.key, name + "/jitter", (b, 3, 1, 1), torch.float32)[0]
            moved = moved * dim
        noise = normal(self.key, name + "/noise", (b, 3, side * side), torch.float32)[0]
        return moved.flatten(2) + self.of.pixel_noise * noise

    def initial(self) -> nn.ModuleDict:
        """Picture and caption encoder; weights uniform as in PyTorch's linear layers, from the cell's own seed."""
        of = self.of
        sizes = {
            "picture": (3 * self.x.shape[1], of.hidden, of.features),
            "caption": (self.captions.shape[1], of.hidden, of.features),
        }
        encoders = nn.ModuleDict()
        for name, (inputs, hidden, outputs) in sizes.items():
            layers = [nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)]
            for k, layer in enumerate(layers):
                reach = layer.in_features**-0.5
                for kind, value in layer.named_parameters():
                    draws = uniform(self.key.cpu(), f"{name}/{k}/{kind}", value.shape, torch.float32)[0]
                    value.data.copy_((2 * draws - 1) * reach)
            encoders[name] = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1])
        return encoders.to(of.device)

    def encode(self, pictures: Tensor) -> Tensor:
        encoders: Any = self.model
        with torch.no_grad():
            return encoders["picture"](pictures)
