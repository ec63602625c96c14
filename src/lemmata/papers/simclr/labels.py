"""How many labels pre-training saves: test error and loss against the number of labels, with and without it.

The same network is fine-tuned from filters that SimCLR pre-trained on unlabelled pairs, from the small random filters
that it starts with otherwise, and from two idealised pre-trainings: the top eigenvector of the power matrix and the
signal itself. Zhang, Cao 2024, arXiv 2409.18685; direct training: Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526. Names:
``labels`` n, ``start`` where fine-tuning begins, ``snr`` SNR.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at
from lemmata.lab.old_experiment import Experiment
from lemmata.lab.readings import one_of_each
from lemmata.papers.simclr import setting as family
from lemmata.papers.simclr import theory as theory

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

LOW_LOSS = 0.1
"""Test loss that counts as learnt."""
HARD = 0.2
"""SNR up to which direct training fails with all the labels tried."""
EXPECTED = {0.1: 32, 0.15: 8, 0.2: 8, 0.3: 4}
"""Labels at which the loss is below :data:`LOW_LOSS`, measured before with code of its own, per SNR."""
LABELS = {"smoke": (2, 8, 32), "laptop": (2, 4, 8, 16, 32, 64, 128), "paper": (2, 4, 8, 16, 32, 64, 128, 256, 512)}


def grid(size: str) -> "Grid":
    """Starts, SNR and seeds; the numbers of labels are a dimension of the results."""
    from lemmata.sweep import Grid

    start, snr, seeds = {
        "smoke": (("simclr", "direct"), (0.2, 0.3), 2),
        "laptop": (("simclr", "direct", "spectral", "oracle"), (0.1, 0.15, 0.2, 0.3), 5),
        "paper": (("simclr", "direct", "spectral", "oracle"), np.linspace(0.05, 0.5, 19).round(3).tolist(), 20),
    }[size]
    axes = {"start": start, "snr": snr, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, **changes: Any) -> "Body":
    """Pre-training, and fine-tuning with every number of labels."""
    small = {"d": 400, "pairs": 50, "m": 10, "steps": 800} if size == "smoke" else {}
    return family.training(LABELS[size], **{**small, **({"steps": 20000} if size == "paper" else {}), **changes})


# -- claims ----------------------------------------------------------------------------------------------------------


def _errors(dataset: "xr.Dataset", start: str) -> tuple["xr.DataArray", str]:
    kept = family.usable(dataset)
    return at(kept.dataset, start=start)["test_error"].mean("seed"), kept.note


def direct_training_fails(dataset: "xr.Dataset") -> Finding:
    """Test error of the direct start near one half at low SNR."""
    error, note = _errors(dataset, "direct")
    error = error.where(error["snr"] <= HARD)
    if not bool(error.notnull().any()):
        raise NotMeasurable(f"needs an SNR of at most {HARD:g}")
    low, high, most = float(error.min()), float(error.max()), int(error["labels"].max())
    return Finding(
        holds=abs(low - 0.5) <= 0.01 and abs(high - 0.5) <= 0.01,
        measured=f"test error from {low:.3f} to {high:.3f}",
        predicted="0.5",
        tolerance=f"± 0.01 at SNR ≤ {HARD:g}, n ≤ {most}",
        detail=f"all fitted: training loss ≤ {family.FITTED:g}" + (f"; {note}" if note else ""),
    )


def pretrained_succeeds(dataset: "xr.Dataset") -> Finding:
    """Test error after pre-training at low SNR with 8 labels or more."""
    error, note = _errors(dataset, "simclr")
    error = error.where((error["snr"] <= HARD) & (error["labels"] >= 8))
    if not bool(error.notnull().any()):
        raise NotMeasurable(f"needs an SNR of at most {HARD:g} and 8 labels")
    worst = error.isel({str(k): int(v) for k, v in error.fillna(-1).argmax(...).items()})
    return Finding(
        holds=float(worst) < 0.01,
        measured=f"test error at most {float(worst):.2g}",
        predicted="→ 0",
        tolerance=f"< 0.01 at SNR ≤ {HARD:g}, n ≥ 8",
        detail=f"worst at SNR = {float(worst['snr']):g}, n = {int(worst['labels'])}" + (f"; {note}" if note else ""),
    )


def labels_to_low_loss(dataset: "xr.Dataset") -> Finding:
    """The first number of labels from which the mean test loss stays low, per SNR."""
    kept = family.usable(dataset)
    loss = at(kept.dataset, start="simclr")["test_loss"].mean("seed")
    needed = family.first_below(loss, "labels", LOW_LOSS)
    texts, holds = [], True
    for snr, expected in EXPECTED.items():
        if "snr" in needed.dims and np.isclose(needed["snr"], snr).any():
            found = float(at(needed.to_dataset(name="n"), snr=snr)["n"])
            texts.append(f"{found:g} at {snr:g}")
            holds &= bool(expected / 2 <= found <= 2 * expected)
    if len(texts) < len(EXPECTED) or bool(needed.isnull().all()):
        raise NotMeasurable("needs SNR = 0.1, 0.15, 0.2 and 0.3 and labels enough")
    return Finding(
        holds=holds,
        measured=", ".join(texts) + " SNR",
        predicted=", ".join(f"{n} at {snr:g}" for snr, n in EXPECTED.items()),
        tolerance=f"mean loss < {LOW_LOSS:g} within one doubling of n",
        detail=kept.note,
    )


def one_load_decides(dataset: "xr.Dataset") -> Finding:
    """Test loss on either side of the load of the transition."""
    loss, load = _collapsed(dataset)
    high, low = loss.where(load >= 1.8), loss.where(load <= 0.45)
    if not (bool(high.notnull().any()) and bool(low.notnull().any())):
        raise NotMeasurable("needs n·SNR³√d·cos below 0.45 and above 1.8")
    return Finding(
        holds=float(high.max()) <= 0.12 and float(low.min()) >= 0.12,
        measured=f"loss ≤ {float(high.max()):.3f} above 1.8, ≥ {float(low.min()):.2f} below 0.45",
        predicted="falls between 0.45 and 1.8 at every SNR",
        tolerance="the two sides of 0.12",
    )


def ideal_starts(dataset: "xr.Dataset") -> Finding:
    """Mean test losses of the three pre-trained starts."""
    kept = family.usable(dataset).dataset
    rows = [at(kept, start=start)["test_loss"].mean("seed") for start in ("oracle", "spectral", "simclr")]
    oracle, spectral, simclr = (float(row.where(row["labels"] <= 32).mean()) for row in rows)
    return Finding(
        holds=oracle < spectral < simclr,
        measured=f"mean loss over n ≤ 32: oracle {oracle:.3f}, spectral {spectral:.3f}, SimCLR {simclr:.3f}",
        predicted="in this order",
        tolerance="strictly",
    )


CLAIMS = (
    Claim("direct-fails", "without pre-training the network fits the labels by noise alone", family.ABSTRACT,
          direct_training_fails),
    Claim("pretrained-succeeds", "after pre-training a few labels give an almost optimal test error", family.ABSTRACT,
          pretrained_succeeds),
    Claim("labels-to-low-loss", "the number of labels to a small test loss falls with the SNR", "derived here",
          labels_to_low_loss),
    Claim("one-load-decides", "n·SNR^q·d^(q/2−1)·cos^(q−2) decides the test loss", "derived here", one_load_decides),
    Claim("ideal-starts", "a purer start needs fewer labels", "derived here", ideal_starts),
)  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------------------------


def _collapsed(dataset: "xr.Dataset") -> tuple["xr.DataArray", "xr.DataArray"]:
    """Mean test loss after SimCLR, and n·SNR^q·d^(q/2−1)·cos^(q−2) with cos as trained."""
    from lemmata.lab.readings import setting

    part = at(family.usable(dataset).dataset, start="simclr")
    d, q = setting(dataset, "d", "power")
    snr = setting(part, "snr")[0]
    cos2 = part["pretrained_signal_alignment"].mean("seed")
    load = part["labels"] * snr**q * d ** (q / 2 - 1) * cos2 ** (q / 2 - 1)
    load.attrs = {"long_name": "n·SNR³·√d·cos" if q == 3 else f"n·SNR^q·d^(q/2−1)·cos^(q−2), q = {q:g}", "units": "1"}
    return part["test_loss"].mean("seed").assign_attrs(long_name="test loss"), load


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Error and loss against labels, and the collapse."""
    return {"labels": label_curves(dataset), "collapse": collapse(dataset)}


def label_curves(dataset: "xr.Dataset") -> "Figure":
    """Rows: test error and test loss; columns: SNR; one curve per start."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "start", "snr", "labels")
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


def collapse(dataset: "xr.Dataset") -> "Figure":
    """Test loss against the load: all SNR fall on one curve."""
    from lemmata.report.curves import cloud
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "start", "snr", "labels")
    loss, load = _collapsed(chosen if "start" in chosen.dims else chosen.expand_dims("start"))
    figure, axes = new_figure(title="After pre-training one load decides the loss" + note, width=6.0)
    cloud(axes[0, 0], load, loss, "snr", log="xy", title="mean over seeds, cos as trained")
    axes[0, 0].axvline(theory.PRETRAINED, color="0.4", lw=1, linestyle=":")
    return figure


EXPERIMENT = Experiment(
    name="simclr-labels",
    paper=family.PAPER,
    shows="With SimCLR pre-training a few labels do where direct training memorises noise with any number of them.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=family.predictions,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 3, "laptop": 70, "paper": 6000},
)
