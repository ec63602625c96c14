"""What a user gives, in any of its forms, as one: axes, seeds, what can be compared as JSON."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from lemmata.sweep import Grid
from lemmata.tester.journal import NAME, Journal


def axes_of(over: Any) -> dict[str, tuple[Any, ...]]:
    """Axes from a :class:`~lemmata.Grid`, or from a mapping of names to values.

    Raises:
        ValueError: an axis without values.
    """
    if isinstance(over, Grid):
        return {axis.name: tuple(axis.values) for axis in over.axes}
    grid = Grid.of(**{name: tuple(values) for name, values in dict(over).items()}) if over else None
    return {axis.name: tuple(axis.values) for axis in grid.axes} if grid else {}


def seeds_of(found_on: Any) -> set[int]:
    """Seeds that a conjecture was found on: those of datasets, of stores, of a study's folder, or numbers."""
    if found_on is None:
        return set()
    if isinstance(found_on, xr.Dataset):
        return {int(seed) for seed in np.atleast_1d(found_on["seed"].values)} if "seed" in found_on.coords else set()
    if isinstance(found_on, str | Path):
        path = Path(found_on)
        if (path / NAME).exists():
            return {int(point["seed"]) for point, _, _ in Journal(path).cells()}
        store = path if path.suffix == ".zarr" else path / "data.zarr"
        if not store.exists():
            raise ValueError(f"found_on = {str(found_on)!r} is no store and no study; give a folder of a run, or seeds")
        return seeds_of(xr.open_zarr(store))
    if isinstance(found_on, Iterable):
        parts = list(found_on)
        if all(isinstance(part, int | np.integer) for part in parts):
            return {int(part) for part in parts}
        return set().union(*map(seeds_of, parts))
    return {int(found_on)}


def as_json(value: Any) -> Any:
    """A value as JSON gives it back, so that designs can be compared."""
    if isinstance(value, Mapping):
        return {str(name): as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
