"""How many labels training without pre-training needs: about 2·SNR^(−q), whatever the SNR.

A ReLU^q network that starts from small random filters learns whichever grows faster, signal at rate ⟨w, μ⟩^(q−2)‖μ‖² or
noise at rate ⟨w, ξ⟩^(q−2)σp²d/n. Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526, which Zhang, Cao 2024, arXiv 2409.18685,
compare pre-training with. Names: ``n`` labels, ``snr`` SNR, load n·SNR^q.
"""

from dataclasses import replace

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import SignalNoise
from lemmata.claims import (
    Estimate,
    Finding,
    NotMeasurable,
    all_of,
    among,
    at_least,
    between,
    claim,
    count_at_most,
    need,
    one_of_each,
    threshold,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.simclr import setting, theory
from lemmata.report.curves import cloud
from lemmata.report.style import new_figure
from lemmata.sweep import Body, derived

BAND = (1.5, 3.0)
"""Load n·SNR^q at which the test loss should fall through half of log 2."""
OPTIONS = {"power": setting.POWER, "steps": setting.STEPS}
SIZES = {
    "smoke": Size(snr=(0.5, 0.7), n=(4, 8, 16, 32), d=500, m=10, steps=1000, seeds=3),
    "laptop": Size(snr=(0.3, 0.4, 0.5), n=(4, 8, 16, 32, 48, 64, 96, 160), steps=4000, seeds=6),
    "paper": Size(
        snr=(0.2, 0.3, 0.4, 0.5, 0.7),
        n=tuple(sorted({2 * int(x) for x in np.geomspace(1, 500, 24)})),
        steps=20000,
        seeds=20,
    ),
}


def body(power: float = 3.0, steps: int = 4000) -> Body:
    """Training from small random filters."""
    run = setting.network_training(SignalNoise(n=2, d=2000, signal=1.0), 20, power, 1e-3, steps)
    # The best test loss is of no interest here: one look, at the end.
    return derived(replace(run, record=None), setting.at_snr, snr=setting.SNR)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The load n·SNR^q and the labels it takes."""
    power = float(data.power)
    found = {"load": (data.n * data.snr**power).assign_attrs(long_name="n·SNR^q", units="1")}
    if power > 2:
        found["labels_direct"] = theory.labels_direct(data.snr, power)
    return found


def load_at_half_loss(data: xr.Dataset) -> Estimate:
    """Load at which the mean test loss falls through half of log 2, per SNR, with its interval."""
    return threshold(setting.usable(data).test_loss, setting.HALF, along="n", of=data["load"], log=False)


@claim(
    "direct training learns the signal from the same n·SNR^q on, at every SNR",
    "Cao et al. 2022, via Zhang, Cao 2024; the constant is measured",
)
def load_decides(data: xr.Dataset) -> Finding:
    """Loads at which the test loss is halved."""
    need(data, n=2, snr=2, seed=2)
    found = load_at_half_loss(data)
    missing = found.value.isnull()
    if int((~missing).sum()) < 2:
        raise NotMeasurable("the loss falls through half of log 2 at fewer than two SNR")
    return all_of(
        between(*BAND, found, format="n·SNR^q from {least:.2f} to {most:.2f}, worst", point=True,
                expected=f"about {theory.DIRECT:g} at every SNR", detail=found),
        count_at_most(0, missing, of="SNR without a crossing"),
    )  # fmt: skip


@claim("with fewer labels it fits them by noise", "Cao et al. 2022, via Zhang, Cao 2024", ALL)
def few_labels_memorised(data: xr.Dataset) -> Finding:
    """Test error where the load is small."""
    few = among(setting.usable(data).test_error.mean("seed"), data["load"] <= 0.6, "n·SNR^q ≤ 0.6")
    said = "test error at least {:.2f}"
    return at_least(0.35, few, where="where n·SNR^q ≤ 0.6", format=said, expected="near 0.5")


CLAIMS = (load_decides, few_labels_memorised)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error and loss against the load: all SNR fall on one curve."""
    chosen, note = one_of_each(data, "snr", "n")
    kept = setting.usable(chosen)
    title = "Direct training: n·SNR^q decides, whatever the SNR" + note
    figure, axes = new_figure(1, 2, title=title, width=4.8, height=3.6)
    for ax, name in zip(axes[0], ("test_error", "test_loss")):
        mean = kept[name].mean("seed").assign_attrs(data[name].attrs)
        heading = "shaded: loss should cross half of log 2" if name == "test_loss" else "mean over seeds"
        cloud(ax, chosen["load"], mean, "snr", log="x", legend=ax is axes[0, -1], title=heading)
        ax.axvspan(*BAND, color="0.85", zorder=0)
    axes[0, 1].axhline(setting.HALF, color="0.4", lw=1, linestyle=":")
    return {"threshold": figure}


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=predict, figures=figures, options=OPTIONS)
