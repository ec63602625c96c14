"""What the experiments on SimCLR pre-training share: the paper, both trainings, the options, the readings of a dataset.

    d = 2000, σp = 1, m = 20 filters per branch, q = 3, n0 = 250 pairs, τ = 1, negatives among first views
    pre-training: η = 0.2τ/(2‖μ‖² + (1 + c)σp²d/n0), until mean_r |⟨w_r, μ⟩| ≥ a
    fine-tuning: (1/m) Σ ReLU^q of either branch, η = 0.5/(‖μ‖² + σp²d/n), until the training loss is 0.01

Settings are ours: the paper's similarity, temperature, step sizes, numbers of filters and grids are not public. Names:
``snr`` ‖μ‖/(σp√d), ``pairs`` n0, ``level`` a, ``correlation`` c, ``labels`` n.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Converged, converged
from lemmata.lab.old_experiment import Option, Paper
from lemmata.lab.readings import setting
from lemmata.papers.simclr import theory as theory

if TYPE_CHECKING:
    import xarray as xr

    from lemmata.sweep import Axis, Body

PAPER = Paper(
    "Zhang, Cao 2024",
    "Understanding the Benefits of SimCLR Pre-Training in Two-Layer Convolutional Neural Networks",
    "2409.18685",
)
ABSTRACT = "Zhang, Cao 2024, abstract"
REACHED = 4
"""``pretrained_status`` of a cell whose filters reached the level."""
LOSS_AT_END = 0.01
FITTED = 0.02
"""Training loss up to which a cell counts as fitted; it stops at half of that, if it gets there."""
HALF = np.log(2) / 2
"""Half of the loss of a network that knows nothing."""

PROBES = ("test_error", "test_error_se", "test_loss", "test_loss_se", "train_loss", "signal_learning")
PRETRAINING_PROBES = ("train_loss", "signal_alignment", "filter_signal", "filter_noise")

OPTIONS = (
    Option("snr", float, "signal-to-noise ratio ‖μ‖/(σp√d)"),
    Option("pairs", int, "unlabelled pairs n0, at least 2"),
    Option("correlation", float, "of the noise of a pair, c in [0, 1]"),
    Option("level", float, "signal mean |⟨w, μ⟩| at which pre-training ends, a"),
    Option("temperature", float, "τ of the SimCLR loss, above 0"),
    Option("negatives", str, "first or both: which views of the other pairs are negatives"),
    Option("d", int, "dimension of a patch"),
    Option("m", int, "filters of either branch, from 10 on both branches get filters of either sign"),
    Option("init", float, "standard deviation σ0 of the filters before pre-training"),
    Option("sigma_p", float, "noise level σp"),
    Option("power", float, "q of the ReLU^q that is fine-tuned; the theory needs q > 2", axis=False),
    Option("steps", int, "most steps of fine-tuning", axis=False),
    Option("engine", str, "auto, direct, compressed or gram", axis=False),
    Option("dtype", str, "float64 or float32", axis=False),
    Option("device", str, "cpu or cuda", axis=False),
)

LABELS = Option("n", int, "labels, even numbers keep the classes balanced")

_AXES = {
    "start": "start of fine-tuning",
    "snr": "SNR = ‖μ‖/(σp√d)",
    "pairs": "unlabelled pairs n₀",
    "correlation": "correlation of the augmentation c",
    "level": "signal a at which pre-training ends",
    "n": "labels n",
    "sigma_p": "noise level σp",
    "seed": "seed",
}


def axis(name: str, values: Any) -> "Axis":
    """A grid axis with the label it has in all figures of this family."""
    from lemmata.sweep import Axis

    return Axis(name, tuple(values), "1", _AXES[name])


@dataclass(frozen=True)
class AtSNR:
    """A point given by the SNR, as one given by ‖μ‖."""

    d: int
    sigma_p: float

    def __call__(self, point: dict[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in point.items() if name != "snr"}
        return {**own, "signal": point["snr"] * own.get("sigma_p", self.sigma_p) * own.get("d", self.d) ** 0.5}


def training(
    labels: tuple[int, ...],
    *,
    start: str = "simclr",
    steps: int = 3000,
    direct_init: float = 1e-3,
    power: float = 3.0,
    m: int = 20,
    device: str = "cpu",
    **changes: Any,
) -> "Body":
    """Pre-training and fine-tuning of every cell; ``changes`` are fixed values of axes and options, by name."""
    from lemmata import GD, LinearEncoder, Run, SignalNoise, SignalNoisePairs, SimCLR, Until
    from lemmata.papers.simclr.fine_tuning import FineTuning
    from lemmata.sweep.bodies.reparametrised import Reparametrised

    pretraining = Run(
        SignalNoisePairs(pairs=250, d=2000, signal=1.0),
        LinearEncoder(m, init=1e-4),
        SimCLR(),
        GD(c=0.2),
        steps=500,
        until=Until("filter_signal", 0.5),
        probes=PRETRAINING_PROBES,
    )
    finetuning = network_training(SignalNoise(n=2, d=2000, signal=1.0), m, power, direct_init, steps)
    body = FineTuning(on(pretraining, device), on(finetuning, device), labels, start)
    body = body.at({name: value for name, value in changes.items() if name != "snr"})
    fixed = {name: value for name, value in changes.items() if name in ("snr", "d", "sigma_p")}
    return Reparametrised(body, ("snr",), AtSNR(fixed.get("d", 2000), fixed.get("sigma_p", 1.0)))


def network_training(data: Any, m: int, power: float, init: float, steps: int) -> Any:
    """The supervised training: of pre-trained filters, or of random ones with standard deviation ``init``."""
    from lemmata import GD, ReLU, Run, TwoLayerCNN

    theory.warn_unless_superquadratic(power)
    net = TwoLayerCNN(m, v0=1.0, init=init, activation=ReLU(power), train_output=False, divide_by_m=True)
    # The network's own rule is m/S²: the factor 1/m of the output enters the gradient once and the curvature twice.
    rule = GD(c=0.5 / m)
    record = tuple(sorted({0, *(int(step) for step in np.geomspace(10, steps, 10) if step <= steps)}))
    return Run(data, net, rule=rule, steps=steps, stop_loss=LOSS_AT_END, probes=PROBES, record=record)


def on(run: Any, device: str) -> Any:
    """The run on a device."""
    return dataclasses.replace(run, device=device)


# -- readings of a dataset -------------------------------------------------------------------------------------------


def usable(dataset: "xr.Dataset", loss: float | None = FITTED, reached: bool = True) -> Converged:
    """The dataset without cells whose training diverged or did not fit, or whose pre-training missed its level.

    Args:
        loss: largest training loss of a cell that counts as fitted; None takes all.
        reached: leave out cells whose pre-training missed its level.
    """
    kept = converged(dataset, loss)
    if "pretrained_status" not in dataset or not reached:
        return kept
    missed = (dataset["pretrained_status"] >= 0) & (dataset["pretrained_status"] != REACHED)
    missed = (kept.usable & missed).transpose(*kept.usable.dims)
    count = int(missed.sum())
    if not count:
        return kept
    masked = kept.dataset.map(
        lambda v: v.where(~missed) if v.dtype.kind == "f" and set(missed.dims) <= set(v.dims) else v
    )
    left_out = {**kept.left_out, "whose pre-training missed its level": count}
    return Converged(masked, kept.usable & ~missed, left_out)


def predictions(dataset: "xr.Dataset") -> "xr.Dataset":
    """Alignment, unlabelled load n0·SNR² and label thresholds, from the configuration alone."""
    import xarray as xr

    snr, pairs, correlation, d = setting(dataset, "snr", "pairs", "correlation", "d")
    (power,) = setting(dataset, "power")
    cos2 = xr.DataArray(theory.top_alignment(pairs, snr, correlation))
    cos2.attrs = {"long_name": "predicted alignment cos², n₀ ≪ d", "units": "1"}
    sharp = xr.apply_ufunc(theory.sharp_alignment, *map(xr.DataArray, (pairs, snr, d, correlation)))
    sharp.attrs = {"long_name": "predicted alignment cos²", "units": "1"}
    load = xr.DataArray(pairs * snr**2).assign_attrs(long_name="n₀·SNR²", units="1", symbol="n₀SNR²")
    found = {"alignment_predicted": sharp, "alignment_small_n0": cos2, "unlabelled_load": load}
    if power > 2:
        found["labels_direct"] = xr.DataArray(theory.labels_direct(snr, power))
        found["labels_pretrained"] = xr.DataArray(theory.labels_pretrained(snr, d, cos2, power))
    return xr.Dataset(found)


def pretraining_init(dataset: "xr.Dataset") -> Any:
    """σ0 of the filters before pre-training; fine-tuning has one of its own."""
    if "init" in dataset.coords:
        return dataset["init"]
    return json.loads(dataset.attrs["configuration"])["pretraining"]["net"]["init"]


def first_below(array: "xr.DataArray", dim: str, level: float) -> "xr.DataArray":
    """The first coordinate along ``dim`` from which ``array`` stays below ``level``; NaN where it does not."""
    below = (array < level) | array.isnull()
    stays = below.isel({dim: slice(None, None, -1)}).astype(int).cumprod(dim).isel({dim: slice(None, None, -1)})
    stays = stays.assign_coords({dim: array[dim]}).astype(bool) & array.notnull()
    return array[dim].where(stays).min(dim)
