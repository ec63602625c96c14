"""The command line that runs an experiment with given settings: what a report and the explorer show to be copied.

Numbers are written so that they are read back as the same numbers; what the size says already is left out.
"""

import shlex
from collections.abc import Mapping
from typing import Any

import xarray as xr

from lemmata.lab.experiment import Experiment


def command_line(experiment: Experiment, size: str, changes: Mapping[str, Any], seeds: int | None = None) -> str:
    """``lemmata run NAME --size SIZE --n 10 20 --seeds 3``; takes what :meth:`Experiment.configure` takes."""
    path = experiment.card.path if experiment.card else None
    parts = ["lemmata", "run", experiment.name if path is None else str(path), "--size", size]
    for name, given in changes.items():
        values = given if isinstance(given, list | tuple | range) else (given,)
        parts += ["--" + name.replace("_", "-"), *map(_text, values)]
    if seeds:
        parts += ["--seeds", str(seeds)]
    return shlex.join(parts)


def changes_of(experiment: Experiment, size: str, dataset: xr.Dataset) -> tuple[dict[str, Any], int | None]:
    """What a stored run was given beyond its size: parameters by name, and the number of seeds."""
    body, grid = experiment.configure(size)
    usual = {axis.name: axis.values for axis in grid.axes}
    changes: dict[str, Any] = {}
    for name in experiment.parameters():
        if name not in dataset.coords or dataset[name].dims not in ((), (name,)):
            continue
        found = dataset[name].values.tolist()
        found = tuple(found) if isinstance(found, list) else found
        was = usual.get(name, body.value(name))
        if found != was and (not isinstance(was, tuple) or tuple(was) != (found if isinstance(found, tuple) else 0)):
            changes[name] = found
    seeds = dataset.sizes.get("seed")
    return changes, None if seeds in (None, len(usual.get("seed", ()))) else seeds


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else repr(value)
