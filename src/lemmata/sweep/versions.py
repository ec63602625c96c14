"""Under which versions the cells of a store were computed.

A list, as a store may be finished under others than it was begun. Each entry holds versions by name and the number of
cells computed under them. What a session computes counts towards the last entry; one is added when a session begins
under other versions, so a kill loses nothing.
"""

import platform
import warnings
from importlib import metadata
from typing import Any

import lemmata
from lemmata.sweep.plan import Plan

PACKAGES = ("torch", "numpy", "xarray", "zarr")
_NUMBERS = ("lemmata", "torch", "numpy", "kernel")
"""What may change numbers."""


def versions_of(plan: Plan) -> dict[str, str]:
    """Versions in force here and now, and what takes the steps."""
    found = {"lemmata": lemmata.__version__, "python": platform.python_version()}
    found |= {name: metadata.version(name) for name in PACKAGES}
    kernel = plan.body.in_use(plan.cut[0].points[0])
    return {**found, "kernel": kernel} if kernel else found


def begun(entries: list[dict[str, Any]], now: dict[str, str], done: int, mix: bool, where: Any) -> list[dict[str, Any]]:
    """The list with which a session begins.

    Args:
        entries: the list as it is stored.
        now: versions in force.
        done: cells stored.
        mix: whether another minor version of lemmata is accepted.
        where: the store, for the message.

    Raises:
        ValueError: cells of another minor version of lemmata are there and ``mix`` is False.
    """
    entries = counted(entries, done)
    last = {name: value for name, value in entries[-1].items() if name != "cells"}
    if last == now:
        return entries
    changed = [name for name in dict.fromkeys((*last, *now)) if last.get(name) != now.get(name)]
    said = ", ".join(f"{name} {last.get(name, 'none')} then and {now.get(name, 'none')} now" for name in changed)
    if done and _minor(last["lemmata"]) != _minor(now["lemmata"]) and not mix:
        raise ValueError(
            f"{where} was begun under another version ({said}), whose numbers may differ; choose another folder, or "
            "say --mix-versions (mix_versions=True) to finish it all the same"
        )
    if done and set(changed) & set(_NUMBERS):
        warnings.warn(f"{where} is finished under other versions ({said}); numbers may differ", stacklevel=2)
    return [*([entry for entry in entries if entry["cells"]]), {**now, "cells": 0}]


def counted(entries: list[dict[str, Any]], done: int) -> list[dict[str, Any]]:
    """The list with all stored cells that no earlier entry claims counted to the last."""
    before = sum(entry["cells"] for entry in entries[:-1])
    return [*entries[:-1], {**entries[-1], "cells": max(0, done - before)}]


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
