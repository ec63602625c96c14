"""Contrastive learning of one modality against two: early growth rates, thresholds, and what a head can still read.

From small weights the InfoNCE softmax is uniform, and signal and noise activations of an encoder grow exponentially at

    signal:  ‖μ‖²/2  (one modality)      ‖μ‖‖μ̃‖/2       (two)          in units of η/τ
    noise:   σ²d/n   (one modality)      σσ̃√(d d̃)/n     (two), for pairs of filter and sample active in both

so signal wins the race where n·SNR² (one) or n·SNR·SNR̃ (two) exceeds 2. Noise of a second modality is not absent:
samples that activate a filter in both modalities are memorised as fast. What a second modality of larger SNR̃ changes is
the signal's rate. When all other samples are negatives, those of the same class cancel half the signal's push and the
thresholds are 4.

Setting and order-level statements (n·SNR² = Θ(1), SNR̃ larger by a constant): Huang, Han, Chen, Cao, Xu, Suzuki (2024),
"On the Comparison between Multi-modal and Single-modal Contrastive Learning", arXiv 2411.02837. Rates, thresholds and
:func:`probe_regime` are derived here. Names: ``signal`` ‖μ‖, ``sigma_p`` σ, ``signal_ratio`` C = ‖μ̃‖/‖μ‖.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Number = Any
"""A float, an array, or anything with numpy's arithmetic, such as ``xarray.DataArray``."""

THRESHOLDS = {"opposite": 2.0, "all": 4.0}
"""n·SNR·SNR̃ above which signal outgrows noise, by a sample's negatives: those of the other label, or all others."""

READABLE = 0.1
"""Strength of a probe from which a good linear head reads the class (measured: error 0.1 at 0.11, 0.35 at 0.03)."""


@dataclass(frozen=True)
class EarlyRates:
    """Growth rates at small weights, in units of η/τ per step. Derived here."""

    signal: Number
    noise: Number

    @property
    def ratio(self) -> Number:
        """Signal's rate over noise's; one at the threshold."""
        return self.signal / self.noise


def n_snr2(n: Number, signal: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """n·SNR² with SNR = ‖μ‖/(σ√d). Published."""
    return n * signal**2 / (sigma_p**2 * d)


def early_rates(
    n: Number,
    signal: Number,
    d: Number,
    sigma_p: Number = 1.0,
    *,
    second: tuple[Number, Number, Number] | None = None,
    negatives: str = "opposite",
) -> EarlyRates:
    """Rates at which a filter's signal and its activation by one sample's noise grow. Derived here.

    Args:
        second: ``(‖μ̃‖, d̃, σ̃)`` of the second modality; None for one modality and its augmentation.
        negatives: ``"opposite"`` or ``"all"``.

    Raises:
        ValueError: other negatives.
    """
    share = 1 / threshold(negatives)
    if second is None:
        return EarlyRates(share * signal**2, sigma_p**2 * d / n)
    signal2, d2, sigma2 = second
    return EarlyRates(share * signal * signal2, sigma_p * sigma2 * (d * d2) ** 0.5 / n)


def threshold(negatives: str = "opposite") -> float:
    """n·SNR² (one modality) or n·SNR·SNR̃ (two) at which both rates are equal. Derived here.

    Raises:
        ValueError: negatives other than ``"opposite"`` and ``"all"``.
    """
    if negatives not in THRESHOLDS:
        raise ValueError(f"negatives = {negatives!r} was asked for; they are {' or '.join(map(repr, THRESHOLDS))}")
    return THRESHOLDS[negatives]


def critical_ratio(n_snr2: Number, negatives: str = "opposite") -> Number:
    """C = ‖μ̃‖/‖μ‖ from which two modalities of equal noise learn signal first: threshold / n·SNR². Derived here."""
    return threshold(negatives) / n_snr2


@dataclass(frozen=True)
class ProbeRegime:
    """Whether features that hold mostly noise can still be read, see :func:`probe_regime`.

    Attributes:
        n_snr2: n·SNR², which decides the race of signal against noise.
        probe_strength: SNR²√d, the signal-to-noise ratio that a linear head sees.
        warning: why a large error of the single-modal encoder is not to be expected here; None where it is.
    """

    n_snr2: float
    probe_strength: float
    warning: str | None


def probe_regime(n: float, d: float, signal: float, sigma_p: float = 1.0) -> ProbeRegime:
    """Whether the single-modal failure of the paper can show: noise wins the race *and* no head reads the rest.

    Training on noise alone drives the signal too: the noise activations of the two classes are out of balance by a
    share of order 1/√n, so the signal never stays at its start, however small that is. A linear head then sees
    signal-to-noise of order SNR²√d = ‖μ‖²/(σ²√d). Together with n·SNR² of order one a large error needs n ≫ √d, while
    the paper assumes d ≫ n². A heuristic, derived here and checked on a few points, not a theorem.

    Raises:
        ValueError: an argument that is not a number above 0.
    """
    for name, value in {"n": n, "d": d, "signal": signal, "sigma_p": sigma_p}.items():
        if not (np.isscalar(value) and np.isfinite(value) and value > 0):  # type: ignore[operator]
            raise ValueError(f"{name} = {value!r} was asked for; probe_regime takes one number above 0")
    race, strength = float(n_snr2(n, signal, d, sigma_p)), float((signal / sigma_p) ** 2 / d**0.5)
    reasons = []
    if race >= THRESHOLDS["opposite"]:
        reasons.append(
            f"n·SNR² = {race:.3g} is above {THRESHOLDS['opposite']:g}, where one modality learns signal first"
        )
    if strength >= READABLE:
        reasons.append(
            f"SNR²√d = {strength:.3g} is not small, so a good head reads the class although noise is memorised; "
            f"at this n·SNR² that needs n ≫ √d, here n/√d = {n / d**0.5:.2g}"
        )
    return ProbeRegime(race, strength, "; ".join(reasons) or None)
