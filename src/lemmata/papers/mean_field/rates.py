"""Exponents against a finite reference: the axis is what the reference leaves of the rate.

Distances to a reference of depth L_ref fall like 1/L − 1/L_ref, to one of M_ref particles like √(1/M − 1/M_ref), so
exponents are fitted in the inverse of these bases and not in L or M. Intervals are Student's over seeds, each with a
reference and prompts of its own; blocks of one reference are averaged first, as they share it.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from lemmata.claims import Estimate, Finding, between, need
from lemmata.claims.exponent import exponent

Base = Callable[[np.ndarray], np.ndarray]
BLOCKS = "interval over seeds, each with its own reference and prompts; blocks share their reference and are averaged"


def logarithm(array: xr.DataArray) -> xr.DataArray:
    """Of what is positive; missing elsewhere, as on a logarithmic axis."""
    return xr.apply_ufunc(np.log, array.where(array > 0))


def over_blocks(error: xr.DataArray) -> xr.DataArray:
    """Root mean square over the blocks of a reference."""
    if "block" not in error.dims:
        return error
    return ((error**2).mean("block") ** 0.5).assign_attrs(error.attrs)


def slope(error: xr.DataArray, over: str, base: Base) -> Estimate:
    """The exponent of an error in 1/base(axis), for every other coordinate."""
    rebased = over_blocks(error).assign_coords({over: 1 / np.asarray(base(error[over].values), float)})
    return exponent(rebased.reset_coords(drop=True), over)


def rate_finding(error: xr.DataArray, over: str, base: Base, low: float, high: float, expected: str) -> Finding:
    """Whether the exponent of an error lies between two limits, with its interval, at all coordinates."""
    need(error, **{over: 3, "seed": 2})
    found = slope(error, over, base)
    detail = [BLOCKS if "block" in error.dims else BLOCKS.partition(";")[0], found]
    return between(low, high, found, expected=expected, detail=detail)


def fitted(error: xr.DataArray, over: str, base: Base, power: float = 1.0) -> xr.DataArray:
    """C · base(axis)^power with the C that fits the geometric mean: the dashed line of figures."""
    logs = logarithm(over_blocks(error))
    mean = logs.mean("seed") if "seed" in logs.dims else logs
    form = xr.DataArray(np.asarray(base(error[over].values), float) ** power, dims=over, coords={over: error[over]})
    distance: xr.DataArray = mean - logarithm(form)
    return (xr.apply_ufunc(np.exp, distance.mean(over)) * form).assign_attrs(long_name="fitted rate", units="1")
