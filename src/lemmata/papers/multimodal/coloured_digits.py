"""Coloured digits under shift: contrast of augmented pictures learns the colour, contrast with captions the digit.

Huang, Han, Chen, Cao, Xu, Suzuki 2024, arXiv 2411.02837, Table 1: on ColoredMNIST training accuracies of 88.43 % (one
modality) and 87.77 % (two), and 12.68 % against 82.13 % on test pictures whose colours are swapped between paired
classes. Their protocol (p = 0.775, a tenth of the labels random, captions of digit and colour) and a plainer one of
ours, on the small digits that scikit-learn bundles, or on MNIST from a file. Captions carry the label, so this is no
comparison at equal supervision.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import load_digits, load_images
from lemmata.claims import Finding, NotMeasurable, above, all_of, at, at_least, below, between, claim, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.multimodal.colour_training import ColouredDigits
from lemmata.papers.multimodal.colours import TESTS
from lemmata.parameters import Parameter
from lemmata.report.statistics import seed_interval
from lemmata.report.style import COLOURS, MARKERS, new_figure, styled

TABLE = "Huang et al. 2024, Table 1"
PAPER_P, MIDDLE, HIGH = 0.775, 0.7, 0.95
LABELS = {"single": "augmented picture", "caption": "caption", "random": "random caption", "untrained": "untrained"}
BOTH = ("paper", "plain")
OPTIONS = {
    "images": Parameter(".npz file with x (N×H×W or N×p) and y (N), instead of the bundled digits", str, axis=False)
}
SIZES = {
    "smoke": Size(protocol=BOTH, p=(PAPER_P,), pairing=("single", "caption"), epochs=3),
    "laptop": Size(protocol=BOTH, p=(MIDDLE, PAPER_P, HIGH), pairing=tuple(LABELS), seeds=2, epochs=60),
    "paper": Size(protocol=BOTH, p=(0.3, 0.5, MIDDLE, PAPER_P, 0.9, HIGH), pairing=tuple(LABELS), seeds=5, epochs=100),
}


def body(images: str | None = None) -> ColouredDigits:
    """The training, on the bundled digits or on pictures from a file."""
    return ColouredDigits(load_digits() if images is None else load_images(images))


class _ByPairing(dict[str, float]):
    """Numbers by pairing; one that was not run cannot be measured."""

    def __missing__(self, pairing: str) -> float:
        raise NotMeasurable(f"needs pairing = {pairing}, which is not among the values run")


def accuracy(data: xr.Dataset, test: str, ending: str = "", **where: Any) -> dict[str, float]:
    """Mean accuracy over seeds for every pairing."""
    mean = at(usable(data), **where)[f"accuracy_{test}{ending}"].mean("seed")
    return _ByPairing({name: float(at(mean, pairing=name)) for name in mean.pairing.values.tolist()})


@claim("in the paper's protocol both have nearly the same training accuracy", TABLE)
def similar_training(data: xr.Dataset) -> Finding:
    """Training accuracies at p = 0.775, features as they are."""
    found = accuracy(data, "train", protocol="paper", p=PAPER_P)
    said = f"{found['caption']:.3f} against {found['single']:.3f}: {{:+.3f}}"
    return between(-0.05, 0.05, found["caption"] - found["single"], format=said, expected="0.878 against 0.884")


@claim("in the paper's protocol captions survive swapped colours and augmented pictures do not", TABLE)
def captions_survive_swap(data: xr.Dataset) -> Finding:
    """Accuracies on swapped colours at p = 0.775, features as they are."""
    found = accuracy(data, "swapped", protocol="paper", p=PAPER_P)
    return all_of(
        at_least(0.7, found["caption"], format="captions {:.3f}"),
        below(0.3, found["single"], format="augmented pictures {:.3f}"),
        expected="0.821 and 0.127",
    )


@claim("when colours no longer betray the class, features learnt with captions still read the digit", TABLE)
def captions_survive_shift(data: xr.Dataset) -> Finding:
    """Captions against augmented pictures in the plain protocol at the middle probability."""
    found = accuracy(data, "uniform", protocol="plain", p=MIDDLE)
    permuted = accuracy(data, "permuted", protocol="plain", p=MIDDLE)["caption"]
    said = f"uniform colours {found['caption']:.2f} against {found['single']:.2f}: {{:+.2f}}"
    return all_of(
        above(0.25, found["caption"] - found["single"], format=said),
        above(0.7, permuted, format="permuted {:.2f}"),
        expected="apart",
    )


@claim("where colour alone nearly predicts the caption, captions of the class do not help either", "derived here")
def both_fail_at_high_p(data: xr.Dataset) -> Finding:
    """Uniform colours in the plain protocol at the high probability."""
    found = accuracy(data, "uniform", protocol="plain", p=HIGH)
    worst = max(found["caption"], found["single"])
    said = f"uniform colours {found['caption']:.2f} and {found['single']:.2f}"
    return below(0.4, worst, format=said, expected="both fail", detail=f"at p = {HIGH:g}")


@claim("captions of random classes do not help: what helps is the label in the caption", "derived here")
def label_is_in_the_caption(data: xr.Dataset) -> Finding:
    """True against random captions, uniform colours, plain protocol."""
    found = accuracy(data, "uniform", protocol="plain", p=MIDDLE)
    detail = ", ".join(f"{LABELS[name]} {value:.2f}" for name, value in found.items())
    return above(0.2, found["caption"] - found["random"], format="{:+.2f}", expected="no help", detail=detail)


@claim("read from standardised features, an untrained encoder does nearly as well as one trained with captions",
       "derived here")  # fmt: skip
def head_decides(data: xr.Dataset) -> Finding:
    """An untrained encoder against captions, uniform colours, plain protocol."""
    found = accuracy(data, "uniform", "_standardised", protocol="plain", p=MIDDLE)
    detail = ", ".join(f"{LABELS[name]} {value:.2f}" for name, value in found.items())
    return all_of(
        above(0, found["untrained"] - found["single"], format="{:+.2f} over augmented pictures"),
        below(0.15, found["caption"] - found["untrained"], format="{:+.2f} below captions"),
        expected="close to captions",
        detail=detail,
    )


CLAIMS = (
    similar_training, captions_survive_swap, captions_survive_shift, both_fail_at_high_p, label_is_in_the_caption,
    head_decides,
)  # fmt: skip


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The table as a figure, one per protocol."""
    protocols = data.protocol.values.tolist() if "protocol" in data.dims else [None]
    return {f"accuracy_{name}" if name else "accuracy": accuracies(data, name) for name in protocols}


def accuracies(data: xr.Dataset, protocol: str | None = None) -> Figure:
    """Accuracy under all laws of colour for every way of training; one column per p."""
    part = data if protocol is None else data.sel(protocol=protocol)
    part = part.isel({d: 0 for d in part["accuracy_iid"].dims if d not in ("p", "pairing", "seed")})
    for name in ("p", "pairing"):
        part = part if name in part.dims else part.expand_dims(name)
    columns = part["p"].values
    columns = columns[np.unique(np.linspace(0, len(columns) - 1, min(4, len(columns))).round().astype(int))]
    title = {
        "paper": "The paper's protocol: captions of colour and digit",
        "plain": "Plain protocol: captions keep the digit, and so does an untrained encoder",
    }.get(str(protocol), "Accuracy under shifted colours")
    endings = {"": "features as they are", "_standardised": "standardised features"}
    figure, axes = new_figure(2, len(columns), title=title, width=3.8, height=2.9, sharey=True, sharex=True)

    @styled
    def panel(ax: Any, p: float, ending: str, head: str) -> None:
        for k, pairing in enumerate(part["pairing"].values):
            found = xr.concat([part[f"accuracy_{t}{ending}"].sel(p=p, pairing=pairing) for t in TESTS], "test")
            mean = seed_interval(found)["mean"].values
            label = LABELS.get(str(pairing), str(pairing))
            ax.plot(range(len(TESTS)), mean, label=label, color=COLOURS[k], marker=MARKERS[k])
        ax.set_xticks(range(len(TESTS)), TESTS, rotation=30)
        ax.set_ylim(0, 1.02)
        ax.set_title(f"p = {p:g}, {head}")
        if ax is axes[0, -1]:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), title="contrast with")
        if ax in axes[:, 0]:
            ax.set_ylabel("accuracy")
        if ax in axes[-1]:
            ax.set_xlabel("colours of the pictures")

    for row, (ending, head) in zip(axes, endings.items()):
        for ax, p in zip(row, columns):
            panel(ax, p, ending, head)
    return figure


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, figures=figures, options=OPTIONS)
