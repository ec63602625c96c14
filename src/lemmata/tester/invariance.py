"""``Invariance``: a quantity does not depend on an axis, up to a stated relative change.

At every point of the other axes, means over seeds at every two values of the axis are compared, paired seed by seed, in
logarithms; all intervals hold together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import Estimate
from lemmata.claims.band import Band
from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Row, Setting, Stations, log_means, said
from lemmata.tester.expression import Expression


@dataclass(frozen=True)
class Invariance(Conjecture):
    """``of`` is the same at all values of ``to``.

        Invariance("test_error", to="d", tolerance=0.05, where="kappa <= 4")

    Args:
        of: the quantity, positive.
        to: an axis of the grid.
        tolerance: largest relative change.
        where: condition on the other axes.
    """

    of: str
    to: str
    tolerance: float = 0.05
    where: str | None = None

    @property
    def statement(self) -> str:
        """In one line."""
        return f"{self.of} does not depend on {self.to}" + (f" where {self.where}" if self.where else "")

    def check(self, setting: Setting) -> None:
        """The axis has several values."""
        if len(setting.axes.get(self.to, ())) < 2:
            raise ValueError(f"{self.to!r} needs two values or more in the grid; there are {', '.join(setting.axes)}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance = {self.tolerance} was asked for; give a number from 0")
        self._groups(setting)

    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """Nothing needs to be found."""
        groups = self._groups(setting)
        points = [{**group, self.to: value} for group in groups for value in setting.axes[self.to]]
        return Stations(tuple(points), tuple(groups))

    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """The largest paired change."""
        values = values[..., -1] if values.ndim > 2 else values
        y = log_means(values, self.of, stations.points).reshape(len(stations.shapes), -1, values.shape[1])
        along: tuple[Any, ...] = setting.axes[self.to]
        pairs = Estimate(xr.DataArray(y, dims=("group", self.to, "seed")), log=True, level=1 - alpha).pairs(self.to)
        band = Band(1 / (1 + self.tolerance), 1 + self.tolerance, unit="×")
        holds, place, low, high = band.judge(pairs)
        first, second = np.triu_indices(len(along), 1)

        def told(group: int, pair: int) -> str:
            between = " and ".join(f"{self.to} = {along[k]}" for k in (first[pair], second[pair]))
            return ", ".join(filter(None, [said(stations.shapes[group]), f"between {between}"]))

        row = Row("largest change", place.value, low.value, high.value, str(band), holds)
        lows = pairs.low.transpose("group", "pair").values
        worst = sorted(zip(*np.nonzero(lows > 1 + self.tolerance)), key=lambda at: -lows[at])[:3]
        examples = tuple(
            f"{told(*at)}: changes by ×{pairs.value.values[at]:.3f} (surely ×{lows[at]:.3f})" for at in worst
        )
        spot = f"largest at {told(place.index['group'], place.index['pair'])}"
        dataset = xr.Dataset({self.of: (("group", self.to, "seed"), np.exp(y))}, {self.to: list(along)})
        for name in stations.shapes[0]:
            dataset = dataset.assign_coords({name: ("group", [shape[name] for shape in stations.shapes])})
        return Judgement((row,), examples, (spot,), dataset)

    def _groups(self, setting: Setting) -> list[dict[str, Any]]:
        where = Expression(self.where, condition=True) if self.where else None
        return setting.points(without=(self.to,), where=where)
