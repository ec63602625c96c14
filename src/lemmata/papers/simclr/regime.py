"""Where the theorem speaks: pairs of order SNR^-2 in dimension n0^4, and how many labels are needed there.

Condition 4.1 of Zhang, Cao 2024, arXiv 2409.18685, asks n0 ≥ Ω̃(max{SNR⁻², 1}), d ≥ Ω̃(n0⁴ + …) and n ≥ Ω̃(1), with no
SNR in it: the labels needed after pre-training should not grow as the SNR falls. At d = 2000 they do (``labels.py``);
here d = n0⁴ of 10⁶ to 10¹⁰, which costs nothing in compressed coordinates. Theorem 4.2 bounds the test loss at some
iterate by 6ε + exp(−Ω̃(n²)): the best iterate stands beside the last. Names: ``load`` n0·SNR².
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, alike, at_most, claim, need, one_of_each
from lemmata.lab import Experiment, Size
from lemmata.papers.simclr import setting, theory
from lemmata.parameters import parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body, derived

LOW_LOSS = 0.1
"""Test loss that counts as learnt."""
SIZES = {
    "smoke": Size(snr=(0.3, 0.5), load=(4.0,), labels=(2, 4), m=10, steps=600, seeds=2),
    "laptop": Size(snr=(0.15, 0.2, 0.3, 0.4), load=(4.0,), labels=(2, 4, 8, 16), seeds=8),
    "paper": Size(snr=(0.08, 0.1, 0.15, 0.2, 0.3, 0.4), load=(2.0, 4.0, 8.0), labels=(2, 4, 8, 16, 32), seeds=40),
}


def in_regime(snr: float, load: float, *, sigma_p: float, m: int) -> dict[str, float]:
    """Pairs, dimension and ‖μ‖ of a point given by SNR and n0·SNR²."""
    pairs = int(np.ceil(load / snr**2))
    d = int(theory.dimension_sufficient(pairs))
    return {"pairs": pairs, "d": d, **setting.at_snr(snr, d=d, sigma_p=sigma_p, m=m)}


def body(labels: tuple[int, ...] = (2, 4, 8, 16), power: float = 3.0, steps: int = 4000) -> Body:
    """Pre-training stopped while it is a power method, and fine-tuning with few labels."""
    return derived(
        setting.both(labels, power, steps, level=0.1, init=1e-9),
        in_regime,
        snr=setting.SNR,
        load=parameter("n₀·SNR²", above=0, scale="log", default=4.0),
    )


@claim("labels needed after pre-training do not grow as the SNR falls", "Zhang, Cao 2024, condition 4.1")
def labels_do_not_grow(data: xr.Dataset) -> Finding:
    """The first number of labels from which the mean test loss stays low, over the SNR."""
    need(data, snr=2)
    loss = setting.usable(data).test_loss.mean("seed")
    needed = setting.first_below(loss, "labels", LOW_LOSS)
    if bool(needed.isnull().any()):
        raise NotMeasurable(f"the loss stays above {LOW_LOSS:g} with all labels at some SNR")
    said = f"{float(needed.min()):g} to {float(needed.max()):g} labels"
    return alike(2.0, needed, over="snr", where="one doubling", format=said, expected="n ≥ Ω̃(1), no SNR in it")


@claim("at some iterate the test loss is at most 6ε + exp(−c n²), one c", "Zhang, Cao 2024, theorem 4.2")
def loss_is_bounded(data: xr.Dataset) -> Finding:
    """c from the smallest number of labels of the worst SNR; the bound must then hold at all larger ones."""
    need(data, labels=2)
    best = setting.usable(data, loss=None).test_loss_best.mean("seed")  # with two labels not every cell fits
    first = best.isel(labels=0)
    excess = float((first - 6 * setting.LOSS_AT_END).max())
    rate = -np.log(max(excess, 1e-6)) / float(first.labels) ** 2
    bound = theory.loss_bound(best.labels, setting.LOSS_AT_END, rate)
    said = f"{{:.2f}} of the bound with c = {rate:.3f}"
    return at_most(1.0, (best / bound).isel(labels=slice(1, None)), where="of the bound", format=said, expected="c > 0")


@claim("the best iterate is hardly better than the last", "derived here; the theorem speaks of some iterate")
def last_is_as_good(data: xr.Dataset) -> Finding:
    """Mean test loss at the last step less that at the best recorded one."""
    kept = setting.usable(data)
    gap = (kept.test_loss - kept.test_loss_best).mean("seed")
    return at_most(0.02, gap, format="worse by {:.3f} at most", expected="0")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test loss at the best iterate against labels, a curve for each SNR."""
    chosen, note = one_of_each(data, "snr", "labels", of="test_loss_best")
    figure, axes = new_figure(title="In the theorem's regime few labels do at every SNR" + note, width=6.0)
    hue = "snr" if "snr" in chosen.dims else None
    curves(axes[0, 0], chosen.test_loss_best, "labels", hue, log="xy", title="d = n₀⁴, n₀·SNR² fixed; best iterate")
    axes[0, 0].set_xlabel("labels n")
    axes[0, 0].set_xticks(chosen.labels.values, [str(n) for n in chosen.labels.values])
    axes[0, 0].set_xticks([], minor=True)
    return {"regime": figure}


EXPERIMENT = Experiment(
    body,
    SIZES,
    claims=(labels_do_not_grow, loss_is_bounded, last_is_as_good),
    figures=figures,
    options=setting.OPTIONS,
)
