"""How far the constructed network is from the in-context MLE, and how large its weights need be.

With k of n samples agreeing with the query on the parents, sample i disagreeing in h_i of them, and μ off the query's
own score, attention leaves the agreeing samples with the share

    ζ = Z/(k + Z),   Z = Σ_{h_i > 0} e^(-λ h_i) + e^(-μ)   ≤   ((n - k) e^(-λ) + e^(-μ)) / k,

which bounds the total variation. So λ = μ = log((n + 1)/ε) gives ε where k ≥ 1. Theorem 4.1 of Cao, He, Wu, Chen, Fan,
Liu (2025), arXiv 2501.02547 (as its reviews restate it) has key and query matrices of norm at most 3 log(Mdn/ε); the
error law is derived here.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def error_bound(n: ArrayLike, agreeing: ArrayLike, lam: ArrayLike) -> NDArray:
    """((n - k)/k) e^(-λ), infinite where nothing agrees."""
    k = np.asarray(agreeing, dtype=float)
    with np.errstate(divide="ignore"):
        return np.where(k > 0, (np.asarray(n) - k) / k * np.exp(-np.asarray(lam, dtype=float)), np.inf)


def lam_for(n: ArrayLike, error: ArrayLike) -> NDArray:
    """λ = μ = log((n + 1)/ε), which suffices for the error ε."""
    return np.log((np.asarray(n) + 1) / np.asarray(error))


def error_of(n: ArrayLike, lam: ArrayLike) -> NDArray:
    """ε = (n + 1) e^(-λ), its inverse."""
    return (np.asarray(n) + 1) * np.exp(-np.asarray(lam, dtype=float))


def norm_bound(M: ArrayLike, d: ArrayLike, n: ArrayLike, error: ArrayLike) -> NDArray:
    """3 log(Mdn/ε)."""
    return 3 * np.log(np.asarray(M) * np.asarray(d) * np.asarray(n) / np.asarray(error))
