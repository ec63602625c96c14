"""Is what lies in a folder this very sweep? Resuming anything else is refused with the difference named."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.sweep.body import Body, configuration_of
from lemmata.sweep.grid import Grid
from lemmata.sweep.tile import tile_shape

FORMAT = "lemmata sweep 1"
PROVENANCE = frozenset(
    {
        *("format", "created", "lemmata", "python", "packages", "wall_seconds"),
        *("device", "dtype", "seed_root", "configuration", "sweep"),
    }
)
"""Attributes that the sweep itself writes."""
_REMEDY = "choose another folder or remove this one"


def identity(body: Body, grid: Grid) -> dict[str, Any]:
    """What must be the same for a sweep to be resumed, beside the configuration."""
    return {
        "axes": {axis.name: list(axis.values) for axis in grid.axes},
        "order": list(grid.names),
        "variables": {name: [list(v.dims), v.dtype] for name, v in body.variables.items()},
        "coordinates": {name: np.asarray(values).tolist() for name, values in body.coordinates.items()},
    }


def read_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a sweep's store, or a refusal that says what is there instead."""
    if not path.is_dir():
        raise ValueError(f"{path} is a file, not the folder of a sweep; choose another name or remove it")
    if not (path / "zarr.json").is_file():
        held = sorted(entry.name for entry in path.iterdir())[:3]
        raise ValueError(
            f"{path} is not a sweep: it has no zarr.json and holds {', '.join(held) or 'nothing'}; {_REMEDY}"
        )
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"{path / 'zarr.json'} is truncated or unreadable ({error}); remove {path} and run again"
        ) from error
    if attributes.get("format") != FORMAT or "sweep" not in attributes or "configuration" not in attributes:
        raise ValueError(f"{path} is a Zarr group that no sweep of this version wrote; {_REMEDY}")
    return attributes


def refuse_another(path: Path, body: Body, grid: Grid, cells_per_tile: int | None) -> dict[str, Any]:
    """The attributes of what lies there, if it is this very sweep."""
    attributes = read_attributes(path)
    stored = json.loads(attributes["sweep"])
    shape = stored.pop("tile")
    found = {"configuration": json.loads(attributes["configuration"]), **stored}
    wanted = {"configuration": configuration_of(body), **identity(body, grid)}
    changes = list(_changes(found, wanted))
    if changes:
        more = f" (and {len(changes) - 3} more)" if len(changes) > 3 else ""
        raise ValueError(f"{path} holds another sweep: {'; '.join(changes[:3])}{more}; {_REMEDY}")
    if cells_per_tile is not None and (asked := tile_shape(body, grid, cells_per_tile)) != tuple(shape):
        raise ValueError(
            f"{path} is cut into tiles of {_side(shape)} cells, cells_per_tile={cells_per_tile} asks for "
            f"{_side(asked)}; leave cells_per_tile out to resume, or {_REMEDY}"
        )
    return attributes


def _changes(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    """What differs between two nested descriptions, each difference by its innermost name."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*found, *(key for key in wanted if key not in found)]:
            inner = key if name in ("", "axes", "configuration", "coordinates") else f"{name}.{key}"
            if key not in found:
                yield f"{inner} was absent, now {_brief(wanted[key])}"
            elif key not in wanted:
                yield f"{inner} was {_brief(found[key])}, now absent"
            else:
                yield from _changes(found[key], wanted[key], inner)
    elif found != wanted and json.dumps(found) != json.dumps(wanted):  # the latter: NaN equals itself
        yield f"{name} was {_brief(found)}, now {_brief(wanted)}"


def _brief(value: Any) -> str:
    text = repr(tuple(value) if isinstance(value, list) else value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(value) if hasattr(value, '__len__') else 1} long)"


def _side(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
