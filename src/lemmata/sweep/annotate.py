"""What is derived from a sweep, theory and verdicts, written beside the measurement on the same coordinates."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr

from lemmata.sweep.format import COMPRESSORS, PROVENANCE, TEXT
from lemmata.sweep.location import local_folder
from lemmata.sweep.lock import held
from lemmata.sweep.seal import seal, strike
from lemmata.sweep.store import open_store


def annotate(
    store: str | Path,
    variables: xarray.Dataset | Mapping[str, Any],
    attributes: Mapping[str, Any] | None = None,
) -> xarray.Dataset:
    """Add derived variables and attributes to a stored sweep; those of the same name from an earlier call go.

    Args:
        store: folder of the sweep.
        variables: a dataset, or a mapping to anything ``xarray.Dataset`` takes: data arrays, ``(dims, values)``,
            numbers. Dimensions that the sweep has must have its length and, where given, its coordinate values.
        attributes: JSON values; nested ones are best given as JSON text.

    Returns:
        The dataset with both, read lazily.

    Raises:
        TypeError: an attribute that is not JSON.
        ValueError: a name that the sweep itself measured or recorded, or coordinates that are not the sweep's.
        FileNotFoundError, OSError: no sweep there, or it cannot be written.
    """
    path, attributes = local_folder(store), dict(attributes or {})
    stored = open_store(path)
    derived = variables if isinstance(variables, xarray.Dataset) else xarray.Dataset(variables)
    recorded = json.loads(stored.attrs["sweep"])
    measured = {"done", *recorded["variables"]}
    own = sorted(
        ((measured | set(recorded["order"])) & set(map(str, derived.data_vars))) | (PROVENANCE & {*attributes})
    )
    if own:
        raise ValueError(f"{own[0]!r} was recorded by the sweep in {path}; give what is derived another name")
    sweeps = {*measured, *recorded["stored"]}
    kept = stored.drop_vars([name for name in derived.variables if name in stored and name not in sweeps])
    for dim, size in derived.sizes.items():
        if dim in kept.sizes and (
            size != kept.sizes[dim]
            or (dim in derived.coords and dim in kept.coords and not derived.indexes[dim].equals(kept.indexes[dim]))
        ):
            raise ValueError(f"{dim!r} differs from the coordinates of the sweep in {path}; reindex to the sweep's")
    fresh = {str(name): array for name, array in derived.variables.items() if name not in kept.coords}
    described = {name: _plain(name, array.attrs) for name, array in fresh.items()}
    added = _plain("attributes", attributes)
    if not all(os.access(folder, os.W_OK | os.X_OK) for folder in (path, path.resolve().parent)):
        raise PermissionError(f"cannot write {path}; give its folder the rights, or copy it to one that can be written")
    with held(path):
        _write(path, fresh, described, added)
    return open_store(path)


def _write(
    path: Path, fresh: Mapping[str, xarray.Variable], described: Mapping[str, Any], added: Mapping[str, Any]
) -> None:
    """Strike out what was there under the same names, replace its arrays, and enter them.

    Killed in between, the store is whole, and without them.
    """
    strike(path, fresh)
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for name, array in fresh.items():
        group.create_array(
            name,
            data=array.values.astype(TEXT) if array.dtype.kind in "UTO" else array.values,
            compressors=COMPRESSORS,
            dimension_names=[*map(str, array.dims)],
            attributes=described[name],
            overwrite=True,
        )  # not by xarray, which would put its own attributes in place of the sweep's

    def enter(attributes: dict[str, Any]) -> None:
        there = json.loads(attributes["annotated"])
        names = {kind: sorted({*there[kind], *new}) for kind, new in (("variables", fresh), ("attributes", added))}
        attributes.update(added, annotated=json.dumps(names))

    seal(path, enter)


def _plain(name: str, attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON reads them back."""
    numbers = {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}
    try:
        return json.loads(json.dumps(numbers))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the attributes of {name!r} are not JSON ({error}); give numbers, strings or JSON text"
        ) from error
