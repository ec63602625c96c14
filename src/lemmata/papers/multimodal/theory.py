"""Contrastive learning of one modality against two: growth, thresholds, the proofs' numbers, and where training ends.

With s = η‖μ‖²/τ and z = ησ²d/(nτ) (τ → mτ where similarities are divided by m), M negatives of the other label and
filters so small that the softmax is uniform, the coefficients of a filter grow per step by the factors

    signal:  1 + s/2  (one modality)     1 + C s/2  (two)       times M/(M + 1)
    noise:   1 + z    (one modality)     1 + z      (two), for pairs of filter and sample active in both

so signal wins the race where n·SNR² (one) or n·SNR·SNR̃ = C·n·SNR² (two) exceeds 2. The similarity is patch by patch
and negatives have the other label, so nothing of the noise drives the signal but the softmax weights and ⟨μ, ξ_i⟩.
Noise of a second modality is not absent: samples active in both are memorised as fast. When all other samples are
negatives, those of the same class cancel half the signal's push and the thresholds are 4.

Huang, Han, Chen, Cao, Xu, Suzuki (2024), "On the Comparison between Multi-modal and Single-modal Contrastive Learning",
arXiv 2411.02837: assumption 4.1, theorems 4.2 and 4.3, lemmas C.4 to C.18 (one modality) and D.4 to D.15 (two).
Thresholds and :func:`saturated_length` are derived here. Names: ``signal`` ‖μ‖, ``sigma_p`` σ, ``signal_ratio``
C = ‖μ̃‖/‖μ‖, ``init`` σ0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.theory.gaussian import normal_tail
from lemmata.theory.signal_noise import n_snr2

Number = Any
"""A float, an array, or anything with numpy's arithmetic, such as ``xarray.DataArray``."""

THRESHOLDS = {"opposite": 2.0, "all": 4.0}
"""C·n·SNR² (C = 1 for one modality) above which signal outgrows noise, by a sample's negatives. Derived here."""
SINGLE_AT_MOST, MULTI_AT_LEAST, RATIO_ABOVE = 1.8, 1.7, 2.66
"""n·SNR² up to which the proof for one modality holds, from which that for two does, and the C it needs. Published."""
SINGLE_SIGNAL, SINGLE_NOISE, MULTI_SIGNAL, MULTI_NOISE = 0.52, 0.96, 0.48, 1.06
"""The proofs' growth: 1 + 0.52 s (at most), 1 + 0.96 z (at least), 1 + 0.48 C s (at least), 1 + 1.06 z (at most)."""


@dataclass(frozen=True)
class EarlyRates:
    """Growth rates at small weights, in units of η/τ per step. Derived here."""

    signal: Number
    noise: Number

    @property
    def ratio(self) -> Number:
        """Signal's rate over noise's; one at the threshold."""
        return self.signal / self.noise


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
class Steps:
    """s and z of a setting: what one step multiplies signal and noise by is one plus a constant times these."""

    signal: Number
    noise: Number


def steps(step_size: Number, n: Number, signal: Number, d: Number, tau: Number, sigma_p: Number = 1.0) -> Steps:
    """s = η‖μ‖²/τ and z = ησ²d/(nτ). Published, with mτ for τ because similarities are divided by m there."""
    return Steps(step_size * signal**2 / tau, step_size * sigma_p**2 * d / (n * tau))


def proof_growth(at: Steps, modality: str, signal_ratio: Number = 1.0) -> Steps:
    """Logarithmic growth per step that the proofs bound signal and noise by. Published.

    One modality: signal at most, noise at least these; two: signal at least, noise at most.

    Raises:
        ValueError: another modality than ``"single"`` and ``"multi"``.
    """
    if modality == "single":
        return Steps(np.log1p(SINGLE_SIGNAL * at.signal), np.log1p(SINGLE_NOISE * at.noise))
    if modality == "multi":
        return Steps(np.log1p(MULTI_SIGNAL * signal_ratio * at.signal), np.log1p(MULTI_NOISE * at.noise))
    raise ValueError(f"modality = {modality!r} was asked for; it is 'single' or 'multi'")


def first_stage(at: Steps, modality: str, size: Number, signal_ratio: Number = 1.0) -> Number:
    """T1, the step at which the winner has grown to a constant: log(20/size) over its growth per step. Published.

    Args:
        size: of the winner at the start: σ0 σ √d for one modality, whose noise wins, σ0 ‖μ‖ for two.
    """
    growth = proof_growth(at, modality, signal_ratio)
    return np.log(20 / size) / (growth.noise if modality == "single" else growth.signal)


def similarity_at_loss(loss: Number, negatives: Number, tau: Number = 1.0) -> Number:
    """The positive similarity at which a direction's loss is as given, the similarities with M negatives being zero.

    τ (log M − log(e^loss − 1)). Derived here.
    """
    return tau * (np.log(negatives) - np.log(np.expm1(loss)))


def saturated_length(loss: Number, negatives: Number, tau: Number = 1.0, signal_ratio: Number = 1.0) -> Number:
    """Length of a sample's features at the end of training, where one of signal and noise carries all of it.

    One modality that memorises noise: ‖h(ξ)‖ = √L with L that of :func:`similarity_at_loss` (a small augmentation
    changes it little). Two that learn the signal: ‖h(μ)‖‖g(μ̃)‖ = L and ‖g(μ̃)‖ = C‖h(μ)‖, as both grow from small
    starts by the other's features, so ‖h(μ)‖ = √(L/C). Derived here.
    """
    return (similarity_at_loss(loss, negatives, tau) / signal_ratio) ** 0.5


@dataclass(frozen=True)
class Part:
    """One part of an assumption: what is compared, and whether it holds with all constants set to one."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether the part is met."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.3g} {'≥' if self.at_least else '≤'} {self.limit:.3g}"


def assumption_4_1(
    n: float, d: float, m: float, signal: float, signal_ratio: float, init: float, step_size: float,
    *, sigma_p: float = 1.0, sigma_aug: float = 0.1, divided_by_m: bool = False,
) -> tuple[Part, ...]:  # fmt: skip
    """The parts of assumption 4.1, in its order, constants and logarithms set to one; each says whether it is met.

    Args:
        divided_by_m: whether similarities are divided by m, as in the paper; if not, step sizes count m-fold.

    Raises:
        ValueError: an argument that is not a number above 0.
    """
    given = {"n": n, "d": d, "m": m, "signal": signal, "signal_ratio": signal_ratio, "init": init}
    for name, value in {**given, "step_size": step_size, "sigma_p": sigma_p}.items():
        if not (np.isscalar(value) and np.isfinite(value) and value > 0):  # type: ignore[operator]
            raise ValueError(f"{name} = {value!r} was asked for; assumption_4_1 takes one number above 0")
    gain = 1.0 if divided_by_m else m
    return (
        Part("dimension d ≥ n²", d, n**2, True),
        Part("dimension d ≥ n/(σ₀σ)", d, n / (init * sigma_p), True),
        Part("dimension d ≥ 1/(σ₀‖μ‖)²", d, (init * signal) ** -2, True),
        Part("step size η ≤ m/‖μ‖²", gain * step_size, m / signal**2, False),
        Part("step size η ≤ nm/(σ²d)", gain * step_size, n * m / (sigma_p**2 * d), False),
        Part("start σ₀ ≤ 1/max(σ√d, ‖μ‖)", init, 1 / max(sigma_p * d**0.5, signal), False),
        Part("augmentation σ_ε ≤ ‖μ‖", sigma_aug, signal, False),
        Part("augmentation σ_ε ≤ σ", sigma_aug, sigma_p, False),
        Part("second modality C ≥ 2.66", signal_ratio, RATIO_ABOVE, True),
        Part("proof for one modality, n·SNR² ≤ 1.8", float(n_snr2(n, signal, d, sigma_p)), SINGLE_AT_MOST, False),
        Part("proof for two modalities, n·SNR² ≥ 1.7", float(n_snr2(n, signal, d, sigma_p)), MULTI_AT_LEAST, True),
    )


def weak_window(signal_ratio: Number) -> tuple[Number, float]:
    """n·SNR² between which the proofs' rates let noise overtake in one modality and signal in two.

    1.06/(0.48 C) and 0.96/0.52. Derived here from the published rates; the proofs themselves need 1.7 to 1.8.
    """
    return MULTI_NOISE / (MULTI_SIGNAL * signal_ratio), SINGLE_NOISE / SINGLE_SIGNAL


def noise_floor(signal: Number, sigma_test: Number) -> Number:
    """Error of a head on an encoder that has learnt the signal alone: Φ(−‖μ‖/σ_test). Derived here.

    The fresh noise patch has a part along the signal, which the sum over patches adds to the signal patch's features;
    where it exceeds ‖μ‖ and points the other way, it wins.
    """
    return normal_tail(signal / sigma_test)


def embedded_start(init: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """What the start of a filter sees of fresh noise, σ0 σ √d; at assumption 4.1's smallest σ0 = n/(dσ) it is n/√d.

    The theorems' test signal ⟨ν, μ⟩ = ‖μ‖²/√d reaches a filter that has learnt the signal as 1/√d: n times less. No
    head reads it, whatever training did. Derived here.
    """
    return init * sigma_p * d**0.5
