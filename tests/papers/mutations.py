"""Datasets that a claim must be able to fail on: numbers turned over or exchanged, cells shuffled, arms swapped.

A claim that holds whatever was measured tests nothing. Coordinates stay and measurements are moved or changed; what is
predicted follows from them anew. The commonest first, so that most claims fail on the first or second dataset.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import xarray as xr

from lemmata.lab.experiment import Experiment
from lemmata.lab.run_folder import conclusions
from lemmata.status import Status

SET = {"knob"}
"""Variables that are set, not measured."""


def cannot_fail(experiment: Experiment, measured: xr.Dataset, held: set[str]) -> set[str]:
    """Those claims of ``held``, names of claims that hold on the measurements, that fail on none of the mutants."""
    left = tuple(claim for claim in experiment.claims if claim.name in held)
    for mutant in mutants(measured):
        if not left:
            break
        _, verdicts = conclusions(replace(experiment, claims=left), mutant, None)
        left = tuple(claim for claim, verdict in zip(left, verdicts) if verdict.holds is not False)
    return {claim.name for claim in left}


def mutants(measured: xr.Dataset) -> Iterator[xr.Dataset]:
    """1/x of all numbers; cells shuffled; each axis in reverse; numbers exchanged; × 1000; ÷ 1000; a third diverged."""
    names = [name for name, values in measured.items() if values.dtype.kind in "fb" and name not in SET]
    endings = [name for name in measured if str(name).endswith("status")]
    dims = set(measured[endings[0]].dims) if endings else set.intersection(*(set(measured[n].dims) for n in names))
    cells = [dim for dim in measured.dims if dim in dims]
    order = np.random.default_rng(0).permutation(int(np.prod([measured.sizes[dim] for dim in cells])))

    def changed(change):
        return measured.assign({name: measured[name].copy(data=change(measured[name])) for name in names})

    def scaled(by):
        return changed(lambda x: x.values * by if x.dtype.kind == "f" else ~x.values)

    def shuffled(x):
        if not set(cells) <= set(x.dims):
            return x.values
        first = x.transpose(*cells, ...)
        return first.copy(data=first.values.reshape(len(order), -1)[order].reshape(first.shape)).transpose(*x.dims)

    with np.errstate(all="ignore"):
        yield changed(lambda x: np.where(x.values == 0, np.inf, 1 / x.values) if x.dtype.kind == "f" else ~x.values)
    yield changed(shuffled)
    for dim in measured.dims:
        if measured.sizes[dim] > 1:
            yield changed(lambda x, dim=dim: x.isel({dim: slice(None, None, -1)}).values if dim in x.dims else x.values)
    for step in (1, -1):
        alike = {name: [n for n in names if measured[n].dims == measured[name].dims] for name in names}
        partner = {name: group[(group.index(name) + step) % len(group)] for name, group in alike.items()}
        yield measured.assign({name: measured[name].copy(data=measured[partner[name]].values) for name in names})
    yield scaled(1e3)
    yield scaled(1e-3)
    if endings:
        third = (order % 3 == 0).reshape([measured.sizes[dim] for dim in cells])
        lost = xr.DataArray(third, dims=cells)
        yield measured.assign(
            {n: measured[n].where(~lost, np.int8(Status.DIVERGED)).astype(measured[n].dtype) for n in endings}
        )
