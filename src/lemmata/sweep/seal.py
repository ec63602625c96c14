"""The metadata of a store, written in one move and sealed, so that whatever is changed by another hand is seen.

A store's attributes and the metadata of its arrays stand together in its ``zarr.json``, as Zarr consolidates them. It
is replaced as a whole, with a sum over what the sweep and :func:`~lemmata.sweep.annotate` wrote: a kill leaves the old
or the new one. Attributes and arrays that somebody adds are nobody's business and stay.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lemmata.sweep.format import FORMAT, PROVENANCE

_REMEDY = "choose another folder or remove this one"
CHANGED = "was changed after it was written, by hand or by another program; put it back, or remove {} and run again"


def seal(path: Path, change: Callable[[dict[str, Any]], None], arrays: Iterable[str] = ()) -> None:
    """Change the attributes of a store and write all its metadata again.

    Args:
        path: the store.
        change: changes the attributes in place.
        arrays: names of arrays to take up, beside those that are there.
    """
    document = json.loads((path / "zarr.json").read_text())
    attributes = document.setdefault("attributes", {})
    before = json.loads(attributes["annotated"])["variables"]
    known = [name for name in (document.get("consolidated_metadata") or {}).get("metadata", {}) if name not in before]
    change(attributes)
    wanted = dict.fromkeys([*known, *arrays, *json.loads(attributes["annotated"])["variables"]])
    metadata = {name: read_json(path / name / "zarr.json") for name in wanted if (path / name / "zarr.json").is_file()}
    document["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": metadata}
    attributes["seal"] = _sum(attributes, metadata)
    write_json(path / "zarr.json", document)


def strike(path: Path, names: Iterable[str]) -> None:
    """Remove derived variables: first from the metadata, so that a kill leaves none of them halfway."""
    gone = {*names} & {*json.loads(read_json(path / "zarr.json")["attributes"]["annotated"])["variables"]}

    def without(attributes: dict[str, Any]) -> None:
        there = json.loads(attributes["annotated"])
        left = [name for name in there["variables"] if name not in gone]
        attributes["annotated"] = json.dumps({**there, "variables": left})

    if gone:
        seal(path, without)
    for name in gone:
        shutil.rmtree(path / name, ignore_errors=True)


def read_sealed(path: Path) -> dict[str, Any]:
    """The attributes of a store.

    Raises:
        ValueError: what is there is no store, one of another version, or one that was changed.
    """
    if not path.is_dir():
        raise ValueError(f"{path} is a file, not the folder of a sweep; choose another name or remove it")
    if not (path / "zarr.json").is_file():
        held = sorted(entry.name for entry in path.iterdir())[:3]
        raise ValueError(
            f"{path} is not a sweep: it has no zarr.json and holds {', '.join(held) or 'nothing'}; {_REMEDY}"
        )
    try:
        document = read_json(path / "zarr.json")
        attributes = document["attributes"]
        written = attributes.get("format")
    except (ValueError, KeyError, OSError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path / 'zarr.json'} is truncated or unreadable ({error}); remove {path} and run again"
        ) from error
    if isinstance(written, str) and written != FORMAT and written.startswith("lemmata sweep"):
        raise ValueError(f"{path} was written by another version of lemmata, as {written!r}; {_REMEDY}")
    if written != FORMAT:
        raise ValueError(f"{path} is a Zarr group that no sweep of this version wrote; {_REMEDY}")
    try:
        metadata = document["consolidated_metadata"]["metadata"]
        whole = attributes["seal"] == _sum(attributes, metadata)
    except (ValueError, KeyError, AttributeError, TypeError):
        whole = False
    if not whole:
        raise ValueError(f"{path / 'zarr.json'} {CHANGED.format(path)}")
    for name in _own(attributes):
        try:
            same = read_json(path / name / "zarr.json") == metadata[name]
        except FileNotFoundError:
            raise ValueError(f"{path} is damaged, {name} is missing; remove it and run again") from None
        except (ValueError, OSError):
            same = False
        if not same:
            raise ValueError(f"{path / name / 'zarr.json'} {CHANGED.format(path)}")
    return attributes


def _own(attributes: dict[str, Any]) -> list[str]:
    """Names of the arrays that the sweep itself made."""
    record = json.loads(attributes["sweep"])
    return [*record["stored"], *record["variables"], "done"]


def _sum(attributes: dict[str, Any], metadata: dict[str, Any]) -> str:
    annotated = json.loads(attributes["annotated"])
    names = {*PROVENANCE, *annotated["attributes"]} - {"seal"}
    arrays = {*_own(attributes), *annotated["variables"]}
    covered = [
        {name: attributes[name] for name in names if name in attributes},
        {name: metadata[name] for name in arrays},
    ]
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()[:16]


def read_json(file: Path) -> Any:
    """A file's JSON."""
    return json.loads(file.read_text())


def write_json(file: Path, document: Any) -> None:
    """Replace a file as a whole."""
    fresh = file.with_name(f"{file.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(fresh, "w") as opened:
            opened.write(json.dumps(document, indent=2))
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
