"""Is a stored sweep whole? A tile marked done whose files are gone would read as NaN, so it is refused instead."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from lemmata.sweep.grid import Axis, Grid
from lemmata.sweep.tile import cut


def refuse_damaged(path: Path, attributes: dict[str, Any]) -> None:
    """Refuse a store with a missing or unreadable array, another coordinate than recorded, or a lost chunk.

    Chunks are looked for, not decoded: that takes microseconds each, and copying half a folder is the usual damage.

    Raises:
        ValueError: the first thing found.
    """
    try:
        found = next(_damages(path, json.loads(attributes["sweep"])), None)
    except Exception as error:  # whatever a broken file makes zarr raise, the remedy is the same
        found = f"reading it fails with {type(error).__name__} ({error})"
    if found:
        raise ValueError(f"{path} is damaged, {found}; remove it and run again")


def _damages(path: Path, record: dict[str, Any]) -> Iterator[str]:
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    coordinates = {**record["axes"], **record["coordinates"]}
    for name in [*coordinates, *record["variables"], "done"]:
        if name not in group:
            yield f"{name} is missing"
    for name, values in coordinates.items():
        if _array(group, name).tolist() != values:
            yield f"the values of {name} are not those recorded"
    grid = Grid(tuple(Axis(name, tuple(record["axes"][name])) for name in record["order"]))
    shape, done = tuple(record["tile"]), _array(group, "done")
    for tile in cut(grid, shape):
        if not done[tile.region].all():
            continue
        corner = [str(side.start // step) for side, step in zip(tile.region, shape)]
        for name, (dims, _) in record["variables"].items():
            chunk = Path(name, "c", *corner, *["0"] * len(dims))
            if not (path / chunk).is_file() or not (path / chunk).stat().st_size:
                yield f"{chunk} is missing or empty"


def _array(group: zarr.Group, name: str) -> np.ndarray:
    return np.asarray(group[name][...])  # type: ignore[index]
