"""The map over sample size and signal-to-noise ratio: a border at n·SNR² ≈ 2 for the classifier, none for the denoiser.

Han, Huang, Cao, Zou 2024, arXiv 2412.01021, speak of n·SNR² large and small; where the border lies, and what a
denoiser's ratio is at every diffusion time, is derived in :mod:`lemmata.papers.diffusion.theory`. Names: ``snr``
SNR = ‖μ‖/(σ√d), ``control`` n·SNR², ``ratio`` signal over noise.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.papers.diffusion import setting as family
from lemmata.papers.diffusion import theory as diffusion
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

TIMES = np.geomspace(0.05, 1.5, 25)


def grid(size: str) -> "Grid":
    """Size → the points of the sweep."""
    from lemmata.sweep import Grid

    n, snr, seeds = {
        "smoke": ((10, 20), (0.15, 0.3, 0.6), 1),
        "laptop": ((10, 20, 40, 80), tuple(np.geomspace(0.08, 0.8, 9).round(3).tolist()), 2),
        "paper": ((10, 14, 20, 28, 40, 56, 80, 112, 160), tuple(np.geomspace(0.05, 1.0, 25).round(4).tolist()), 10),
    }[size]
    axes = {"model": (DENOISER, CLASSIFIER), "n": n, "snr": snr, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, **changes: Any) -> "Body":
    """Size and options → the training of every cell."""
    return family.body(size, **{"steps": {"smoke": 2000, "laptop": 3000, "paper": 20000}[size], **changes})


# -- claims ----------------------------------------------------------------------------------------------------------


def border(dataset: "xr.Dataset", quantity: str = "ratio") -> "xr.DataArray":
    """n·SNR² at which the classifier's ratio, mean of logarithms over seeds, passes 1; per n, NaN where it does not."""
    cells = family.settled(dataset, CLASSIFIER).dataset
    if not {"n", "snr"} <= set(cells[quantity].dims):
        raise NotMeasurable("needs several sample sizes and signal-to-noise ratios")
    ratio: Any = np.log(cells[quantity])
    ratio = ratio.mean("seed") if "seed" in ratio.dims else ratio
    control: Any = np.log(cells["control"]) + 0 * ratio
    above = ratio > 0
    crossing = above & ~above.shift(snr=1, fill_value=True)
    before, start = ratio.shift(snr=1), control.shift(snr=1)
    found = np.exp(start - before / (ratio - before) * (control - start)).where(crossing)
    return found.isel(snr=crossing.argmax("snr"))


def border_is_the_race(dataset: "xr.Dataset") -> Finding:
    """Where the classifier's ratio passes 1, against where the predicted ratio does."""
    measured = border(dataset)
    predicted = border(dataset, "ratio_predicted")
    values = measured.values[np.isfinite(measured.values)]
    if len(values) < 2:
        raise NotMeasurable("the classifier's ratio passes 1 at fewer than two sample sizes")
    off = float(abs(measured / predicted - 1).max())
    return Finding(
        holds=values.min() >= 2 and values.max() <= 4 and off < 0.2,
        measured=f"n·SNR² from {values.min():.2f} to {values.max():.2f} over n, off the predicted by {off:.0%} at most",
        predicted=f"{np.nanmin(predicted.values):.2f} to {np.nanmax(predicted.values):.2f}, "
        f"towards {diffusion.race_transition():g} for vanishing weights",
        tolerance="in [2, 4], 20 %",
    )


def denoiser_has_no_border(dataset: "xr.Dataset") -> Finding:
    """By which factor the denoiser's ratio moves over the map, against n·SNR² and the classifier."""
    kept = family.settled(dataset, DENOISER)
    low, high = float(kept.dataset["ratio"].min()), float(kept.dataset["ratio"].max())
    chosen = kept.dataset["control"].where(kept.usable)
    span = float(chosen.max() / chosen.min())
    if span < 4:
        raise NotMeasurable(f"n·SNR² of the converged denoisers moves by ×{span:.1f} only; needs ×4")
    other = family.settled(dataset, CLASSIFIER).dataset["ratio"]
    return Finding(
        holds=high < 2.5 and high / low < span and high / low < 0.02 * float(other.max() / other.min()),
        measured=f"signal/noise {low:.3f} to {high:.2f} while n·SNR² moves ×{span:.0f}",
        predicted="Θ(n·SNR²) at constant order",
        tolerance="< 2.5; moves less than n·SNR², < 2 % of the classifier's factor",
        detail=kept.note,
    )


def symmetric_where_n_snr2_is_large(dataset: "xr.Dataset") -> Finding:
    """The ratio of denoisers on the symmetric branch against the prediction."""
    cells = family.settled(dataset, DENOISER).dataset
    inside = (cells["control"] >= 0.7) & (cells["control"] <= 8) & (cells["branch_spread"] < 0.01)
    off = abs(cells["ratio"] / cells["ratio_predicted"] - 1).where(inside)
    if not bool(off.notnull().any()):
        raise NotMeasurable("no denoiser on the symmetric branch with n·SNR² between 0.7 and 8")
    middle, worst = float(off.median()), float(off.max())
    return Finding(
        holds=middle < 0.03,
        measured=f"off by {middle:.1%} in the median of {int(off.count())} denoisers, {worst:.1%} at most",
        predicted="symmetric stationary point, population Gram matrix",
        tolerance="median < 3 %, n·SNR² from 0.7 to 8",
    )


CLAIMS = (
    Claim(
        "border-is-the-race",
        "the classifier passes from noise to signal near n·SNR² = 2 at every sample size",
        "order: Han et al. 2024; place: derived here",
        border_is_the_race,
    ),
    Claim(
        "denoiser-has-no-border",
        "the denoiser's ratio has no such border",
        family.THEOREM_DENOISER,
        denoiser_has_no_border,
        SIZES,
    ),
    Claim(
        "stationary-ratio",
        "three unknowns predict the denoiser's ratio over the map",
        "derived here",
        symmetric_where_n_snr2_is_large,
        SIZES,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Everything that is drawn, by file name."""
    return {"map": ratio_map(dataset), "time": over_time(dataset)}


def ratio_map(dataset: "xr.Dataset") -> "Figure":
    """One panel per model, one colour scale: log of the ratio."""
    from lemmata.lab.readings import one_of_each
    from lemmata.report.maps import heat_map
    from lemmata.report.statistics import seed_interval
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "model", "n", "snr", of="ratio")
    models = chosen["model"].values.tolist()
    title = "The classifier has a border near n·SNR² = 2, the denoiser none" + note
    figure, axes = new_figure(1, len(models), title=title)
    for ax, model in zip(axes[0], models):
        part = chosen.sel(model=model)
        shown = seed_interval(part["ratio"], geometric=True)["mean"].assign_attrs(
            long_name="signal over noise learnt", units="1"
        )
        unsettled = part["status"] != family.ENDS[model]
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


def over_time(dataset: "xr.Dataset") -> "Figure":
    """What the three unknowns say of other diffusion times."""
    import xarray as xr

    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    d, m, sigma_p = family.setting(dataset, "d", "m", "sigma_p")
    n, controls = 30, np.array([0.1, 0.75, 2.0, 6.75])
    point = diffusion.stationary_point(
        n, diffusion.signal_at(controls, n, np.max(d), sigma_p)[:, None], np.max(d), np.max(m), TIMES, sigma_p
    )
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


EXPERIMENT = Experiment(
    name="diffusion-map",
    paper=family.PAPER,
    shows="Over sample size and SNR a classifier has a border near n·SNR² = 2, a denoiser has none.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=family.predictions,
    figures=figures,
    options=tuple(option for option in family.OPTIONS if option.name != "n_snr2"),
    seconds={"smoke": 5, "laptop": 30, "paper": 3600},
)
