"""Signal against noise over n·SNR² and C: where a second modality helps, and by how much.

At small weights signal outgrows noise where n·SNR² > 2 in one modality and where n·SNR·SNR̃ = C·n·SNR² > 2 in two; what
is learnt at the end follows these borders, the more closely the smaller the start. Huang, Han, Chen, Cao, Xu, Suzuki
2024, arXiv 2411.02837; thresholds derived here. Names: ``signal`` ‖μ‖, ``signal_ratio`` C.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import PairedSignalNoise
from lemmata.claims import (
    Estimate,
    Finding,
    NotMeasurable,
    above,
    all_of,
    among,
    at,
    at_most,
    below,
    between,
    claim,
    exponent,
    factor,
    mean,
    need,
    one_of_each,
    threshold,
    unusable,
)
from lemmata.dynamics.rules import GD
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.multimodal import setting, theory
from lemmata.papers.multimodal.setting import MODALITIES
from lemmata.report.curves import curves
from lemmata.report.maps import heat_map
from lemmata.report.statistics import seed_interval
from lemmata.report.style import new_figure
from lemmata.status import Status
from lemmata.theory.signal_noise import n_snr2, signal_at_n_snr2

N, D = 50, 2000
WEAK, FOUR, LOW = 0.25, 4.0, 0.5
FLOOR = 1e-12
"""Errors below are not drawn."""


def lengths(*controls: float) -> tuple[float, ...]:
    """‖μ‖ at these n·SNR²."""
    return tuple(float(signal_at_n_snr2(x, N, D)) for x in controls)


PROBES = (*setting.ENCODER, "downstream_error")
BODY = setting.training(PairedSignalNoise(N, D, lengths(1.0)[0]), 50, 1e-6, GD(c=0.8), 1500, PROBES)
SIZES = {
    "smoke": Size(modality=MODALITIES, signal_ratio=(1.0, 4.0), signal=lengths(0.25, 1, 4), seeds=2),
    "laptop": Size(
        modality=MODALITIES, signal_ratio=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
        signal=lengths(*(2.0 ** np.arange(-2, 2.5, 0.5))), seeds=10,
    ),
    "paper": Size(
        modality=MODALITIES, signal_ratio=tuple(np.geomspace(0.125, 16.0, 22).tolist()),
        signal=lengths(*np.geomspace(0.125, 8.0, 25)), seeds=50,
    ),
}  # fmt: skip


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """n·SNR², the signal over the noise that was learnt, C at the threshold."""
    control = xr.DataArray(n_snr2(data.n, data.signal, data.d, data.sigma_p))
    control = control.assign_attrs(long_name="n·SNR²", units="1")
    ratio = (data.encoder_signal / data.encoder_noise).assign_attrs(
        long_name="signal over noise learnt", units="1", symbol="signal/noise"
    )
    found = {"n_snr2": control, "signal_over_noise": ratio}
    if not data.negatives.ndim:
        critical = theory.critical_ratio(control, str(data.negatives.item()))
        found["critical_ratio"] = critical.assign_attrs(long_name="C at the threshold", units="1")
    return found


def crossing(data: xr.Dataset, **where: Any) -> Estimate:
    """n·SNR² at which the signal learnt equals the noise memorised, mean over every seed's own, with its interval."""
    need(data, signal=2, seed=2)
    part = at(setting.reached(data), **where)
    return threshold(part.signal_over_noise, 1.0, "signal", of=data.n_snr2, statistic="each")


@claim("one modality learns more signal than noise from n·SNR² = 2 on", "derived here", ALL)
def single_threshold(data: xr.Dataset) -> Finding:
    """Where signal and noise cross in one modality."""
    found = crossing(data, modality="single", signal_ratio=FOUR)
    return factor(1.25, found, theory.threshold(), format="×{:.2f} of 2", expected="2, from rates at small weights",
                  detail=("n·SNR² =", found))  # fmt: skip


@claim("two modalities learn more signal than noise from n·SNR² = 2/C on, at every C", "derived here", ALL)
def multi_threshold(data: xr.Dataset) -> Finding:
    """Where they cross in two, over 2/C, at every C whose border lies on the grid."""
    need(data, signal_ratio=2)
    found = crossing(data, modality="multi")
    said = "×{least:.2f} to ×{most:.2f} of 2/C, worst"
    return factor(1.5, found.over(theory.threshold() / data.signal_ratio), format=said, expected="2/C",
                  detail=("n·SNR² =", found))  # fmt: skip


@claim("in two modalities the border moves as 1/C", "derived here")
def border_moves_with_ratio(data: xr.Dataset) -> Finding:
    """The exponent of C in the n·SNR² at which signal and noise cross."""
    found = exponent(crossing(data, modality="multi"), "signal_ratio")
    return between(-1.1, -0.9, found, format="C^{:.3f}", where="in the exponent of C", expected="C^−1")


def _gain(data: xr.Dataset, inside: xr.DataArray, which: str) -> Estimate:
    """Error of two modalities over that of one where that is above a thousandth, seeds paired, with its interval."""
    one, two = setting.pair(setting.reached(data).downstream_error)
    kept = among(one.value, inside & (one.value > 1e-3), f"an error above 0.001 {which}").notnull()
    return two.over(one).where(kept)


@claim("where C·n·SNR² is 2 or more, a second modality lowers the downstream error", setting.ABSTRACT)
def cooperates(data: xr.Dataset) -> Finding:
    """Error of two over that of one, where C > 1 and one modality errs in more than a thousandth."""
    inside = (data.signal_ratio > 1) & (data.signal_ratio * data.n_snr2 > 2 - 1e-9)
    return below(1, _gain(data, inside, "beyond the threshold"), where="times that of one",
                 format="error of two ×{most:.3f} at most", expected="below 1")  # fmt: skip


@claim("where C·n·SNR² is 1 or less, it does not", "derived here")
def too_weak(data: xr.Dataset) -> Finding:
    """Error of two over that of one, far below the threshold."""
    inside = data.signal_ratio * data.n_snr2 < 1 + 1e-9
    return above(0.8, _gain(data, inside, "below the threshold"), where="times that of one", point=True,
                 format="error of two ×{least:.3f} at least", expected="no gain")  # fmt: skip


@claim("the gain comes from the larger signal-to-noise ratio of the second modality", "derived here")
def gap_needs_ratio(data: xr.Dataset) -> Finding:
    """Errors of one modality, of two equal ones, and with a strong second one, at n·SNR² = 1/2, seeds paired."""
    place = int(np.argmin(np.abs(np.log(data.n_snr2.values / LOW))))
    if abs(float(data.n_snr2[place]) / LOW - 1) > 1e-6:
        raise NotMeasurable(f"needs n·SNR² = {LOW:g}, which is not among the values run")
    error = setting.reached(data).downstream_error.isel(signal=place)
    one = mean(at(error, modality="single", signal_ratio=1.0), log=True)
    equal, four = (mean(at(error, modality="multi", signal_ratio=ratio), log=True) for ratio in (1.0, FOUR))
    return all_of(
        at_most(1.5, one.over(equal), format="error of one over two at C = 1 ×{:.2f}"),
        above(2.5, one.over(four), format="at C = 4 ×{:.0f}"),
        expected="the gap grows with C",
        detail=("errors", one, "of one,", equal, "at C = 1,", four, "at C = 4"),
    )


@claim("a second modality of smaller signal-to-noise ratio makes the first one's encoder learn less signal",
       "derived here")  # fmt: skip
def weak_second_harms(data: xr.Dataset) -> Finding:
    """Signal over noise with a weak second modality, over that of one, seeds paired."""
    one, two = setting.pair(at(setting.reached(data), signal_ratio=WEAK).signal_over_noise)
    said = "signal over noise ×{least:.2f} to ×{most:.2f} of one modality's at C = 1/4, worst"
    return below(1, two.over(one), where="in every column", format=said, expected="reversed")


CLAIMS = (
    setting.both_fit,
    single_threshold,
    multi_threshold,
    border_moves_with_ratio,
    cooperates,
    too_weak,
    gap_needs_ratio,
    weak_second_harms,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The map, and cuts through it."""
    return {"map": phase_map(data), "cooperation": cooperation(data)}


def _chosen(data: xr.Dataset) -> tuple[xr.Dataset, str]:
    """One of every further axis, n·SNR² in place of the signal, and a note."""
    part, note = one_of_each(data, "modality", "signal_ratio", "signal", of="downstream_error")
    for name in ("modality", "signal_ratio", "signal"):
        part = part if name in part["downstream_error"].dims else part.expand_dims(name)
    control = np.round(np.atleast_1d(part["n_snr2"].values).ravel(), 3)  # as it is written on the axis
    part = part.assign_coords(n_snr2=("signal", control, part["n_snr2"].attrs))
    return part.swap_dims(signal="n_snr2"), note


def phase_map(data: xr.Dataset) -> Figure:
    """Two modalities: signal over noise, and the error of the best head, over n·SNR² and C."""
    chosen, note = _chosen(data)
    part = chosen.sel(modality="multi" if "multi" in chosen["modality"].values else chosen["modality"].values[0])
    figure, axes = new_figure(1, 2, title="Two modalities learn the signal where C·n·SNR² is above 2" + note)
    line = part["critical_ratio"].squeeze() if "critical_ratio" in part else None
    lines = {"equal rates at small weights": line} if line is not None else {}
    ratio = seed_interval(part["signal_over_noise"], geometric=True)["mean"]
    hatched = unusable(part) | (part["status"] != Status.REACHED_LOSS).any("seed")
    shared: dict[str, Any] = {"lines": lines, "hatched": hatched, "contours": ratio, "levels": (0.1, 1.0, 10.0)}
    heat_map(axes[0, 0], ratio, "n_snr2", "signal_ratio", log_colour=True, title="signal over noise", **shared)
    error = seed_interval(part["downstream_error"])["mean"]
    heat_map(
        axes[0, 1], error, "n_snr2", "signal_ratio", log_colour=True, limits=(FLOOR, 0.5), title="test error", **shared
    )
    return figure


def cooperation(data: xr.Dataset) -> Figure:
    """Signal over noise and test error against n·SNR²: one modality, and two for every C."""
    chosen, note = _chosen(data)
    ratios = chosen["signal_ratio"].values
    some = ratios[np.unique(np.linspace(0, ratios.size - 1, min(ratios.size, 6)).round().astype(int))]
    parts = {"one": chosen.sel(modality="single", signal_ratio=ratios[0])} if "single" in chosen["modality"] else {}
    if "multi" in chosen["modality"]:
        parts |= {f"two, C = {c:g}": chosen.sel(modality="multi", signal_ratio=c) for c in some}
    which = xr.DataArray(list(parts), dims="setting", attrs={"long_name": "modalities"})
    figure, axes = new_figure(1, 2, title="A strong second modality helps, a weak one harms" + note, width=4.6)
    for ax, name in zip(axes[0], ("signal_over_noise", "downstream_error")):
        each = [part[name].where(part["status"] == Status.REACHED_LOSS) for part in parts.values()]
        values = xr.concat(each, which, coords="minimal", compat="override")
        values = values.assign_coords(setting=which).assign_attrs(data[name].attrs)
        shown = values.where(values > FLOOR)
        title = str(values.attrs["long_name"])
        curves(ax, shown, "n_snr2", "setting", band=False, log="xy", legend=ax is axes[0, 1], title=title)
        ticks = chosen["n_snr2"].values[:: max(1, chosen.sizes["n_snr2"] // 5)]
        ax.set_xticks(ticks, [f"{x:.2g}" for x in ticks])
        ax.set_xticks([], minor=True)
    axes[0, 0].axhline(1, color="0.6", lw=0.8, zorder=1)
    return figure


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
