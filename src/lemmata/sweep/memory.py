"""A sweep without a folder: the same dataset, held in memory as it grows."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray

from lemmata.sweep.body import shape_of
from lemmata.sweep.format import DONE, TEXT, attributes_of, said
from lemmata.sweep.plan import Plan
from lemmata.sweep.tile import Tile
from lemmata.sweep.versions import counted


class Memory:
    """Stands where :class:`~lemmata.sweep.store.Store` does; its methods are described there."""

    path = None

    def __init__(self, plan: Plan):
        self.plan = plan
        self._arrays = {
            name: np.full((*plan.grid.shape, *shape_of(variable, plan.body)), variable.fill, variable.dtype)
            for name, variable in plan.body.variables.items()
        }
        self._done = np.zeros(plan.grid.shape, bool)
        self._attributes = attributes_of(plan)

    @property
    def tiles(self) -> int:
        """Number of tiles of the sweep."""
        return self.plan.tiles

    def pending(self) -> list[Tile]:
        """All tiles but those that ran."""
        return [tile for tile in self.plan.cut if not self._done[tile.region].all()]

    def write(self, tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the results of one tile, or of what was left of it."""
        if tile.rest is not None:
            cells = list(itertools.product(*tile.sides))
            where = tuple(np.array([cells[k] for k in tile.rest]).T)
            for name, array in self._arrays.items():
                array[where] = arrays[name]
            self._done[where] = True
            return
        for name, array in self._arrays.items():
            region: Any = tile.region
            array[region] = arrays[name].reshape(*tile.shape, *array.shape[len(tile.shape) :])
        self._done[tile.region] = True

    @property
    def done(self) -> np.ndarray:
        """Which cells have run, over the dimensions of the grid."""
        return self._done

    def end_session(self, seconds: float) -> None:
        """Note the time."""
        entries = counted(json.loads(self._attributes["versions"]), int(self._done.sum()))
        self._attributes.update(wall_seconds=seconds, versions=json.dumps(entries))

    def dataset(self) -> xarray.Dataset:
        """As it would be read from a folder."""
        grid, variables = self.plan.grid, {**self.plan.body.variables, "done": DONE}
        coordinates = {
            here.name: (here.dims, _text(here.values), said(here.units, here.long_name))
            for here in self.plan.coordinates
        }
        data = {
            name: ((*grid.names, *says.dims), values, said(says.units, says.long_name))
            for name, (values, says) in (
                (name, ((self._done if name == "done" else self._arrays[name]), says))
                for name, says in variables.items()
            )
        }
        attributes = {name: value for name, value in self._attributes.items() if name != "coordinates"}
        return xarray.Dataset(data, coordinates, attributes)


def _text(values: np.ndarray) -> np.ndarray:
    return values.astype(TEXT) if values.dtype.kind == "U" else values
