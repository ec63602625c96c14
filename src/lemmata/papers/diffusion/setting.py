"""What the experiments on denoisers and classifiers share: both trainings, the predictions, which cells count.

    d = 1000, n = 30, m = 20, σ = 1, σ0 = 1e-3, t = 0.2, balanced classes, signals of length ‖μ‖ = σ√(n·SNR²·d/n)

The sizes are the paper's as far as they could be recovered; steps and step sizes are ours. The denoiser's loss is the
exact expectation over the noise, and descent takes a step back where the loss rises, until the gradient is below 1e-6.
The classifier has the same activation, a fixed second layer, and stops at a logistic loss of 0.1.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import xarray as xr

from lemmata import (
    GD,
    Denoising,
    Logistic,
    Power,
    Probe,
    Run,
    TiedDenoiser,
    TrainingBody,
    TwoLayerCNN,
    TwoSignals,
)
from lemmata import (
    PROBES as SHIPPED,
)
from lemmata.claims import at, usable
from lemmata.papers.diffusion import theory
from lemmata.parameters import Parameter, parameter
from lemmata.status import Status
from lemmata.sweep import Body, derived
from lemmata.sweep.bodies.by_axis import ByAxis
from lemmata.theory.signal_noise import n_snr2, signal_at_n_snr2

THEOREM_DENOISER = "Han et al. 2024, theorem on diffusion models"
THEOREM_CLASSIFIER = "Han et al. 2024, theorem on classification"

DENOISER, CLASSIFIER = "denoiser", "classifier"
LOW, HIGH = 0.75, 6.75
"""The paper's two values of n·SNR², ‖μ‖ = 5 and 15 at its sizes."""
CONVERGED = 1e-6
"""Length of the gradient at which a denoiser counts as converged."""
ENDS = {DENOISER: Status.CONVERGED, CLASSIFIER: Status.REACHED_LOSS}
"""How a cell ends that ended where it should: its gradient, or its loss, is small enough."""
CLASSIFIER_STEP = 0.2
"""Step size of the classifier in units of m/(‖μ‖²/2 + σ²d/n)."""

QUANTITIES = ("signal_learnt", "noise_learnt", "ratio", "branch_spread", "train_loss", "gradient_norm", "norm_hidden")
CONTROL = {"long_name": "n·SNR²", "units": "1", "symbol": "n·SNR²"}
OPTIONS = {"power": Parameter("degree of the activation", int, least=2, most=3, axis=False)}


def at_control(n_snr2: float | None, snr: float | None, *, n: int, d: int, sigma_p: float) -> Mapping[str, float]:
    """‖μ‖ of a point given by n·SNR² or by SNR; as it is where neither is given."""
    control = n_snr2 if snr is None else n * snr**2
    return {} if control is None else {"signal": float(signal_at_n_snr2(control, n, d, sigma_p))}


CONTROLS: Mapping[str, Any] = {
    "n_snr2": parameter("n·SNR²", above=0, scale="log", optional=True, default=None),
    "snr": parameter("SNR = ‖μ‖/(σ√d)", above=0, scale="log", optional=True, default=None),
}
"""What takes the place of ‖μ‖ on the grid."""


def probes(model: str, over: str = "mean") -> tuple[Probe, ...]:
    """The measurements of :data:`QUANTITIES`, by what signal and noise mean for a model.

    Args:
        over: over the neurons of a denoiser, ``"mean"`` or ``"max"`` as in the paper's figures.
    """
    kind = "filter" if model == DENOISER else "class"
    largest = "_max" if model == DENOISER and over == "max" else ""
    shared = {
        "signal_learnt": ("signal", "signal |⟨w, μ⟩|"),
        "noise_learnt": ("noise", "noise |⟨w, ξ⟩|"),
        "ratio": ("ratio", "signal over noise"),
    }
    renamed = {
        name: dataclasses.replace(SHIPPED[f"{kind}_{what}{largest}"], name=name, long_name=label)
        for name, (what, label) in shared.items()
    }
    return tuple(renamed.get(name) or SHIPPED[name] for name in QUANTITIES)


def runs(
    data: Any = None, *, power: int = 2, record: tuple[int, ...] | None = None, over: str = "mean"
) -> dict[str, Run]:
    """Both trainings by model; on two signals unless ``data`` is given."""
    data = TwoSignals(n=30, d=1000, signal=5.0) if data is None else data
    record = record and tuple(step for step in record if step <= 5000)
    denoiser = Run(
        data, TiedDenoiser(20, activation=Power(power)), Denoising(0.2), GD(c=2.0, backtrack=True), steps=5000,
        stop_gradient=CONVERGED, probes=probes(DENOISER, over), record=record,
    )  # fmt: skip
    network = TwoLayerCNN(20, v0=1.0, activation=Power(power), train_output=False, divide_by_m=True)
    classifier = Run(
        data, network, Logistic(), GD(c=CLASSIFIER_STEP), steps=5000,
        stop_loss=0.1, probes=probes(CLASSIFIER), record=record,
    )  # fmt: skip
    return {DENOISER: denoiser, CLASSIFIER: classifier}


def both(power: int = 2, record: tuple[int, ...] | None = None, over: str = "mean") -> Body:
    """Both models on two signals, over n·SNR² or SNR."""
    bodies = tuple((name, TrainingBody(run)) for name, run in runs(power=power, record=record, over=over).items())
    return derived(ByAxis("model", "model", bodies), at_control, **CONTROLS)


def control_of(data: xr.Dataset) -> xr.DataArray:
    """n·SNR² of every cell."""
    if "snr" in data.coords:
        control = data.n * data.snr**2
    else:
        control = data.n_snr2 if "n_snr2" in data.coords else n_snr2(data.n, data.signal, data.d, data.sigma_p)
    return xr.DataArray(control).assign_attrs(CONTROL)


def settings(data: xr.Dataset) -> tuple[xr.DataArray, ...]:
    """n, ‖μ‖, d, m, σ0 and σ of every cell."""
    signal = signal_at_n_snr2(control_of(data), data.n, data.d, data.sigma_p)
    return data.n, signal, data.d, data.m, data.init, data.sigma_p


def inside_condition(data: xr.Dataset) -> xr.DataArray:
    """Whether α_t and β_t are of constant order, as Condition 3.1 (5) of the paper asks of the diffusion time."""
    inside = xr.apply_ufunc(theory.constant_order, data.t)
    return inside.assign_attrs(long_name="α_t and β_t of constant order")


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """``control`` n·SNR², ``ratio_predicted`` by model, ``excess_predicted`` and ``early_predicted``.

    For a quadratic activation: the symmetric stationary point for the denoiser, the race for the classifier.
    """
    control = control_of(data)
    if int(data.power) != 2:
        return {"control": control, "inside_condition": inside_condition(data)}

    def follow(n: Any, signal: Any, d: Any, m: Any, init: Any, sigma_p: Any, t: Any) -> tuple[Any, ...]:
        point = theory.stationary_point(n, signal, d, m, t, sigma_p)
        step = CLASSIFIER_STEP * m / (signal**2 / 2 + sigma_p**2 * d / n)
        race = theory.race_ratio(n, signal, d, m, init, step, sigma_p)
        return point.ratio, race, point.excess

    found = xr.apply_ufunc(follow, *settings(data), data.t, output_core_dims=[[], [], []])
    denoiser, classifier, excess = found
    derived: dict[str, Any] = {"control": control, "inside_condition": inside_condition(data)}
    if "model" in data.dims:
        by_model = [denoiser if name == DENOISER else classifier for name in data.model.values.tolist()]
        ratio = xr.concat(by_model, data.model, coords="minimal", compat="override")
        derived["ratio_predicted"] = ratio.assign_attrs(long_name="predicted signal over noise", units="1")
    derived["excess_predicted"] = excess.assign_attrs(long_name="predicted denoising loss − d", units="1")
    derived["early_predicted"] = theory.early_ratio(1.0) * control
    return derived


def settled(data: xr.Dataset, model: str, *, last: bool = True) -> xr.Dataset:
    """The cells of a model that ended where they should: a denoiser converged, a classifier at its loss.

    Args:
        last: of the recorded steps keep only the last, where there are several.

    Raises:
        NotMeasurable: the model was not run, or no cell is left.
    """
    cells = at(data, model=model)
    kept = usable(cells, not_converged=cells.status != ENDS[model])
    return kept.isel(step=-1) if last and "step" in kept.dims else kept
