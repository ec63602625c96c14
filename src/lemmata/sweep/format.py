"""What is in a store, format 2: a Zarr group that ``xarray.open_zarr`` reads.

Dimensions are those of the grid and the body's further ones. Variables are what the body measures, and ``done``; their
chunk is a tile, with a checksum. Every parameter is a coordinate, see :mod:`lemmata.sweep.coordinates`. Attributes say
what ran and where; nested ones are JSON text, which every file format that xarray writes can hold.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import Crc32cCodec, ZstdCodec

import lemmata
from lemmata.sweep.body import Variable, shape_of
from lemmata.sweep.coordinates import Coordinate
from lemmata.sweep.plan import Plan
from lemmata.sweep.points import Points
from lemmata.sweep.versions import versions_of

FORMAT = "lemmata sweep 2"
PROVENANCE = frozenset(
    {
        *("format", "created", "lemmata", "versions", "wall_seconds", "device", "dtype", "seed_root"),
        *("configuration", "sweep", "annotated", "coordinates", "seal"),
    }
)
"""Attributes that the sweep itself writes."""
TEXT = np.dtypes.StringDType()
"""Zarr has a specification for strings of variable length only."""
DONE = Variable(dtype="bool", long_name="tile stored")
"""The truth values that mark stored cells."""
POINTS_PER_CHUNK = 2**14
COMPRESSORS = (ZstdCodec(), Crc32cCodec())
"""The sum comes last: it is over the bytes of the file."""


def record(plan: Plan) -> dict[str, Any]:
    """What must be the same for a sweep to be resumed, beside the configuration; and how it is cut."""
    body, grid = plan.body, plan.grid
    found: dict[str, Any] = {"axes": {axis.name: list(axis.values) for axis in grid.axes}}
    if isinstance(grid, Points):
        found["points"] = list(grid.points)
    return {
        **found,
        "order": list(grid.names),
        "variables": {name: [list(v.dims), v.dtype] for name, v in body.variables.items()},
        "coordinates": {name: np.asarray(values).tolist() for name, values in body.coordinates.items()},
        "stored": {coordinate.name: list(coordinate.dims) for coordinate in plan.coordinates},
        "tile": list(plan.tile_shape),
        "chunk": list(chunk_shape(plan)),
    }


def chunk_shape(plan: Plan) -> tuple[int, ...]:
    """The cells that share a file: those of a tile; of a list of points, whose tiles may be scattered, many more."""
    if not isinstance(plan.grid, Points):
        return plan.tile_shape
    rows, *seeds = plan.grid.shape
    return (min(rows, max(plan.tile_shape[0], POINTS_PER_CHUNK // math.prod(seeds))), *seeds)


def build(store: ZarrStore, plan: Plan) -> zarr.Group:
    """All coordinates, empty variables and attributes."""
    group = zarr.create_group(store, zarr_format=3, attributes=attributes_of(plan))
    for coordinate in plan.coordinates:
        write_coordinate(group, coordinate)
    for name, variable in {**plan.body.variables, "done": DONE}.items():
        extra = shape_of(variable, plan.body)
        group.create_array(
            name,
            shape=(*plan.grid.shape, *extra),
            chunks=(*chunk_shape(plan), *extra),
            dtype=variable.dtype,
            fill_value=variable.fill,
            compressors=COMPRESSORS,
            dimension_names=(*plan.grid.names, *variable.dims),
            attributes=said(variable.units, variable.long_name),
        )
    return group


def write_coordinate(group: zarr.Group, coordinate: Coordinate) -> None:
    """One coordinate, in place of an earlier one of that name."""
    values = coordinate.values
    group.create_array(
        coordinate.name,
        data=values.astype(TEXT) if values.dtype.kind == "U" else values,
        compressors=COMPRESSORS,
        dimension_names=coordinate.dims,
        attributes=said(coordinate.units, coordinate.long_name),
        overwrite=True,
    )


def array_names(plan: Plan) -> list[str]:
    """Names of all arrays of a store."""
    return [*(coordinate.name for coordinate in plan.coordinates), *plan.body.variables, "done"]


def said(units: str, long_name: str) -> dict[str, Any]:
    """Attributes of an array."""
    return {key: value for key, value in (("units", units), ("long_name", long_name)) if value}


def attributes_of(plan: Plan) -> dict[str, Any]:
    """Attributes of a store in which nothing has run."""
    configuration = plan.configuration
    kept: dict[str, Any] = {key: configuration[key] for key in ("device", "dtype", "seed_root") if key in configuration}
    scalars = " ".join(coordinate.name for coordinate in plan.coordinates if not coordinate.is_index)
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "lemmata": lemmata.__version__,
        "versions": json.dumps([{**versions_of(plan), "cells": 0}]),
        "wall_seconds": 0.0,
        **kept,
        "configuration": json.dumps(configuration),
        "sweep": json.dumps(record(plan)),
        "annotated": json.dumps({"variables": [], "attributes": []}),
        **({"coordinates": scalars} if scalars else {}),
    }
