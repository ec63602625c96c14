"""Real images: two classes of handwritten digits beside noise, with and without SimCLR pre-training.

Patch one is an image, patch two Gaussian noise; the augmentation keeps the image and draws new noise. Some of the
images are then labelled, with fresh noise, and the network is tested on others. Zhang, Cao 2024, arXiv 2409.18685, do
this on MNIST with 200 unlabelled images; how they build patches, noise and augmentation is not public, so this is our
reading. Direct training starts from filters large enough to train at all. Names: ``pairs`` images without labels.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata import GD, ImageNoise, ImagePairs, LinearEncoder, Run, SimCLR, Until
from lemmata.claims import Finding, at, at_least, at_most, claim, need, note, one_of_each, usable, within
from lemmata.data.files.image_files import two_classes
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.simclr import setting
from lemmata.papers.simclr.fine_tuning import FineTuning
from lemmata.parameters import Parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.status import Status
from lemmata.sweep import Body, derived

CLASSES = (3, 8)
MIDDLE, WEAK, STRONG = 0.2, 0.1, 0.8
"""Noise levels: pre-training helps, is not needed, does not help."""
STARTS = ("simclr", "direct")
OPTIONS = {
    "images": Parameter(
        "file of images: .npz with x and y, .npy pair or IDX; pixels in the unit of σp", str, axis=False
    ),
    "classes": Parameter("the two classes to keep", int, least=-(2**31)),
    "pairs": Parameter("unlabelled images, two noise patches each", int, units="images", least=2, axis=False),
    "tests": Parameter("test images", int, units="images", least=2, axis=False),
    "pretraining_steps": Parameter("most steps of pre-training", int, units="steps", least=1, axis=False),
    **setting.OPTIONS,
}
SIZES = {
    "smoke": Size(start=STARTS, sigma_p=(MIDDLE, STRONG), labels=(8, 32), pairs=60, steps=300, tests=30,
                  pretraining_steps=300),
    "laptop": Size(start=STARTS, sigma_p=(WEAK, MIDDLE, 0.4, STRONG), labels=(8, 16, 32, 64), seeds=5),
    "paper": Size(
        start=STARTS,
        sigma_p=(0.05, WEAK, 0.15, MIDDLE, 0.3, 0.4, 0.6, STRONG, 1.6),
        labels=(4, 8, 16, 32, 64, 128),
        steps=20000,
        seeds=20,
    ),
}  # fmt: skip


def body(
    images: str | None = None,
    classes: tuple[int, ...] | None = None,
    pairs: int = 150,
    tests: int = 150,
    pretraining_steps: int = 1000,
    labels: tuple[int, ...] = (8, 16, 32, 64),
    power: float = 3.0,
    steps: int = 2000,
) -> Body:
    """Pre-training on images without labels, and fine-tuning on some of them with labels.

    Raises:
        ValueError: fewer images than the smallest number of labels.
    """
    pictures = two_classes(images, classes, CLASSES)
    d = max(500, pictures.x.shape[1])
    if not (given := tuple(n for n in labels if n <= pairs)):
        raise ValueError(f"pairs = {pairs} was asked for; labels are given to {labels[0]} images or more of them")
    pretraining = Run(
        ImagePairs(pictures, pairs, d=d),
        LinearEncoder(20, init=1e-4),
        SimCLR(),
        GD(c=0.2),
        steps=pretraining_steps,
        until=Until("filter_signal", 0.4),
        probes=("train_loss", "filter_signal", "filter_noise"),
    )
    data = ImageNoise(pictures, n=2, d=d, tests=tests, seen=pairs)
    both = FineTuning(pretraining, setting.network_training(data, 20, power, 0.05, steps), given)
    return derived(both, setting.fine_tuning_step)


def _errors(data: xr.Dataset, sigma_p: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean test error of SimCLR and of direct training at a noise level; says which cells had not fitted."""
    part = at(usable(data), sigma_p=sigma_p)
    unfit = {start: int((at(part, start=start).train_loss > setting.FITTED).sum()) for start in STARTS}
    cells = part.train_loss.size // 2
    said = ", ".join(f"{count} of {cells} {start}" for start, count in unfit.items())
    note(f"training loss above {setting.FITTED:g} at the end: {said}")
    if missed := int((at(part, start="simclr").pretrained_status != Status.REACHED_LEVEL).sum()):
        note(f"pre-training short of its level in {missed} of {part.sizes['seed']}")
    error = part.test_error.mean("seed")
    return at(error, start="simclr"), at(error, start="direct")


def _listed(error: xr.DataArray) -> str:
    return ", ".join(f"{float(value):.3f}" for value in error)


@claim("where noise hides the images from direct training, pre-training halves the error", setting.ABSTRACT)
def halves_the_error(data: xr.Dataset) -> Finding:
    """Errors of both starts at moderate noise."""
    simclr, direct = _errors(data, MIDDLE)
    need(simclr, labels=2)
    where = f"of the direct error, at every n of {', '.join(map(str, simclr.labels.values))}, σp = {MIDDLE:g}"
    said = f"SimCLR {_listed(simclr)}; direct {_listed(direct)}"
    return at_most(0.5, simclr / direct, where=where, format=said, expected="at most half")


@claim("where noise is weak and labels are many, pre-training is not needed", "derived here")
def not_needed(data: xr.Dataset) -> Finding:
    """Errors of both starts at weak noise and 64 labels."""
    one, other = (at(error, labels=64) for error in _errors(data, WEAK))
    said = f"SimCLR {float(one):.3f}, direct {float(other):.3f}"
    return within(0.05, one, of=other, where=f"at n = 64, σp = {WEAK:g}", format=said, expected="no advantage")


@claim("where noise is strong, neither learns", "derived here", ALL)
def both_fail(data: xr.Dataset) -> Finding:
    """Errors of both starts at strong noise."""
    error = xr.concat(_errors(data, STRONG), "start", coords="minimal", compat="override")
    where = f"at every n, σp = {STRONG:g}"
    return at_least(0.4, error, where=where, format="test error at least {:.2f}", expected="near 0.5")


CLAIMS = (halves_the_error, not_needed, both_fail)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error against labels, one panel per noise level."""
    chosen, note = one_of_each(data, "start", "sigma_p", "labels")
    kept = usable(chosen)
    levels = kept["sigma_p"].values[:4] if "sigma_p" in kept.dims else [None]
    title = "Digits: SimCLR pre-training saves labels while noise is moderate" + note
    figure, axes = new_figure(1, len(levels), title=title, width=3.4, height=3.2, sharey=True)
    hue = "start" if "start" in kept.dims else None
    for column, sigma_p in enumerate(levels):
        part = kept if sigma_p is None else kept.sel(sigma_p=sigma_p)
        heading = "" if sigma_p is None else f"σp = {sigma_p:g}"
        ax = axes[0, column]
        curves(ax, part["test_error"], "labels", hue, log="x", title=heading, legend=column == len(levels) - 1)
        ax.set_xlabel("labels n")
        ax.set_ylabel("" if column else "test error")
        ax.set_ylim(-0.02, 0.62)
        ax.set_xticks(part["labels"].values, [str(n) for n in part["labels"].values])
        ax.set_xticks([], minor=True)
    return {"digits": figure}


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, figures=figures, options=OPTIONS)
