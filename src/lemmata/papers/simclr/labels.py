"""How many labels pre-training saves: test error and loss against the number of labels, with and without it.

The same network is fine-tuned from filters that SimCLR pre-trained on unlabelled pairs, from the small random filters
that it starts with otherwise, and from two idealised pre-trainings: the top eigenvector of the power matrix and the
signal itself. Zhang, Cao 2024, arXiv 2409.18685; direct training: Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526. Names:
``labels`` n, ``start`` where fine-tuning begins, ``snr`` SNR.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Finding,
    above,
    all_of,
    among,
    at,
    below,
    between,
    claim,
    exponent,
    mean,
    one_of_each,
    threshold,
    within,
)
from lemmata.lab import Experiment, Size
from lemmata.papers.simclr import setting, theory
from lemmata.report.curves import cloud, curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body

LOW_LOSS = 0.1
"""Test loss that counts as learnt."""
HARD = 0.2
"""SNR up to which direct training fails with all the labels tried."""
STARTS = ("simclr", "direct", "spectral", "oracle")
SIZES = {
    "smoke": Size(start=STARTS[:2], snr=(0.2, 0.3), labels=(2, 8, 32), d=400, pairs=50, m=10, steps=800, seeds=2),
    "laptop": Size(start=STARTS, snr=(0.1, 0.15, 0.2, 0.3), labels=(2, 4, 8, 16, 32, 64, 128), seeds=5),
    "paper": Size(
        start=STARTS,
        snr=tuple(np.linspace(0.05, 0.5, 19).round(3).tolist()),
        labels=(2, 4, 8, 16, 32, 64, 128, 256, 512),
        steps=20000,
        seeds=20,
    ),
}


def body(labels: tuple[int, ...] = (2, 8, 32), power: float = 3.0, steps: int = 3000) -> Body:
    """Pre-training, and fine-tuning with every number of labels."""
    return setting.training(labels, power, steps)


def _errors(data: xr.Dataset, start: str) -> xr.DataArray:
    return at(setting.usable(data), start=start).test_error.mean("seed")


@claim("without pre-training the network fits the labels by noise alone", setting.ABSTRACT)
def direct_fails(data: xr.Dataset) -> Finding:
    """Test error of the direct start near one half at low SNR."""
    error = _errors(data, "direct")
    error = among(error, error.snr <= HARD, f"an SNR of at most {HARD:g}")
    where = f"at SNR ≤ {HARD:g}, n ≤ {int(error.labels.max())}"
    said = f"test error from {float(error.min()):.3f} to {float(error.max()):.3f}"
    return within(0.01, error, of=0.5, where=where, format=said, detail=f"all fitted: loss ≤ {setting.FITTED:g}")


@claim("after pre-training a few labels give an almost optimal test error", setting.ABSTRACT)
def pretrained_succeeds(data: xr.Dataset) -> Finding:
    """Test error after pre-training at low SNR with 8 labels or more."""
    error = _errors(data, "simclr")
    error = among(error, (error.snr <= HARD) & (error.labels >= 8), f"an SNR of at most {HARD:g} and 8 labels")
    where = f"at SNR ≤ {HARD:g}, n ≥ 8"
    return below(0.01, error, where=where, format="test error at most {:.2g}", expected="→ 0")


@claim("the number of labels to a small test loss falls as SNR^(−q)", "derived here")
def labels_to_low_loss(data: xr.Dataset) -> Finding:
    """Exponent in the SNR of the number of labels at which the mean test loss falls through the level."""
    labels = threshold(at(setting.usable(data), start="simclr").test_loss, LOW_LOSS, "labels")
    found, q = exponent(labels, "snr"), float(data.power)
    said = f"n = {', '.join(f'{float(n):.1f} at {float(n.snr):g}' for n in labels.value if n.notnull())}; SNR^{{:.2f}}"
    return between(-q - 0.5, -q + 0.5, found, format=said, expected=f"SNR^−{q:g}, as cos is the same at every SNR",
                   where=f"in the exponent, for a mean loss of {LOW_LOSS:g}")  # fmt: skip


@claim("n·SNR^q·d^(q/2−1)·cos^(q−2) decides the test loss", "derived here")
def one_load_decides(data: xr.Dataset) -> Finding:
    """The load at which the mean test loss falls through 0.12, at every SNR whose transition is on the grid."""
    part, load = _loads(data)
    found = threshold(part.test_loss, 0.12, "labels", of=load)
    return between(0.45, 1.8, found, format="at a load of {least:.2f} to {most:.2f}, worst",
                   expected="falls between 0.45 and 1.8 at every SNR", where="where the loss is 0.12",
                   detail=found)  # fmt: skip


@claim("a purer start needs fewer labels", "derived here")
def ideal_starts(data: xr.Dataset) -> Finding:
    """Mean test losses over n ≤ 32 of the three pre-trained starts, compared seed by seed."""
    loss = setting.usable(data).test_loss
    few = loss.where(loss.labels <= 32).mean(["labels", "snr"])
    oracle, spectral, simclr = (mean(at(few, start=start)) for start in ("oracle", "spectral", "simclr"))
    return all_of(
        above(0, spectral.minus(oracle), format="spectral above oracle by {:.3f}"),
        above(0, simclr.minus(spectral), format="SimCLR above spectral by {:.3f}"),
        expected="oracle < spectral < SimCLR",
        detail=("oracle", oracle, "spectral", spectral, "SimCLR", simclr),
    )


CLAIMS = (direct_fails, pretrained_succeeds, labels_to_low_loss, one_load_decides, ideal_starts)


def _loads(data: xr.Dataset) -> tuple[xr.Dataset, xr.DataArray]:
    """The cells after SimCLR, and n·SNR^q·d^(q/2−1)·cos^(q−2) with cos as trained."""
    part = at(setting.usable(data), start="simclr")
    q = float(data.power)
    cos2 = part.pretrained_signal_alignment.mean("seed")
    load = part.labels * part.snr**q * part.d ** (q / 2 - 1) * cos2 ** (q / 2 - 1)
    load.attrs = {"long_name": "n·SNR³·√d·cos" if q == 3 else f"n·SNR^q·d^(q/2−1)·cos^(q−2), q = {q:g}", "units": "1"}
    return part, load


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Error and loss against labels, and the collapse."""
    return {"labels": label_curves(data), "collapse": collapse(data)}


def label_curves(data: xr.Dataset) -> Figure:
    """Rows: test error and test loss; columns: SNR; one curve per start."""
    chosen, note = one_of_each(data, "start", "snr", "labels")
    values = chosen["snr"].values if "snr" in chosen.dims else [None]
    picked = [values[k] for k in sorted({0, len(values) // 2, len(values) - 1})]
    title = "Pre-training saves labels: direct training fits noise" + note
    figure, axes = new_figure(2, len(picked), title=title, width=3.9, height=3.1, sharex=True, sharey="row")
    hue = "start" if "start" in chosen.dims else None
    for column, snr in enumerate(picked):
        part = chosen if snr is None else chosen.sel(snr=snr)
        for row, name in enumerate(("test_error", "test_loss")):
            last = column == len(picked) - 1
            heading = f"SNR = {snr:g}" if not row and snr is not None else ""
            ax = axes[row, column]
            curves(ax, part[name], "labels", hue, log="x", title=heading, legend=last and not row)
            ax.set_xlabel("labels n" if row else "")
            ax.set_ylabel("" if column else ("test error", "test loss")[row])
            ax.set_ylim(-0.02, (0.6, 0.8)[row])
    return figure


def collapse(data: xr.Dataset) -> Figure:
    """Test loss against the load: all SNR fall on one curve."""
    chosen, note = one_of_each(data, "start", "snr", "labels")
    part, load = _loads(chosen)
    loss = part.test_loss.mean("seed").assign_attrs(long_name="test loss")
    figure, axes = new_figure(title="After pre-training one load decides the loss" + note, width=6.0)
    cloud(axes[0, 0], load, loss, "snr", log="xy", title="mean over seeds, cos as trained")
    axes[0, 0].axvline(theory.PRETRAINED, color="0.4", lw=1, linestyle=":")
    return figure


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, options=setting.OPTIONS)
