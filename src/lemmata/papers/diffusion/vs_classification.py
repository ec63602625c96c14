"""Denoising against classification over n·SNR²: one learns signal and noise together, the other only the stronger.

Over a range of n·SNR² in which the classifier's ratio of signal to noise moves by four decades, the denoiser's moves by
less than one. Han, Huang, Cao, Zou 2024, arXiv 2412.01021, state both for n·SNR² of constant order; the sweep, and the
laws without fitted constants laid over it, are ours (``theory.py``). Names: ``n_snr2`` n·SNR², ``ratio`` signal over
noise (mean over neurons for the denoiser, largest neuron of the class for the classifier).
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Finding,
    NotMeasurable,
    above,
    all_of,
    among,
    at,
    below,
    between,
    claim,
    left_out,
    need,
    one_of_each,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.diffusion import setting
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER, HIGH, LOW
from lemmata.report.curves import cloud, curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body

RECORD = (0, *(int(step) for step in np.round(np.geomspace(5, 1000, 24))), 2000, 5000, 20000)
"""Steps looked at: closely while the early ratio lasts."""
EARLY_NORM = 1.2
"""A denoiser is still small while its filters' norm is below this many times that at the start."""
MODELS = (DENOISER, CLASSIFIER)
SIZES = {
    "smoke": Size(model=MODELS, n_snr2=(LOW, HIGH), steps=2000),
    "laptop": Size(model=MODELS, n_snr2=(0.05, 0.1, 0.2, 0.4, LOW, 1.5, 2.0, 3.0, 4.5, HIGH), seeds=3),
    "paper": Size(
        model=MODELS,
        n_snr2=tuple(sorted({*np.geomspace(0.02, 50, 30).round(4).tolist(), LOW, 1.5, 3.0, HIGH})),
        steps=20000,
        seeds=20,
        changes={"record": RECORD},
    ),
}


def body(power: int = 2) -> Body:
    """Both models, recorded along the way."""
    return setting.both(power, RECORD)


@claim("a classifier learns only noise at n·SNR² = 0.75 and only signal at 6.75", setting.THEOREM_CLASSIFIER, ALL)
def classifier_learns_one(data: xr.Dataset) -> Finding:
    """Signal over noise of the classifier at the paper's two values of n·SNR²."""
    ratio = setting.settled(data, CLASSIFIER).ratio.mean("seed")
    predicted = at(data, model=CLASSIFIER).ratio_predicted
    low, high = (float(at(predicted, n_snr2=value).max()) for value in (LOW, HIGH))
    return all_of(
        below(0.05, at(ratio, n_snr2=LOW), format=f"signal/noise {{:.3f}} at n·SNR² = {LOW}"),
        above(5, at(ratio, n_snr2=HIGH), format=f"{{:.1f}} at {HIGH}"),
        expected=f"{low:.3f} and {high:.1f}, race without fitted constants",
    )


@claim("a denoiser learns signal and noise in the same order of size", setting.THEOREM_DENOISER, ALL)
def denoiser_learns_both(data: xr.Dataset) -> Finding:
    """Signal and noise of the denoisers that converged are of one order, and the ratio rises with n·SNR²."""
    ratio = setting.settled(data, DENOISER).ratio.mean("seed")
    near = 1e-9
    inside = ratio.sel(n_snr2=(ratio.n_snr2 >= 0.05 * (1 - near)) & (ratio.n_snr2 <= HIGH * (1 + near)))
    need(inside, n_snr2=2)
    rise = inside.sel(n_snr2=inside.n_snr2 >= LOW * (1 - near)).diff("n_snr2")
    return all_of(
        between(0.2, 2, inside, format="signal/noise {least:.2f} to {most:.2f}", expected="of constant order"),
        above(0, rise, where=f"a step from {LOW} on", format="rises by {least:.3f} or more a step"),
    )


@claim(
    "over the sweep the classifier's ratio moves by four decades and the denoiser's by less than one",
    "derived here, from the paper's two theorems",
)
def four_decades_against_one(data: xr.Dataset) -> Finding:
    """By which factor either model's ratio moves over the sweep."""
    ratios = {model: setting.settled(data, model).ratio.mean("seed") for model in (CLASSIFIER, DENOISER)}
    moved = {model: float(ratio.max() / ratio.min()) for model, ratio in ratios.items()}
    return all_of(
        above(5e3, moved[CLASSIFIER], format="classifier ×{:.0f}"),
        below(10, moved[DENOISER], format="denoiser ×{:.1f}"),
        expected="exponential race against a stationary balance",
    )


@claim("the denoiser ends at a stationary point", "derived here", ALL)
def denoiser_converges(data: xr.Dataset) -> Finding:
    """Gradient and ratio at the end, at the paper's two values of n·SNR²."""
    parts = []
    for value, ratio, allowed in ((LOW, 0.78, 0.03), (HIGH, 1.23, 0.04)):
        cells = at(at(data, model=DENOISER).isel(step=-1), n_snr2=value)
        parts.append(within(allowed, cells.ratio.mean(), of=ratio, format=f"ratio off by {{:+.3f}} at {value}"))
        parts.append(below(1.01 * setting.CONVERGED, cells.gradient_norm, format="|gradient| ≤ {:.1e}"))
    return all_of(*parts, expected="0.78 and 1.23, measured once in another implementation")


def early(data: xr.Dataset) -> xr.DataArray:
    """Ratio of every denoiser at the last recorded step at which its filters are hardly longer than at the start."""
    cells = at(data, model=DENOISER)
    small = cells.norm_hidden <= EARLY_NORM * cells.norm_hidden.isel(step=0)
    leaves = small.argmin("step").where(~small.all("step"), small.sizes["step"])  # it never comes back
    return cells.ratio.isel(step=(leaves - 1).astype(int))


@claim("while weights are small the ratio is n·SNR²/2", "derived here", ALL, name="early-ratio")
def early_ratio(data: xr.Dataset) -> Finding:
    """The ratio at the end of the early phase over n·SNR²/2."""
    ratio = early(data).mean("seed")
    near = among(ratio, (ratio.n_snr2 >= 0.5) & (ratio.n_snr2 <= 5), "n·SNR² from 0.5 to 5")
    said = "{least:.3f} to {most:.3f} times n·SNR²/2"
    return between(0.9, 1.1, near / (ratio.n_snr2 / 2), where="for n·SNR² from 0.5 to 5", format=said, expected="1")


@claim("three unknowns predict the ratio at the stationary point", "derived here", ALL)
def stationary_ratio(data: xr.Dataset) -> Finding:
    """The last ratio against the symmetric stationary point's, in every seed."""
    kept = setting.settled(data, DENOISER)
    wanted = np.isclose(np.asarray(kept.n_snr2)[..., None], (LOW, 1.5, 3.0, HIGH)).any(-1)
    if wanted.sum() < 2:
        raise NotMeasurable("needs two of n_snr2 = 0.75, 1.5, 3, 6.75")
    kept = kept.isel(n_snr2=wanted)
    expected = "symmetric stationary point, population Gram matrix"
    return within(0.03, kept.ratio, of=kept.ratio_predicted, relative=True, where="in every seed", expected=expected)


@claim("where neurons specialise the loss is below that of the symmetric point", "derived here")
def branches(data: xr.Dataset) -> Finding:
    """Where neurons have specialised the loss is below that of the symmetric point, so the ratio is another one."""
    cells = setting.settled(data, DENOISER)
    split = cells.branch_spread > 0.05
    gain = cells.train_loss - cells.d - cells.excess_predicted
    low = among(gain, split & (cells.n_snr2 < 0.4), "specialised neurons below n·SNR² = 0.4").min("seed")
    said = f"{int(split.sum())} of {split.size} denoisers have specialised neurons; below 0.4 their loss differs by "
    return below(0, low, where="loss − predicted below n·SNR² = 0.4", format=said + "{:.2f} or less",
                 expected="lower than the symmetric point's")  # fmt: skip


CLAIMS = (
    classifier_learns_one,
    denoiser_learns_both,
    four_decades_against_one,
    denoiser_converges,
    early_ratio,
    stationary_ratio,
    branches,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Everything that is drawn, by file name."""
    return {"ratio": ratio(data), "branch": branch(data)}


def _plane(data: xr.Dataset) -> tuple[xr.Dataset, str]:

    return one_of_each(data, "model", "n_snr2", "step", of="ratio")


def ratio(data: xr.Dataset) -> Figure:
    """Both models' ratio against n·SNR², with the predictions."""
    chosen, note = _plane(data)
    figure, axes = new_figure(width=7.2, height=4.6)
    last, unsettled = chosen.isel(step=-1), _unsettled(chosen)
    curves(
        axes[0, 0],
        last["ratio"].assign_attrs(long_name="signal over noise learnt"),
        "n_snr2",
        "model",
        log="xy",
        theory=last.get("ratio_predicted"),
        theory_label="predicted, no fitted constants",
        title="A classifier learns the stronger of signal and noise, a denoiser both" + note,
    )
    axes[0, 0].axhline(1.0, color="0.6", lw=0.8, zorder=0)
    if unsettled:
        axes[0, 0].text(0.02, 0.98, unsettled, transform=axes[0, 0].transAxes, va="top", fontsize=8)
    return figure


def _unsettled(data: xr.Dataset) -> str:
    notes = []
    for model in data.model.values.tolist():
        cells = at(data, model=model)
        if note := str(left_out(cells, not_converged=cells.status != setting.ENDS[model])):
            notes.append(f"{model}: {note}, drawn all the same")
    return "\n".join(notes)


def branch(data: xr.Dataset) -> Figure:
    """The denoiser's ratio early and late, how far its neurons are apart, and its loss."""
    chosen, note = _plane(data)
    cells = at(chosen, model=DENOISER)
    last = cells.isel(step=-1)
    figure, axes = new_figure(1, 3, title="Which stationary point a denoiser ends at" + note, width=4.6)
    when = xr.DataArray(["while small", "at the end"], dims="when", name="when", attrs={"long_name": "denoiser"})
    measured = xr.concat([early(chosen), last["ratio"]], when, coords="minimal", compat="override")
    theory = None
    if "ratio_predicted" in chosen:
        theory = xr.concat(
            [last["early_predicted"], last["ratio_predicted"]], when, coords="minimal", compat="override"
        )
    curves(
        axes[0, 0],
        measured.assign_attrs(long_name="signal over noise"),
        "n_snr2",
        "when",
        log="xy",
        theory=theory,
        title="From n·SNR²/2 to the stationary ratio",
    )
    axes[0, 0].legend(loc="lower right", bbox_to_anchor=None)
    cloud(axes[0, 1], last["n_snr2"], last["branch_spread"], "seed", log="x", title="Off it, neurons have specialised")
    excess = (last["train_loss"] - chosen.d).assign_attrs(long_name="denoising loss − d")
    curves(
        axes[0, 2],
        excess,
        "n_snr2",
        log="x",
        theory=last.get("excess_predicted"),
        theory_label="symmetric point",
        legend=False,
        title="There the loss is lower",
    )
    axes[0, 2].legend(loc="upper right")
    return figure


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, options=setting.OPTIONS)
