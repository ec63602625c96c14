"""How many unlabelled pairs pre-training needs: alignment with the signal, and what comes of it, against n0.

Pre-training is a power method; the top eigenvector of its matrix has cos² = 2n0·SNR²/(1 + c + 2n0·SNR²), so pairs are
enough from n0·SNR² of order one on; where n0/d counts, one scalar equation says how much less it is. An augmentation
that keeps its noise (c > 0) needs more pairs. Pre-training ends early here, at a = 0.05, while it is a power method.
Zhang, Cao 2024, arXiv 2409.18685. Names: ``pairs`` n0, ``correlation`` c.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, all_of, among, at, at_least, at_most, claim, mean, need, one_of_each
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.simclr import setting
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body

TOLERANCE = 0.02
NOISY = 0.9
"""Correlation of the weak augmentation."""
SIZES = {
    "smoke": Size(snr=(0.2,), correlation=(0.0,), pairs=(5, 25, 100), m=10, steps=500, seeds=2),
    "laptop": Size(snr=(0.1, 0.2), correlation=(0.0, NOISY), pairs=(4, 10, 25, 50, 100, 250), seeds=8),
    "paper": Size(
        snr=(0.05, 0.1, 0.2, 0.4),
        correlation=(0.0, 0.5, NOISY, 1.0),
        pairs=(4, 10, 25, 50, 100, 250, 500, 1000),
        seeds=20,
    ),
}


def body(labels: tuple[int, ...] = (32,), power: float = 3.0, steps: int = 4000) -> Body:
    """Pre-training stopped early, and fine-tuning with 32 labels."""
    return setting.training(labels, power, steps, level=0.05, init=1e-6)


def _deviation(data: xr.Dataset, prediction: str, formula: str) -> Finding:
    measured = data.pretrained_signal_alignment.mean("seed")
    off = among(abs(measured - data[prediction]), data.unlabelled_load >= 1 + data.correlation, "n0·SNR² ≥ 1 + c")
    return at_most(TOLERANCE, off, where="for n0·SNR² ≥ 1 + c", format="off by {:.3f} at most", expected=formula)


@claim(
    "pre-trained filters point where the power method's top eigenvector does",
    "Zhang, Cao 2024, power method; constants derived here",
    ALL,
)
def alignment_predicted(data: xr.Dataset) -> Finding:
    """cos² against the formula for n0 ≪ d, ideal augmentation."""
    pure = at(setting.usable(data, loss=None), correlation=0.0)
    return _deviation(pure, "alignment_small_n0", "2n0·SNR²/(1 + 2n0·SNR²)")


@claim("so they do for any n0/d and when the augmentation keeps noise", "derived here", ALL)
def sharp_alignment_predicted(data: xr.Dataset) -> Finding:
    """cos² against the solution for any n0/d, all augmentations."""
    kept = setting.usable(data, loss=None)
    return _deviation(kept, "alignment_predicted", "solution of one equation in n0, SNR, d, c")


@claim("more pairs, better alignment", setting.ABSTRACT, ALL)
def alignment_grows(data: xr.Dataset) -> Finding:
    """cos² increases with the number of pairs."""
    need(data, pairs=3, seed=2)
    steps = mean(data.pretrained_signal_alignment.diff("pairs"))
    said = "smallest step {least:+.3f}, worst"
    return above(0, steps, where="between neighbouring n0", format=said, expected="> 0")


@claim("with n0·SNR² of order one 32 labels are enough, with much less they are not", setting.ABSTRACT)
def pairs_decide(data: xr.Dataset) -> Finding:
    """Test error with few and with many pairs, ideal augmentation."""
    # Pairs too few to learn the signal from end without reaching the level: these cells are the claim's subject.
    pure = at(setting.usable(data, loss=None, reached=False), correlation=0.0, labels=32)
    error = pure.test_error.mean("seed")
    few = among(error, pure.unlabelled_load <= 0.1, "n0·SNR² below 0.1")
    many = among(error, pure.unlabelled_load >= 1, "n0·SNR² above 1")
    return all_of(
        at_least(0.4, few, where="at n = 32, n0·SNR² ≤ 0.1", format="error ≥ {:.2f} with n0·SNR² ≤ 0.1"),
        at_most(0.1, many, where="at n0·SNR² ≥ 1", format="≤ {:.3f} with n0·SNR² ≥ 1"),
        expected="n0·SNR² of order one decides",
    )


@claim("an augmentation that keeps noise aligns worse", "derived here")
def weak_augmentation_hurts(data: xr.Dataset) -> Finding:
    """cos² with and without noise kept."""
    need(data, seed=2)
    pure, noisy = (mean(at(data, correlation=c).pretrained_signal_alignment) for c in (0.0, NOISY))
    gap = pure.minus(noisy)
    said = "cos² lower by {least:.3f} to {most:.3f}, worst"
    return above(0, gap, where=f"c = {NOISY:g} against c = 0", format=said, expected="lower at every n0")


CLAIMS = (alignment_predicted, sharp_alignment_predicted, alignment_grows, pairs_decide, weak_augmentation_hurts)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Columns: augmentation; rows: alignment with its prediction, and test error of usable cells."""
    chosen, note = one_of_each(data, "snr", "correlation", "pairs", "labels")
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
        error = setting.usable(part, loss=None, reached=False).test_error
        labels = int(part["labels"])
        curves(axes[1, column], error, "pairs", hue, log="x", legend=False, title=f"after fine-tuning, {labels} labels")
        axes[1, column].set_ylim(-0.02, 0.6)
        for ax in axes[:, column]:
            ax.set_xlabel("unlabelled pairs n₀")
    return {"unlabelled": figure}


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, options=setting.OPTIONS)
