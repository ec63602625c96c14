"""A dataset as a reader of maps wants it: variables over any of their dimensions, seeds gone into mean and interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lemmata.report.maps import Scale
from lemmata.report.statistics import seed_interval
from lemmata.report.style import axis_label

FLOOR = 1e-12
"""Colours of a logarithmic map begin here at the lowest: a test error of 1e-60 is no more than nothing."""
DECADE = 50.0
"""Positive values that span more than this factor are shown in their logarithms."""


@dataclass(frozen=True)
class View:
    """One variable with the seeds gone: mean, half width of the 95 % interval, and how many there were.

    ``low`` and ``high`` are the limits of its colours, of the logarithm to base ten where ``log``; they are those of
    the whole variable, so that two maps compare.
    """

    name: str
    label: str
    dims: tuple[str, ...]
    mean: np.ndarray
    half: np.ndarray
    count: np.ndarray
    log: bool
    low: float
    high: float


def shown_variables(dataset: xr.Dataset) -> list[str]:
    """Names of the variables that can be shown: numbers along at least one dimension beside the seed."""
    return [
        str(name)
        for name, array in dataset.data_vars.items()
        if name != "done" and array.dtype.kind in "fiub" and any(dim != "seed" for dim in array.dims)
    ]


def view_of(dataset: xr.Dataset, name: str, seed: Any = None, limits: tuple[float, float] | None = None) -> View:
    """A variable of a dataset, over all its seeds or at one of them; cells that have not run are missing.

    Args:
        seed: one value of the axis ``seed``; None takes the mean.
        limits: of the colours, in the variable's own units; by default the range of its means.
    """
    array = dataset[name]
    done = dataset.get("done")
    if done is not None and set(done.dims) <= set(array.dims):
        array = array.where(done).assign_attrs(array.attrs)
    if seed is not None and "seed" in array.dims:
        array = array.sel(seed=[seed])
    found = seed_interval(array)
    mean = found["mean"]
    values = np.asarray(mean.values, float)
    log, low, high = _limits(values, limits)
    half = np.asarray((found["high"] - mean).values, float)
    count = np.broadcast_to(found["count"].values, values.shape)
    return View(name, axis_label(dataset[name]), tuple(map(str, mean.dims)), values, half, count, log, low, high)


def _limits(values: np.ndarray, limits: tuple[float, float] | None) -> tuple[bool, float, float]:
    usable = values[np.isfinite(values)]
    if limits is not None:
        low, high = limits
        return (True, float(np.log10(low)), float(np.log10(high))) if low > 0 else (False, low, high)
    if not usable.size:
        return False, 0.0, 1.0
    low, high = float(usable.min()), float(usable.max())
    if low >= 0 and high > DECADE * max(low, FLOOR):
        positive = float(usable[usable > 0].min())
        return True, float(np.log10(max(positive, FLOOR))), float(np.log10(high))
    return (False, low, high) if low < high else (False, low - 0.5, high + 0.5)


def ticks(coordinate: xr.DataArray) -> list[str]:
    """What stands at each value of a coordinate on an axis."""
    return list(Scale.of(coordinate).labels)


def along(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    """The dimensions that can be axes, with their coordinates; the seed is none of them."""
    return {
        str(dim): dataset[dim] if dim in dataset.coords else xr.DataArray(np.arange(size), dims=str(dim), name=str(dim))
        for dim, size in dataset.sizes.items()
        if dim != "seed"
    }
