"""How many labels training without pre-training needs: about 2·SNR^(−q), whatever the SNR.

A ReLU^q network that starts from small random filters learns whichever grows faster, signal at rate ⟨w, μ⟩^(q−2)‖μ‖² or
noise at rate ⟨w, ξ⟩^(q−2)σp²d/n. Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526, which Zhang, Cao 2024, arXiv 2409.18685,
compare pre-training with. Names: ``n`` labels, ``snr`` SNR, load n·SNR^q.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.lab.readings import one_of_each, setting
from lemmata.papers.simclr import setting as family
from lemmata.papers.simclr import theory as theory

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

BAND = (1.5, 3.0)
"""Load n·SNR^q at which the test loss should fall through half of log 2."""


def grid(size: str) -> "Grid":
    """SNR, numbers of labels and seeds."""
    from lemmata.sweep import Grid

    snr, n, seeds = {
        "smoke": ((0.5, 0.7), (4, 8, 16, 32), 3),
        "laptop": ((0.3, 0.4, 0.5), (4, 8, 16, 32, 48, 64, 96, 160), 6),
        "paper": ((0.2, 0.3, 0.4, 0.5, 0.7), tuple(2 * int(x) for x in np.geomspace(1, 500, 24)), 20),
    }[size]
    n = tuple(sorted(set(n)))
    axes = {"snr": snr, "n": n, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, *, power: float = 3.0, device: str = "cpu", **changes: Any) -> "Body":
    """Training from small random filters."""
    from lemmata import SignalNoise, TrainingBody
    from lemmata.sweep.bodies.reparametrised import Reparametrised

    smoke = size == "smoke"
    fixed = {"d": 500 if smoke else 2000, "sigma_p": 1.0, "m": 10 if smoke else 20, "init": 1e-3, **changes}
    steps = fixed.pop("steps", {"smoke": 1000, "laptop": 4000, "paper": 20000}[size])
    run = family.network_training(SignalNoise(n=2, d=2000, signal=1.0), fixed["m"], power, fixed["init"], steps)
    # The best test loss is of no interest here: one look, at the end.
    run = dataclasses.replace(family.on(run, device), record=None).at({k: v for k, v in fixed.items() if k != "snr"})
    return Reparametrised(TrainingBody(run), ("snr",), family.AtSNR(fixed["d"], fixed["sigma_p"]))


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """The load n·SNR^q and the labels it takes."""
    import xarray as xr

    snr, n, power = setting(dataset, "snr", "n", "power")
    load = xr.DataArray(n * snr**power).assign_attrs(long_name="n·SNR^q", units="1")
    found = {"load": load}
    if power > 2:
        found["labels_direct"] = xr.DataArray(theory.labels_direct(snr, power))
    return xr.Dataset(found)


# -- claims ----------------------------------------------------------------------------------------------------------


def load_at_half_loss(dataset: "xr.Dataset") -> "tuple[xr.DataArray, str]":
    """Load at which the mean test loss falls through half of log 2, per SNR; interpolated in the load's logarithm."""
    kept = family.usable(dataset)
    loss: Any = kept.dataset["test_loss"].mean("seed")
    log_load = np.log(dataset["load"]) + 0 * loss
    below = loss < family.HALF
    crossing = below & ~below.shift(n=1, fill_value=True)
    before, start = loss.shift(n=1), log_load.shift(n=1)
    share = ((family.HALF - before) / (loss - before)).where(crossing)
    found = np.exp(start + share * (log_load - start))
    return found.isel(n=crossing.argmax("n")), kept.note


def one_load_decides(dataset: "xr.Dataset") -> Finding:
    """Loads at which the test loss is halved."""
    if not {"n", "snr", "seed"} <= set(dataset.dims):
        raise NotMeasurable("needs several numbers of labels, SNR and seeds")
    found, note = load_at_half_loss(dataset)
    if int(np.isfinite(found).sum()) < 2:
        raise NotMeasurable("the loss falls through half of log 2 at fewer than two SNR")
    low, high = float(found.min()), float(found.max())
    missing = found["snr"].values[~np.isfinite(found.values)]
    detail = ", ".join(f"{float(value):.2f} at SNR = {float(value['snr']):g}" for value in found)
    return Finding(
        holds=BAND[0] <= low and high <= BAND[1] and not missing.size,
        measured=f"n·SNR^q from {low:.2f} to {high:.2f}",
        predicted=f"about {theory.DIRECT:g} at every SNR",
        tolerance=f"{BAND[0]:g} to {BAND[1]:g}",
        detail=detail + (f"; {note}" if note else ""),
    )


def few_labels_are_memorised(dataset: "xr.Dataset") -> Finding:
    """Test error where the load is small."""
    kept = family.usable(dataset)
    few = kept.dataset["test_error"].mean("seed").where(dataset["load"] <= 0.6)
    if not bool(few.notnull().any()):
        raise NotMeasurable("no cell has n·SNR^q ≤ 0.6")
    return Finding(
        holds=float(few.min()) >= 0.35,
        measured=f"test error at least {float(few.min()):.2f}",
        predicted="near 0.5",
        tolerance="≥ 0.35 where n·SNR^q ≤ 0.6",
        detail=kept.note,
    )


CLAIMS = (
    Claim("load-decides", "direct training learns the signal from the same n·SNR^q on, at every SNR",
          "Cao et al. 2022, via Zhang, Cao 2024; the constant is measured", one_load_decides),
    Claim("few-labels-memorised", "with fewer labels it fits them by noise", "Cao et al. 2022, via Zhang, Cao 2024",
          few_labels_are_memorised, SIZES),
)  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error and loss against the load: all SNR fall on one curve."""
    from lemmata.report.curves import cloud
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "snr", "n")
    kept = family.usable(chosen).dataset
    title = "Direct training: n·SNR^q decides, whatever the SNR" + note
    figure, axes = new_figure(1, 2, title=title, width=4.8, height=3.6)
    for ax, name in zip(axes[0], ("test_error", "test_loss")):
        mean = kept[name].mean("seed").assign_attrs(dataset[name].attrs)
        heading = "shaded: loss should cross half of log 2" if name == "test_loss" else "mean over seeds"
        cloud(ax, chosen["load"], mean, "snr", log="x", legend=ax is axes[0, -1], title=heading)
        ax.axvspan(*BAND, color="0.85", zorder=0)
    axes[0, 1].axhline(family.HALF, color="0.4", lw=1, linestyle=":")
    return {"threshold": figure}


_NAMES = ("snr", "d", "m", "init", "sigma_p", "power", "steps", "engine", "dtype", "device")

EXPERIMENT = Experiment(
    name="simclr-direct-threshold",
    paper=family.PAPER,
    shows="Without pre-training the labels needed grow as SNR^(−q): the threshold that pre-training is compared with.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(family.LABELS, *(option for option in family.OPTIONS if option.name in _NAMES)),
    seconds={"smoke": 3, "laptop": 45, "paper": 10500},
)
