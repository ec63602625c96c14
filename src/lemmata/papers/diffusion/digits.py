"""Real images beside Gaussian noise: the classifier still passes from noise to signal, the denoiser learns both.

Handwritten zeros and ones as signal patches at five signal-to-noise ratios: the Noisy-MNIST of Han, Huang, Cao, Zou
2024, arXiv 2412.01021, on scikit-learn's digits enlarged to 28 × 28, or on a file of one's own. Both classes share most
of their signal, so the border lies at a larger n·SNR² than for orthogonal signals. Names: ``snr`` SNR = ‖image‖/(σ√d).
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lemmata import ImageSignals, TrainingBody
from lemmata.claims import Finding, above, all_of, at, below, between, claim, count_at_most, one_of_each
from lemmata.data.files.image_files import two_classes
from lemmata.data.image_signals import enlarged
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.diffusion import setting
from lemmata.papers.diffusion.pictures import SHOWN, WithPictures
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER
from lemmata.parameters import Parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.status import Status
from lemmata.sweep.bodies.by_axis import ByAxis

CLASSES = (0, 1)
SIDE = 28
OPTIONS = {
    "images": Parameter(
        "file of images: .npz with x and y, .npy pair or IDX; pixels in the unit of σp", str, axis=False
    ),
    "classes": Parameter("the two classes to keep", int, least=-(2**31)),
    **setting.OPTIONS,
}
MODELS = (DENOISER, CLASSIFIER)
SIZES = {
    "smoke": Size(model=MODELS, snr=(0.1, 0.4), steps=500),
    "laptop": Size(model=MODELS, snr=(0.05, 0.1, 0.2, 0.4, 0.8), steps=6000, seeds=2),
    "paper": Size(model=MODELS, snr=tuple(np.geomspace(0.02, 1.6, 20).round(4).tolist()), steps=6000, seeds=10),
}


def body(images: str | None = None, classes: tuple[int, ...] | None = None, power: int = 2) -> ByAxis:
    """Both models on images of two classes; ``images`` is a file, by default scikit-learn's digits."""
    read = two_classes(images, classes, CLASSES)
    pictures = enlarged(read, SIDE) if images is None else read
    n = min(100, 2 * int(np.unique(pictures.y, return_counts=True)[1].min()))
    made = setting.runs(ImageSignals(pictures, n), power=power)
    return ByAxis("model", "model", tuple((name, WithPictures(TrainingBody(run))) for name, run in made.items()))


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """n·SNR² alone: the laws of two orthogonal signals do not apply to images."""
    return {"control": setting.control_of(data)}


@claim(
    "on real images too a denoiser learns signal and noise in the same order of size", "Han et al. 2024, Noisy-MNIST"
)
def denoiser_learns_both(data: xr.Dataset) -> Finding:
    """Signal and noise of all denoisers are of one order; those that still move are counted in and named."""
    cells = at(data, model=DENOISER)
    moving = cells.status != setting.ENDS[DENOISER]
    diverged = cells.status == Status.DIVERGED
    said = "signal/noise from {least:.2f} to {most:.2f}"
    return all_of(
        between(0.3, 3, cells.ratio.where(~diverged), format=said, expected="of constant order"),
        count_at_most(0, diverged, of="denoisers"),
        detail=f"{int(moving.sum())} of {moving.size} denoisers still move, by a gradient of "
        f"{float(cells.gradient_norm.max()):.1e} at most, and are counted",
    )


@claim(
    "a classifier learns the noise at a low and the digit at a high signal-to-noise ratio",
    "Han et al. 2024, Noisy-MNIST",
    ALL,
)
def classifier_passes(data: xr.Dataset) -> Finding:
    """Signal over noise of the classifier at a low and at a high SNR."""
    ratio = setting.settled(data, CLASSIFIER).ratio.mean("seed")
    return all_of(
        below(0.1, at(ratio, snr=0.1), format="signal/noise {:.3f} at SNR 0.1"),
        above(3, at(ratio, snr=0.4), format="{:.1f} at 0.4"),
        expected="o(1) and large",
    )


CLAIMS = (denoiser_learns_both, classifier_passes)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Everything that is drawn, by file name."""
    drawn = {"ratio": ratio(data)}
    if round(data.sizes["pixel"] ** 0.5) ** 2 == data.sizes["pixel"]:
        drawn |= {"filters": filters(data), "pictures": pictures(data)}
    return drawn


def ratio(data: xr.Dataset) -> Figure:
    """Signal over noise of both models against SNR."""
    chosen, note = one_of_each(data, "model", "snr", of="ratio")
    figure, axes = new_figure(width=6.5)
    curves(axes[0, 0], chosen["ratio"].assign_attrs(long_name="signal over noise learnt"), "snr", "model", log="xy",
           title="On digits a classifier passes from noise to signal, a denoiser learns both" + note)  # fmt: skip
    axes[0, 0].axhline(1.0, color="0.6", lw=0.8, zorder=0)
    axes[0, 0].set_xticks(chosen["snr"].values, [f"{snr:g}" for snr in chosen["snr"].values])
    axes[0, 0].xaxis.set_minor_locator(NullLocator())
    moving = int((at(data, model=DENOISER).status != setting.ENDS[DENOISER]).sum())
    if moving:
        note = f"{moving} denoisers had not converged"
        axes[0, 0].text(0.02, 0.98, note, transform=axes[0, 0].transAxes, va="top", fontsize=8)
    return figure


def _first_seed(data: xr.Dataset) -> tuple[xr.Dataset, str]:
    chosen, note = one_of_each(data, "model", "snr", of="ratio")
    return (chosen.isel(seed=0) if "seed" in chosen.dims else chosen), note


def filters(data: xr.Dataset) -> Figure:
    """Rows: model and SNR; columns: the mean filter, then the longest, each on its own symmetric scale."""
    chosen, note = _first_seed(data)
    models, strengths = chosen["model"].values.tolist(), chosen["snr"].values.tolist()
    rows = [(model, snr) for model in models for snr in (strengths[0], strengths[len(strengths) // 2], strengths[-1])]
    title = "A classifier's filters turn to digits; a denoiser's\nstay grain, the digit is a small part of them" + note
    figure, axes = new_figure(len(rows), SHOWN, title=title, width=1.15, height=1.25)
    for line, (model, snr) in zip(axes, rows):
        for ax, values in zip(line, at(chosen["filters"], model=model, snr=snr).values):
            _image(ax, values, symmetric=True)
        line[0].set_ylabel(f"{model}\nSNR {snr:g}", fontsize=7.5)
    for number, ax in enumerate(axes[0]):
        ax.set_title("mean" if number == 0 else f"longest {number}", fontsize=8)
    return figure


def pictures(data: xr.Dataset) -> Figure:
    """Training images, noised, denoised, what was taken off, and the classifier's gradient, at two SNR."""
    chosen, note = _first_seed(data)
    strengths, t = chosen["snr"].values.tolist(), float(data.t)
    rows = []
    for snr in (strengths[len(strengths) // 2], strengths[-1]):
        denoiser, classifier = (at(chosen["pictures"], model=model, snr=snr) for model in (DENOISER, CLASSIFIER))
        rows += [(f"clean\nSNR {snr:g}", denoiser.sel(kind="clean"), False)]
        rows += [("noisy", denoiser.sel(kind="noisy"), False), ("denoised", denoiser.sel(kind="output"), False)]
        rows += [("taken off", denoiser.sel(kind="noisy") - np.exp(-t) * denoiser.sel(kind="output"), True)]
        rows += [("classifier's\ngradient", classifier.sel(kind="output"), True)]
    title = "So small a denoiser takes off little noise;\na classifier looks at the digit" + note
    figure, axes = new_figure(len(rows), SHOWN, title=title, width=1.15, height=1.25)
    for line, (name, values, symmetric) in zip(axes, rows):
        for ax, image in zip(line, values.values):
            _image(ax, image, symmetric=symmetric)
        line[0].set_ylabel(name, fontsize=7.5)
    return figure


def _image(ax: Any, values: np.ndarray, *, symmetric: bool) -> None:
    side = round(len(values) ** 0.5)
    scale = float(np.nanmax(abs(values))) if np.isfinite(values).any() else 1.0
    limits = {"cmap": "RdGy", "vmin": -scale, "vmax": scale} if symmetric else {"cmap": "gray"}
    ax.imshow(values.reshape(side, side), **limits)
    ax.set_xticks([])
    ax.set_yticks([])


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=predict, figures=figures, options=OPTIONS)
