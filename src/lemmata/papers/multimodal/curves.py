"""Four curves over training: with a second modality the encoder learns the signal, with one it memorises the noise.

Both losses fall to 0.01. An augmented view shares the noise of its sample, so contrast with it pays for memorised
noise; a second modality shares the label alone. Huang, Han, Chen, Cao, Xu, Suzuki 2024, arXiv 2411.02837, model of
section 3; sizes are ours. Beside it the model whose similarity multiplies features summed over patches (ours), where
products of one sample's signal with another's noise drive the signal in one modality too. Names: ``encoder_signal``
max |⟨w, μ⟩|, ``encoder_noise`` mean over samples of max ⟨w, ξ⟩, ``negatives`` those of the other label (the paper) or
all other samples (the practice).
"""

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from lemmata import PairedSignalNoise, Probe
from lemmata.claims import Finding, above, all_of, at, below, claim, factor, one_of_each
from lemmata.dynamics.rules import GD
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.multimodal import setting, theory
from lemmata.papers.multimodal.setting import MODALITIES
from lemmata.probes.downstream import Downstream
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.theory.signal_noise import signal_at_n_snr2

N, D, N_SNR2, C = 40, 900, 0.7, 5.0
RECORD = (*range(0, 60, 5), *range(60, 121, 10), 160, 200, 300)
SIMILARITIES, NEGATIVES = ("patchwise", "summed"), ("opposite", "all")
QUANTITIES = {
    "contrastive_loss": "training loss, training stops at 0.01",
    "accuracy": "test accuracy of the best head",
    "encoder_signal": "signal learning",
    "encoder_noise": "noise memorisation",
}
STEPS = 300
PROBES = (
    *setting.ENCODER,
    "downstream_error",
    Probe("downstream_error_2", Downstream(shift=2.0, fit_on="test"), "test error at σ_test = 2σ", at_end=True),
)
BODY = setting.training(
    PairedSignalNoise(N, D, float(signal_at_n_snr2(N_SNR2, N, D)), signal_ratio=C, sigma_aug=0.3),
    32, 1e-3, GD(step_size=0.008), STEPS, PROBES, RECORD,
)  # fmt: skip
LARGE: dict[str, Any] = {
    "n": 100,
    "d": 2000,
    "m": 50,
    "signal": float(signal_at_n_snr2(N_SNR2, 100, 2000)),
    "step_size": 0.01,
}
SIZES = {
    "smoke": Size(similarity=SIMILARITIES, modality=MODALITIES, seeds=4, changes={"record": (0, 40, 300)}),
    "laptop": Size(similarity=SIMILARITIES, negatives=NEGATIVES, modality=MODALITIES, seeds=24),
    "paper": Size(similarity=SIMILARITIES, negatives=NEGATIVES, modality=MODALITIES, seeds=200, **LARGE),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Test accuracy, from the error of the best linear head."""
    return {"accuracy": (1 - data.downstream_error).assign_attrs(long_name="test accuracy", units="1")}


def end(data: xr.Dataset, similarity: str, negatives: str = "opposite") -> xr.Dataset:
    """The cells that reached the loss, at the end, with one kind of similarity and of negatives."""
    return at(setting.reached(data).isel(step=-1), similarity=similarity, negatives=negatives)


@claim("two modalities memorise less noise", setting.FIGURE, ALL)
def less_noise(data: xr.Dataset) -> Finding:
    """Noise of one modality over that of two."""
    one, two = setting.pair(end(data, "patchwise").encoder_noise)
    return above(2.5, one.over(two), format="×{:.2f}", expected="smaller with two", detail=("one", one, "two", two))


@claim("two modalities learn more signal", setting.FIGURE, ALL)
def more_signal(data: xr.Dataset) -> Finding:
    """Signal of two modalities over that of one."""
    one, two = setting.pair(end(data, "patchwise").encoder_signal)
    return above(3, two.over(one), format="×{:.2f}", expected="larger with two", detail=("one", one, "two", two))


@claim("one modality learns less signal than noise, two learn more signal than noise", setting.FIGURE, ALL)
def who_wins(data: xr.Dataset) -> Finding:
    """Signal over noise, one and two modalities."""
    kept = end(data, "patchwise")
    one, two = setting.pair(kept.encoder_signal / kept.encoder_noise)
    return all_of(
        below(1, one, format="one: signal/noise {:.3f}"),
        above(1, two, format="two: {:.2f}"),
        expected="o(1) and above 1",
    )


@claim(
    "a head reads the encoder of one modality with errors, that of two as well as the noise allows", setting.ABSTRACT
)
def downstream(data: xr.Dataset) -> Finding:
    """Errors of the best linear head, at the training noise and at twice it, against Φ(−‖μ‖/σ_test)."""
    kept = end(data, "patchwise")
    parts = []
    for name, least, shift in (("downstream_error", 0.03, 1), ("downstream_error_2", 0.1, 2)):
        one, two = setting.pair(kept[name])
        floor = float(theory.noise_floor(data.signal, shift * data.sigma_p))
        parts += [
            above(least, one, format=f"one {{:.4f}} at σ_test = {shift}σ"),
            factor(1.5, two, floor, format=f"two ×{{:.2f}} of {floor:.2g}"),
        ]
    return all_of(*parts, expected="Θ(1), and Φ(−‖μ‖/σ_test)")


@claim("where similarities multiply summed patches, both learn the signal and two memorise noise all the same",
       "derived here")  # fmt: skip
def summed_is_another_model(data: xr.Dataset) -> Finding:
    """Signal of one modality, and noise of two, summed over patchwise."""
    summed, patchwise = end(data, "summed"), end(data, "patchwise")
    one, one_p = setting.pair(summed.encoder_signal)[0], setting.pair(patchwise.encoder_signal)[0]
    two, two_p = setting.pair(summed.encoder_noise)[1], setting.pair(patchwise.encoder_noise)[1]
    return all_of(
        above(1.5, one.over(one_p), format="one modality's signal ×{:.2f}"),
        above(1.3, two.over(two_p), format="two modalities' noise ×{:.2f}"),
        expected="products of signal and noise drive both",
    )


@claim("with all others as negatives two modalities memorise no less noise than one", "derived here, against Figure 1")
def noise_with_all_negatives(data: xr.Dataset) -> Finding:
    """Noise of two modalities over that of one; negatives of the own class can be told apart by noise alone."""
    one, two = setting.pair(end(data, "patchwise", "all").encoder_noise)
    return above(0.95, two.over(one), format="×{:.3f}", expected="no less", detail=("one", one, "two", two))


@claim("with all others as negatives two modalities still learn more signal", setting.FIGURE)
def signal_with_all_negatives(data: xr.Dataset) -> Finding:
    """Signal of two modalities over that of one."""
    one, two = setting.pair(end(data, "patchwise", "all").encoder_signal)
    return above(1.5, two.over(one), format="×{:.2f}", expected="larger with two", detail=("one", one, "two", two))


CLAIMS = (
    setting.both_fit, less_noise, more_signal, who_wins, downstream, summed_is_another_model,
    noise_with_all_negatives, signal_with_all_negatives,
)  # fmt: skip


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """One figure of four panels per kind of negatives: one and two modalities, both similarities."""
    kinds = data.negatives.values.tolist() if "negatives" in data.dims else [None]
    return {f"curves_{kind}" if kind else "curves": over_training(data, kind) for kind in kinds}


def over_training(data: xr.Dataset, negatives: str | None = None) -> Figure:
    """Training loss, test accuracy, signal and noise over the steps."""
    part = data if negatives is None else data.sel(negatives=negatives)
    part, note = one_of_each(part, "similarity", "modality", "step", of="accuracy")
    head = {
        "opposite": "Two modalities learn the signal, one the noise (negatives of the other label)",
        "all": "All others as negatives: two modalities learn more signal and as much noise",
    }.get(str(negatives), "One and two modalities")
    part = part.stack(which=[name for name in ("modality", "similarity") if name in part.dims])
    named = [", ".join(map(str, which)) for which in part.which.values]
    part = part.drop_vars(["which", "modality", "similarity"], errors="ignore").assign_coords(which=named)
    figure, axes = new_figure(2, 2, title=head + note, width=4.8, height=3.2)
    for ax, (name, panel) in zip(axes.ravel(), QUANTITIES.items()):
        log = "y" if name == "contrastive_loss" else ""
        curves(ax, part[name].assign_attrs(data[name].attrs), "step", "which", log=log, legend=ax is axes[0, 1],
               title=panel)  # fmt: skip
    return figure


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
