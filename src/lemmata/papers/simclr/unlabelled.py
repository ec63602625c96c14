"""How many unlabelled pairs pre-training needs: alignment with the signal, and what comes of it, against n0.

Pre-training is a power method; the top eigenvector of its matrix has cos² = 2n0·SNR²/(1 + c + 2n0·SNR²), so pairs are
enough from n0·SNR² of order one on; where n0/d counts, one scalar equation says how much less it is. An augmentation
that keeps its noise (c > 0) needs more pairs. Pre-training ends early here, at a = 0.05, while it is a power method.
Zhang, Cao 2024, arXiv 2409.18685. Names: ``pairs`` n0, ``correlation`` c.
"""

from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.lab.readings import one_of_each
from lemmata.papers.simclr import setting as family

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

TOLERANCE = 0.02
NOISY = 0.9
"""Correlation of the weak augmentation."""


def grid(size: str) -> "Grid":
    """SNR, correlations of the augmentation, numbers of pairs and seeds."""
    from lemmata.sweep import Grid

    snr, correlation, pairs, seeds = {
        "smoke": ((0.2,), (0.0,), (5, 25, 100), 2),
        "laptop": ((0.1, 0.2), (0.0, NOISY), (4, 10, 25, 50, 100, 250), 4),
        "paper": ((0.05, 0.1, 0.2, 0.4), (0.0, 0.5, NOISY, 1.0), (4, 10, 25, 50, 100, 250, 500, 1000), 20),
    }[size]
    axes = {"snr": snr, "correlation": correlation, "pairs": pairs, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, **changes: Any) -> "Body":
    """Pre-training stopped early, and fine-tuning with 32 labels."""
    small = {"m": 10, "steps": 500} if size == "smoke" else {"steps": 4000}
    return family.training((32,), **{"level": 0.05, "init": 1e-6, **small, **changes})


# -- claims ----------------------------------------------------------------------------------------------------------


def _deviation(dataset: "xr.Dataset", prediction: str, formula: str, **where: float) -> Finding:
    part = at(family.usable(dataset, loss=None).dataset, **where)
    measured = part["pretrained_signal_alignment"].mean("seed")
    needed = 1 + part["correlation"]
    off = abs(measured - part[prediction]).where(part["unlabelled_load"] >= needed)
    if not bool(off.notnull().any()):
        raise NotMeasurable("no cell has n0·SNR² ≥ 1 + c")
    worst = off.isel({str(k): int(v) for k, v in off.fillna(-1).argmax(...).items()})
    place = ", ".join(f"{name} = {float(worst[name]):g}" for name in ("snr", "pairs", "correlation"))
    return Finding(
        holds=float(worst) <= TOLERANCE,
        measured=f"off by {float(worst):.3f} at most",
        predicted=formula,
        tolerance=f"≤ {TOLERANCE:g} for n0·SNR² ≥ 1 + c",
        detail=f"worst at {place}: measured {float(measured.sel({name: worst[name] for name in off.dims})):.3f}",
    )


def alignment_is_predicted(dataset: "xr.Dataset") -> Finding:
    """cos² against the formula for n0 ≪ d, ideal augmentation."""
    return _deviation(dataset, "alignment_small_n0", "2n0·SNR²/(1 + 2n0·SNR²)", correlation=0.0)


def sharp_alignment_is_predicted(dataset: "xr.Dataset") -> Finding:
    """cos² against the solution for any n0/d, all augmentations."""
    return _deviation(dataset, "alignment_predicted", "solution of one equation in n0, SNR, d, c")


def alignment_grows(dataset: "xr.Dataset") -> Finding:
    """cos² increases with the number of pairs."""
    measured = dataset["pretrained_signal_alignment"].mean("seed").dropna("pairs")
    if measured.sizes["pairs"] < 3:
        raise NotMeasurable("needs three numbers of pairs")
    step = float(measured.diff("pairs").min())
    return Finding(
        holds=step > 0, measured=f"smallest step {step:+.3f}", predicted="> 0", tolerance="between neighbouring n0"
    )


def pairs_decide_the_error(dataset: "xr.Dataset") -> Finding:
    """Test error with few and with many pairs, ideal augmentation."""
    # Pairs too few to learn the signal from end without reaching the level: these cells are the claim's subject.
    kept = family.usable(dataset, loss=None, reached=False)
    error = at(kept.dataset, correlation=0.0, labels=32)["test_error"].mean("seed")
    load = at(dataset, correlation=0.0)["unlabelled_load"]
    few, many = error.where(load <= 0.1), error.where(load >= 1)
    if not (bool(few.notnull().any()) and bool(many.notnull().any())):
        raise NotMeasurable("needs n0·SNR² below 0.1 and above 1")
    return Finding(
        holds=float(few.min()) >= 0.4 and float(many.max()) <= 0.1,
        measured=f"error ≥ {float(few.min()):.2f} with n0·SNR² ≤ 0.1, ≤ {float(many.max()):.3f} with n0·SNR² ≥ 1",
        predicted="n0·SNR² of order one decides",
        tolerance="≥ 0.4 and ≤ 0.1 at n = 32",
        detail=kept.note,
    )


def weak_augmentation_hurts(dataset: "xr.Dataset") -> Finding:
    """cos² with and without noise kept."""
    pure, noisy = (at(dataset, correlation=c)["pretrained_signal_alignment"].mean("seed") for c in (0.0, NOISY))
    gap = (pure - noisy).dropna("pairs")
    return Finding(
        holds=bool((gap > 0).all()),
        measured=f"cos² lower by {float(gap.min()):.3f} to {float(gap.max()):.3f}",
        predicted="lower at every n0",
        tolerance=f"c = {NOISY:g} against c = 0",
    )


CLAIMS = (
    Claim("alignment-predicted", "pre-trained filters point where the power method's top eigenvector does",
          "Zhang, Cao 2024, power method; constants derived here", alignment_is_predicted, SIZES),
    Claim("sharp-alignment-predicted", "so they do for any n0/d and when the augmentation keeps noise", "derived here",
          sharp_alignment_is_predicted, SIZES),
    Claim("alignment-grows", "more pairs, better alignment", family.ABSTRACT, alignment_grows, SIZES),
    Claim("pairs-decide", "with n0·SNR² of order one 32 labels are enough, with much less they are not",
          family.ABSTRACT, pairs_decide_the_error),
    Claim("weak-augmentation-hurts", "an augmentation that keeps noise aligns worse", "derived here",
          weak_augmentation_hurts),
)  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Columns: augmentation; rows: alignment with its prediction, and test error of usable cells."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "snr", "correlation", "pairs", "labels")
    chosen = chosen.isel(labels=-1)
    values = chosen["correlation"].values if "correlation" in chosen.dims else [None]
    picked = [values[k] for k in sorted({0, len(values) - 1})]
    title = "Alignment follows the power method; pairs of order 1/SNR² are enough" + note
    figure, axes = new_figure(2, len(picked), title=title, width=4.6, height=3.2, sharex=True, sharey="row")
    hue = "snr" if "snr" in chosen.dims else None
    for column, c in enumerate(picked):
        part = chosen if c is None else chosen.sel(correlation=c)
        last = column == len(picked) - 1
        cos2 = part["pretrained_signal_alignment"].assign_attrs(long_name="alignment cos²", units="1")
        heading = (
            "" if c is None else ("ideal augmentation, c = 0" if c == 0 else f"augmentation keeps noise, c = {c:g}")
        )
        curves(axes[0, column], cos2, "pairs", hue, log="x", theory=part["alignment_predicted"], legend=last,
               title=heading)  # fmt: skip
        axes[0, column].set_ylim(0, 1)
        error = family.usable(part, loss=None, reached=False).dataset["test_error"]
        labels = int(part["labels"])
        curves(axes[1, column], error, "pairs", hue, log="x", legend=False, title=f"after fine-tuning, {labels} labels")
        axes[1, column].set_ylim(-0.02, 0.6)
        for ax in axes[:, column]:
            ax.set_xlabel("unlabelled pairs n₀")
    return {"unlabelled": figure}


EXPERIMENT = Experiment(
    name="simclr-unlabelled",
    paper=family.PAPER,
    shows="Alignment of pre-trained filters against the number of unlabelled pairs, predicted without fitted constant.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=family.predictions,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 3, "laptop": 45, "paper": 10000},
)
