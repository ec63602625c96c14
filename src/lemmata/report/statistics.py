"""From seeds to an interval: the mean over a dimension and Student's 95 % interval around it.

    mean ± t(0.975, k − 1) · s / √k        k finite values, s their standard deviation

On a logarithmic scale the same is done to the logarithms, which gives the geometric mean.
"""

from typing import Any

import numpy as np
import xarray as xr


def t_quantile(degrees: np.ndarray) -> np.ndarray:
    """The 0.975 quantile of Student's t, ``degrees`` ≥ 1: exact to 5e-3 (Cornish-Fisher expansion; a table below 5)."""
    degrees = np.asarray(degrees, dtype=float)
    z, v = 1.959963985, np.maximum(degrees, 1.0)
    expansion = (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
    table = np.array([np.inf, 12.7062, 4.3027, 3.1824, 2.7764])
    return np.where(degrees < 5, table[np.clip(degrees, 0, 4).astype(int)], expansion)


def seed_interval(array: xr.DataArray, dim: str = "seed", *, geometric: bool = False) -> xr.Dataset:
    """``mean``, ``low``, ``high`` and ``count`` over ``dim``; missing values are left out and not counted.

    With fewer than two values the interval is missing (NaN). ``geometric`` also leaves out values ≤ 0.
    An array without ``dim`` is its own mean.
    """
    values: Any = array if dim in array.dims else array.expand_dims(dim)
    if geometric:
        values = np.log(values.where(values > 0))
    count = values.count(dim)
    mean = values.mean(dim)
    spread = values.std(dim, ddof=1).where(count > 1) if values.sizes[dim] > 1 else mean * np.nan
    half = spread / np.sqrt(count) * xr.DataArray(t_quantile((count - 1).values), coords=count.coords, dims=count.dims)
    parts: dict[str, Any] = {"mean": mean, "low": mean - half, "high": mean + half}
    if geometric:
        parts = {name: np.exp(part) for name, part in parts.items()}
    result = xr.Dataset({**parts, "count": count})
    for part in result.data_vars.values():
        part.attrs = dict(array.attrs)
    return result
