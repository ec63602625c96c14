"""Four curves over training: with a second modality the encoder learns more signal and memorises less noise.

Both losses fall to 0.01. An augmented view shares the noise of its sample, so contrast with it pays for memorised
noise; a second modality shares the label alone. Huang, Han, Chen, Cao, Xu, Suzuki 2024, arXiv 2411.02837, Figure 1.
Names: ``encoder_signal`` max |⟨w, μ⟩|, ``encoder_noise`` mean over samples of max ⟨w, ξ⟩, ``negatives`` those of the
other label (the theory) or all other samples (the practice).
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Claim, Finding, at
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.papers.multimodal import setting as family

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

SHIFTS = (2, 4)
"""σ_test/σ of the shifted test noise."""
RECORD = (*range(0, 100, 5), *range(100, 201, 10))
QUANTITIES = {
    "contrastive_loss": "training loss, training stops at 0.01",
    "accuracy": "test accuracy",
    "encoder_signal": "signal learning",
    "encoder_noise": "noise memorisation",
}


def grid(size: str) -> "Grid":
    """Negatives, modalities and seed."""
    from lemmata.sweep import Grid

    seeds = {"smoke": 1, "laptop": 8, "paper": 50}[size]
    axes = {"negatives": ("opposite", "all"), "modality": ("single", "multi"), "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, *, device: str = "cpu", **changes: Any) -> "Body":
    """Training with records along the way."""
    from dataclasses import replace

    from lemmata import GD, InfoNCE, PairedSignalNoise, PatchEncoder, Run
    from lemmata.papers.multimodal.contrastive import ContrastiveBody
    from lemmata.probes.encoders import downstream_error
    from lemmata.probes.probe import Probe

    n, n_snr2, eta, record = {
        "smoke": (40, 0.3, 0.004, (0, 30, 60, 200)),
        "laptop": (200, 0.5, 0.01, RECORD),
        "paper": (200, 0.5, 0.01, tuple(range(0, 201, 2))),
    }[size]
    probes = ("contrastive_loss", "downstream_error", "encoder_signal", "encoder_noise")
    second = ("encoder_signal_2", "encoder_noise_2")
    shifted = tuple(
        Probe(f"downstream_error_{k}", partial(downstream_error, shift=float(k)), f"test error at σ_test = {k}σ")
        for k in SHIFTS
    )
    data = PairedSignalNoise(n=n, d=2000, signal=family.snr_signal(n_snr2, n, 2000))
    run = Run(data, PatchEncoder(m=50, init=1e-3), InfoNCE(), GD(step_size=eta), steps=200)
    run = replace(run, stop_loss=family.STOP_LOSS, probes=(*probes, *second, *shifted)).at(changes)
    return ContrastiveBody(replace(run, device=device, record=tuple(step for step in record if step <= run.steps)))


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Test accuracy, from the error of the best linear head."""
    import xarray as xr

    accuracy = (1 - dataset["downstream_error"]).assign_attrs(long_name="test accuracy", units="1")
    return xr.Dataset({"accuracy": accuracy})


# -- claims ----------------------------------------------------------------------------------------------------------


def _end(dataset: "xr.Dataset", negatives: str) -> "tuple[xr.Dataset, str]":
    kept = family.reached(dataset, "negatives", "modality")
    return at(kept.dataset, negatives=negatives).isel(step=-1), kept.note


def _ratio(dataset: "xr.Dataset", variable: str, inverse: bool = False) -> tuple[float, float, float]:
    single, multi = (float(value) for value in family.both(dataset, variable))
    return single, multi, single / multi if inverse else multi / single


def _compared(
    negatives: str,
    variable: str,
    limit: float,
    *,
    inverse: bool,
    symbol: str,
    bands: tuple[tuple[float, float], ...] = (),
) -> "Any":
    """Predicate: the ratio of the modalities exceeds a limit, and single and multi lie in their bands."""

    def predicate(dataset: "xr.Dataset") -> Finding:
        end, note = _end(dataset, negatives)
        single, multi, ratio = _ratio(end, variable, inverse)
        inside = all(low <= value <= high for value, (low, high) in zip((single, multi), bands))
        texts = [f"{name} in [{low:g}, {high:g}]" for name, (low, high) in zip(("single", "multi"), bands)]
        return Finding(
            holds=ratio > limit and inside,
            measured=f"{symbol} {single:.3f} single, {multi:.3f} multi: ×{ratio:.2f}",
            predicted="larger with two" if not inverse else "smaller with two",
            tolerance=", ".join([f"> ×{limit:g}", *texts]),
            detail=note,
        )

    return predicate


def noise_is_memorised_all_the_same(dataset: "xr.Dataset") -> Finding:
    """Noise memorised by two modalities over that by one, all others as negatives."""
    end, note = _end(dataset, "all")
    single, multi, ratio = _ratio(end, "encoder_noise")
    return Finding(
        holds=0.98 < ratio < 1.3,
        measured=f"{single:.2f} single, {multi:.2f} multi: ×{ratio:.2f}",
        predicted="no less",
        tolerance="×0.98 to ×1.3",
        detail=note,
    )


def survives_shift(dataset: "xr.Dataset") -> Finding:
    """Errors at larger test noise, one against two modalities."""
    texts, holds = [], True
    for negatives in ("opposite", "all"):
        end, _ = _end(dataset, negatives)
        for shift in SHIFTS:
            single, multi, _ = _ratio(end, f"downstream_error_{shift}")
            holds &= multi < single
            texts.append(f"{single:.3f} against {multi:.3f} ({negatives}, ×{shift})")
    return Finding(holds=holds, measured="; ".join(texts), predicted="multi below single", tolerance="in all four")


def loss_falls_faster(dataset: "xr.Dataset") -> Finding:
    """Steps until the loss is reached."""
    steps = dataset["status_step"].where(family.reached(dataset, "negatives", "modality").usable)
    single, multi = (float(x) for x in family.both(at(steps.to_dataset(), negatives="opposite"), "status_step"))
    return Finding(
        holds=multi < single,
        measured=f"{multi:.0f} steps multi, {single:.0f} single",
        predicted="multi first",
        tolerance="mean over seeds, opposite negatives",
    )


CLAIMS = (
    Claim(
        "both-fit",
        f"contrast within one modality and between two both drive the training loss to {family.STOP_LOSS}",
        family.ABSTRACT,
        family.all_reached,
        SIZES,
    ),
    Claim("loss-falls-faster", "two modalities get there in fewer steps", family.FIGURE, loss_falls_faster, SIZES),
    Claim(
        "downstream-error",
        "with negatives of the other label the encoder of two modalities has the much smaller downstream error",
        family.ABSTRACT,
        _compared(
            "opposite",
            "downstream_error",
            2.5,
            inverse=True,
            symbol="error",
            bands=((0.06, 0.16), (0.0, 0.045)),
        ),
    ),
    Claim(
        "less-noise",
        "with negatives of the other label it memorises less noise",
        family.FIGURE,
        _compared("opposite", "encoder_noise", 1.4, inverse=True, symbol="noise"),
    ),
    Claim(
        "more-signal",
        "with negatives of the other label it learns more signal",
        family.FIGURE,
        _compared("opposite", "encoder_signal", 1.4, inverse=False, symbol="signal"),
    ),
    Claim(
        "downstream-error-all",
        "with all others as negatives one modality fails and two do not",
        family.ABSTRACT,
        _compared("all", "downstream_error", 1.0, inverse=True, symbol="error", bands=((0.25, 0.5), (0.0, 0.2))),
    ),
    Claim(
        "more-signal-all",
        "with all others as negatives two modalities learn more signal",
        family.FIGURE,
        _compared("all", "encoder_signal", 2.0, inverse=False, symbol="signal"),
    ),
    Claim(
        "noise-all",
        "with all others as negatives two modalities memorise no less noise than one",
        "derived here, against Figure 1",
        noise_is_memorised_all_the_same,
    ),
    Claim(
        "survives-shift",
        "under larger test noise the encoder of two modalities keeps the smaller error",
        family.ABSTRACT,
        survives_shift,
        SIZES,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """One figure of four panels per kind of negatives."""
    available = list(dataset["negatives"].values) if "negatives" in dataset.dims else [None]
    return {f"curves_{name}" if name else "curves": curves_over_training(dataset, name) for name in available}


def curves_over_training(dataset: "xr.Dataset", negatives: str | None = None) -> "Figure":
    """Training loss, test accuracy, signal and noise over the steps, one and two modalities."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen = dataset if negatives is None else dataset.sel(negatives=negatives)
    chosen = chosen.isel({d: 0 for d in chosen["accuracy"].dims if d not in ("modality", "step", "seed")})
    title = {
        "opposite": "Two modalities: more signal, less noise (negatives of the other label)",
        "all": "Two modalities: more signal, as much noise (all others as negatives)",
    }.get(str(negatives), "One and two modalities")
    figure, axes = new_figure(2, 2, title=title, width=4.6, height=3.2)
    for ax, (name, panel) in zip(axes.ravel(), QUANTITIES.items()):
        log = "y" if name == "contrastive_loss" else ""
        hue = "modality" if "modality" in chosen[name].dims else None
        curves(ax, chosen[name], "step", hue, log=log, legend=ax is axes[0, 1], title=panel)
    return figure


EXPERIMENT = Experiment(
    name="multimodal-curves",
    paper=family.PAPER,
    shows="With a second modality contrastive learning learns the signal; with one it memorises more noise.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    seconds={"smoke": 3, "laptop": 15, "paper": 120},
    options=family.OPTIONS,
)
