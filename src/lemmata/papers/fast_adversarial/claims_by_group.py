"""Differences between methods, judged on the seeds that chose λ and on those that confirm it."""

import xarray as xr

from lemmata.claims import NotMeasurable, at, usable

GROUPS = {"0-2": (0, 1, 2), "3-5": (3, 4, 5)}
"""Seeds of the study in which λ was chosen, and fresh ones."""


def by_group(array: xr.DataArray) -> xr.DataArray:
    """Means over each group of seeds, along a new dimension ``seeds``.

    Raises:
        NotMeasurable: a seed of 0 to 5 is missing.
    """
    there = set(array.seed.values.tolist())
    if not {seed for seeds in GROUPS.values() for seed in seeds} <= there:
        raise NotMeasurable("needs seeds 0 to 5: λ was chosen on 0 to 2, 3 to 5 confirm")
    means = [array.sel(seed=list(seeds)).mean("seed") for seeds in GROUPS.values()]
    return xr.concat(means, xr.DataArray(list(GROUPS), dims="seeds", name="seeds"))


def of_method(data: xr.Dataset, variable: str, defence: str, eps: float) -> xr.DataArray:
    """Group means of a variable for a defence at a radius."""
    return by_group(at(usable(data), defence=defence, eps=eps)[variable])


def gain(data: xr.Dataset, variable: str, defence: str, over: str, eps: float) -> xr.DataArray:
    """Group means of a variable for ``defence`` minus those for ``over``, at a radius; paired by seed."""
    return of_method(data, variable, defence, eps) - of_method(data, variable, over, eps)
