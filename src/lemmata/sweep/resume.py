"""Is what lies in a folder this very sweep, or its beginning, and whole? Anything else is refused by its difference."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.sweep.chunks import Bad, bad_chunks, read_sound
from lemmata.sweep.coordinates import Coordinate
from lemmata.sweep.format import record
from lemmata.sweep.grid import Axis, Grid
from lemmata.sweep.plan import Plan
from lemmata.sweep.points import Points
from lemmata.sweep.tile import Cells, tile_shape

_REMEDY = "choose another folder or remove this one"


def stored_cells(stored: dict[str, Any]) -> Cells:
    """The grid or the points of a store, from its attribute ``sweep``."""
    if "points" in stored:
        return Points.of(stored["points"], stored["axes"].get("seed", ()))
    return Grid(tuple(Axis(name, tuple(stored["axes"][name])) for name in stored["order"]))


def refuse_another(path: Path, attributes: dict[str, Any], plan: Plan) -> list[list[int]]:
    """Where the stored cells lie in the plan's, along each dimension.

    Raises:
        ValueError: the store holds another sweep, with the differences named.
    """
    found, wanted = json.loads(attributes["sweep"]), json.loads(json.dumps(record(plan)))
    places = _places(found, wanted)
    for description in (found, wanted):
        for name in ("tile", "chunk", "stored", *(("axes", "points") if places is not None else ())):
            description.pop(name, None)
    found = {"configuration": json.loads(attributes["configuration"]), **found}
    wanted = {"configuration": plan.configuration, **wanted}
    changes = list(_changes(found, wanted))
    if not changes and places is not None:
        changes = list(_recomputed(path, json.loads(attributes["sweep"])["stored"], places, plan))
    if changes or places is None:
        more = f" (and {len(changes) - 3} more)" if len(changes) > 3 else ""
        raise ValueError(f"{path} holds another sweep: {'; '.join(changes[:3])}{more}; {_REMEDY}")
    return places


def refuse_other_tiles(path: Path, shape: Sequence[int], plan: Plan, cells_per_tile: int | None) -> None:
    """Refuse to go on in tiles of another size than the store is cut into."""
    if cells_per_tile is not None and (asked := tile_shape(plan.body, plan.grid, cells_per_tile)) != tuple(shape):
        raise ValueError(
            f"{path} is cut into tiles of {_side(shape)} cells, cells_per_tile={cells_per_tile} asks for "
            f"{_side(asked)}; leave cells_per_tile out to resume, or {_REMEDY}"
        )


def damages(path: Path, attributes: dict[str, Any]) -> list[Bad]:
    """Chunks of data that are not whole.

    Raises:
        ValueError: something is, that a tile computed again does not mend.
    """
    stored = json.loads(attributes["sweep"])
    values = {**stored["axes"], **stored["coordinates"]}
    try:
        for name in stored["stored"]:
            array = read_sound(path, name)
            if name in values and array.tolist() != values[name]:
                raise ValueError(f"the values of {name} are not those recorded")
        return list(bad_chunks(path, stored_cells(stored), stored))
    except ValueError as error:
        raise ValueError(f"{path} is damaged, {error}; remove it and run again") from error


def bad_derived(path: Path, attributes: dict[str, Any]) -> list[str]:
    """Derived variables that cannot be read; what follows a sweep writes them again."""
    return [name for name in json.loads(attributes["annotated"])["variables"] if not _is_sound(path, name)]


def _is_sound(path: Path, name: str) -> bool:
    try:
        read_sound(path, name)
    except ValueError:
        return False
    return True


def refuse_damaged(path: Path, bad: Sequence[Bad]) -> None:
    """Refuse to read or to go on where chunks are not whole."""
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise ValueError(
            f"{path} is damaged, {bad[0]}{more}; run again with --repair (repair=True) to compute such tiles anew"
        )


def _places(found: dict[str, Any], wanted: dict[str, Any]) -> list[list[int]] | None:
    """Where each stored value lies along the dimensions of the wanted grid; None if some lie nowhere."""
    if found["order"] != wanted["order"] or ("points" in found) != ("points" in wanted):
        return None
    places = []
    for name in found["order"]:
        old, new = found["axes"][name], wanted["axes"][name]
        if name == "point":
            old, new = ([json.dumps(point, sort_keys=True) for point in side["points"]] for side in (found, wanted))
        where = {value: place for place, value in enumerate(new)}
        if any(value not in where for value in old) or {*map(type, old)} != {*map(type, new)}:
            return None
        places.append([where[value] for value in old])
    return places


def _recomputed(path: Path, stored: dict[str, Any], places: list[list[int]], plan: Plan) -> Iterator[str]:
    """Computed coordinates that are no longer what they were, where cells are stored."""
    order = plan.grid.names
    for coordinate in plan.coordinates:
        if coordinate.name not in stored or set(coordinate.dims) - {*order} or coordinate.is_index:
            continue
        here = dict(zip(order, places))
        values = coordinate.values
        for along, dim in enumerate(coordinate.dims):
            values = np.take(values, here[dim], along)
        try:
            before = read_sound(path, coordinate.name)
        except ValueError as error:
            raise ValueError(f"{path} is damaged, {error}; remove it and run again") from error
        was = Coordinate(coordinate.name, tuple(stored[coordinate.name]), before)
        now = Coordinate(coordinate.name, coordinate.dims, values)
        if not np.all(_spread(was, order) == _spread(now, order)):
            yield f"{coordinate.name} was {_brief(before.tolist())}, now {_brief(values.tolist())}"


def _spread(coordinate: Coordinate, order: Sequence[str]) -> np.ndarray:
    """Its values with one dimension for each of the grid's, of length 1 where it does not lie along it."""
    values = coordinate.values.astype(str) if coordinate.values.dtype.kind in "UT" else coordinate.values
    values = np.transpose(values, [coordinate.dims.index(dim) for dim in order if dim in coordinate.dims])
    sizes = iter(values.shape)
    return values.reshape([next(sizes) if dim in coordinate.dims else 1 for dim in order])


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
