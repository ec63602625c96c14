"""The paper's settings on CIFAR-10, CIFAR-100, Tiny-ImageNet and ImageNet-100, from files of the user's own.

Jiang et al. 2024, arXiv 2409.17589, by the settings of its release: ResNet-18, ε = 8/255, batches of 128, 110 epochs:
42,020 steps on CIFAR, 84,150 on Tiny-ImageNet; 50 epochs, 49,050 steps, on ImageNet-100. The paper's own tables could
not be read; the claims at ``paper`` are bands around what methods of the same protocol reach (TDAT, AAAI 2024;
FastAT-Benchmark, arXiv 2604.22853), and nothing here has been run at that size: it wants a GPU for hours. ``--data``
names a folder with parquet files, python batches or folders of images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, all_of, at, at_least, claim, count_at_most
from lemmata.data.files.image_sets import SETS, describe, files_of
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.fast_adversarial.figures import curves_by_method
from lemmata.papers.fast_adversarial.image_training import PROTOCOLS, ImageTraining
from lemmata.papers.fast_adversarial.setting import METHODS, OURS, method_of
from lemmata.parameters import parameter
from lemmata.robust import Method
from lemmata.status import Status
from lemmata.sweep import Grid
from lemmata.sweep.bodies.of_network import NetworkBody

NETS = ("resnet18", "preactresnet18", "wrn34")
COMPARED = ("fgsm-rs", "n-fgsm", "fgsm-pgi", "bmi-ls", "skg", "skg-released", "pgd-at")
SIZES = {
    "smoke": Size(defence=("skg",), steps=6, width=4, batch_size=16, records=2, checkpoint_every=2),
    "laptop": Size(
        defence=("fgsm-rs", "skg"), steps=150, width=8, images=2000, test_images=500, records=5, checkpoint_every=25
    ),
    "paper": Size(defence=COMPARED, seeds=3, autoattack=True),
}
BANDS = {"cifar10": (0.80, 0.54, 0.475), "cifar100": (0.0, 0.31, 0.25), "tiny-imagenet": (0.0, 0.23, 0.17)}
"""Least clean accuracy, under PGD-50 and under AutoAttack: a little below the best single-step methods' published."""


@dataclass(frozen=True, kw_only=True)
class ImageBody(NetworkBody):
    """Trains one network a cell; ``width``, ``images`` and ``test_images`` None are the published ones and all."""

    scores_of: ClassVar[Mapping[str, str]] = ImageTraining.scores_of
    readings_of: ClassVar[Mapping[str, str]] = {
        "worst_class": "lowest accuracy of a class under PGD-10",
        "gap": "highest minus lowest accuracy of a class under PGD-10",
        "pgd50": "accuracy under PGD, 50 steps, of the last network",
        "margin20": "accuracy under the margin attack, 20 steps, of the last network",
        "apgd10": "accuracy under Auto-PGD, 10 steps, of the last network",
        "autoattack": "accuracy under AutoAttack of the last network",
        "overfitting": "accuracy under FGSM minus under PGD-10 on images held out",
        "warned": "first step at which the monitor warned, -1 without",
    }

    data: str | None = parameter("folder of the image set", str, optional=True, default=None, axis=False)
    dataset: str = parameter("image set", str, choices=tuple(SETS), default="cifar10", axis=False)
    net: str = parameter("network", str, choices=NETS, default="resnet18")
    protocol: str = parameter("protocol of the training", str, choices=PROTOCOLS, default="release")
    defence: str = parameter("defence", str, choices=METHODS, default="skg")
    eps: float = parameter("radius ε", units="pixel values", above=0, most=1, default=8 / 255)
    lam: float | None = parameter("strength λ of the regulariser", least=0, optional=True, scale="log", default=None)
    steps: int = parameter("steps t, 110 epochs of CIFAR", int, units="steps", least=1, default=42020, axis=False)
    batch_size: int = parameter("images of a step", int, units="images", least=2, axis=False, default=128)
    width: int | None = parameter("channels of the first stage", int, least=1, optional=True, axis=False, default=None)
    images: int | None = parameter("images to train on", int, least=2, optional=True, axis=False, default=None)
    test_images: int | None = parameter("images to test on", int, least=1, optional=True, axis=False, default=None)
    autoattack: bool = parameter("AutoAttack on the last network", bool, axis=False, default=False)
    records: int = parameter("looks along training", int, least=1, axis=False, default=22)
    checkpoint_every: int = parameter(
        "steps between checkpoints", int, units="steps", least=1, axis=False, default=1000
    )

    @property
    def batch(self) -> int:
        """Images of a step."""
        return self.batch_size

    def configuration(self) -> dict[str, Any]:
        """All of it, with the files' names and sizes instead of their place."""
        return {**super().configuration(), "data": describe(self.dataset, self.data or "")}

    def check(self, grid: Grid) -> None:
        """Refuses to begin without the data, with batches in pieces, or with a network that does not fit."""
        super().check(grid)
        kept = SETS[self.dataset]
        if self.data is None:
            raise ValueError(
                f"fast-adversarial-cifar needs {kept.title}; download it with 'hf download {kept.source} --repo-type "
                f"dataset --local-dir DIR' and give --data DIR"
            )
        if self.micro_batch is not None:
            raise ValueError(
                f"micro_batch = {self.micro_batch} was asked for; adversarial training takes whole batches, whose "
                f"statistics and memory it needs: leave it out and take more processes"
            )
        nets = next((axis.values for axis in grid.axes if axis.name == "net"), (self.net,))
        if self.dataset == "imagenet100" and set(nets) != {"resnet18"}:
            raise ValueError(f"net = {nets} was asked for on ImageNet-100; at 224 x 224 there is resnet18 alone")
        for split in ("train", "test"):
            files_of(self.dataset, self.data, split)

    def method(self, samples: int, seed: int) -> Method:
        """The method of training."""
        epochs = max(1, self.steps // max(1, samples // self.batch_size))
        classes = SETS[self.dataset].classes
        return method_of(self.defence, self.eps, self.lam, epochs, samples, seed, classes)

    def task(self, seed: int, device: torch.device) -> ImageTraining:
        """The network, with weights, orders and crops of the seed."""
        return ImageTraining(self, seed, device)


@claim("every run ends", OURS, ALL)
def all_end(data: xr.Dataset) -> Finding:
    """No run may diverge."""
    return count_at_most(0, data.status == Status.DIVERGED, "runs", expected="none diverges")


@claim("it reaches what single-step methods of its protocol reach", "TDAT 2024; FastAT-Benchmark 2026", ("paper",))
def reaches_the_band(data: xr.Dataset) -> Finding:
    """Clean accuracy, under PGD-50 and under AutoAttack, of the last network."""
    name = str(data.dataset.item())
    if name not in BANDS:
        raise NotMeasurable(f"no band is known for {SETS[name].title}")
    last = at(data, defence="skg").isel(step=-1).mean("seed")
    quantities = ("clean", "pgd50", "autoattack")
    return all_of(*(at_least(least, last[of]) for least, of in zip(BANDS[name], quantities)))


@claim("it does not overfit catastrophically", OURS, ("paper",))
def robust_to_the_end(data: xr.Dataset) -> Finding:
    """Accuracy under PGD-10 at the end against its best along training."""
    found = at(data, defence="skg").pgd10
    return at_least(-0.01, found.isel(step=-1) - found.max("step"), expected="0")


@claim("it beats FGSM-RS under AutoAttack and matches FGSM-PGI", "FastAT-Benchmark 2026", ("paper",))
def beats_its_peers(data: xr.Dataset) -> Finding:
    """Differences of the means over seeds."""
    last = data.isel(step=-1).autoattack.mean("seed")
    own = at(last, defence="skg")
    return all_of(
        at_least(0.05, own - at(last, defence="fgsm-rs"), format="{:+.3f} over FGSM-RS"),
        at_least(-0.005, own - at(last, defence="fgsm-pgi"), format="{:+.3f} over FGSM-PGI"),
    )


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Clean and robust accuracy along training."""
    return {"training": curves_by_method(data, ("clean", "pgd10", "worst_class"))}


CLAIMS = (all_end, reaches_the_band, robust_to_the_end, beats_its_peers)
EXPERIMENT = Experiment(ImageBody(), SIZES, claims=CLAIMS, figures=figures)
