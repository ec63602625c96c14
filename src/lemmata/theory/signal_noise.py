"""The invariants of signal-noise data: what decides does so through SNR, n·SNR² or κ, not through n, ‖μ‖, d alone.

    SNR = ‖μ‖/(σp√d),   n·SNR² = n‖μ‖²/(σp²d),   κ = n‖μ‖⁴/(σp⁴d) = n·d·SNR⁴

Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526 (SNR); Kou, Chen, Chen, Gu 2023, arXiv 2303.04145 (κ, fixed output layer).
Names: ``signal`` ‖μ‖, ``sigma_p`` σp. All functions broadcast, and take and return ``xarray.DataArray`` too.
"""

from typing import Any

Number = Any
"""A float, an array, or anything with numpy's arithmetic."""


def snr(signal: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """Signal-to-noise ratio ‖μ‖/(σp√d) of one sample."""
    return signal / (sigma_p * d**0.5)


def n_snr2(n: Number, signal: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """n·SNR², the order of the ratio of signal to noise in a training margin."""
    return n * signal**2 / (sigma_p**2 * d)


def kappa(n: Number, signal: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """κ = n‖μ‖⁴/(σp⁴d), which decides the test error of a network that fits its data."""
    return n * signal**4 / (sigma_p**4 * d)


def signal_at_snr(snr: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """‖μ‖ that has this SNR."""
    return snr * sigma_p * d**0.5


def signal_at_n_snr2(n_snr2: Number, n: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """‖μ‖ that has this n·SNR²."""
    return (n_snr2 * sigma_p**2 * d / n) ** 0.5


def signal_at_kappa(kappa: Number, n: Number, d: Number, sigma_p: Number = 1.0) -> Number:
    """‖μ‖ that has this κ."""
    return (kappa * sigma_p**4 * d / n) ** 0.25
