"""Which cells count: those that never ran, diverged or fail a reason the claim names are masked and said.

A cell never ran while its ``status`` is negative; the other values are :class:`lemmata.status.Status`. A dataset
without ``status`` has no such cells. A reason is a truth value per cell that is True where the cell is *left out*.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from lemmata.claims.claim import NotMeasurable, note
from lemmata.status import Status


@dataclass(frozen=True)
class LeftOut:
    """The cells of a dataset that do not count.

    Args:
        mask: truth value per cell, on the dimensions of ``status``; True: left out.
        counts: reason → number of cells, each cell counted under the first reason that holds for it.
    """

    mask: xr.DataArray
    counts: Mapping[str, int]

    def __str__(self) -> str:
        """``"3 of 240 cells left out: 2 diverged, 1 not run"``, or nothing."""
        if not self.counts:
            return ""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.counts.items())
        return f"{sum(self.counts.values())} of {self.mask.size} cells left out: {reasons}"


def left_out(dataset: xr.Dataset, /, **reasons: xr.DataArray) -> LeftOut:
    """Cells that never ran, diverged, or fail one of the further reasons, counted in this order.

    Args:
        reasons: words with underscores for spaces → True where a cell is left out; a reason with further dimensions
            (steps) leaves a cell out where any of its entries is True.
    """
    status = dataset.get("status")
    found = {} if status is None else {"not run": status < 0, "diverged": status == Status.DIVERGED}
    found |= {reason.replace("_", " "): bad.astype(bool) for reason, bad in reasons.items()}
    if not found:
        return LeftOut(xr.DataArray(False), {})
    cells = tuple(status.dims) if status is not None else tuple(next(iter(found.values())).dims)
    mask, counts = xr.zeros_like(next(iter(found.values())), dtype=bool), {}
    for reason, bad in found.items():
        further = [dim for dim in bad.dims if dim not in cells]
        bad = bad.any(further) & ~mask
        bad = bad.transpose(*(dim for dim in cells if dim in bad.dims))
        if count := int(bad.broadcast_like(mask).sum()):
            counts[reason] = count
        mask = mask | bad
    return LeftOut(mask, counts)


def usable(dataset: xr.Dataset, /, **reasons: xr.DataArray) -> xr.Dataset:
    """The dataset with NaN in every floating-point variable of the cells that do not count.

    How many, and why, is said in the detail of the claim that is being checked.

        data = usable(data, not_fitted=~(data.train_loss <= 0.01))

    Args:
        reasons: see :func:`left_out`.

    Raises:
        NotMeasurable: no cell is left.
    """
    out = left_out(dataset, **reasons)
    if bool(out.mask.all()):
        raise NotMeasurable(str(out) or "the dataset has no cells")
    note(str(out))
    if not out.counts:
        return dataset
    cells = set(out.mask.dims)
    kept = {
        name: variable.where(~out.mask).transpose(*variable.dims)
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind == "f" and cells <= set(variable.dims)
    }
    return dataset.assign(kept)


def unusable(dataset: xr.Dataset) -> xr.DataArray:
    """Where a seed diverged or never ran: hatched in maps."""
    bad = left_out(dataset).mask
    return bad.any("seed") if "seed" in bad.dims else bad
