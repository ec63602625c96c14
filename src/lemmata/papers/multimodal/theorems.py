"""Both theorems where they are stated, d far above n²: who learns what, how fast, and what a head can read.

    n = 40, m = 32, C = 3, d = 10² n² and 10⁴ n², σ0 = n/(dσ), the smallest that assumption 4.1 allows; loss 0.01

Huang, Han, Chen, Cao, Xu, Suzuki 2024, arXiv 2411.02837, theorems 4.2 (one modality: noise of constant order, signal
small, error Θ(1)) and 4.3 (two: reversed, error o(1)), both with a training loss below ε at some iterate. Their proofs
hold together for 1.7 ≤ n·SNR² ≤ 1.8. The theorems' test signal has ⟨ν, μ⟩ = O(‖μ‖²/√d); it is taken at that size, at
‖μ‖²d^(−1/4) and as in training. Only inner products are simulated, so d = 1.6·10⁷ costs what d = 10³ does.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import InfoNCE, PairedSignalNoise, PatchEncoder, Probe, Run
from lemmata.claims import (
    Finding,
    NotMeasurable,
    above,
    all_of,
    among,
    at,
    at_least,
    at_most,
    below,
    between,
    claim,
    factor,
    need,
    one_of_each,
)  # fmt: skip
from lemmata.dynamics.rules import GD
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.multimodal import setting, theory
from lemmata.papers.multimodal.early_growth import EARLY, predict
from lemmata.papers.multimodal.setting import MODALITIES, MULTI_THEOREM, SINGLE_THEOREM
from lemmata.parameters import parameter
from lemmata.probes.downstream import Downstream
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import derived
from lemmata.theory.signal_noise import signal_at_n_snr2

BOTH_HOLD = 1.75
"""n·SNR² at which both proofs' windows meet."""
LAWS = {
    "error_theory": (0.5, "error at ⟨ν, μ⟩ = ‖μ‖²/√d"),
    "error_between": (0.25, "error at ⟨ν, μ⟩ = ‖μ‖²d^(−1/4)"),
    "error_train": (0.0, "error at ν = μ"),
}
STEPS = 6000
PROBES: tuple[str | Probe, ...] = (
    *setting.ENCODER, "encoder_signal_length",
    *(
        Probe(name, Downstream(power=power, fit_on="test"), label, at_end=True)
        for name, (power, label) in LAWS.items()
    ),
)  # fmt: skip


def at_theory(
    n_snr2: float, scale: float, loss: float, *, n: int, d: int, modality: str, sigma_p: float
) -> dict[str, Any]:
    """‖μ‖, the start and the loss at which a cell stops."""
    return {
        "signal": float(signal_at_n_snr2(n_snr2, n, d, sigma_p)),
        "init": scale * n / (d * sigma_p),
        "stop_loss": loss * (2 if modality == "multi" else 1),
    }


RUN = Run(
    PairedSignalNoise(n=40, d=160_000, signal=1.0, signal_ratio=3.0, sigma_aug=0.1),
    PatchEncoder(m=32), InfoNCE(), GD(c=0.5), STEPS, probes=PROBES, record=(*EARLY, STEPS),
)  # fmt: skip
BODY = derived(
    RUN, at_theory,
    n_snr2=parameter("n·SNR²", above=0, scale="log", default=BOTH_HOLD),
    scale=parameter("start σ₀ in units of n/(dσ)", above=0, scale="log", default=1.0),
    loss=parameter("training loss per direction at which a cell stops", above=0, scale="log", default=setting.LOSS),
)  # fmt: skip
SIZES = {
    "smoke": Size(modality=MODALITIES, n_snr2=(0.5, BOTH_HOLD, 3.0), d=(160_000,), seeds=4),
    "laptop": Size(
        modality=MODALITIES, n_snr2=(0.35, 0.5, 0.7, 1.0, 1.4, BOTH_HOLD, 2.0, 2.4, 2.8, 3.4), d=(160_000, 16_000_000),
        seeds=12,
    ),
    "paper": Size(
        modality=MODALITIES, n_snr2=tuple(sorted({*np.geomspace(0.25, 5.0, 25).round(4).tolist(), BOTH_HOLD})),
        d=(160_000, 16_000_000, 1_600_000_000), seeds=60,
    ),
}  # fmt: skip


def end(data: xr.Dataset, modality: str) -> xr.Dataset:
    """The cells of a modality that reached the loss, at the end."""
    return at(setting.reached(data).isel(step=-1), modality=modality)


def together(data: xr.Dataset, modality: str, name: str) -> xr.DataArray:
    """Mean over seeds where both proofs hold, per dimension."""
    return at(end(data, modality), n_snr2=BOTH_HOLD)[name].mean("seed")


@claim("one modality memorises the noise and learns less signal, where both theorems hold", SINGLE_THEOREM, ALL)
def single_memorises(data: xr.Dataset) -> Finding:
    """Noise, and signal over noise, of one modality at n·SNR² = 1.75."""
    noise, ratio = (together(data, "single", name) for name in ("encoder_noise", "signal_over_noise"))
    return all_of(
        at_least(1, noise, format="noise {least:.2f} or more"),
        below(1, ratio, format="signal/noise {most:.2f} or less"),
        expected=f"Ω(1), and signal of order n^(−1/2) = {float(data.n) ** -0.5:.2f}",
        detail=together(data, "single", "encoder_signal"),
    )


@claim("two modalities learn the signal, and memorise the less noise the larger the dimension", MULTI_THEOREM, ALL)
def multi_learns(data: xr.Dataset) -> Finding:
    """Signal and noise of two modalities at n·SNR² = 1.75."""
    noise, ratio = (together(data, "multi", name) for name in ("encoder_noise", "signal_over_noise"))
    return all_of(
        above(1, ratio, format="signal/noise {least:.2f} or more"),
        below(0.5, noise, format="noise {most:.2f} or less"),
        expected="Ω(1), and noise of order n^(−1/2)",
        detail=noise,
    )


def overtaken(data: xr.Dataset, modality: str) -> xr.DataArray:
    """n·SNR² from which the mean signal learnt exceeds the noise, per dimension, linear in both logarithms."""
    need(data, n_snr2=3)
    ratio = np.log(end(data, modality).signal_over_noise.mean("seed"))
    control = np.log(data.n_snr2) + 0 * ratio
    over = (ratio > 0) & (ratio.shift(n_snr2=1) <= 0)
    share = -ratio.shift(n_snr2=1) / (ratio - ratio.shift(n_snr2=1))
    before = control.shift(n_snr2=1)
    found = np.exp(before + share * (control - before)).where(over).min("n_snr2")
    if not bool(found.notnull().any()):
        raise NotMeasurable(f"signal and noise of {modality} do not cross")
    return found


@claim("noise wins in one modality and signal in two between 2.2/C and 1.85, wider than the proofs' 1.7 to 1.8",
       "derived here from the proofs' rates")  # fmt: skip
def window(data: xr.Dataset) -> Finding:
    """n·SNR² between the border of two modalities and that of one."""
    low, high = theory.weak_window(float(data.signal_ratio))
    multi, single = overtaken(data, "multi"), overtaken(data, "single")
    return all_of(
        at_most(theory.MULTI_AT_LEAST, multi, format="two from {most:.2f} on at the latest"),
        at_least(theory.SINGLE_AT_MOST, single, format="one up to {least:.2f} at least"),
        factor(1.5, multi, theory.THRESHOLDS["opposite"] / float(data.signal_ratio), format="×{:.2f} of 2/C"),
        expected=f"{low:.2f} to {high:.2f}",
        detail=("two", multi, "one", single),
    )


def grown(data: xr.Dataset, modality: str, name: str) -> xr.DataArray:
    """Mean growth per step over the proofs' bound, at every n·SNR²."""
    part = at(data, modality=modality)
    return part[f"growth_{name}"].mean("seed") / part[f"bound_{name}"]


@claim(
    "the loser grows no faster than the proofs' upper bounds",
    "Huang et al. 2024, lemmas C.8 to C.12, D.4 to D.10",
    ALL,
)
def loser_is_bounded(data: xr.Dataset) -> Finding:
    """Growth of one modality's signal and of two modalities' noise."""
    return all_of(
        at_most(1, grown(data, "single", "signal"), format="one: signal ×{most:.3f} of log(1 + 0.52 s)"),
        at_most(1, grown(data, "multi", "noise"), format="two: noise ×{most:.3f} of log(1 + 1.06 z)"),
        expected="at most",
    )


@claim(
    "the winner grows at least as fast as the proofs' lower bounds",
    "Huang et al. 2024, lemmas C.8 to C.12, D.4 to D.10",
)
def winner_is_bounded(data: xr.Dataset) -> Finding:
    """Growth of one modality's noise and of two modalities' signal, where each wins."""
    control, detail = data.n_snr2, f"the proofs need more than M = n/2 = {int(data.n) // 2} negatives"
    single = among(grown(data, "single", "noise"), control <= theory.SINGLE_AT_MOST, "n·SNR² ≤ 1.8")
    multi = among(grown(data, "multi", "signal"), control >= theory.MULTI_AT_LEAST, "n·SNR² ≥ 1.7")
    return all_of(
        at_least(1, single, format="one: noise ×{least:.3f} of log(1 + 0.96 z)"),
        at_least(1, multi, format="two: signal ×{least:.3f} of log(1 + 0.48 C s)"),
        expected="at least",
        detail=detail,
    )


@claim(
    "signal grows by 1 + (s/2) M/(M + 1) per step in one modality and 1 + (C s/2) M/(M + 1) in two",
    "derived here",
    ALL,
)
def signal_rate(data: xr.Dataset) -> Finding:
    """Growth of the signal over the derived one, where it wins."""
    parts = []
    for modality, gain, least in (("single", 1.0, theory.THRESHOLDS["opposite"]), ("multi", data.signal_ratio, 1.0)):
        part = at(data, modality=modality)
        share = (data.n / 2) / (data.n / 2 + 1)
        derived_rate = np.log1p(gain * part.steps_signal / 2 * share)
        ratio = part.growth_signal.mean("seed") / derived_rate
        kept = among(ratio, data.n_snr2 >= least, f"n·SNR² ≥ {least:g}")
        parts.append(between(0.95, 1.05, kept, unit="×", format=modality + ": ×{least:.3f} to ×{most:.3f}"))
    return all_of(*parts, expected="1")


@claim("where two modalities learn the signal alone, its features end at the length that the loss asks for",
       "derived here")  # fmt: skip
def saturates(data: xr.Dataset) -> Finding:
    """Length of the signal's features over √(L/C), where noise is a tenth of the signal or less."""
    part = end(data, "multi")
    quiet = among(part.encoder_signal_length, part.signal_over_noise > 10, "signal ten times the noise").mean("seed")
    return between(0.9, 1.1, quiet / part.length_predicted, unit="×", format="×{least:.3f} to ×{most:.3f} of √(L/C)",
                   expected=f"{float(part.length_predicted):.3f}")  # fmt: skip


@claim("one modality's downstream error is of constant order at the theorems' test signal", SINGLE_THEOREM, ALL)
def single_error(data: xr.Dataset) -> Finding:
    """Error of the best head at ⟨ν, μ⟩ = ‖μ‖²/√d."""
    details = [("ν = μ:", together(data, "single", "error_train"))]
    return above(
        0.1, together(data, "single", "error_theory"), format="{least:.3f}", expected="Θ(1)", detail=details[0]
    )


@claim("two modalities' downstream error is small at the theorems' test signal", MULTI_THEOREM)
def multi_error(data: xr.Dataset) -> Finding:
    """Error of the best head at ⟨ν, μ⟩ = ‖μ‖²/√d: the start alone adds σ0σ√d ≥ n/√d to what signal gives, 1/√d."""
    detail = (
        "at d^(−1/4):",
        together(data, "multi", "error_between"),
        "against",
        together(data, "single", "error_between"),
    )
    return at_most(0.1, together(data, "multi", "error_theory"), format="{most:.3f}", expected="o(1)", detail=detail)


@claim(
    "at a test signal ⟨ν, μ⟩ = ‖μ‖²d^(−1/4) one modality errs and two do not", "derived here, in place of 4.2 and 4.3"
)
def errors_differ_between(data: xr.Dataset) -> Finding:
    """Errors of the best head at n·SNR² = 1, inside the window of the rates."""
    one, two = (at(end(data, name), n_snr2=1.0).error_between.mean("seed") for name in MODALITIES)
    return all_of(
        above(0.1, one, format="one {least:.3f} or more"),
        below(0.1, two, format="two {most:.4f} or less"),
        expected="Θ(1) and o(1)",
    )


CLAIMS = (
    setting.both_fit, single_memorises, multi_learns, window, loser_is_bounded, winner_is_bounded,
    signal_rate, saturates, single_error, multi_error, errors_differ_between,
)  # fmt: skip


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """What is learnt over n·SNR², and the growth of signal and noise against the proofs' bounds."""
    part, note = one_of_each(data, "modality", "n_snr2", "d", "step", of="encoder_signal")
    ends = part.isel(step=-1) if "step" in part.dims else part
    rows = part.d.values.tolist() if "d" in part.dims else [None]
    figure, axes = new_figure(
        len(rows), 3, title="d far above n²: noise in one, signal in two" + note, width=4.2, height=3.0
    )
    for line, d in zip(axes, rows):
        shown = ends if d is None else ends.sel(d=d)
        head = "" if d is None else f"d = {d:.3g}"
        hue = "modality" if "modality" in shown.dims else None
        for ax, name in zip(line, ("signal_over_noise", "error_between", "growth_signal")):
            label = str(data[name].attrs.get("long_name", name))
            theory_of = shown.bound_signal if name == "growth_signal" else None
            curves(
                ax, shown[name].assign_attrs(data[name].attrs), "n_snr2", hue,
                log="xy" if name == "signal_over_noise" else "x", theory=theory_of, theory_label="the proofs' bound",
                legend=ax is line[-1], title=f"{label}, {head}".strip(", "),
            )  # fmt: skip
            ticks = shown.n_snr2.values[:: max(1, shown.sizes["n_snr2"] // 5)]
            ax.set_xticks(ticks, [f"{x:.3g}" for x in ticks])
            ax.set_xticks([], minor=True)
        line[0].axhline(1, color="0.6", lw=0.8, zorder=1)
        line[0].axvspan(theory.MULTI_AT_LEAST, theory.SINGLE_AT_MOST, color="0.8", zorder=0)
    return {"theorems": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
