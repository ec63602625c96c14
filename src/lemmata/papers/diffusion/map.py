"""The map over sample size and signal-to-noise ratio: a border at n·SNR² ≈ 2 for the classifier, none for the denoiser.

Han, Huang, Cao, Zou 2024, arXiv 2412.01021, speak of n·SNR² large and small; where the border lies, and what a
denoiser's ratio is at every diffusion time, is derived in ``theory.py``. Names: ``snr`` SNR = ‖μ‖/(σ√d), ``control``
n·SNR², ``ratio`` signal over noise.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Estimate,
    Finding,
    NotMeasurable,
    all_of,
    among,
    below,
    between,
    claim,
    need,
    one_of_each,
    threshold,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.diffusion import setting, theory
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER
from lemmata.report.curves import curves
from lemmata.report.maps import heat_map
from lemmata.report.statistics import seed_interval
from lemmata.report.style import new_figure
from lemmata.sweep import Body
from lemmata.theory.signal_noise import signal_at_n_snr2

TIMES = np.geomspace(0.05, 1.5, 25)
MODELS = (DENOISER, CLASSIFIER)
SIZES = {
    "smoke": Size(model=MODELS, n=(10, 20), snr=(0.15, 0.3, 0.6), steps=1200),
    "laptop": Size(
        model=MODELS, n=(10, 20, 40, 80), snr=tuple(np.geomspace(0.08, 0.8, 9).round(3).tolist()), steps=3000, seeds=5
    ),
    "paper": Size(
        model=MODELS,
        n=(10, 14, 20, 28, 40, 56, 80, 112, 160),
        snr=tuple(np.geomspace(0.05, 1.0, 25).round(4).tolist()),
        steps=20000,
        seeds=10,
    ),
}


def body(power: int = 2) -> Body:
    """Both models at the end of training."""
    return setting.both(power)


def border(data: xr.Dataset, quantity: str = "ratio") -> Estimate:
    """n·SNR² at which the classifier's ratio, mean of logarithms over seeds, passes 1; per n, with its interval."""
    need(data, n=2, snr=2)
    cells = setting.settled(data, CLASSIFIER)
    ratio = xr.apply_ufunc(np.log, cells[quantity])
    ratio = ratio if "seed" in ratio.dims else ratio.expand_dims(seed=1)
    return threshold(ratio, 0.0, along="snr", of=cells.control, log=False)


@claim(
    "the classifier passes from noise to signal at an n·SNR² of order one, where a race predicts, at every sample size",
    "order: Han et al. 2024; place: derived here",
)
def border_is_the_race(data: xr.Dataset) -> Finding:
    """Where the classifier's ratio passes 1, against where the predicted ratio does."""
    measured, predicted = border(data), border(data, "ratio_predicted").value
    if int(measured.value.notnull().sum()) < 2:
        raise NotMeasurable("the classifier's ratio passes 1 at fewer than two sample sizes")
    least, most = float(predicted.min()), float(predicted.max())
    return all_of(
        between(2, 4, measured, format="n·SNR² from {least:.2f} to {most:.2f} over n, worst"),
        within(0.2, measured, of=predicted, relative=True, format="×{:.2f} of the predicted at worst"),
        expected=f"{least:.2f} to {most:.2f}, towards {theory.race_transition():g} for vanishing weights",
    )


@claim("the denoiser's ratio has no such border", setting.THEOREM_DENOISER, ALL)
def denoiser_has_no_border(data: xr.Dataset) -> Finding:
    """By which factor the denoiser's ratio moves over the map, against n·SNR² and the classifier."""
    ratio = setting.settled(data, DENOISER).ratio
    moved = float(ratio.max() / ratio.min())
    control = data.control.where(ratio.notnull())
    span = float(control.max() / control.min())
    if span < 4:
        raise NotMeasurable(f"n·SNR² of the converged denoisers moves by ×{span:.1f} only; needs ×4")
    other = setting.settled(data, CLASSIFIER).ratio
    return all_of(
        below(2.5, ratio, format=f"signal/noise {float(ratio.min()):.3f} to {{:.2f}} while n·SNR² moves ×{span:.0f}"),
        below(span, moved, where="the factor of n·SNR²", format="×{:.1f}"),
        below(0.02, moved / float(other.max() / other.min()), format="{:.1%} of the classifier's factor"),
        expected="Θ(n·SNR²) at constant order",
    )


@claim("three unknowns predict the denoiser's ratio over the map", "derived here", ALL)
def stationary_ratio(data: xr.Dataset) -> Finding:
    """The ratio of denoisers on the symmetric branch against the prediction."""
    cells = setting.settled(data, DENOISER)
    inside = (cells.control >= 0.7) & (cells.control <= 8) & (cells.branch_spread < 0.01)
    off = among(abs(cells.ratio / cells.ratio_predicted - 1), inside, "n·SNR² from 0.7 to 8 on the symmetric branch")
    said = f"off by {{:.1%}} in the median of {int(off.count())} denoisers, {float(off.max()):.1%} at most"
    expected = "symmetric stationary point, population Gram matrix"
    return below(0.03, float(off.median()), where="in the median, n·SNR² from 0.7 to 8", format=said, expected=expected)


CLAIMS = (border_is_the_race, denoiser_has_no_border, stationary_ratio)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Everything that is drawn, by file name."""
    return {"map": ratio_map(data), "time": over_time(data)}


def ratio_map(data: xr.Dataset) -> Figure:
    """One panel per model, one colour scale: log of the ratio."""
    chosen, note = one_of_each(data, "model", "n", "snr", of="ratio")
    models = chosen["model"].values.tolist()
    title = "The classifier has a border near n·SNR² = 2, the denoiser none" + note
    figure, axes = new_figure(1, len(models), title=title)
    for ax, model in zip(axes[0], models):
        part = chosen.sel(model=model)
        shown = seed_interval(part["ratio"], geometric=True)["mean"].assign_attrs(
            long_name="signal over noise learnt", units="1"
        )
        unsettled = part["status"] != setting.ENDS[model]
        heat_map(
            ax,
            shown,
            "n",
            "snr",
            log_colour=True,
            limits=(1e-3, 30.0),
            contours=part["control"].broadcast_like(shown),
            levels=(0.2, 2, 20),
            hatched=unsettled.any("seed") if "seed" in unsettled.dims else unsettled,
            title=f"{model.capitalize()} (hatched: a seed has not converged)" if bool(unsettled.any()) else model,
        )
    return figure


def over_time(data: xr.Dataset) -> Figure:
    """What the three unknowns say of other diffusion times."""
    d, m, sigma_p = (float(data[name].max()) for name in ("d", "m", "sigma_p"))
    n, controls = 30, np.array([0.1, 0.75, 2.0, 6.75])
    point = theory.stationary_point(n, signal_at_n_snr2(controls, n, d, sigma_p)[:, None], d, m, TIMES, sigma_p)
    ratio = xr.DataArray(
        point.ratio,
        dims=("n_snr2", "t"),
        coords={
            "n_snr2": ("n_snr2", controls, {"long_name": "n·SNR²"}),
            "t": ("t", TIMES, {"long_name": "diffusion time t", "units": "1"}),
        },
        attrs={"long_name": "predicted signal over noise"},
    )
    figure, axes = new_figure(width=6.5)
    title = f"From a constant to n·SNR²/2 as diffusion goes on (predicted, n = {n})"
    curves(axes[0, 0], ratio, "t", "n_snr2", log="xy", title=title)
    return figure


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=setting.predict, figures=figures, options=setting.OPTIONS)
