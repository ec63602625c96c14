"""CIFAR-10 as in the paper: ResNet-18, ResNet-50 and VGG-16, a constant and a cosine schedule, each method's grid.

Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444, section on image classification. The paper names networks, schedules
and peers; batches of 128, 200 epochs, weight decay 5e-4 (added to the gradient) and shifts by four pixels with mirror
images are the usual recipe, taken to be the paper's. At ``laptop`` networks are four times narrower, trained for ten
epochs on 2,000 images; at ``smoke`` they have four channels and take ten steps. ``--data`` names a folder with the
parquet files of ``uoft-cs/cifar10``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.papers.parameter_free.checkpointed_body import CheckpointedBody
from lemmata.papers.parameter_free.checkpointed_training import Recipe
from lemmata.papers.parameter_free.digits_networks import schedule
from lemmata.papers.parameter_free.methods import DEFAULT_SCALE, PAPER, PEERS, PLUS, Knobs, place_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from lemmata.sweep import Grid

NETS = ("resnet18", "resnet50", "vgg16")
SOURCE = "Tao et al. 2024, image classification"


def knobs(size: str) -> Knobs:
    """Values by optimiser: five each, Adam's around the paper's 1e-3 and 1e-4 (VGG-16)."""
    scales = (1e-8, 1e-6, 1e-4, 1e-2, 1e-1)
    rates = {"adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "schedule-free": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)}
    own = dict.fromkeys((*PLUS, "adam++max", "adam++literal", "prodigy", "dadapt-adam"), scales)
    return tuple({**own, **rates}.items())


def grid(size: str) -> "Grid":
    """The points at each size."""
    from lemmata.sweep import Axis, Grid

    nets, schedules, optimisers, tunings, seeds = {
        "smoke": (("resnet18", "vgg16"), ("constant",), ("adam++",), (3,), 1),
        "laptop": (("resnet18",), ("constant", "cosine"), ("adam++", "adam++sum", "adam"), (0, 2, 4), 1),
        "paper": (NETS, ("constant", "cosine"), (*PLUS, "adam++max", "adam", *PEERS), range(5), 3),
    }[size]
    return Grid(
        (
            Axis("net", nets, long_name="network"),
            Axis("schedule", schedules, long_name="schedule"),
            Axis("optimiser", optimisers, long_name="optimiser"),
            Axis("tuning", tuple(tunings), long_name="place in the method's grid of knob values"),
            Axis("seed", tuple(range(seeds)), long_name="seed"),
        )
    )


@dataclass(frozen=True, kw_only=True)
class CifarRecipe(Recipe):
    """What is trained, for how long and on how many images."""

    width: int = 64
    steps: int = 78000
    batch: int = 128
    micro_batch: int = 128
    images: int | None = None
    records: int = 20
    nets: tuple[str, ...] = NETS
    optimiser_options: tuple[tuple[str, Any], ...] = (("weight_decay", 5e-4),)

    @property
    def scores(self) -> Mapping[str, str]:
        return {"accuracy": "test accuracy", "test_loss": "test loss"}

    def describe(self) -> dict[str, Any]:
        """All of it, with the files' names and sizes instead of their place."""
        from lemmata.data.files.cifar import cifar_files
        from lemmata.data.files.parquet import fingerprint

        files = {split: fingerprint(found) for split, found in cifar_files(self.data).items()}
        return {"kind": "CIFAR-10", **asdict(self), "data": files}

    def start(self, point: Mapping[str, Any], device: Any) -> "CifarTraining":
        return CifarTraining(self, point, device)


class CifarTraining:
    """One network on its device, and the images beside it."""

    def __init__(self, recipe: CifarRecipe, point: Mapping[str, Any], device: Any) -> None:
        from lemmata.data.files.cifar import load_cifar
        from lemmata.modules.resnet import ResNet
        from lemmata.modules.vgg import VGG16

        self.recipe, self.seed = recipe, point["seed"]
        train, test = (load_cifar(recipe.data, split, recipe.images) for split in ("train", "test"))
        if len(train.y) < recipe.batch:
            raise ValueError(f"{recipe.data} has {len(train.y)} training images; one batch takes {recipe.batch}")
        self.train, self.test = ([part.to(device) for part in split] for split in (train, test))
        model = VGG16(recipe.width) if point["net"] == "vgg16" else ResNet(point["net"], recipe.width)
        model.reset_parameters(self.seed)
        self.model: nn.Module = model.to(device)
        self.groups = self.model.parameters()
        self.multiplier = schedule(point["schedule"], recipe.steps)
        self.epoch, self.order = -1, self.train[1]

    def loss(self, model: "nn.Module", step: int, rows: slice) -> "Tensor":
        import torch.nn.functional as F

        from lemmata.data.files.cifar import augment, normalise

        index = self._samples(step)[rows]
        x = augment(normalise(self.train[0][index]), self.seed, step, rows, self.recipe.batch)
        return F.cross_entropy(model(x), self.train[1][index])

    def _samples(self, step: int) -> "Tensor":
        """The batch of a step: each epoch runs through the images in an order of its own, leaving out a rest."""
        from lemmata.draws import cell_seeds, permutation

        images = len(self.train[1])
        epoch, place = divmod(step, images // self.recipe.batch)
        if epoch != self.epoch:
            order = permutation(cell_seeds(0, [self.seed]), f"order of epoch {epoch}", images)[0]
            self.epoch, self.order = epoch, order.to(self.train[1].device)
        return self.order[place * self.recipe.batch : (place + 1) * self.recipe.batch]

    def scores(self, model: "nn.Module", share: int, of: int) -> "Tensor":
        import torch
        import torch.nn.functional as F

        from lemmata.data.files.cifar import normalise

        sums = torch.zeros(3, device=self.test[1].device)
        for index in torch.arange(share, len(self.test[1]), of, device=self.test[1].device).split(500):
            scores, y = model(normalise(self.test[0][index])).float(), self.test[1][index]
            right, loss = (scores.argmax(1) == y).sum(), F.cross_entropy(scores, y, reduction="sum")
            sums += torch.stack([right.float(), loss, torch.ones_like(loss) * len(y)])
        return sums


def body(
    size: str, *, data: str | None = None, processes: int = 1, precision: str = "no", steps: int | None = None
) -> CheckpointedBody:
    """Trainings at a size (``ValueError`` without the data)."""
    from lemmata.data.files.cifar import NAME, SOURCE, cifar_files

    if data is None:
        raise ValueError(
            f"parameter-free-cifar needs {NAME}; download it with 'hf download {SOURCE} --repo-type dataset "
            "--local-dir DIR' and give --data DIR"
        )
    cifar_files(data)
    recipe = CifarRecipe(data=str(data), knobs=knobs(size))
    if size == "laptop":
        recipe = replace(recipe, width=16, steps=150, images=2000, records=10)
    if size == "smoke":
        recipe = replace(recipe, width=4, steps=10, batch=16, micro_batch=16, records=2)
    recipe = recipe if steps is None else replace(recipe, steps=steps, records=min(recipe.records, steps))
    every = {"smoke": 4, "laptop": 50, "paper": 1000}[size]
    return CheckpointedBody(recipe, processes, precision, every)


# -- claims ----------------------------------------------------------------------------------------------------------


def _accuracy(dataset: "xr.Dataset", **values: Any) -> "xr.DataArray":
    """At the last step, mean over seeds ``(net, schedule, optimiser, tuning)``; chance where a seed diverged."""
    kept = at(dataset.isel(step=-1), **values)
    return kept["accuracy"].where(kept["status"] == 0, 0.1).mean("seed")


def _need(accuracy: "xr.DataArray", *names: str) -> None:
    missing = [name for name in names if name not in accuracy["optimiser"].values]
    if missing:
        raise NotMeasurable(f"needs optimiser {missing[0]!r}, which was not run")


def all_end(dataset: "xr.Dataset") -> Finding:
    """No run may diverge."""
    kept = converged(dataset)
    return Finding(
        holds=not kept.left_out,
        measured=f"{sum(kept.left_out.values())} of {kept.usable.size} diverged",
        predicted="none diverges",
    )


def within_half_a_percent(dataset: "xr.Dataset") -> Finding:
    """ResNets on a constant schedule: Adam++ at its default against the best learning rate of Adam."""
    accuracy = _accuracy(dataset, schedule="constant")
    _need(accuracy, "adam")
    nets = [name for name in accuracy["net"].values if name != "vgg16"]
    own = accuracy.sel(net=nets, optimiser="adam++").isel(tuning=place_of(dataset, "adam++", DEFAULT_SCALE))
    below = accuracy.sel(net=nets, optimiser="adam").max("tuning") - own
    return Finding(
        holds=bool((below <= 0.005).all()),
        measured=", ".join(f"{float(below.sel(net=name)):+.4f} ({name})" for name in nets),
        predicted="0",
        tolerance="at η₀ = 1e-6 at most 0.005 below the best learning rate",
    )


def flat_in_first_scale(dataset: "xr.Dataset") -> Finding:
    """The range of accuracy over η₀ on a constant schedule."""
    accuracy = _accuracy(dataset, schedule="constant")
    _need(accuracy, "adam++")
    if accuracy.sizes["tuning"] < 3:
        raise NotMeasurable("needs three or more values of η₀")
    own = accuracy.sel(optimiser="adam++")
    spread = own.max("tuning") - own.min("tuning")
    return Finding(
        holds=bool((spread <= 0.005).all()),
        measured=", ".join(f"{float(spread.sel(net=name)):.4f} ({name})" for name in spread["net"].values),
        predicted="flat",
        tolerance="range over η₀ ≤ 0.005",
    )


def case_one_trains_vgg_on_cosine(dataset: "xr.Dataset") -> Finding:
    """The case in which the paper's other case fails."""
    accuracy = _accuracy(dataset, net="vgg16", schedule="cosine")
    _need(accuracy, "adam++sum")
    worst = float(accuracy.sel(optimiser="adam++sum").min())
    return Finding(holds=worst >= 0.9, measured=f"accuracy {worst:.3f}", predicted="trains", tolerance="≥ 0.9")


CLAIMS = (
    Claim("all-end", "every run ends", SOURCE, all_end, SIZES),
    Claim(
        "within-half-a-percent",
        "Adam++ as it comes matches Adam at its best",
        SOURCE,
        within_half_a_percent,
        ("paper",),
    ),
    Claim("flat-in-first-scale", "η₀ hardly matters", SOURCE, flat_in_first_scale, ("paper",)),
    Claim("vgg-on-cosine", "case 1 trains VGG-16 on cosine", SOURCE, case_one_trains_vgg_on_cosine, ("paper",)),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error against knob; rows: networks, columns: schedules."""
    from lemmata.papers.parameter_free.figures import by_net_and_schedule

    last = dataset.isel(step=-1)
    title = f"CIFAR-10 after {int(last['step'])} steps"
    return {"cifar": by_net_and_schedule(last["accuracy"], last["status"], last["knob"], title, 0.02)}


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Nothing: no prediction is made without running."""
    import xarray as xr

    return xr.Dataset()


EXPERIMENT = Experiment(
    name="parameter-free-cifar",
    paper=PAPER,
    shows="CIFAR-10 with ResNet-18, ResNet-50, VGG-16: Adam++ as it comes against tuned Adam; takes --data.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("data", str, "folder with the parquet files of uoft-cs/cifar10", axis=False),
        Option("processes", int, "processes of accelerate launch, one per GPU", axis=False),
        Option("precision", str, "no or bf16", axis=False),
        Option("steps", int, "steps, from 1", axis=False),
        Option("net", str, "resnet18, resnet50 or vgg16"),
        Option("schedule", str, "constant or cosine"),
        Option("optimiser", str, "optimisers to compare"),
        Option("tuning", int, "places in each method's grid of knob values, from 0"),
    ),
    seconds={"smoke": 5, "laptop": 1500, "paper": 600000},  # paper: estimated for one GPU
)
