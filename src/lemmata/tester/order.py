"""``Order``: a quantity is lower at one value of an axis than at another, everywhere: A beats B wherever ...

At every point of the other axes the two means are compared, paired seed by seed, in logarithms, with Student intervals
that hold together. The map says A, B or open; consistent if A everywhere, refuted where it is surely B.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import Estimate
from lemmata.claims.band import Band
from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Row, Setting, Stations, log_means, said
from lemmata.tester.expression import Expression
from lemmata.tester.runner import RUN


@dataclass(frozen=True)
class Order(Conjecture):
    """``of`` is lower with ``along = lower`` than with ``along = higher``.

        Order("test_error", lower="simclr", higher="direct", along="start", where="snr <= 0.2")

    Args:
        of: the quantity, positive.
        lower, higher: values of the axis; by default the axis is that of several runs, ``run``.
        along: the axis.
        where: condition on the other axes.
    """

    of: str
    lower: Any
    higher: Any
    along: str = RUN
    where: str | None = None

    @property
    def statement(self) -> str:
        """In one line."""
        where = f" where {self.where}" if self.where else ""
        return f"{self.of} is lower with {self.along} = {self.lower} than with {self.higher}{where}"

    def check(self, setting: Setting) -> None:
        """Both values are there."""
        for value in (self.lower, self.higher):
            if value not in setting.axes.get(self.along, ()):
                raise ValueError(
                    f"{self.along} = {value!r} is not among {', '.join(map(str, setting.axes.get(self.along, ())))}"
                )
        if self.lower == self.higher:
            raise ValueError(f"{self.along} = {self.lower!r} cannot be lower than itself; give two values")
        self._groups(setting)

    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """Nothing needs to be found."""
        groups = self._groups(setting)
        points = [{**group, self.along: value} for group in groups for value in (self.lower, self.higher)]
        return Stations(tuple(points), tuple(groups))

    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """The map of paired ratios."""
        values = values[..., -1] if values.ndim > 2 else values
        y = log_means(values, self.of, stations.points).reshape(-1, 2, values.shape[1])
        ratio = Estimate(xr.DataArray(y[:, 0] - y[:, 1], dims=("group", "seed")), log=True, level=1 - alpha)
        band = Band(high=1.0, strict=True, unit="×")
        holds, place, low, high = band.judge(ratio)
        wins, losses = ratio.high.values < 1, ratio.low.values > 1
        row = Row(f"largest {self.lower}/{self.higher}", place.value, low.value, high.value, str(band), holds)
        order = [i for i in np.argsort(-ratio.low.values) if losses[i]][:3]
        examples = tuple(
            f"{said(stations.shapes[i])}: ×{float(ratio.value[i]):.3g} (surely ×{float(ratio.low[i]):.3g})"
            for i in order
        )
        neither = len(wins) - int(wins.sum()) - int(losses.sum())
        counted = (
            f"{self.lower} is lower at {int(wins.sum())} of {len(wins)} points, {self.higher} at {int(losses.sum())}"
        )
        note = f"{counted}, {neither} open"
        winner = np.where(wins, -1, np.where(losses, 1, 0))
        dataset = xr.Dataset({"ratio": ratio.value, "winner": ("group", winner)})
        for name in stations.shapes[0]:
            dataset = dataset.assign_coords({name: ("group", [shape[name] for shape in stations.shapes])})
        return Judgement((row,), examples, (note,), dataset)

    def _groups(self, setting: Setting) -> list[dict[str, Any]]:
        where = Expression(self.where, condition=True) if self.where else None
        return setting.points(without=(self.along,), where=where)
