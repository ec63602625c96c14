"""How long to pre-train: longer aligns worse, because the network begins to memorise the noise of its positive pairs.

Pre-training is a power method while similarities are small, 2m·a² ≪ τ with a the signal mean |⟨w, μ⟩| reached. Beyond,
the softmax tells pairs of one class apart, which only their noise can do: the loss falls below log(n0/2), the least of
an encoder that sees two classes, and the alignment falls to about 0.59 at every SNR. Stopped very early, filters are so
small that fine-tuning with ReLU^q is slow. A finding of ours in the setting of Zhang, Cao 2024, arXiv 2409.18685, who
prove what early training does and leave open when to stop. Names: ``level`` a.
"""

from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.lab.readings import one_of_each, setting
from lemmata.papers.simclr import setting as family
from lemmata.papers.simclr import theory as theory

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

EARLY, LATE = 0.05, 0.5
PLATEAU = 0.59
"""Alignment to which long pre-training falls, measured before with code of its own."""


def grid(size: str) -> "Grid":
    """SNR, levels at which pre-training ends, and seeds."""
    from lemmata.sweep import Grid

    snr, level, seeds = {
        "smoke": ((0.2,), (EARLY, LATE), 2),
        "laptop": ((0.1, 0.2, 0.3), (0.02, EARLY, 0.1, 0.2, LATE), 4),
        "paper": ((0.1, 0.15, 0.2, 0.3, 0.4), (0.01, 0.02, 0.035, EARLY, 0.07, 0.1, 0.15, 0.2, 0.35, LATE, 0.7), 20),
    }[size]
    axes = {"snr": snr, "level": level, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, **changes: Any) -> "Body":
    """Pre-training to the level, and fine-tuning with 32 labels."""
    small = {"pairs": 100, "m": 10, "steps": 600} if size == "smoke" else {"steps": 4000}
    return family.training((32,), **{"init": 1e-6, **small, **changes})


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """The power method's alignment, where it ends, its steps, and the two-class floor of the loss."""
    import xarray as xr

    found = family.predictions(dataset)
    level, snr, d, sigma_p, m, pairs, temperature, c = setting(
        dataset, "level", "snr", "d", "sigma_p", "m", "pairs", "temperature", "correlation"
    )
    init = family.pretraining_init(dataset)
    signal = snr * sigma_p * d**0.5
    # The step size is the fraction 0.2 of the inverse of the top eigenvalue.
    steps = theory.growth_steps(level, init, signal, theory.top_alignment(pairs, snr, c), rate=0.2)
    return found.assign(
        pretraining_steps_predicted=xr.DataArray(steps).assign_attrs(long_name="predicted steps", units="steps"),
        linear_phase_ends=xr.DataArray(theory.linear_phase_ends(m, temperature)),
        two_class_floor=xr.DataArray(theory.two_class_floor(pairs)),
    )


# -- claims ----------------------------------------------------------------------------------------------------------


def _pretrained(dataset: "xr.Dataset", name: str, level: float) -> "xr.DataArray":
    kept = family.usable(dataset, loss=None).dataset
    return at(kept, level=level)[f"pretrained_{name}"].mean("seed")


def early_alignment(dataset: "xr.Dataset") -> Finding:
    """cos² at the early level against the power method's."""
    measured = _pretrained(dataset, "signal_alignment", EARLY)
    off = float(abs(measured - dataset["alignment_predicted"]).max())
    return Finding(
        holds=off <= 0.02, measured=f"off by {off:.3f} at most", predicted="the power method's",
        tolerance=f"≤ 0.02 at a = {EARLY:g}",
    )  # fmt: skip


def late_alignment(dataset: "xr.Dataset") -> Finding:
    """cos² at the late level against one value."""
    measured = _pretrained(dataset, "signal_alignment", LATE)
    return Finding(
        holds=float(abs(measured - PLATEAU).max()) <= 0.03,
        measured=f"cos² from {float(measured.min()):.3f} to {float(measured.max()):.3f}",
        predicted=f"about {PLATEAU:g} at every SNR",
        tolerance=f"± 0.03 at a = {LATE:g}",
    )


def memorisation(dataset: "xr.Dataset") -> Finding:
    """SimCLR losses on either side of the two-class floor."""
    early, late = (_pretrained(dataset, "train_loss", level) for level in (EARLY, LATE))
    floor = float(dataset["two_class_floor"])
    return Finding(
        holds=float(early.min()) > floor > float(late.max()),
        measured=f"SimCLR loss ≥ {float(early.min()):.2f} at a = {EARLY:g}, ≤ {float(late.max()):.2f} at a = {LATE:g}",
        predicted=f"on either side of log(n0/2) = {floor:.2f}",
        tolerance="strictly",
    )


def growth_time(dataset: "xr.Dataset") -> Finding:
    """Steps of pre-training against the power method's."""
    part = at(family.usable(dataset, loss=None).dataset, level=EARLY)
    steps = at(dataset, level=EARLY)["pretrained_status_step"].where(part["pretrained_status"] == family.REACHED)
    off = float(abs(steps.mean("seed") / part["pretraining_steps_predicted"] - 1).max())
    return Finding(
        holds=off <= 0.1,
        measured=f"{float(steps.min()):.0f} to {float(steps.max()):.0f} steps, mean off by {off:.1%} at most",
        predicted="ln(a/(σ0‖μ‖cos·√(2/π)))/ln 1.2",
        tolerance=f"10 % at a = {EARLY:g}",
    )


def stop_in_between(dataset: "xr.Dataset") -> Finding:
    """Test loss after fine-tuning against the level, at SNR = 0.1."""
    kept = family.usable(dataset, loss=None)
    part = at(kept.dataset, snr=0.1, labels=32)
    loss = part["test_loss"].mean("seed")
    if not {0.02, EARLY, 0.1, LATE} <= {round(float(x), 6) for x in loss["level"]}:
        raise NotMeasurable("needs a = 0.02, 0.05, 0.1 and 0.5")
    best = float(loss["level"][int(loss.argmin("level"))])
    unfit = int((part["train_loss"].sel(level=0.02, method="nearest") > family.FITTED).sum())
    values = ", ".join(f"{float(value):.3f} at {float(value['level']):g}" for value in loss)
    return Finding(
        holds=0.1 <= best <= 0.5 and float(loss.sel(level=0.02, method="nearest")) > 0.3,
        measured=f"test loss {values}",
        predicted="best at a = 0.1 to 0.5",
        tolerance="minimum there; above 0.3 at a = 0.02",
        detail=f"at a = 0.02 {unfit} of {part.sizes['seed']} cells had not fitted their labels when steps ran out",
    )


CLAIMS = (
    Claim("early-alignment", "stopped early, filters align as the power method does",
          "Zhang, Cao 2024, power method; constants derived here", early_alignment, SIZES),
    Claim("late-alignment", "trained on, alignment falls to the same value at every SNR", "found here", late_alignment),
    Claim("memorisation", "the SimCLR loss falls below what two classes allow: noise of pairs is memorised",
          "found here", memorisation, SIZES),
    Claim("growth-time", "the power method's rate gives the number of steps", "derived here", growth_time, SIZES),
    Claim("stop-in-between", "stopped too early, filters are too small to be fine-tuned in time", "found here",
          stop_in_between),
)  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Alignment, SimCLR loss, test loss after fine-tuning and its steps, against the level."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "snr", "level", "labels")
    kept = family.usable(chosen.isel(labels=-1), loss=None).dataset
    title = "Long pre-training memorises noise, short pre-training leaves filters slow to fine-tune" + note
    figure, axes = new_figure(2, 2, title=title, width=4.8, height=3.1, sharex=True)
    hue = "snr" if "snr" in kept.dims else None
    panels = {
        "pretrained_signal_alignment": ("alignment cos²", "dotted in all panels: 2m·a² = τ"),
        "pretrained_train_loss": ("SimCLR loss", "dashed: least loss without noise, log(n₀/2)"),
        "test_loss": (f"test loss, {int(kept['labels'])} labels", ""),
        "status_step": ("steps of fine-tuning", ""),
    }
    for ax, (name, (label, heading)) in zip(axes.flat, panels.items()):
        shown = kept[name].astype(float).assign_attrs(long_name=label, units="1")
        theory_line = kept["alignment_predicted"] + 0 * kept["level"] if ax is axes.flat[0] else None
        curves(ax, shown, "level", hue, log="x", theory=theory_line, theory_label="power method",
               legend=ax is axes[0, 1], title=heading)  # fmt: skip
        ax.axvline(float(dataset["linear_phase_ends"]), color="0.5", lw=1, linestyle=":")
        ax.set_xlabel("signal a at which pre-training ends" if ax in axes[1] else "")
        ax.set_xticks(kept["level"].values, [f"{level:g}" for level in kept["level"].values])
        ax.set_xticks([], minor=True)
    axes[0, 0].set_ylim(0, 1)
    axes[0, 1].axhline(float(dataset["two_class_floor"]), color="0.3", lw=1, linestyle="--")
    return {"when_to_stop": figure}


EXPERIMENT = Experiment(
    name="simclr-when-to-stop",
    paper=family.PAPER,
    shows="Alignment, memorisation and test loss against how far pre-training went: early stopping aligns best.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 3, "laptop": 60, "paper": 3900},
)
