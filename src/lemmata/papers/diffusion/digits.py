"""Real images beside Gaussian noise: the classifier still passes from noise to signal, the denoiser learns both.

Handwritten zeros and ones as signal patches at five signal-to-noise ratios: the Noisy-MNIST of Han, Huang, Cao, Zou
2024, arXiv 2412.01021, on scikit-learn's digits enlarged to 28 × 28, or on a file of one's own. Both classes share most
of their signal, so the border lies at a larger n·SNR² than for orthogonal signals. Names: ``snr`` SNR = ‖image‖/(σ√d).
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, at
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.papers.diffusion import setting as family
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata import TrainingBody
    from lemmata.sweep import Grid, Variable

CLASSES = (0, 1)
SIDE = 28
SHOWN = 6
"""Filters and images that are kept to be drawn."""
KINDS = ("clean", "noisy", "output")


def grid(size: str) -> "Grid":
    """Size → the points of the sweep."""
    from lemmata.sweep import Grid

    snr, seeds = {
        "smoke": ((0.1, 0.4), 1),
        "laptop": ((0.05, 0.1, 0.2, 0.4, 0.8), 2),
        "paper": (tuple(np.geomspace(0.02, 1.6, 20).round(4).tolist()), 10),
    }[size]
    axes = {"model": (DENOISER, CLASSIFIER), "snr": snr, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


@dataclass(frozen=True)
class WithPictures:
    """A training that also keeps some filters, and what the network makes of some training images.

    Variables beyond the training's: ``filters``, their mean and then the longest, and ``pictures``: clean, noisy at the
    diffusion time, and the output: the denoised image for a denoiser, the gradient of the class score for a classifier.
    """

    body: "TrainingBody"
    t: float

    @functools.cached_property
    def variables(self) -> "Mapping[str, Variable]":
        from lemmata.sweep import Variable

        return {
            **self.body.variables,
            "filters": Variable(("filter", "pixel"), long_name="filter"),
            "pictures": Variable(("kind", "picture", "pixel"), long_name="image"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        pixels = np.arange(self.body.cell.data.d)
        shown = np.arange(SHOWN)
        return {"filter": shown, "picture": shown, "kind": np.asarray(KINDS), "pixel": pixels}

    def configuration(self) -> dict[str, Any]:
        return self.body.configuration()

    def shape_axes(self, grid: "Grid") -> tuple[str, ...]:
        return self.body.shape_axes(grid)

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        return self.body.bytes_per_cell(point)

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        return self.body.estimate_seconds(points)

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        import torch

        from lemmata import train
        from lemmata.draws import normal

        batched, seeds = self.body.cell.batch(points)
        trained = train(batched, seeds)
        found = self.body.measured(trained)
        W, sample, net = trained.filters, trained.final.products.sample, batched.net
        longest = W.square().sum(2).argsort(1, descending=True)[:, : SHOWN - 1]
        kept = W.gather(1, longest.unsqueeze(2).expand(-1, -1, W.shape[2]))
        found["filters"] = _padded(torch.cat([W.mean(1, keepdim=True), kept], dim=1), 1)
        half = sample.labels.shape[1] // 2  # the classes stand one after the other
        chosen = [i for pair in zip(range(half), range(half, 2 * half)) for i in pair][:SHOWN]
        clean = sample.vectors[:, chosen]
        t = torch.as_tensor(self.t, dtype=W.dtype)
        alpha, beta = torch.exp(-t), torch.sqrt(-torch.expm1(-2 * t))
        noise = normal(trained.final.seeds, "pictures", clean.shape[1:]).to(W)
        noisy = alpha * clean + beta * noise
        if trained.final.products.head:
            weights, _ = net.patch_weights(trained.final.products.head)
            output = (weights.unsqueeze(1) * net.activation.derivative(clean @ W.mT)) @ W
            output = output * sample.labels[:, chosen].unsqueeze(2)
        else:
            predicted = net.activation(noisy @ W.mT) @ W / W.shape[1] ** 0.5
            output = (noisy - beta * predicted) / alpha
        found["pictures"] = _padded(torch.stack([clean, noisy, output], dim=1), 2)
        return found


def _padded(images: Any, axis: int) -> np.ndarray:
    """As many images as are kept, NaN where there are fewer."""
    values = images.to("cpu").double().numpy()
    widths = [(0, SHOWN - values.shape[axis] if i == axis else 0) for i in range(values.ndim)]
    return np.pad(values, widths, constant_values=np.nan)


def body(size: str, *, images: str | None = None, **changes: Any) -> family.ByModel:
    """Size and options → the training of every cell."""
    from lemmata import ImageSignals, TrainingBody, load_digits, load_images
    from lemmata.data.image_signals import enlarged

    pictures = enlarged(load_digits(CLASSES), SIDE) if images is None else load_images(images, classes=2)
    n = changes.pop("n", min(100, 2 * int(np.unique(pictures.y, return_counts=True)[1].min())))
    made = family.runs(data=ImageSignals(pictures, n), **{"steps": 500 if size == "smoke" else 6000, **changes})
    t = made[DENOISER].objective.t
    return family.ByModel(tuple((name, WithPictures(TrainingBody(run), t)) for name, run in made.items()))


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """n·SNR² alone: the laws of two orthogonal signals do not apply to images."""
    import xarray as xr

    return xr.Dataset({"control": xr.DataArray(family.control_of(dataset)).assign_attrs(symbol="n·SNR²")})


# -- claims ----------------------------------------------------------------------------------------------------------


def denoiser_learns_both(dataset: "xr.Dataset") -> Finding:
    """Signal and noise of all denoisers are of one order; those that still move are counted in and named."""
    cells = family.of(dataset, DENOISER)
    settled = cells["status"] == family.ENDS[DENOISER]
    ratio = cells["ratio"].where(cells["status"] != 2)
    low, high = float(ratio.min()), float(ratio.max())
    return Finding(
        holds=low >= 0.3 and high <= 3 and bool((cells["status"] != 2).all()),
        measured=f"signal/noise from {low:.2f} to {high:.2f}",
        predicted="of constant order",
        tolerance="in [0.3, 3]",
        detail=f"{int((~settled).sum())} of {settled.size} denoisers still move, by a gradient of "
        f"{float(cells['gradient_norm'].max()):.1e} at most, and are counted",
    )


def classifier_passes(dataset: "xr.Dataset") -> Finding:
    """Signal over noise of the classifier at a low and at a high SNR."""
    kept = family.settled(dataset, CLASSIFIER)
    low, high = (float(at(kept.dataset, snr=value)["ratio"].mean()) for value in (0.1, 0.4))
    return Finding(
        holds=low < 0.1 and high > 3,
        measured=f"signal/noise {low:.3f} at SNR 0.1, {high:.1f} at 0.4",
        predicted="o(1) and large",
        tolerance="< 0.1 and > 3",
        detail=kept.note,
    )


CLAIMS = (
    Claim(
        "denoiser-learns-both",
        "on real images too a denoiser learns signal and noise in the same order of size",
        "Han et al. 2024, Noisy-MNIST",
        denoiser_learns_both,
    ),
    Claim(
        "classifier-passes",
        "a classifier learns the noise at a low and the digit at a high signal-to-noise ratio",
        "Han et al. 2024, Noisy-MNIST",
        classifier_passes,
        SIZES,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Everything that is drawn, by file name."""
    drawn = {"ratio": ratio(dataset)}
    if round(dataset.sizes["pixel"] ** 0.5) ** 2 == dataset.sizes["pixel"]:
        drawn |= {"filters": filters(dataset), "pictures": pictures(dataset)}
    return drawn


def ratio(dataset: "xr.Dataset") -> "Figure":
    """Signal over noise of both models against SNR."""
    from matplotlib.ticker import NullLocator

    from lemmata.lab.readings import one_of_each
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "model", "snr", of="ratio")
    figure, axes = new_figure(width=6.5)
    curves(axes[0, 0], chosen["ratio"].assign_attrs(long_name="signal over noise learnt"), "snr", "model", log="xy",
           title="On digits a classifier passes from noise to signal, a denoiser learns both" + note)  # fmt: skip
    axes[0, 0].axhline(1.0, color="0.6", lw=0.8, zorder=0)
    axes[0, 0].set_xticks(chosen["snr"].values, [f"{snr:g}" for snr in chosen["snr"].values])
    axes[0, 0].xaxis.set_minor_locator(NullLocator())
    moving = int((family.of(dataset, DENOISER)["status"] != family.ENDS[DENOISER]).sum())
    if moving:
        note = f"{moving} denoisers had not converged"
        axes[0, 0].text(0.02, 0.98, note, transform=axes[0, 0].transAxes, va="top", fontsize=8)
    return figure


def _square(dataset: "xr.Dataset", *kept: str) -> tuple["xr.Dataset", str]:
    from lemmata.lab.readings import one_of_each

    chosen, note = one_of_each(dataset, "model", "snr", of="ratio")
    return (chosen.isel(seed=0) if "seed" in chosen.dims else chosen), note


def filters(dataset: "xr.Dataset") -> "Figure":
    """Rows: model and SNR; columns: the mean filter, then the longest, each on its own symmetric scale."""
    from lemmata.report.style import new_figure

    chosen, note = _square(dataset)
    models, strengths = chosen["model"].values.tolist(), chosen["snr"].values.tolist()
    rows = [(model, snr) for model in models for snr in (strengths[0], strengths[len(strengths) // 2], strengths[-1])]
    title = "A classifier's filters turn to digits; a denoiser's\nstay grain, the digit is a small part of them" + note
    figure, axes = new_figure(len(rows), SHOWN, title=title, width=1.15, height=1.25)
    for line, (model, snr) in zip(axes, rows):
        for ax, values in zip(line, chosen["filters"].sel(model=model, snr=snr).values):
            _image(ax, values, symmetric=True)
        line[0].set_ylabel(f"{model}\nSNR {snr:g}", fontsize=7.5)
    for number, ax in enumerate(axes[0]):
        ax.set_title("mean" if number == 0 else f"longest {number}", fontsize=8)
    return figure


def pictures(dataset: "xr.Dataset") -> "Figure":
    """Training images, noised, denoised, what was taken off, and the classifier's gradient, at two SNR."""
    from lemmata.report.style import new_figure

    chosen, note = _square(dataset)
    strengths, t = chosen["snr"].values.tolist(), family.setting(dataset, "t")[0]
    rows = []
    for snr in (strengths[len(strengths) // 2], strengths[-1]):
        denoiser, classifier = (chosen["pictures"].sel(model=model, snr=snr) for model in (DENOISER, CLASSIFIER))
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


EXPERIMENT = Experiment(
    name="diffusion-digits",
    paper=family.PAPER,
    shows="On real digits beside Gaussian noise a classifier passes from noise to signal, a denoiser learns both.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("images", str, "an .npz file with x (N × H × W or N × p) and y (two classes)", axis=False),
        *(option for option in family.OPTIONS if option.name not in ("n_snr2", "d")),
    ),
    seconds={"smoke": 5, "laptop": 25, "paper": 900},
)
