"""Writing the results of a sweep, tile by tile, so that a process killed at any instant loses nothing that was stored.

Each tile is written once: first every variable, then its cells of the truth values ``done``. Zarr replaces each file by
a rename, so a tile is either marked and whole, or unmarked and to be run again. The store itself is built under another
name and renamed when it is whole; one that grows is built anew beside the old one, and changes places with it.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr

from lemmata.sweep.chunks import Bad
from lemmata.sweep.format import array_names, build
from lemmata.sweep.grow import finish_growing, grow
from lemmata.sweep.location import local_folder, scratch_folder
from lemmata.sweep.lock import held
from lemmata.sweep.memory import Memory
from lemmata.sweep.plan import Plan
from lemmata.sweep.resume import bad_derived, damages, refuse_another, refuse_damaged, refuse_other_tiles
from lemmata.sweep.seal import read_sealed, seal, strike
from lemmata.sweep.sums import note_begin, note_end, places, read_sums
from lemmata.sweep.tile import Tile
from lemmata.sweep.versions import begun, counted, versions_of


class Store:
    """The Zarr group of one sweep, opened for writing by one process. Use :func:`open_sweep`."""

    def __init__(self, group: zarr.Group, plan: Plan, path: Path):
        self.plan, self.path = plan, path
        # Chunks of nothing but fill are written too, so that a file missing from a marked tile is seen to be lost.
        with zarr.config.set({"array.write_empty_chunks": True}):
            self._arrays: dict[str, Any] = {name: group[name] for name in plan.body.variables}
        mark: Any = group["done"]
        self._mark, self._chunk = mark, mark.chunks
        self._noted = set(read_sums(path))

    @property
    def tiles(self) -> int:
        """Number of tiles of the sweep."""
        return self.plan.tiles

    def done(self) -> np.ndarray:
        """Truth value of each cell."""
        return np.asarray(self._mark[...])

    def pending(self) -> list[Tile]:
        """Tiles, or parts of tiles, not yet marked done, in order."""
        done = self.done()
        return [left for tile in self.plan.cut if (left := tile.without(done)) is not None]

    def write(self, tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
        """Store the results ``(c, *dims)`` of one tile, then mark it done."""
        touched = places(tile.sides, self._chunk)
        note_begin(self.path, [place for place in touched if place in self._noted])
        for name, array in self._arrays.items():
            write_part(array, tile, arrays[name])
        note_end(self.path, touched, {name: len(says.dims) for name, says in self.plan.body.variables.items()})
        self._noted.update(touched)
        write_part(self._mark, tile, np.ones(tile.cells, bool))

    def end_session(self, seconds: float) -> None:
        """Count the time of one session, and the cells stored, into the attributes."""
        done = int(self.done().sum())

        def add(attributes: dict[str, Any]) -> None:
            attributes["wall_seconds"] = float(attributes["wall_seconds"]) + seconds
            attributes["versions"] = json.dumps(counted(json.loads(attributes["versions"]), done))

        seal(self.path, add)

    def dataset(self) -> xarray.Dataset:
        """The sweep as it stands; read from the folder when asked for."""
        return xarray.open_zarr(self.path, chunks=None)


def write_part(array: Any, tile: Tile, values: np.ndarray) -> None:
    """Write the values ``(c, *dims)`` of a tile's cells into an array over the grid; the rest of its chunks stays."""
    extra = array.shape[len(tile.shape) :]
    region: Any = tile.region
    select = "basic"
    if not isinstance(region[0], slice):
        region, select = (*map(np.asarray, tile.sides), *[slice(None)] * len(extra)), "orthogonal"
    if tile.rest is not None:
        whole = np.asarray(getattr(array, f"get_{select}_selection")(region)).reshape(-1, *extra).copy()
        whole[list(tile.rest)] = values
        values = whole
    getattr(array, f"set_{select}_selection")(region, values.reshape(*tile.shape, *extra))


def open_store(path: str | Path) -> xarray.Dataset:
    """The dataset of a sweep, finished or not: cells not yet run read NaN (integers -1) and ``done`` is False.

    Nothing is written. Every chunk is held against its checksum.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: what is there is not a whole sweep.
    """
    path = local_folder(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run the sweep first, or give the folder it wrote")
    attributes = read_sealed(path)
    refuse_damaged(path, damages(path, attributes))
    if derived := bad_derived(path, attributes):
        raise ValueError(f"{path} is damaged, {derived[0]} cannot be read; run again to have it written anew")
    return xarray.open_zarr(path, chunks=None)


@contextmanager
def open_sweep(
    plan: Plan,
    path: str | Path | None,
    cells_per_tile: int | None = None,
    *,
    repair: bool = False,
    mix_versions: bool = False,
) -> Iterator[Store | Memory]:
    """The store of this sweep, created, resumed or grown, and held by this process until the block ends.

    Args:
        plan: what is swept.
        path: folder of the store; None keeps it in memory.
        cells_per_tile: tiles asked for, if any were.
        repair: compute tiles again whose chunks are not whole, instead of refusing.
        mix_versions: go on with a store begun under another minor version of lemmata.

    Raises:
        ValueError: the folder holds another sweep, another thing, or a damaged sweep.
        OSError: the folder cannot be written, or another process is sweeping into it.
    """
    if path is None:
        yield Memory(plan)
        return
    path = local_folder(path)
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(path))
        except BlockingIOError:
            raise
        except OSError as error:
            raise _unwritable(path, error) from error
        finish_growing(path)
        if _is_empty(path):
            _create(path, plan)
        else:
            plan = _resume(path, plan, cells_per_tile, repair, mix_versions)
        yield Store(zarr.open_group(path, mode="r+", use_consolidated=False), plan, path)


def _resume(path: Path, plan: Plan, cells_per_tile: int | None, repair: bool, mix_versions: bool) -> Plan:
    attributes = read_sealed(path)
    places = refuse_another(path, attributes, plan)
    bad = damages(path, attributes)
    if not repair:
        refuse_damaged(path, bad)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}; choose a folder that can be written")
    stored = json.loads(attributes["sweep"])
    same = places == [[*range(size)] for size in plan.grid.shape]
    if same:
        refuse_other_tiles(path, stored["tile"], plan, cells_per_tile)
    _sweep_up(path)
    _mend(path, bad)
    strike(path, bad_derived(path, attributes))
    done = int(np.asarray(zarr.open_array(path / "done", mode="r")[...]).sum())
    entries = begun(json.loads(attributes["versions"]), versions_of(plan), done, mix_versions, path)
    if entries != json.loads(attributes["versions"]):
        seal(path, lambda attributes: attributes.update(versions=json.dumps(entries)))
    if same:
        return dataclasses.replace(plan, tile_shape=tuple(stored["tile"]))
    grow(path, plan, places)
    return plan


def _create(path: Path, plan: Plan) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(scratch_folder(path), ignore_errors=True)  # of a store since removed: not this sweep's
        build(zarr.storage.LocalStore(fresh), plan)
        seal(fresh, lambda attributes: None, array_names(plan))
        if path.is_dir():
            path.rmdir()  # empty; not every file system renames over it
        fresh.rename(path)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise _unwritable(path, error) from error


def _mend(path: Path, bad: list[Bad]) -> None:
    """Mark the cells of broken chunks as not done, then remove the chunks."""
    for found in bad:
        if found.file.parts[0] == "done":
            (path / found.file).unlink()
        else:
            mark: Any = zarr.open_array(path / "done", mode="r+")
            mark[found.tile.region] = False
    for found in bad:
        (path / found.file).unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> OSError:
    return OSError(f"cannot write {path} ({error.strerror or error}); choose a folder that can be written")


def _is_empty(path: Path) -> bool:
    return not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))


def _sweep_up(path: Path) -> None:
    """Remove files that a killed process was still writing."""
    for leftover in path.rglob("*.partial"):
        leftover.unlink(missing_ok=True)
