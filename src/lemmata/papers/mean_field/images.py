"""Width and depth on real images: the paper's own experiment, and small enough for digits.

With ``--data DIR`` (the parquet files of ``uoft-cs/cifar10``) the size ``paper`` is the paper's run: four patches an
image, heads of size 128, 128 GELU neurons, dropout 0.1, Adam at 1e-4 along a cosine, batches of 512, 200 epochs, no
augmentation and no decay; six layers with 4 to 40 heads, eight heads with 2 to 20 layers. Not said there, chosen here:
tokens of width 128, pre-norm, learnt positions, mean pooling, the default betas. Without data: scikit-learn's digits.
Gao et al. 2024, arXiv 2410.23610, appendix H.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from lemmata.claims import Finding, NotMeasurable, all_of, at_least, at_most, claim, need, usable
from lemmata.data.files.cifar import cifar_files, load_cifar, normalise
from lemmata.data.files.images import load_digits
from lemmata.data.files.parquet import fingerprint
from lemmata.draws import cell_seeds, permutation, split
from lemmata.lab import Experiment, Size
from lemmata.loops.task import NetworkTask
from lemmata.modules.vision_transformer import VisionTransformer
from lemmata.parameters import parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Grid
from lemmata.sweep.bodies.of_network import NetworkBody

APPENDIX = "Gao et al. 2024, appendix H"
SCORES = {"train_loss": "training loss", "train_accuracy": "training accuracy", "accuracy": "test accuracy"}
DIGITS_HEADS, DIGITS_LAYERS = ("3x1", "3x2", "3x4", "3x8", "3x16"), ("1x4", "2x4", "6x4")
PAPER_HEADS = tuple(f"6x{heads}" for heads in (4, 8, 12, 16, 20, 24, 32, 40))
PAPER_LAYERS = tuple(f"{layers}x8" for layers in (2, 4, 8, 12, 16, 18, 20))


def shape_of(network: str) -> tuple[int, int]:
    """Layers and heads of ``"6x8"``.

    Raises:
        ValueError: it is not of this form.
    """
    parts = network.split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"network = {network!r} was asked for; write layers x heads, as in 6x8")
    return int(parts[0]), int(parts[1])


@dataclass(frozen=True, kw_only=True)
class ImagesBody(NetworkBody):
    """Trains one vision transformer a cell."""

    scores_of: ClassVar[Mapping[str, str]] = SCORES

    data: str | None = parameter(
        "folder with the parquet files of uoft-cs/cifar10; without it, digits",
        str,
        optional=True,
        default=None,
        axis=False,
    )
    network: str = parameter("layers x heads", str, default="3x4")
    head_size: int = parameter("size of a head", int, least=1, default=4)
    width: int = parameter("width of a token", int, least=1, default=32)
    hidden: int = parameter("hidden neurons", int, least=1, default=32)
    patch: int = parameter("side of a patch", int, units="pixels", least=1, default=2)
    dropout: float = parameter("dropout", least=0, below=1, default=0.0)
    rate: float = parameter("first learning rate", above=0, scale="log", default=1e-3)
    schedule: str = parameter("schedule of the rate", str, choices=("constant", "cosine"), default="constant")
    weight_decay: float = parameter("weight decay of AdamW", least=0, default=1e-4)
    batch_size: int = parameter("images a step", int, units="images", least=1, default=64, axis=False)
    epochs: int = parameter("passes through the data", int, units="epochs", least=1, default=8, axis=False)
    images: int | None = parameter("training images taken", int, least=1, optional=True, default=None, axis=False)
    steps: int = 0  # follows from the epochs
    records: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        shape_of(self.network)
        if self.data is None or cifar_files(self.data):
            count = self.images or (1438 if self.data is None else 50_000)
            object.__setattr__(self, "steps", max(1, self.epochs * (count // self.batch_size)))

    def at(self, changes: Mapping[str, Any]) -> "ImagesBody":
        """The body with parameters, or the number of ``records``, changed."""
        made = super().at({name: value for name, value in changes.items() if name != "records"})
        assert isinstance(made, ImagesBody)
        return replace(made, records=changes.get("records", made.records))

    @property
    def batch(self) -> int:
        """Images of a step."""
        return self.batch_size

    def configuration(self) -> dict[str, Any]:
        """All of it, with the files' names and sizes instead of their place."""
        if self.data is None:
            return super().configuration()
        files = {part: fingerprint(found) for part, found in cifar_files(self.data).items()}
        return {**super().configuration(), "data": files}

    def check(self, grid: Grid) -> None:
        """Refuses networks that are no ``layers x heads``, and a folder without the files."""
        super().check(grid)
        for axis in grid.axes:
            for value in axis.values if axis.name == "network" else ():
                shape_of(value)
        if self.data is not None:
            cifar_files(self.data)

    def task(self, seed: int, device: torch.device) -> "ImagesTask":
        """The network, with weights, orders and dropout of the seed."""
        return ImagesTask(self, seed, device)


class ImagesTask(NetworkTask):
    """One network and its images."""

    scores_of = SCORES

    def __init__(self, body: ImagesBody, seed: int, device: torch.device) -> None:
        self.body, self.batch, self.key = body, body.batch_size, cell_seeds(0, [seed])
        self.train, self.test = ((x.to(device), y.to(device)) for x, y in _images(body.data, body.images))
        if len(self.train[1]) < self.batch:
            raise ValueError(f"there are {len(self.train[1])} training images; one batch takes {self.batch}")
        (layers, heads), (channels, side) = shape_of(body.network), self.train[0].shape[1:3]
        model = VisionTransformer(
            side=side, channels=channels, patch=body.patch, width=body.width, layers=layers, heads=heads,
            head_size=body.head_size, hidden=body.hidden, dropout=body.dropout,
        )  # fmt: skip
        model.reset_parameters(seed)
        self.model: nn.Module = model.to(device)
        self.epoch, self.order = -1, torch.empty(0)

    def optimiser(self) -> Optimizer:
        """Adam, with decoupled decay where there is any."""
        return AdamW(self.model.parameters(), lr=self.body.rate, weight_decay=self.body.weight_decay)

    def multiplier(self, step: int) -> float:
        """One, or half a cosine down to 0."""
        if self.body.schedule == "constant":
            return 1.0
        return 0.5 * (1 + float(np.cos(np.pi * step / self.body.steps)))

    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """Cross entropy; each epoch has an order of its own and leaves out a rest."""
        x, y = self.train
        epoch, place = divmod(step, len(y) // self.batch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, permutation(self.key, f"order of epoch {epoch}", len(y))[0].to(y.device)
        index = self.order[place * self.batch : (place + 1) * self.batch][rows]
        if self.body.dropout:
            assert isinstance(self.model, VisionTransformer)
            self.model.reseed(int(split(self.key, f"dropout/{step}/{rows.start}")[0]) & (2**63 - 1))
        return F.cross_entropy(model(_scaled(x[index])), y[index])

    def scores(self, model: nn.Module, share: int, of: int) -> Tensor:
        """Loss and right answers over all training images, right answers over all test images."""
        found = []
        for x, y in (self.train, self.test):
            sums = torch.zeros(2, 2, dtype=torch.float64, device=y.device)
            for index in torch.arange(share, len(y), of, device=y.device).split(1000):
                scores = model(_scaled(x[index])).float()
                right = (scores.argmax(1) == y[index]).sum()
                sums[:, 0] += torch.stack([F.cross_entropy(scores, y[index], reduction="sum"), right])
                sums[:, 1] += len(index)
            found.append(sums)
        return torch.stack([found[0][0], found[0][1], found[1][1]])


def _scaled(x: Tensor) -> Tensor:
    return normalise(x) if x.dtype == torch.uint8 else x


@functools.lru_cache(maxsize=2)
def _images(folder: str | None, limit: int | None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """CIFAR-10 as bytes; or digits about zero, four fifths to train on and one to test, the same in all cells."""
    if folder is not None:
        splits = [load_cifar(folder, part, limit) for part in ("train", "test")]
        return (splits[0].x, splits[0].y), (splits[1].x, splits[1].y)
    images = load_digits()
    x, y = torch.from_numpy(images.x).float().view(-1, 1, 8, 8) - 0.5, torch.from_numpy(images.y)
    order = permutation(cell_seeds(0, [0]), "split of the digits", len(y))[0]
    test, train = order[: len(y) // 5], order[len(y) // 5 :][:limit]
    return (x[train], y[train]), (x[test], y[test])


SIZES = {
    "smoke": Size(network=("1x1", "2x4"), epochs=1, images=128, seeds=1, changes={"records": 2}),
    "laptop": Size(network=(*DIGITS_HEADS, *DIGITS_LAYERS), seeds=3),
    "paper": Size(
        network=tuple(dict.fromkeys((*PAPER_HEADS, *PAPER_LAYERS))), head_size=128, width=128, hidden=128, patch=16,
        dropout=0.1, rate=1e-4, schedule="cosine", weight_decay=0.0, batch_size=512, epochs=200, seeds=3,
        changes={"records": 40},
    ),
}  # fmt: skip


def _at(array: xr.DataArray, network: str) -> xr.DataArray:
    if network not in np.atleast_1d(array["network"].values).tolist():
        raise NotMeasurable(f"needs network = {network}, which is not among the values run")
    return array.sel(network=network)


def _last(data: xr.Dataset) -> xr.Dataset:
    need(data, network=2)
    return usable(data).isel(step=-1).mean("seed")


@claim("more heads, and more layers, reach a lower training loss", APPENDIX, sizes=("laptop",))
def wider_and_deeper_train_better(data: xr.Dataset) -> Finding:
    """Mean training loss of the largest over that of the smallest: heads at three layers, layers at four heads."""
    loss = _last(data).train_loss
    heads, layers = (float(_at(loss, big) / _at(loss, small)) for big, small in (("3x16", "3x1"), ("6x4", "1x4")))
    return all_of(
        at_most(0.75, heads, where="from 1 to 16 heads", expected="falls", format="heads ×{:.2f}"),
        at_most(0.85, layers, where="from 1 to 6 layers", expected="falls", format="layers ×{:.2f}"),
    )


def _near_zero(data: xr.Dataset, chosen: list[str], where: str) -> Finding:
    last = _last(data)
    loss = xr.concat([_at(last.train_loss, one) for one in chosen], "network")
    accuracy = xr.concat([_at(last.train_accuracy, one) for one in chosen], "network")
    return all_of(
        at_most(0.05, loss, where=where, expected="near 0", format="training loss {most:.3f}"),
        at_least(0.99, accuracy, where=where, expected="near 100 %", format="accuracy {least:.3f}"),
    )


@claim("with more than 20 heads the training loss is near zero", APPENDIX, sizes=("paper",))
def more_than_twenty_heads(data: xr.Dataset) -> Finding:
    """Six layers."""
    return _near_zero(data, [one for one in PAPER_HEADS if shape_of(one)[1] > 20], "for more than 20 heads")


@claim("with more than 16 layers the training loss is near zero", APPENDIX, sizes=("paper",))
def more_than_sixteen_layers(data: xr.Dataset) -> Finding:
    """Eight heads."""
    return _near_zero(data, [one for one in PAPER_LAYERS if shape_of(one)[0] > 16], "for more than 16 layers")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Training loss and accuracy along training, for heads at one depth and for depths at one number of heads."""
    names = np.atleast_1d(data["network"].values).tolist()
    whole = data if "network" in data.dims else data.expand_dims("network")
    shapes = [shape_of(name) for name in names]
    depth, heads = (max({s[k] for s in shapes}, key=[s[k] for s in shapes].count) for k in (0, 1))
    rows = [
        (f"{depth} layers", sorted((s for s in shapes if s[0] == depth), key=lambda s: s[1])),
        (f"{heads} heads", sorted(s for s in shapes if s[1] == heads)),
    ]
    figure, axes = new_figure(2, 2, title="Width and depth on real images", height=3.2)
    for row, (title, members) in zip(axes, rows):
        own = whole.sel(network=[f"{layers}x{count}" for layers, count in members])
        for ax, name in zip(row, ("train_loss", "train_accuracy")):
            log = "y" if name == "train_loss" else ""
            curves(ax, own[name], "step", "network", log=log, legend=ax is row[-1], title=title)
    return {"images": figure}


EXPERIMENT = Experiment(
    ImagesBody(),
    SIZES,
    claims=(wider_and_deeper_train_better, more_than_twenty_heads, more_than_sixteen_layers),
    figures=figures,
)
