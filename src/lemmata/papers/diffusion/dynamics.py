"""How signal and noise grow: linearly and together in a denoiser, exponentially and in a race in a classifier.

Curves of the training at low and high signal-to-noise ratio, n·SNR² = 0.75 and 6.75: Han, Huang, Cao, Zou 2024, arXiv
2412.01021, figure 2. Names: ``signal`` |⟨w, μ⟩|, ``noise`` |⟨w, ξ⟩|, of the largest neuron as in the paper (or the mean
over neurons), for the classifier of the class's largest; ``control`` n·SNR².
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, above, all_of, at, at_most, below, claim, mean, need, one_of_each
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.diffusion import setting
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER, HIGH, LOW
from lemmata.parameters import Parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body

RECORD = (0, *sorted({int(step) for step in np.round(np.geomspace(1, 2000, 80))}), 5000)
"""Steps looked at, ever less closely."""
AXES: Mapping[str, Any] = {"model": (DENOISER, CLASSIFIER), "n_snr2": (LOW, HIGH)}
SIZES = {
    "smoke": Size(**AXES, steps=2000),
    "laptop": Size(**AXES, seeds=10),
    "paper": Size(**AXES, seeds=50),
}


OPTIONS = {
    **setting.OPTIONS,
    "over": Parameter("what is shown of a denoiser's neurons", str, choices=("max", "mean"), axis=False),
}


def body(power: int = 2, over: str = "max") -> Body:
    """Both models, recorded along the way."""
    return setting.both(power, RECORD, over)


@claim("a denoiser learns signal and noise at low and at high signal-to-noise ratio", setting.THEOREM_DENOISER, ALL)
def denoiser_learns_both(data: xr.Dataset) -> Finding:
    """Signal and noise of the denoisers that converged have grown by the same order."""
    kept = setting.settled(data, DENOISER)
    start = at(data, model=DENOISER).isel(step=0)
    grown = xr.concat([kept[name] / start[name] for name in ("signal_learnt", "noise_learnt")], "quantity")
    ends = {value: at(kept, n_snr2=value)[["signal_learnt", "noise_learnt"]].mean() for value in (LOW, HIGH)}
    texts = [
        f"{float(end.signal_learnt):.2f} and {float(end.noise_learnt):.2f} at {value}" for value, end in ends.items()
    ]
    said = "signal and noise " + ", ".join(texts) + ", grown ×{:.0f} or more"
    return above(5, grown, where="times the start, in every seed", format=said, expected="both of constant order")


@claim(
    "a classifier learns only noise at the low ratio and only signal at the high one", setting.THEOREM_CLASSIFIER, ALL
)
def classifier_learns_one(data: xr.Dataset) -> Finding:
    """Signal over noise of the classifier at the paper's two values of n·SNR²."""
    ratio = setting.settled(data, CLASSIFIER).ratio.mean("seed")
    return all_of(
        below(0.05, at(ratio, n_snr2=LOW), format=f"signal/noise {{:.3f}} at {LOW}"),
        above(5, at(ratio, n_snr2=HIGH), format=f"{{:.1f}} at {HIGH}"),
        expected="o(1) and large",
    )


def _straightness(step: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """Share of the variance that a straight line leaves: of the value, and of its logarithm."""
    if len(step) < 4:
        raise NotMeasurable("growth passes between fewer than four recorded steps")
    shares = []
    for y in (value, np.log(value)):
        line = np.polyval(np.polyfit(step, y, 1), step)
        shares.append(float(((y - line) ** 2).sum() / ((y - y.mean()) ** 2).sum()))
    return shares[0], shares[1]


@claim(
    "a denoiser's signal grows linearly at first, a classifier's exponentially",
    "Han et al. 2024",
    known="true of the mean over neurons (--over mean); the largest neuron runs ahead, and not along a line",
)
def linear_against_exponential(data: xr.Dataset) -> Finding:
    """From twice the signal at the start: a denoiser until filters are longer by a tenth, a classifier to half way."""
    denoiser, classifier = (at(at(data, model=model), n_snr2=HIGH).mean("seed") for model in (DENOISER, CLASSIFIER))
    small = denoiser.norm_hidden <= 1.1 * denoiser.norm_hidden.isel(step=0)
    small &= denoiser.signal_learnt > 2 * denoiser.signal_learnt.isel(step=0)
    signal = classifier.signal_learnt
    growing = (signal > 2 * signal.isel(step=0)) & (signal < 0.5 * signal.isel(step=-1))
    first, second = (
        _straightness(kept.step.values.astype(float), kept.values)
        for kept in (denoiser.signal_learnt.isel(step=small.values), signal.isel(step=growing.values))
    )
    left = "a line leaves {:.2%}, an exponential {:.2%} of the"
    return all_of(
        below(0.5, first[0] / first[1], where="line/exponential", format=left.format(*first) + " denoiser's growth"),
        below(0.5, second[1] / second[0], where="exponential/line", format=left.format(*second) + " classifier's"),
        expected="linear, exponential",
    )


@claim("the denoiser's ratio hardly moves while n·SNR² grows ninefold", "a reviewer of Han et al. 2024, on figure 2")
def ratio_hardly_moves(data: xr.Dataset) -> Finding:
    """Ratio of the denoiser's signal over noise at n·SNR² = 6.75 and 0.75, paired by seed, with its interval."""
    kept = setting.settled(data, DENOISER).ratio
    need(kept, seed=3)
    moved = mean(at(kept, n_snr2=HIGH) / at(kept, n_snr2=LOW), log=True)
    said = f"×{{:.2f}} while n·SNR² grows ×{HIGH / LOW:.0f}"
    return at_most(3.0, moved, where="the square root of nine", format=said, expected="of constant order, not ∝ n·SNR²")


CLAIMS = (denoiser_learns_both, classifier_learns_one, linear_against_exponential, ratio_hardly_moves)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Rows: n·SNR²; columns: denoiser and classifier; curves: signal and noise."""
    chosen, note = one_of_each(data, "model", "n_snr2", "step", of="ratio")
    rows, models = chosen["n_snr2"].values.tolist(), chosen["model"].values.tolist()
    title = "A denoiser learns signal and noise together, a classifier only the faster of them" + note
    figure, axes = new_figure(len(rows), len(models), title=title, height=3.2)
    which = xr.DataArray(["signal |⟨w, μ⟩|", "noise |⟨w, ξ⟩|"], dims="quantity", attrs={"long_name": ""})
    for line, control in zip(axes, rows):
        for ax, model in zip(line, models):
            part = chosen.sel(n_snr2=control, model=model)
            shown = xr.concat([part["signal_learnt"], part["noise_learnt"]], which).assign_attrs(
                long_name="inner product learnt"
            )
            moving = part["step"] <= _last_step(part)
            curves(
                ax,
                shown.sel(step=moving).assign_coords(step=("step", part["step"].values[moving.values], _STEP)),
                "step",
                "quantity",
                log="y",
                legend=ax is axes[0, -1],
                title=f"{model}, n·SNR² = {control:g}",
            )
    return {"dynamics": figure}


_STEP = {"long_name": "gradient steps", "units": "1"}


def _last_step(part: xr.Dataset) -> int:
    """Where the curves stop being interesting: a little after the last seed has come within 2 % of its end."""
    ends = part[["signal_learnt", "noise_learnt"]].to_array()
    moving = (abs(ends / ends.isel(step=-1) - 1) > 0.02).any([dim for dim in ends.dims if dim != "step"])
    last = int(part["step"].values[moving.values].max()) if bool(moving.any()) else 1
    return max(int(1.5 * last), int(part["step"][:4][-1]))


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, options=OPTIONS)
