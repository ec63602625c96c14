"""Parts of a dataset: at given values, one of each, the worst cell; each says what is missing where it is not there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from lemmata.claims.claim import NotMeasurable

Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


def at(data: Labelled, /, **values: Any) -> Labelled:
    """The part of a dataset or array at given coordinates, e.g. ``at(data, v0=0.5)``; numbers match to 1e-9 relative.

    A coordinate that all cells share is accepted where it has that value.

    Raises:
        NotMeasurable: a value is not on the grid, as when the user chose other values for the axis.
    """
    for name, value in values.items():
        if name not in data.coords and name not in data.dims:
            raise NotMeasurable(f"the dataset has no axis {name!r}")
        found = np.atleast_1d(data[name].values)
        here = [k for k, one in enumerate(found.tolist()) if _same(one, value)]
        if not here or data[name].ndim > 1:
            raise NotMeasurable(f"needs {name} = {say(value)}, which is not among the values run")
        if data[name].ndim:
            data = data.isel({str(data[name].dims[0]): here[0]})
    return data


def need(data: xr.Dataset | xr.DataArray, /, **least: int) -> None:
    """Refuse a dataset with too few values on an axis: ``need(data, n=3, seed=2)``.

    Raises:
        NotMeasurable: naming the axis and how many values it has.
    """
    for name, count in least.items():
        found = data.sizes.get(name, 1 if name in data.coords else 0)
        if found < count:
            raise NotMeasurable(
                f"needs {count} or more values of {name}; there {'is' if found == 1 else 'are'} {found}"
            )


def among(array: xr.DataArray, inside: xr.DataArray, which: str) -> xr.DataArray:
    """The array where ``inside`` is True, missing elsewhere.

    Args:
        which: the condition in words, ``"κ ≤ 4"``.

    Raises:
        NotMeasurable: no value is there.
    """
    part = array.where(inside)
    if not bool(part.notnull().any()):
        raise NotMeasurable(f"no cell has {which}")
    return part


def one_of_each(dataset: xr.Dataset, *kept: str, of: str = "test_error") -> tuple[xr.Dataset, str]:
    """The dataset at the first value of every axis of ``of`` but ``kept`` and ``seed``, and a note saying which."""
    others = [str(dim) for dim in dataset[of].dims if dim not in (*kept, "seed")]
    said = ", ".join(f"{dim} = {dataset[dim].values[0]}" for dim in others)
    return dataset.isel(dict.fromkeys(others, 0)), f" ({said})" if said else ""


def extremes(dataset: xr.Dataset, name: str) -> list[Any]:
    """Largest and smallest value of a parameter, or the one that all cells share.

    Raises:
        NotMeasurable: the dataset does not record it.
    """
    if name not in dataset.coords:
        raise NotMeasurable(f"the dataset does not record {name!r}")
    values = np.unique(dataset[name].values)
    return sorted({values[-1].item(), values[0].item()}, reverse=True)


@dataclass(frozen=True)
class Place:
    """A value of an array and where it stands: ``str`` is ``"n = 20, v0 = 0.5"``."""

    value: float
    where: Mapping[str, Any]
    index: Mapping[str, int] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return ", ".join(f"{name} = {say(value)}" for name, value in self.where.items())


def worst(array: xr.DataArray, *, largest: bool = True, by: xr.DataArray | None = None) -> Place:
    """The largest (or smallest) value that is not missing, and where it is.

    Args:
        by: what is compared instead of the values themselves, as with distances from a band.

    Raises:
        NotMeasurable: all are missing.
    """
    array, order = xr.broadcast(array, array if by is None else by)
    present = array.notnull() & order.notnull()
    if not bool(present.any()):
        raise NotMeasurable("no value is left to measure")
    flat = np.where(present, order if largest else -order, -np.inf)
    index = dict(zip(map(str, array.dims), map(int, np.unravel_index(int(np.argmax(flat)), array.shape))))
    found = array.isel(index)
    where = {name: found[name].item() for name in index if name in found.coords}
    return Place(float(found), where, index)


def say(value: Any) -> str:
    """A value in as few digits as tell it: ``20``, ``0.5``, ``1e+05``, ``caption``."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    return f"{value:g}" if number else str(value)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) or isinstance(wanted, str):
        return found == wanted
    return abs(found - wanted) <= 1e-9 * abs(wanted)
