"""A store that gets more seeds or points: built anew beside the old one with what is stored, then put in its place.

.NAME.grown     built; a kill before it is whole leaves NAME as it was
.NAME.before    NAME, moved aside; a kill here is mended by the next start, which moves it back
NAME            .NAME.grown, moved in
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from lemmata.sweep import sums
from lemmata.sweep.format import array_names, build
from lemmata.sweep.plan import Plan
from lemmata.sweep.seal import read_sealed, seal


def grow(path: Path, plan: Plan, places: list[list[int]]) -> None:
    """Give a store the cells of ``plan``, among which its own lie at ``places`` along each dimension."""
    fresh, aside = _names(path)
    attributes = read_sealed(path)
    shutil.rmtree(fresh, ignore_errors=True)
    group = build(zarr.storage.LocalStore(fresh), plan)
    with zarr.config.set({"array.write_empty_chunks": True}):
        done = _moved(path, group, "done", places)
        held = [tile for tile in plan.cut if done[tile.region].any()]
        for name in [*plan.body.variables, "done"]:
            array: Any = group[name]
            values = done if name == "done" else _moved(path, group, name, places)
            for tile in held:
                where: Any = tile.region
                if isinstance(where[0], slice):
                    array.set_basic_selection(where, values[where])
                else:
                    array.set_orthogonal_selection(
                        (*map(np.asarray, tile.sides), *[slice(None)] * (array.ndim - len(tile.sides))), values[where]
                    )

    mark: Any = group["done"]
    touched = {place for tile in held for place in sums.places(tile.sides, mark.chunks)}
    sums.note_end(fresh, sorted(touched), {name: len(says.dims) for name, says in plan.body.variables.items()})

    def carry(new: dict[str, Any]) -> None:
        new.update({name: attributes[name] for name in ("created", "versions", "wall_seconds")})

    seal(fresh, carry, array_names(plan))
    path.rename(aside)
    fresh.rename(path)
    shutil.rmtree(aside)


def finish_growing(path: Path) -> None:
    """What a killed process left of growing: the old store back in its place, or out of the way."""
    fresh, aside = _names(path)
    if aside.exists() and not path.exists():
        aside.rename(path)
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)


def _moved(path: Path, group: zarr.Group, name: str, places: list[list[int]]) -> np.ndarray:
    """The stored values of an array at their new places, fill elsewhere."""
    new: Any = group[name]
    old = np.asarray(zarr.open_array(path / name, mode="r")[...])
    moved = np.full(new.shape, new.fill_value, new.dtype)
    moved[np.ix_(*places, *map(range, old.shape[len(places) :]))] = old
    return moved


def _names(path: Path) -> tuple[Path, Path]:
    return path.with_name(f".{path.name}.grown"), path.with_name(f".{path.name}.before")
