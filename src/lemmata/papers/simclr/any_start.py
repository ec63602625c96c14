"""Fine-tuning does not ask where its start comes from: filters with the right coefficients do, whoever made them.

Theorem 5.5 of Zhang, Cao 2024, arXiv 2409.18685, speaks of *any* start whose filters carry the signal and the noise
that pre-training leaves in them. Here such filters are made by hand: random ones, their part along the signal brought
to the level, the part off it to the predicted alignment, and never trained. Beside them filters that SimCLR
pre-trained to the same level.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, at, claim, mean, need, one_of_each, within
from lemmata.lab import Experiment, Size
from lemmata.papers.simclr import setting
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body

STARTS = ("simclr", "made")
SIZES = {
    "smoke": Size(start=STARTS, snr=(0.2,), labels=(2, 8), d=400, pairs=50, m=10, steps=800, seeds=2),
    "laptop": Size(start=STARTS, snr=(0.15, 0.2, 0.3), labels=(2, 4, 8, 16, 32), seeds=12),
    "paper": Size(start=STARTS, snr=(0.1, 0.15, 0.2, 0.3, 0.4), labels=(2, 4, 8, 16, 32, 64), steps=20000, seeds=50),
}


def body(labels: tuple[int, ...] = (2, 4, 8, 16, 32), power: float = 3.0, steps: int = 4000) -> Body:
    """Pre-training stopped while it is a power method, a start made by hand, and fine-tuning of both."""
    return setting.training(labels, power, steps, level=0.1, init=1e-6)


@claim("a start made by hand with the coefficients of pre-training does as well", "Zhang, Cao 2024, theorem 5.5")
def made_does_as_well(data: xr.Dataset) -> Finding:
    """Difference of the test losses of the two starts, paired by seed, with its interval."""
    need(data, seed=3)
    loss = setting.usable(data, loss=None).test_loss
    gap = mean(at(loss, start="made") - at(loss, start="simclr"))
    return within(0.05, gap, of=0.0, where="at every SNR and n", format="test loss differs by {:+.3f}", expected="0")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test loss against labels, a curve for each start."""
    chosen, note = one_of_each(data, "start", "snr", "labels")
    values = chosen.snr.values.tolist() if chosen.snr.ndim else [None]
    title = "Fine-tuning from pre-trained filters and from filters made by hand" + note
    figure, axes = new_figure(1, len(values), title=title, width=3.9, height=3.2, sharey=True)
    hue = "start" if "start" in chosen.dims else None
    for ax, snr in zip(axes[0], values):
        part = chosen if snr is None else at(chosen, snr=snr)
        heading = "" if snr is None else f"SNR = {snr:g}"
        curves(ax, part.test_loss, "labels", hue, log="x", title=heading, legend=ax is axes[0, -1])
        ax.set_xlabel("labels n")
        ax.set_xticks(chosen.labels.values, [str(n) for n in chosen.labels.values])
        ax.set_xticks([], minor=True)
    return {"any_start": figure}


EXPERIMENT = Experiment(
    body,
    SIZES,
    claims=(made_does_as_well,),
    predict=setting.predict,
    figures=figures,
    options=setting.OPTIONS,
)
