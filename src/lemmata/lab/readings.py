"""Reading a dataset without knowing what was run: the parameters of its cells, one slice of it, what is unusable."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import NotMeasurable

if TYPE_CHECKING:
    import xarray as xr


def setting(dataset: "xr.Dataset", *names: str) -> tuple[Any, ...]:
    """Parameters of every cell by name: the coordinate where it is an axis, else the value all cells share.

    Raises:
        NotMeasurable: the dataset does not say.
    """
    return tuple(_recorded(dataset, name) for name in names)


def _recorded(dataset: "xr.Dataset", name: str) -> Any:
    if name not in dataset.coords:
        return _configured(dataset, name)
    return dataset[name] if dataset[name].ndim else dataset[name].values.tolist()


def _configured(dataset: "xr.Dataset", name: str) -> Any:
    pending = [json.loads(dataset.attrs.get("configuration", "{}"))]
    while pending:
        part = pending.pop()
        if name in part:
            return part[name]
        pending += [value for value in part.values() if isinstance(value, dict)]
    raise NotMeasurable(f"the dataset does not record {name!r}")


def one_of_each(dataset: "xr.Dataset", *kept: str, of: str = "test_error") -> tuple["xr.Dataset", str]:
    """The dataset at the first value of every axis of ``of`` but ``kept`` and ``seed``, and a note saying which."""
    others = [str(dim) for dim in dataset[of].dims if dim not in (*kept, "seed")]
    note = ", ".join(f"{dim} = {dataset[dim].values[0]}" for dim in others)
    return dataset.isel(dict.fromkeys(others, 0)), f" ({note})" if note else ""


def extremes(dataset: "xr.Dataset", name: str = "v0") -> list[Any]:
    """Largest and smallest value of an axis, or the one that all cells share."""
    values = np.unique(setting(dataset, name)[0])
    return sorted({values[-1].item(), values[0].item()}, reverse=True)


def unusable(dataset: "xr.Dataset") -> "xr.DataArray":
    """Where a seed diverged or never ran: hatched in maps."""
    bad = (dataset["status"] == 2) | (dataset["status"] < 0)
    return bad.any("seed") if "seed" in bad.dims else bad
