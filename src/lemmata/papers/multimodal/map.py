"""Signal against noise over n·SNR² and C: where a second modality helps, and by how much.

At small weights signal outgrows noise where n·SNR² > 2 in one modality and where n·SNR·SNR̃ = C·n·SNR² > 2 in two; the
first shows in what is learnt at the end, the second hardly, because signal and noise saturate one another. Huang, Han,
Chen, Cao, Xu, Suzuki 2024, arXiv 2411.02837; thresholds derived here. Names: ``signal`` ‖μ‖, ``signal_ratio`` C.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.lab.readings import setting
from lemmata.papers.multimodal import setting as family
from lemmata.papers.multimodal import theory as theory

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

N, D = 50, 2000
LOW, ONE, FOUR = 0.25, 1.0, 4.0
AXES = ("modality", "signal_ratio", "signal")
FLOOR = 1e-12
"""Errors below are not drawn."""


def grid(size: str) -> "Grid":
    """Modalities, C, signal strength (as n·SNR²) and seed."""
    from lemmata.sweep import Grid

    sizes: dict[str, tuple[Any, Any, int]] = {
        "smoke": ((0.25, 1.0, 4.0), (1.0, 4.0), 1),
        "laptop": (2.0 ** np.arange(-2, 2.5, 0.5), (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 3),
        "paper": (np.geomspace(0.125, 8.0, 25), np.geomspace(0.125, 16.0, 22), 10),
    }
    n_snr2, ratios, seeds = sizes[size]
    signal = [family.snr_signal(float(x), N, D) for x in n_snr2]
    axes = {"modality": ("single", "multi"), "signal_ratio": ratios, "signal": signal, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, *, device: str = "cpu", **changes: Any) -> "Body":
    """Training from a tiny start, looked at once, at the end."""
    from dataclasses import replace

    from lemmata import GD, InfoNCE, PairedSignalNoise, PatchEncoder, Run
    from lemmata.papers.multimodal.contrastive import ContrastiveBody

    probes = ("contrastive_loss", "downstream_error", "encoder_signal", "encoder_noise")
    data = PairedSignalNoise(n=N, d=D, signal=family.snr_signal(1.0, N, D))
    run = Run(data, PatchEncoder(m=50, init=1e-6), InfoNCE(), GD(c=0.8), steps=600)
    run = replace(run, stop_loss=family.STOP_LOSS, probes=(*probes, "encoder_signal_2", "encoder_noise_2")).at(changes)
    return ContrastiveBody(replace(run, device=device))


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """n·SNR², the signal over the noise that was learnt, C at the threshold, and the strength of a probe."""
    import xarray as xr

    n, d, sigma_p, negatives = setting(dataset, "n", "d", "sigma_p", "negatives")
    signal = xr.DataArray(setting(dataset, "signal")[0])
    n_snr2 = xr.DataArray(theory.n_snr2(n, signal, d, sigma_p)).assign_attrs(long_name="n·SNR²", units="1")
    ratio = (dataset["encoder_signal"] / dataset["encoder_noise"]).assign_attrs(
        long_name="signal over noise learnt", units="1", symbol="signal/noise"
    )
    found = {"n_snr2": n_snr2, "signal_over_noise": ratio}
    found["probe_strength"] = (signal**2 / (sigma_p**2 * d**0.5)).assign_attrs(long_name="SNR²√d", units="1")
    if isinstance(negatives, str):
        found["critical_ratio"] = theory.critical_ratio(n_snr2, negatives).assign_attrs(
            long_name="C at the threshold", units="1"
        )
    return xr.Dataset(found)


# -- claims ----------------------------------------------------------------------------------------------------------


def crossing(dataset: "xr.Dataset", **where: Any) -> float:
    """n·SNR² at which the signal learnt equals the noise memorised, mean over seeds, linear in both logarithms.

    Raises:
        NotMeasurable: signal and noise do not cross within the grid.
    """
    part = at(family.reached(dataset, *AXES).dataset, **where)
    if "signal" not in part["signal_over_noise"].dims or part["n_snr2"].dims != ("signal",):
        raise NotMeasurable("needs several signal strengths at one n, d and noise level")
    ratio = np.log(part["signal_over_noise"].mean("seed").values)
    x = np.log(part["n_snr2"].values)
    (over,) = np.nonzero((ratio[1:] > 0) & (ratio[:-1] <= 0))
    if not over.size:
        raise NotMeasurable(f"signal and noise do not cross at {where}")
    k = int(over[0])
    return float(np.exp(x[k] - ratio[k] * (x[k + 1] - x[k]) / (ratio[k + 1] - ratio[k])))


def single_threshold(dataset: "xr.Dataset") -> Finding:
    """Where signal and noise cross in one modality."""
    found = crossing(dataset, modality="single", signal_ratio=ONE)
    return Finding(
        holds=1.5 < found < 2.7,
        measured=f"n·SNR² = {found:.2f}",
        predicted=f"{theory.threshold():g}",
        tolerance="1.5 to 2.7",
    )


def second_lowers(dataset: "xr.Dataset") -> Finding:
    """Where they cross in two, at C = 4 and at C = 1."""
    low, high = (crossing(dataset, modality="multi", signal_ratio=ratio) for ratio in (ONE, FOUR))
    return Finding(
        holds=high < low,
        measured=f"n·SNR² = {high:.2f} at C = 4, {low:.2f} at C = 1",
        predicted=f"{theory.threshold() / FOUR:g} at C = 4 from rates at small weights; saturation hides the rest",
        tolerance="falls with C",
    )


def _error_ratio(dataset: "xr.Dataset", signal_ratio: float, n_snr2: float) -> tuple[float, float]:
    part = at(family.reached(dataset, *AXES).dataset, signal_ratio=signal_ratio)
    single, multi = family.both(part, "downstream_error")
    place = [k for k, x in enumerate(np.atleast_1d(part["n_snr2"].values)) if abs(x - n_snr2) < 1e-6 * n_snr2]
    if not place:
        raise NotMeasurable(f"needs n·SNR² = {n_snr2:g}, which is not among the values run")
    return float(single[place[0]]), float(multi[place[0]])


def gap_needs_ratio(dataset: "xr.Dataset") -> Finding:
    """Errors of one modality, of two equal ones, and with a strong second one."""
    (single, equal), (_, four) = (_error_ratio(dataset, ratio, LOW) for ratio in (ONE, FOUR))
    return Finding(
        holds=single / equal < 1.5 and single / four > 2.5,
        measured=f"error {single:.3f} single, {equal:.3f} at C = 1, {four:.3f} at C = 4",
        predicted="the gap grows with C",
        tolerance=f"×{1.5} at most at C = 1, ×{2.5} at least at C = 4, n·SNR² = {LOW:g}",
    )


def cooperates(dataset: "xr.Dataset") -> Finding:
    """Error of one modality over that of two, in every cell with C ≥ 2."""
    kept = family.reached(dataset, *AXES)
    part = kept.dataset.sel(signal_ratio=kept.dataset["signal_ratio"] >= 2)
    single, multi = family.both(part, "downstream_error")
    ratio = (single / multi).values
    if not np.isfinite(ratio).any():
        raise NotMeasurable("needs cells with C of 2 or more")
    return Finding(
        holds=bool(np.nanmin(ratio) > 1),
        measured=f"error of one over that of two ×{np.nanmin(ratio):.2f} at least",
        predicted="above 1",
        tolerance="in every column and row with C ≥ 2",
        detail=kept.note,
    )


def weak_second_harms(dataset: "xr.Dataset") -> Finding:
    """Signal over noise with a weak second modality, over that of one."""
    single, multi = family.both(at(family.reached(dataset, *AXES).dataset, signal_ratio=LOW), "signal_over_noise")
    ratio = np.atleast_1d((multi / single).values)
    return Finding(
        holds=bool(np.nanmax(ratio) < 1),
        measured=f"signal over noise ×{np.nanmin(ratio):.2f} to ×{np.nanmax(ratio):.2f} of one modality's at C = 1/4",
        predicted="reversed",
        tolerance="below ×1 in every column",
    )


CLAIMS = (
    Claim(
        "both-fit",
        f"contrast within one modality and between two both drive the training loss to {family.STOP_LOSS}",
        family.ABSTRACT,
        family.all_reached,
        SIZES,
    ),
    Claim(
        "single-threshold",
        "one modality learns more signal than noise from n·SNR² = 2 on",
        "derived here",
        single_threshold,
        SIZES,
    ),
    Claim(
        "second-lowers-threshold",
        "the stronger the second modality, the smaller the n·SNR² from which signal wins",
        "derived here",
        second_lowers,
    ),
    Claim(
        "two-generalise-better",
        "a second modality of larger signal-to-noise ratio lowers the downstream error wherever there is one",
        family.ABSTRACT,
        cooperates,
        SIZES,
    ),
    Claim(
        "gap-needs-ratio",
        "the gain comes from the larger signal-to-noise ratio of the second modality",
        "derived here",
        gap_needs_ratio,
    ),
    Claim(
        "weak-second-harms",
        "a second modality of smaller signal-to-noise ratio makes the first one's encoder learn less signal",
        "derived here",
        weak_second_harms,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """The map, and cuts through it."""
    return {"map": phase_map(dataset), "cooperation": cooperation(dataset)}


def _chosen(dataset: "xr.Dataset") -> tuple["xr.Dataset", str]:
    """The first value of every axis beyond the four of this experiment, n·SNR² as a coordinate, and a note."""
    extra = [d for d in dataset["downstream_error"].dims if d not in (*AXES, "seed")]
    note = ", ".join(f"{name} = {dataset[name].values[0]}" for name in extra)
    part = dataset.isel(dict.fromkeys(extra, 0))
    for name in AXES:
        part = part if name in part["downstream_error"].dims else part.expand_dims(name)
    n_snr2 = np.round(np.atleast_1d(part["n_snr2"].values).ravel(), 3)  # as it is written on the axis
    part = part.assign_coords(n_snr2=("signal", n_snr2, part["n_snr2"].attrs))
    return part.swap_dims(signal="n_snr2"), f" ({note})" if note else ""


def phase_map(dataset: "xr.Dataset") -> "Figure":
    """Two modalities: signal over noise, and the error of the best head, over n·SNR² and C."""
    from lemmata.report.maps import heat_map
    from lemmata.report.statistics import seed_interval
    from lemmata.report.style import new_figure

    chosen, note = _chosen(dataset)
    part = chosen.sel(modality="multi" if "multi" in chosen["modality"].values else chosen["modality"].values[0])
    figure, axes = new_figure(1, 2, title="A stronger second modality helps, less than early rates suggest" + note)
    line = part["critical_ratio"].squeeze() if "critical_ratio" in part else None
    lines = {"equal rates at small weights, n·SNR·SNR̃ = threshold": line} if line is not None else {}
    unusable = (part["status"] != 1).any("seed")
    ratio = seed_interval(part["signal_over_noise"], geometric=True)["mean"]
    shared: dict[str, Any] = {"lines": lines, "hatched": unusable, "contours": ratio, "levels": (0.1, 0.3, 1.0, 3.0)}
    heat_map(axes[0, 0], ratio, "n_snr2", "signal_ratio", log_colour=True, title="signal over noise", **shared)
    error = seed_interval(part["downstream_error"])["mean"]
    heat_map(
        axes[0, 1], error, "n_snr2", "signal_ratio", log_colour=True, limits=(FLOOR, 0.5), title="test error", **shared
    )
    return figure


def cooperation(dataset: "xr.Dataset") -> "Figure":
    """Signal over noise and test error against n·SNR²: one modality, and two for every C."""
    import xarray as xr

    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = _chosen(dataset)
    ratios = chosen["signal_ratio"].values
    some = ratios[np.unique(np.linspace(0, ratios.size - 1, min(ratios.size, 6)).round().astype(int))]
    parts = {"one": chosen.sel(modality="single", signal_ratio=ratios[0])} if "single" in chosen["modality"] else {}
    if "multi" in chosen["modality"]:
        parts |= {f"two, C = {c:g}": chosen.sel(modality="multi", signal_ratio=c) for c in some}
    which = xr.DataArray(list(parts), dims="setting", attrs={"long_name": "modalities"})
    figure, axes = new_figure(1, 2, title="A strong second modality helps, a weak one harms" + note, width=4.6)
    for ax, name in zip(axes[0], ("signal_over_noise", "downstream_error")):
        values = xr.concat(
            [part[name].where(part["status"] == 1) for part in parts.values()],
            which,
            coords="minimal",
            compat="override",
        )
        values = values.assign_coords(setting=which).assign_attrs(dataset[name].attrs)
        shown = values.where(values > FLOOR)
        title = values.attrs["long_name"]
        curves(ax, shown, "n_snr2", "setting", band=False, log="xy", legend=ax is axes[0, 1], title=title)
        ticks = chosen["n_snr2"].values[:: max(1, chosen.sizes["n_snr2"] // 5)]
        ax.set_xticks(ticks, [f"{x:.2g}" for x in ticks])
        ax.set_xticks([], minor=True)
    axes[0, 0].axhline(1, color="0.6", lw=0.8, zorder=1)
    return figure


EXPERIMENT = Experiment(
    name="multimodal-map",
    paper=family.PAPER,
    shows="Over n·SNR² and C: two modalities learn signal where one learns noise, if the second one's SNR is larger.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    seconds={"smoke": 3, "laptop": 30, "paper": 900},
    options=family.OPTIONS,
)
