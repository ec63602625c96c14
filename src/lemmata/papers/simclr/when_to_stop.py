"""How long to pre-train: longer aligns worse, because the network begins to memorise the noise of its positive pairs.

Pre-training is a power method while similarities are small, 2m·a² ≪ τ with a the signal mean |⟨w, μ⟩| reached. Beyond,
the softmax tells pairs of one class apart, which only their noise can do: the loss falls below log(n0/2), the least of
an encoder that sees two classes, and the alignment falls to about 0.59 at every SNR. Stopped very early, filters are so
small that fine-tuning with ReLU^q is slow. A finding of ours in the setting of Zhang, Cao 2024, arXiv 2409.18685, who
prove what early training does and leave open when to stop. Names: ``level`` a.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, all_of, at, at_most, below, claim, mean, need, one_of_each, within
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.simclr import setting, theory
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.status import Status
from lemmata.sweep import Body

EARLY, LATE = 0.05, 0.5
PLATEAU = 0.59
"""Alignment to which long pre-training falls, measured before with code of its own."""
SIZES = {
    "smoke": Size(snr=(0.2,), level=(EARLY, LATE), pairs=100, m=10, steps=600, seeds=2),
    "laptop": Size(snr=(0.1, 0.2, 0.3), level=(0.02, EARLY, 0.1, 0.2, LATE), seeds=8),
    "paper": Size(
        snr=(0.1, 0.15, 0.2, 0.3, 0.4),
        level=(0.01, 0.02, 0.035, EARLY, 0.07, 0.1, 0.15, 0.2, 0.35, LATE, 0.7),
        seeds=20,
    ),
}


def body(labels: tuple[int, ...] = (32,), power: float = 3.0, steps: int = 4000) -> Body:
    """Pre-training to the level, and fine-tuning with 32 labels."""
    return setting.training(labels, power, steps, init=1e-6)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The power method's alignment, where it ends, its steps, and the two-class floor of the loss."""
    aligned = theory.top_alignment(data.pairs, data.snr, data.correlation)
    # The step size is the fraction 0.2 of the inverse of the top eigenvalue.
    steps = theory.growth_steps(data.level, data.init, data.signal, aligned, rate=0.2)
    return {
        **setting.predict(data),
        "pretraining_steps_predicted": steps.assign_attrs(long_name="predicted steps", units="steps"),
        "linear_phase_ends": theory.linear_phase_ends(data.m, data.temperature),
        "two_class_floor": theory.two_class_floor(data.pairs),
    }


def _pretrained(data: xr.Dataset, name: str, level: float) -> xr.DataArray:
    return at(setting.usable(data, loss=None), level=level)[f"pretrained_{name}"].mean("seed")


@claim(
    "stopped early, filters align as the power method does",
    "Zhang, Cao 2024, power method; constants derived here",
    ALL,
)
def early_alignment(data: xr.Dataset) -> Finding:
    """cos² at the early level against the power method's."""
    off = abs(_pretrained(data, "signal_alignment", EARLY) - data.alignment_predicted)
    return at_most(0.02, off, where=f"at a = {EARLY:g}", format="off by {:.3f} at most", expected="the power method's")


@claim("trained on, alignment falls to the same value at every SNR", "found here")
def late_alignment(data: xr.Dataset) -> Finding:
    """cos² at the late level against one value."""
    measured = _pretrained(data, "signal_alignment", LATE)
    said = f"cos² from {float(measured.min()):.3f} to {float(measured.max()):.3f}"
    expected = f"{PLATEAU:g} at every SNR, measured before"
    return within(0.03, measured, of=PLATEAU, where=f"at a = {LATE:g}", format=said, expected=expected)


@claim("the SimCLR loss falls below what two classes allow: noise of pairs is memorised", "found here", ALL)
def memorisation(data: xr.Dataset) -> Finding:
    """SimCLR losses on either side of the two-class floor."""
    early, late = (_pretrained(data, "train_loss", level) for level in (EARLY, LATE))
    floor = float(data.two_class_floor.max())
    return all_of(
        above(floor, early, where=f"at a = {EARLY:g}", format=f"SimCLR loss ≥ {{:.2f}} at a = {EARLY:g}"),
        below(floor, late, where=f"at a = {LATE:g}", format=f"≤ {{:.2f}} at a = {LATE:g}"),
        expected=f"on either side of log(n0/2) = {floor:.2f}",
    )


@claim("the power method's rate gives the number of steps", "derived here", ALL)
def growth_time(data: xr.Dataset) -> Finding:
    """Steps of pre-training against the power method's."""
    part = at(setting.usable(data, loss=None), level=EARLY)
    steps = part.pretrained_status_step.where(part.pretrained_status == Status.REACHED_LEVEL)
    said = f"{float(steps.min()):.0f} to {float(steps.max()):.0f} steps, mean off by {{:+.1%}} at most"
    return within(0.1, steps.mean("seed"), of=part.pretraining_steps_predicted, relative=True,
                  where=f"at a = {EARLY:g}", format=said, expected="ln(a/(σ0‖μ‖cos·√(2/π)))/ln 1.2")  # fmt: skip


@claim("stopped too early, filters are too small to be fine-tuned in time", "found here")
def stop_in_between(data: xr.Dataset) -> Finding:
    """Test loss after fine-tuning against the level, at SNR = 0.1."""
    part = at(setting.usable(data, loss=None), snr=0.1, labels=32)
    need(part, level=4, seed=2)
    loss, early = mean(part.test_loss), mean(at(part, level=0.02).test_loss)
    gap = early.minus(mean(at(part, level=0.1).test_loss))
    late = loss.where(part.level >= 0.1)
    unfit = int((at(part, level=0.02).train_loss > setting.FITTED).sum())
    told = f"at a = 0.02 {unfit} of {part.sizes['seed']} cells had not fitted their labels when steps ran out"
    return all_of(
        above(0.3, early, where="for the loss at a = 0.02", format="test loss {:.3f} at a = 0.02", point=True),
        above(0, gap, format="above that at 0.1 by {:.3f}"),
        below(0.1, late, where="from a = 0.1 on", format="{most:.3f} at most from a = 0.1 on", point=True),
        expected="learnt from a = 0.1 on and not at 0.02",
        detail=(loss, told),
    )


CLAIMS = (early_alignment, late_alignment, memorisation, growth_time, stop_in_between)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Alignment, SimCLR loss, test loss after fine-tuning and its steps, against the level."""
    chosen, note = one_of_each(data, "snr", "level", "labels")
    kept = setting.usable(chosen.isel(labels=-1), loss=None)
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
        ax.axvline(float(data.linear_phase_ends.max()), color="0.5", lw=1, linestyle=":")
        ax.set_xlabel("signal a at which pre-training ends" if ax in axes[1] else "")
        ax.set_xticks(kept["level"].values, [f"{level:g}" for level in kept["level"].values])
        ax.set_xticks([], minor=True)
    axes[0, 0].set_ylim(0, 1)
    axes[0, 1].axhline(float(data.two_class_floor.max()), color="0.3", lw=1, linestyle="--")
    return {"when_to_stop": figure}


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=predict, figures=figures, options=setting.OPTIONS)
