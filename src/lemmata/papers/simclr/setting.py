"""What the experiments on SimCLR pre-training share: the paper, both trainings, the options, the readings of a dataset.

    d = 2000, σp = 1, m = 20 filters per branch, q = 3, n0 = 250 pairs, τ = 1, negatives among first views
    pre-training: η = 0.2τ/(2‖μ‖² + (1 + c)σp²d/n0), until mean_r |⟨w_r, μ⟩| ≥ a
    fine-tuning: (1/m) Σ ReLU^q of either branch, η = 0.5/(‖μ‖² + σp²d/n), until the training loss is 0.01

Settings are ours: the paper's similarity, temperature, step sizes, numbers of filters and grids are not public. Names:
``snr`` ‖μ‖/(σp√d), ``pairs`` n0, ``level`` a, ``correlation`` c, ``labels`` n.
"""

from typing import Any

import numpy as np
import xarray as xr

from lemmata import GD, LinearEncoder, ReLU, Run, SignalNoise, SignalNoisePairs, SimCLR, TwoLayerCNN, Until
from lemmata.claims import usable as claims_usable
from lemmata.papers.simclr import theory
from lemmata.papers.simclr.fine_tuning import FineTuning
from lemmata.parameters import Parameter
from lemmata.status import Status
from lemmata.sweep import Body, derived
from lemmata.theory.signal_noise import signal_at_snr

ABSTRACT = "Zhang, Cao 2024, abstract"
LOSS_AT_END = 0.01
FITTED = 0.02
"""Training loss up to which a cell counts as fitted; it stops at half of that, if it gets there."""
HALF = np.log(2) / 2
"""Half of the loss of a network that knows nothing."""

PROBES = ("test_error", "test_error_se", "test_loss", "test_loss_se", "train_loss", "signal_learning")
PRETRAINING_PROBES = ("train_loss", "signal_alignment", "filter_signal", "filter_noise")

POWER = Parameter("q of the ReLU^q that is fine-tuned; the theory needs q > 2", above=0, axis=False)
STEPS = Parameter("most steps of fine-tuning", int, units="steps", least=1, axis=False)
LABELS = Parameter("numbers of labels, even, increasing", int, units="labels", least=2)
OPTIONS = {"labels": LABELS, "power": POWER, "steps": STEPS}
SNR = Parameter("SNR = ‖μ‖/(σp√d)", above=0, scale="log")


def at_snr(snr: float, *, d: int, sigma_p: float, m: int) -> dict[str, float]:
    """‖μ‖ of a point given by the SNR, and the step of fine-tuning."""
    return {"signal": signal_at_snr(snr, d, sigma_p), **fine_tuning_step(m=m)}


def fine_tuning_step(*, m: int) -> dict[str, float]:
    """c = 1/(2m): the network's own rule is m/S²; 1/m of the output enters the gradient once, the curvature twice."""
    return {"c": 0.5 / m}


def training(
    labels: tuple[int, ...], power: float = 3.0, steps: int = 3000, *, level: float = 0.5, init: float = 1e-4
) -> Body:
    """Pre-training and fine-tuning of every cell, over the SNR."""
    return derived(both(labels, power, steps, level=level, init=init), at_snr, snr=SNR)


def both(labels: tuple[int, ...], power: float, steps: int, *, level: float, init: float) -> FineTuning:
    """Pre-training to a level, and then fine-tuning with every number of labels."""
    pretraining = Run(
        SignalNoisePairs(pairs=250, d=2000, signal=1.0),
        LinearEncoder(20, init=init),
        SimCLR(),
        GD(c=0.2),
        steps=500,
        until=Until("filter_signal", level),
        probes=PRETRAINING_PROBES,
    )
    finetuning = network_training(SignalNoise(n=2, d=2000, signal=1.0), 20, power, 1e-3, steps)
    return FineTuning(pretraining, finetuning, labels)


def network_training(data: Any, m: int, power: float, init: float, steps: int) -> Run:
    """The supervised training: of pre-trained filters, or of random ones with standard deviation ``init``."""
    theory.warn_unless_superquadratic(power)
    net = TwoLayerCNN(m, v0=1.0, init=init, activation=ReLU(power), train_output=False, divide_by_m=True)
    record = tuple(sorted({0, *(int(step) for step in np.geomspace(10, steps, 10) if step <= steps)}))
    return Run(
        data,
        net,
        rule=GD(c=fine_tuning_step(m=m)["c"]),
        steps=steps,
        stop_loss=LOSS_AT_END,
        probes=PROBES,
        record=record,
    )


def usable(data: xr.Dataset, loss: float | None = FITTED, reached: bool = True) -> xr.Dataset:
    """The dataset without cells whose training diverged or did not fit, or whose pre-training missed its level.

    Args:
        loss: largest training loss of a cell that counts as fitted; None takes all.
        reached: leave out cells whose pre-training missed its level.
    """
    reasons = {}
    if loss is not None:
        reasons[f"with_train_loss_above_{loss:g}"] = ~(data.train_loss <= loss)
    if "pretrained_status" in data and reached:
        ended = data.pretrained_status
        reasons["whose_pre-training_missed_its_level"] = (ended >= 0) & (ended != Status.REACHED_LEVEL)
    return claims_usable(data, **reasons)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Alignment, unlabelled load n0·SNR² and label thresholds, from the configuration alone."""
    cos2 = theory.top_alignment(data.pairs, data.snr, data.correlation)
    sharp = xr.apply_ufunc(theory.sharp_alignment, data.pairs, data.snr, data.d, data.correlation)
    load = data.pairs * data.snr**2
    found = {
        "alignment_predicted": sharp.assign_attrs(long_name="predicted alignment cos²", units="1"),
        "alignment_small_n0": cos2.assign_attrs(long_name="predicted alignment cos², n₀ ≪ d", units="1"),
        "unlabelled_load": load.assign_attrs(long_name="n₀·SNR²", units="1", symbol="n₀SNR²"),
    }
    if (power := float(data.power)) > 2:
        found["labels_direct"] = theory.labels_direct(data.snr, power)
        found["labels_pretrained"] = theory.labels_pretrained(data.snr, data.d, cos2, power)
    return found


def first_below(array: xr.DataArray, dim: str, level: float) -> xr.DataArray:
    """The first coordinate along ``dim`` from which ``array`` stays below ``level``; NaN where it does not."""
    below = (array < level) | array.isnull()
    stays = below.isel({dim: slice(None, None, -1)}).astype(int).cumprod(dim).isel({dim: slice(None, None, -1)})
    stays = stays.assign_coords({dim: array[dim]}).astype(bool) & array.notnull()
    return array[dim].where(stays).min(dim)
