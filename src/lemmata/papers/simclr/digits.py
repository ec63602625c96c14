"""Real images: two classes of handwritten digits beside noise, with and without SimCLR pre-training.

Patch one is an image, patch two Gaussian noise; the augmentation keeps the image and draws new noise. Some of the
images are then labelled, with fresh noise, and the network is tested on others. Zhang, Cao 2024, arXiv 2409.18685, do
this on MNIST with 200 unlabelled images; how they build patches, noise and augmentation is not public, so this is our
reading. Direct training starts from filters large enough to train at all. Names: ``pairs`` images without labels.
"""

from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.lab.readings import one_of_each
from lemmata.papers.simclr import setting as family

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

CLASSES = (3, 8)
MIDDLE, WEAK, STRONG = 0.2, 0.1, 0.8
"""Noise levels: pre-training helps, is not needed, does not help."""
LABELS = {"smoke": (8, 32), "laptop": (8, 16, 32, 64), "paper": (4, 8, 16, 32, 64, 128)}


def grid(size: str) -> "Grid":
    """Starts, noise levels and seeds."""
    from lemmata.sweep import Grid

    sigma_p, seeds = {
        "smoke": ((MIDDLE, STRONG), 1),
        "laptop": ((WEAK, MIDDLE, 0.4, STRONG), 5),
        "paper": ((0.05, WEAK, 0.15, MIDDLE, 0.3, 0.4, 0.6, STRONG, 1.6), 20),
    }[size]
    axes = {"start": ("simclr", "direct"), "sigma_p": sigma_p, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(
    size: str,
    *,
    images: str | None = None,
    direct_init: float = 0.05,
    steps: int | None = None,
    power: float = 3.0,
    m: int = 20,
    device: str = "cpu",
    **changes: Any,
) -> "Body":
    """Pre-training on images without labels, and fine-tuning on some of them with labels."""
    from lemmata import GD, ImageNoise, ImagePairs, LinearEncoder, Run, SimCLR, Until, load_digits, load_images
    from lemmata.papers.simclr.fine_tuning import FineTuning

    pictures = load_digits(CLASSES) if images is None else load_images(images, classes=2)
    d = max(500, pictures.x.shape[1])
    pairs = changes.pop("pairs", 60 if size == "smoke" else 150)
    labels = tuple(n for n in LABELS[size] if n <= pairs)
    if not labels:
        raise ValueError(f"pairs = {pairs} was asked for; labels are given to {LABELS[size][0]} images or more of them")
    smoke = size == "smoke"
    pretraining = Run(
        ImagePairs(pictures, pairs, d=d),
        LinearEncoder(m, init=1e-4),
        SimCLR(),
        GD(c=0.2),
        steps=300 if smoke else 1000,
        until=Until("filter_signal", 0.4),
        probes=("train_loss", "filter_signal", "filter_noise"),
    )
    data = ImageNoise(pictures, n=2, d=d, tests=30 if smoke else 150, seen=pairs)
    steps = steps or {"smoke": 300, "laptop": 2000, "paper": 20000}[size]
    finetuning = family.network_training(data, m, power, direct_init, steps)
    body = FineTuning(family.on(pretraining, device), family.on(finetuning, device), labels)
    return body.at(changes)


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Nothing: the theory speaks of one signal vector, and here every image is its own."""
    import xarray as xr

    return xr.Dataset()


# -- claims ----------------------------------------------------------------------------------------------------------


def _errors(dataset: "xr.Dataset", sigma_p: float) -> "tuple[xr.DataArray, xr.DataArray, str]":
    """Mean test error of SimCLR and of direct training at a noise level, and which cells had not fitted."""
    kept = converged(dataset)
    part = at(kept.dataset, sigma_p=sigma_p)
    unfit = {str(s): int((at(part, start=s)["train_loss"] > family.FITTED).sum()) for s in ("simclr", "direct")}
    cells = int(part["train_loss"].size / 2)
    missed = int((at(part, start="simclr")["pretrained_status"] != family.REACHED).sum())
    short = f"; pre-training short of its level in {missed} of {part.sizes['seed']}" if missed else ""
    note = ", ".join(f"{count} of {cells} {start}" for start, count in unfit.items())
    error = part["test_error"].mean("seed")
    return (
        at(error.to_dataset(name="e"), start="simclr")["e"],
        at(error.to_dataset(name="e"), start="direct")["e"],
        (f"training loss above {family.FITTED:g} at the end: {note}{short}; {kept.note}".rstrip("; ")),
    )


def _listed(error: "xr.DataArray") -> str:
    return ", ".join(f"{float(value):.3f}" for value in error)


def halves_the_error(dataset: "xr.Dataset") -> Finding:
    """Errors of both starts at moderate noise."""
    simclr, direct, note = _errors(dataset, MIDDLE)
    if simclr.sizes["labels"] < 2:
        raise NotMeasurable("needs several numbers of labels")
    return Finding(
        holds=bool((simclr <= direct / 2).all()),
        measured=f"SimCLR {_listed(simclr)}; direct {_listed(direct)}",
        predicted="at most half",
        tolerance=f"at every n of {', '.join(map(str, simclr['labels'].values))}, σp = {MIDDLE:g}",
        detail=note,
    )


def not_needed_at_weak_noise(dataset: "xr.Dataset") -> Finding:
    """Errors of both starts at weak noise and 64 labels."""
    simclr, direct, note = _errors(dataset, WEAK)
    one, other = (at(error.to_dataset(name="e"), labels=64)["e"] for error in (simclr, direct))
    return Finding(
        holds=abs(float(one - other)) <= 0.05,
        measured=f"SimCLR {float(one):.3f}, direct {float(other):.3f}",
        predicted="no advantage",
        tolerance=f"within 0.05 at n = 64, σp = {WEAK:g}",
        detail=note,
    )


def both_fail_at_strong_noise(dataset: "xr.Dataset") -> Finding:
    """Errors of both starts at strong noise."""
    simclr, direct, note = _errors(dataset, STRONG)
    low = min(float(simclr.min()), float(direct.min()))
    return Finding(
        holds=low >= 0.4, measured=f"test error at least {low:.2f}", predicted="near 0.5",
        tolerance=f"≥ 0.4 at every n, σp = {STRONG:g}", detail=note,
    )  # fmt: skip


CLAIMS = (
    Claim("halves-the-error", "where noise hides the images from direct training, pre-training halves the error",
          family.ABSTRACT, halves_the_error),
    Claim("not-needed", "where noise is weak and labels are many, pre-training is not needed", "derived here",
          not_needed_at_weak_noise),
    Claim("both-fail", "where noise is strong, neither learns", "derived here", both_fail_at_strong_noise, SIZES),
)  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error against labels, one panel per noise level."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "start", "sigma_p", "labels")
    kept = converged(chosen).dataset
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


_NAMES = ("correlation", "level", "temperature", "negatives", "m", "init", "sigma_p")
_FIXED = ("power", "steps", "engine", "dtype", "device")

EXPERIMENT = Experiment(
    name="simclr-digits",
    paper=family.PAPER,
    shows="Handwritten digits beside noise: pre-training saves labels where direct training memorises the noise.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("images", str, "an .npz file with x (N × H × W or N × p) and y (two classes)", axis=False),
        Option("pairs", int, "unlabelled images, two noise patches each", axis=False),
        Option("direct_init", float, "standard deviation of the filters that direct training starts from", axis=False),
        *(option for option in family.OPTIONS if option.name in (*_NAMES, *_FIXED)),
    ),
    seconds={"smoke": 4, "laptop": 60, "paper": 5300},
)
