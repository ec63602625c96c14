"""One Zarr group per sweep, readable with ``xarray.open_zarr``: what was run, what came out, and what is done.

Dimensions are the grid's axes and the body's further ones; the chunk of a variable is a tile. Each tile is written
once: first every variable, then its chunk of the truth values ``done``. Zarr replaces each file by a rename, so a
process killed at any instant leaves a tile either marked and whole, or unmarked and to be run again. The store itself
is built under another name and renamed when it is whole.
"""

import json
import math
import os
import platform
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr
from zarr.abc.store import Store as ZarrStore

import lemmata
from lemmata.sweep.body import Body, Variable, configuration_of, shape_of
from lemmata.sweep.damage import refuse_damaged
from lemmata.sweep.grid import Grid
from lemmata.sweep.identity import FORMAT, identity, read_attributes, refuse_another
from lemmata.sweep.tile import Tile, cut, tile_shape

TEXT = np.dtypes.StringDType()
"""Zarr has a specification for strings of variable length only."""
_PACKAGES = ("torch", "numpy", "xarray", "zarr")
_DONE = Variable(dtype="bool", long_name="tile stored")


class Store:
    """The Zarr group of one sweep, opened for writing by one process. Use :func:`open_sweep`."""

    def __init__(self, group: zarr.Group, grid: Grid, shape: tuple[int, ...], variables: Mapping[str, Variable]):
        self._group = group
        # Chunks of nothing but fill are written too, so that a file missing from a marked tile is seen to be lost.
        with zarr.config.set({"array.write_empty_chunks": True}):
            self._arrays: dict[str, Any] = {name: group[name] for name in variables}
        self._mark: Any = group["done"]
        self.grid, self.shape = grid, shape

    @property
    def tiles(self) -> int:
        """Number of tiles of the sweep."""
        return math.prod(math.ceil(size / step) for size, step in zip(self.grid.shape, self.shape))

    def pending(self) -> list[Tile]:
        """Tiles not yet marked done, in C order."""
        done = self._mark[...]
        return [tile for tile in cut(self.grid, self.shape) if not done[tile.region].all()]

    def write(self, tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
        """Store the results ``(c, *dims)`` of one tile, then mark it done.

        Raises:
            ValueError: the region is not one whole chunk.
        """
        for side, step, size in zip(tile.region, self.shape, self.grid.shape):
            if side.start % step or side.stop != min(side.start + step, size):
                raise ValueError(f"{tile} is not a whole chunk of the store, whose tiles are {self.shape}; cut it anew")
        for name, array in self._arrays.items():
            shape = (*tile.shape, *array.shape[len(tile.shape) :])
            array.set_basic_selection(tile.region, arrays[name].reshape(shape))
        self._mark.set_basic_selection(tile.region, np.ones(tile.shape, bool))

    def add_wall_time(self, seconds: float) -> None:
        """Count the time of one session towards the attribute ``wall_seconds``."""
        total = float(self._group.attrs.get("wall_seconds", 0.0)) + seconds  # type: ignore[arg-type]
        self._group.attrs["wall_seconds"] = total
        consolidate(self._group.store)

    def dataset(self) -> xarray.Dataset:
        """The sweep as it stands; read from the folder when asked for, or held in memory when there is none."""
        if isinstance(self._group.store, zarr.storage.LocalStore):
            return open_store(self._group.store.root)
        return xarray.open_zarr(self._group.store, chunks=None).load()


def open_store(path: str | Path) -> xarray.Dataset:
    """The dataset of a sweep, finished or not: cells not yet run read NaN (integers -1) and ``done`` is False.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: what is there is not a whole sweep.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run the sweep first, or give the folder it wrote")
    refuse_damaged(path, read_attributes(path))
    return xarray.open_zarr(path, chunks=None)


@contextmanager
def open_sweep(body: Body, grid: Grid, path: str | Path | None, cells_per_tile: int | None = None) -> Iterator[Store]:
    """The store of this sweep, created or resumed, and held by this process until the block ends.

    Raises:
        ValueError: the folder holds another sweep, another thing, or a sweep that has lost files.
        OSError: the folder cannot be written, or another process is sweeping into it.
    """
    if path is None:
        memory = zarr.storage.MemoryStore()
        yield _open(_build(memory, body, grid, tile_shape(body, grid, cells_per_tile)), body, grid)
        return
    path = Path(path)
    if not _is_empty(path):
        refuse_damaged(path, refuse_another(path, body, grid, cells_per_tile))
    else:
        _create(path, body, grid, tile_shape(body, grid, cells_per_tile))
    with held(path):
        _sweep_up(path)
        yield _open(zarr.open_group(path, mode="r+", use_consolidated=False), body, grid)


def scratch_folder(path: str | Path, tile: Tile | None = None) -> Path:
    """Where the tiles of a store (or one tile) keep what they need until they are done."""
    folder = Path(path).resolve()
    folder = folder.with_name(folder.name + ".scratch")
    return folder if tile is None else folder / f"{tile.index:06d}"


def _open(group: zarr.Group, body: Body, grid: Grid) -> Store:
    return Store(group, grid, tuple(json.loads(str(group.attrs["sweep"]))["tile"]), body.variables)


def _create(path: Path, body: Body, grid: Grid, shape: tuple[int, ...]) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(scratch_folder(path), ignore_errors=True)  # of a store since removed: not this sweep's
        _build(zarr.storage.LocalStore(fresh), body, grid, shape)
        fresh.rename(path)
    except OSError as error:
        raise OSError(
            f"cannot write {path} ({error.strerror or error}); choose a folder that can be written"
        ) from error


def _build(store: ZarrStore, body: Body, grid: Grid, shape: tuple[int, ...]) -> zarr.Group:
    """All coordinates, empty variables and attributes."""
    group = zarr.create_group(store, zarr_format=3, attributes=_attributes(body, grid, shape))
    for axis in grid.axes:
        _coordinate(group, axis.name, axis.array, {"units": axis.units, "long_name": axis.long_name})
    for name, values in body.coordinates.items():
        _coordinate(group, name, np.asarray(values), {})
    for name, variable in {**body.variables, "done": _DONE}.items():
        extra = shape_of(variable, body)
        group.create_array(
            name,
            shape=(*grid.shape, *extra),
            chunks=(*shape, *extra),
            dtype=variable.dtype,
            fill_value=variable.fill,
            dimension_names=(*grid.names, *variable.dims),
            attributes=_named({"units": variable.units, "long_name": variable.long_name}),
        )
    consolidate(store)
    return group


def _coordinate(group: zarr.Group, name: str, values: np.ndarray, attributes: dict[str, str]) -> None:
    values = values.astype(TEXT) if values.dtype.kind == "U" else values
    group.create_array(name, data=values, dimension_names=(name,), attributes=_named(attributes))


def _named(attributes: dict[str, str]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value}


def _attributes(body: Body, grid: Grid, shape: tuple[int, ...]) -> dict[str, Any]:
    """Provenance. Nested descriptions are JSON text, which every file format that xarray writes can hold."""
    configuration = configuration_of(body)
    packages = {name: metadata.version(name) for name in _PACKAGES}
    kept: dict[str, Any] = {key: configuration[key] for key in ("device", "dtype", "seed_root") if key in configuration}
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "lemmata": lemmata.__version__,
        "python": platform.python_version(),
        "packages": json.dumps(packages),
        "wall_seconds": 0.0,
        **kept,
        "configuration": json.dumps(configuration),
        "sweep": json.dumps({**identity(body, grid), "tile": list(shape)}),
    }


def _is_empty(path: Path) -> bool:
    return not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes out of this folder; the system lets go when this process ends, however it ends."""
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}; choose a folder that can be written")
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise BlockingIOError(
            f"another process is sweeping into {path}; wait for it, or choose another folder"
        ) from None
    except OSError:
        pass  # some network file systems have no locks; a sweep is worth more there than its guard
    try:
        yield
    finally:
        os.close(folder)


def _sweep_up(path: Path) -> None:
    """Remove files that a killed process was still writing."""
    for leftover in path.rglob("*.partial"):
        leftover.unlink(missing_ok=True)


def consolidate(store: ZarrStore) -> None:
    """Write all metadata into one file, which makes opening fast."""
    with warnings.catch_warnings():
        # One file to read at opening; xarray does the same by default, and other readers ignore it.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(store)
