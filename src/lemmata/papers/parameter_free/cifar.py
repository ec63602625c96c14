"""CIFAR-10 as in the paper: ResNet-18, ResNet-50 and VGG-16, a constant and a cosine schedule, each method's grid.

Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444, section on image classification. The paper names networks, schedules
and peers; batches of 128, 200 epochs, weight decay 5e-4 (added to the gradient) and shifts by four pixels with mirror
images are the usual recipe, taken to be the paper's. At ``laptop`` networks are four times narrower, trained for ten
epochs on 2,000 images; at ``smoke`` they have four channels and take ten steps. ``--data`` names a folder with the
parquet files of ``uoft-cs/cifar10``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn

from lemmata.claims import Finding, NotMeasurable, at, at_least, at_most, claim, count_at_most, need
from lemmata.data.files.cifar import NAME, SOURCE, augment, cifar_files, load_cifar, normalise
from lemmata.data.files.parquet import fingerprint
from lemmata.draws import cell_seeds, permutation
from lemmata.lab import ALL, Experiment, Size
from lemmata.modules.resnet import ResNet
from lemmata.modules.vgg import VGG16
from lemmata.papers.parameter_free.compared_networks import SCHEDULES, ComparedNetworks, ComparedTask
from lemmata.papers.parameter_free.digits_networks import schedule
from lemmata.papers.parameter_free.figures import by_net_and_schedule
from lemmata.papers.parameter_free.methods import DEFAULT_SCALE, PEERS, PLUS, Knobs, place_of
from lemmata.parameters import parameter
from lemmata.status import Status
from lemmata.sweep import Grid

NETS = ("resnet18", "resnet50", "vgg16")
IMAGES = "Tao et al. 2024, image classification"
_SCALES = (1e-8, 1e-6, 1e-4, 1e-2, 1e-1)
KNOBS: Knobs = (
    *((name, _SCALES) for name in (*PLUS, "adam++max", "adam++literal", "prodigy", "dadapt-adam")),
    ("adam", (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)),
    ("schedule-free", (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
)
"""Values by optimiser: five each, Adam's around the paper's 1e-3 and 1e-4 (VGG-16)."""
SIZES = {
    "smoke": Size(
        net=("resnet18", "vgg16"),
        schedule=("constant",),
        optimiser=("adam++",),
        tuning=(3,),
        steps=10,
        micro_batch=16,
        changes={"width": 4, "batch_size": 16, "records": 2, "checkpoint_every": 4},
    ),
    "laptop": Size(
        net=("resnet18",),
        schedule=SCHEDULES,
        optimiser=("adam++", "adam++sum", "adam"),
        tuning=(0, 2, 4),
        steps=150,
        changes={"width": 16, "images": 2000, "records": 10, "checkpoint_every": 50},
    ),
    "paper": Size(
        net=NETS,
        schedule=SCHEDULES,
        optimiser=(*PLUS, "adam++max", "adam", *PEERS),
        tuning=tuple(range(5)),
        seeds=3,
    ),
}


SCORES = {"accuracy": "test accuracy", "test_loss": "test loss"}


@dataclass(frozen=True, kw_only=True)
class CifarBody(ComparedNetworks):
    """Trains one network a cell.

    Args:
        width: channels of the first layer. batch_size: images a step. images: to train on, None for all.
    """

    scores_of: ClassVar[Mapping[str, str]] = SCORES

    data: str | None = parameter(
        "folder with the parquet files of uoft-cs/cifar10", str, optional=True, default=None, axis=False
    )
    net: str = parameter("network", str, choices=NETS, default="resnet18")
    width: int = 64
    steps: int = parameter("steps t", int, units="steps", least=1, default=78000, axis=False)
    batch_size: int = 128
    micro_batch: int | None = parameter("images a device takes at once", int, least=1, default=128, axis=False)
    images: int | None = None
    knobs: Knobs = KNOBS
    optimiser_options: tuple[tuple[str, Any], ...] = (("weight_decay", 5e-4),)
    checkpoint_every: int = 1000

    @property
    def batch(self) -> int:
        """Images of a step."""
        return self.batch_size

    def configuration(self) -> dict[str, Any]:
        """All of it, with the files' names and sizes instead of their place."""
        files = {split: fingerprint(found) for split, found in cifar_files(self.data or "").items()}
        return {**super().configuration(), "data": files}

    def check(self, grid: Grid) -> None:
        """Refuses to begin without the data."""
        super().check(grid)
        if self.data is None:
            raise ValueError(
                f"parameter-free-cifar needs {NAME}; download it with 'hf download {SOURCE} --repo-type dataset "
                "--local-dir DIR' and give --data DIR"
            )
        cifar_files(self.data)

    def task(self, seed: int, device: torch.device) -> "CifarTraining":
        """The network, with weights, orders and augmentation of the seed."""
        return CifarTraining(self, seed, device)


class CifarTraining(ComparedTask):
    """One network on its device, and the images beside it."""

    scores_of = SCORES
    body: CifarBody

    def __init__(self, body: CifarBody, seed: int, device: torch.device) -> None:
        self.body, self.seed, self.batch = body, seed, body.batch_size
        train, test = (load_cifar(body.data or "", split, body.images) for split in ("train", "test"))
        if len(train.y) < self.batch:
            raise ValueError(f"{body.data} has {len(train.y)} training images; one batch takes {self.batch}")
        self.train, self.test = ([part.to(device) for part in split] for split in (train, test))
        model = VGG16(body.width) if body.net == "vgg16" else ResNet(body.net, body.width)
        model.reset_parameters(seed)
        self.model: nn.Module = model.to(device)
        self.schedule = schedule(body.schedule, body.steps)
        self.epoch, self.order = -1, self.train[1]

    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """Cross entropy of augmented images."""
        index = self._samples(step)[rows]
        x = augment(normalise(self.train[0][index]), self.seed, step, rows, self.batch)
        return F.cross_entropy(model(x), self.train[1][index])

    def _samples(self, step: int) -> Tensor:
        """The batch of a step: each epoch runs through the images in an order of its own, leaving out a rest."""
        images = len(self.train[1])
        epoch, place = divmod(step, images // self.batch)
        if epoch != self.epoch:
            order = permutation(cell_seeds(0, [self.seed]), f"order of epoch {epoch}", images)[0]
            self.epoch, self.order = epoch, order.to(self.train[1].device)
        return self.order[place * self.batch : (place + 1) * self.batch]

    def scores(self, model: nn.Module, share: int, of: int) -> Tensor:
        """Right answers and losses, summed."""
        sums = torch.zeros(2, 2, device=self.test[1].device)
        for index in torch.arange(share, len(self.test[1]), of, device=self.test[1].device).split(500):
            scores, y = model(normalise(self.test[0][index])).float(), self.test[1][index]
            right, loss = (scores.argmax(1) == y).sum(), F.cross_entropy(scores, y, reduction="sum")
            sums[:, 0] += torch.stack([right.float(), loss])
            sums[:, 1] += len(y)
        return sums


def _accuracy(data: xr.Dataset, *names: str, **values: Any) -> xr.DataArray:
    """At the last step, mean over seeds ``(net, schedule, optimiser, tuning)``; chance where a seed diverged."""
    kept = at(data.isel(step=-1), **values)
    accuracy = kept.accuracy.where(kept.status == Status.ALL_STEPS, 0.1).mean("seed")
    if missing := [name for name in names if name not in accuracy.optimiser.values]:
        raise NotMeasurable(f"needs optimiser {missing[0]!r}, which was not run")
    return accuracy


@claim("every run ends", IMAGES, ALL)
def all_end(data: xr.Dataset) -> Finding:
    """No run may diverge."""
    return count_at_most(0, data.status == Status.DIVERGED, "runs", expected="none diverges")


@claim("Adam++ as it comes matches Adam at its best", IMAGES, ("paper",))
def within_half_a_percent(data: xr.Dataset) -> Finding:
    """ResNets on a constant schedule: Adam++ at its default against the best learning rate of Adam."""
    accuracy = _accuracy(data, "adam", "adam++", schedule="constant")
    accuracy = accuracy.sel(net=[name for name in accuracy.net.values if name != "vgg16"])
    own = at(accuracy, optimiser="adam++").isel(tuning=place_of(data, "adam++", DEFAULT_SCALE))
    below = at(accuracy, optimiser="adam").max("tuning") - own
    where = "below the best learning rate, at η₀ = 1e-6"
    return at_most(0.005, below, expected="0", where=where, format="{:+.4f}", detail=below)


@claim("η₀ hardly matters", IMAGES, ("paper",))
def flat_in_first_scale(data: xr.Dataset) -> Finding:
    """The range of accuracy over η₀ on a constant schedule."""
    own = at(_accuracy(data, "adam++", schedule="constant"), optimiser="adam++")
    need(own, tuning=3)
    spread = own.max("tuning") - own.min("tuning")
    return at_most(0.005, spread, expected="flat", where="range over η₀", format="{:.4f}", detail=spread)


@claim("case 1 trains VGG-16 on cosine", IMAGES, ("paper",), name="vgg-on-cosine")
def case_one_trains_vgg_on_cosine(data: xr.Dataset) -> Finding:
    """The case in which the paper's other case fails."""
    accuracy = _accuracy(data, "adam++sum", net="vgg16", schedule="cosine")
    return at_least(0.9, at(accuracy, optimiser="adam++sum"), expected="trains", format="accuracy {:.3f}")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error against knob; rows: networks, columns: schedules."""
    last = data.isel(step=-1)
    title = f"CIFAR-10 after {int(last.step)} steps"
    return {"cifar": by_net_and_schedule(last.accuracy, last.status, last.knob, title, 0.02)}


CLAIMS = (all_end, within_half_a_percent, flat_in_first_scale, case_one_trains_vgg_on_cosine)
EXPERIMENT = Experiment(CifarBody(), SIZES, claims=CLAIMS, figures=figures)
