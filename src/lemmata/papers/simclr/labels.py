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
    NotMeasurable,
    all_of,
    among,
    at,
    at_least,
    at_most,
    below,
    claim,
    factor,
    in_order,
    one_of_each,
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
EXPECTED = {0.1: 32, 0.15: 8, 0.2: 8, 0.3: 4}
"""Labels at which the loss is below :data:`LOW_LOSS`, measured before with code of its own, per SNR."""
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


@claim("the number of labels to a small test loss falls with the SNR", "derived here")
def labels_to_low_loss(data: xr.Dataset) -> Finding:
    """The first number of labels from which the mean test loss stays low, per SNR."""
    loss = at(setting.usable(data), start="simclr").test_loss.mean("seed")
    needed = setting.first_below(loss, "labels", LOW_LOSS)
    found = xr.concat([at(needed, snr=snr) for snr in EXPECTED], "snr", coords="minimal", compat="override")
    if bool(found.isnull().any()):
        raise NotMeasurable("needs SNR = 0.1, 0.15, 0.2 and 0.3 and labels enough")
    expected = xr.DataArray(list(EXPECTED.values()), dims="snr", coords={"snr": list(EXPECTED)})
    said = ", ".join(f"{float(n):g} at {snr:g}" for snr, n in zip(EXPECTED, found)) + " SNR"
    told = ", ".join(f"{n} at {snr:g}" for snr, n in EXPECTED.items()) + ", measured before"
    return factor(2, found.assign_coords(snr=list(EXPECTED)), of=expected, where=f"for a mean loss < {LOW_LOSS:g}",
                  format=said, expected=told)  # fmt: skip


@claim("n·SNR^q·d^(q/2−1)·cos^(q−2) decides the test loss", "derived here")
def one_load_decides(data: xr.Dataset) -> Finding:
    """Test loss on either side of the load of the transition."""
    loss, load = _collapsed(data)
    high = among(loss, load >= 1.8, "n·SNR³√d·cos above 1.8")
    low = among(loss, load <= 0.45, "n·SNR³√d·cos below 0.45")
    return all_of(
        at_most(0.12, high, where="above 1.8", format="loss ≤ {:.3f} above 1.8"),
        at_least(0.12, low, where="below 0.45", format="≥ {:.2f} below 0.45"),
        expected="falls between 0.45 and 1.8 at every SNR",
    )


@claim("a purer start needs fewer labels", "derived here")
def ideal_starts(data: xr.Dataset) -> Finding:
    """Mean test losses of the three pre-trained starts."""
    loss = setting.usable(data).test_loss.mean("seed")
    few = loss.where(loss.labels <= 32)
    return in_order(
        "mean loss over n ≤ 32",
        **{name: float(at(few, start=start).mean()) for name, start in
           (("oracle", "oracle"), ("spectral", "spectral"), ("SimCLR", "simclr"))},
    )  # fmt: skip


CLAIMS = (direct_fails, pretrained_succeeds, labels_to_low_loss, one_load_decides, ideal_starts)


def _collapsed(data: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean test loss after SimCLR, and n·SNR^q·d^(q/2−1)·cos^(q−2) with cos as trained."""
    part = at(setting.usable(data), start="simclr")
    q = float(data.power)
    cos2 = part.pretrained_signal_alignment.mean("seed")
    load = part.labels * part.snr**q * part.d ** (q / 2 - 1) * cos2 ** (q / 2 - 1)
    load.attrs = {"long_name": "n·SNR³·√d·cos" if q == 3 else f"n·SNR^q·d^(q/2−1)·cos^(q−2), q = {q:g}", "units": "1"}
    return part.test_loss.mean("seed").assign_attrs(long_name="test loss"), load


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
    loss, load = _collapsed(chosen)
    figure, axes = new_figure(title="After pre-training one load decides the loss" + note, width=6.0)
    cloud(axes[0, 0], load, loss, "snr", log="xy", title="mean over seeds, cos as trained")
    axes[0, 0].axvline(theory.PRETRAINED, color="0.4", lw=1, linestyle=":")
    return figure


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, options=setting.OPTIONS)
