"""``Bound``: a quantity stays below a formula, on average over the draws or in a share of them.

On average: the ratio Q̄/f at every point with one-sided Student limits that hold together (Bonferroni); consistent if
every upper limit is at most 1, refuted where a lower limit exceeds 1. With probability 1 − δ: the share of *data sets*
with any cell above f, with its exact binomial interval; a data set is a seed, and a value of each axis in ``draws``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lemmata.claims import Estimate
from lemmata.claims.band import Band
from lemmata.claims.counts import binomial_interval
from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Row, Setting, Stations, said
from lemmata.tester.expression import Expression

CLIMBERS, ROUNDS = 3, 4


@dataclass(frozen=True)
class Bound(Conjecture):
    """``of`` is at most ``bound``, wherever ``where`` holds.

        Bound("test_error", "exp(-kappa / 1.7)", where="kappa >= 1")

    Args:
        of: the quantity.
        bound: formula of axes, positive.
        where: condition on axes.
        share: δ: the largest share of data sets in which a cell may exceed the bound; ``None``: on average.
        draws: axes along which data sets are drawn anew; along the others those of one seed are shared.
        search: climb to worse points between the grid's values first, on the exploring seeds, and test these too.
    """

    of: str
    bound: str
    where: str | None = None
    share: float | None = None
    draws: tuple[str, ...] = ()
    search: bool = False

    @property
    def statement(self) -> str:
        """In one line."""
        where = f" where {self.where}" if self.where else ""
        share = f", but in a share {self.share:g} of data sets" if self.share is not None else " on average"
        return f"{self.of} <= {self.bound}{where}{share}"

    def check(self, setting: Setting) -> None:
        """Formulas have values, the share is one."""
        for point in self._points(setting):
            if not self._limit(setting, point) > 0:
                raise ValueError(f"the bound {self.bound!r} is not positive at {said(point)}")
        if self.share is not None and not 0 < self.share < 1:
            raise ValueError(f"share = {self.share} was asked for; give a number between 0 and 1")
        for name in self.draws:
            if name not in setting.axes:
                raise ValueError(f"draws has {name!r}, which is no axis; there are {', '.join(setting.axes)}")

    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """With ``search``, points where exploring seeds come nearest to the bound join the grid's."""
        points = self._points(setting)
        if not self.search:
            return Stations(tuple(points), tuple(points))
        seeds = setting.explore

        def ratio(asked: list[dict[str, Any]]) -> np.ndarray:
            values = ask([{**point, "seed": seed} for point in asked for seed in seeds]).reshape(len(asked), len(seeds))
            return values.mean(1) / [self._limit(setting, point) for point in asked]

        grid = ratio(points)
        found = [self._climb(setting, points[i], float(grid[i]), ratio) for i in np.argsort(-grid)[:CLIMBERS]]
        new = [point for point in found if point not in points]
        every = [*points, *(point for number, point in enumerate(new) if point not in new[:number])]
        return Stations(
            tuple(every), tuple(every), notes=(f"{len(every) - len(points)} points between the grid's added",)
        )

    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """The worst point, or the share of data sets above."""
        values = values[..., -1] if values.ndim > 2 else values
        limits = np.array([self._limit(setting, point) for point in stations.points])
        ratio = xr.DataArray(values / limits[:, None], dims=("point", "seed"))
        if self.share is not None:
            return self._judge_share(stations, ratio.values > 1, alpha)
        # One-sided limits: upper ends for "consistent", lower ends for "refuted", each wrong with probability α.
        estimate = Estimate(ratio, level=1 - 2 * alpha)
        band = Band(high=1.0)
        holds, place, low, high = band.judge(estimate)
        row = Row(f"largest {self.of}/bound", place.value, low.value, high.value, str(band), holds)
        lows = estimate.low.values
        examples = [i for i in np.argsort(-lows) if lows[i] > 1][:3]
        told = tuple(
            f"{said(stations.points[i])}: {float(estimate.value[i]):.3g} times the bound (surely {lows[i]:.3g})"
            for i in examples
        )
        where = f"largest at {said(stations.points[place.index['point']])}"
        dataset = xr.Dataset({"ratio": estimate.value, "upper": estimate.high, "lower": estimate.low})
        return Judgement((row,), told, (where, *stations.notes), self._labelled(dataset, stations))

    def cells_to_explore(self, setting: Setting) -> int:
        """The grid and the climbs, with ``search``."""
        return len(setting.explore) * (len(self._points(setting)) + 4 * CLIMBERS * ROUNDS) * self.search

    def cells_per_seed_before(self, setting: Setting) -> int:
        """All points where the condition holds."""
        return len(self._points(setting))

    def _judge_share(self, stations: Stations, above: np.ndarray, alpha: float) -> Judgement:
        assert self.share is not None
        sets = [tuple(point[name] for name in self.draws) for point in stations.points]
        kinds = list(dict.fromkeys(sets))
        bad = np.array([above[[one == kind for one in sets]].any(0) for kind in kinds])
        count, size = int(bad.sum()), bad.size
        low, high = binomial_interval(count, size, 1 - alpha)
        holds = True if high <= self.share else False if low > self.share else None
        row = Row("share of data sets above", count / size, low, high, str(Band(high=self.share)), holds)
        worst = int(np.argmax(above.sum(1)))
        told = f"{said(stations.points[worst])}: above in {int(above[worst].sum())} of {above.shape[1]} seeds"
        note = f"{count} of {size} data sets, {int(above.sum())} of {above.size} cells"
        dataset = self._labelled(xr.Dataset({"above": ("point", above.mean(1))}), stations)
        return Judgement((row,), (told,) if holds is False else (), (note, *stations.notes), dataset)

    def _labelled(self, dataset: xr.Dataset, stations: Stations) -> xr.Dataset:
        return dataset.assign_coords(
            {name: ("point", [point[name] for point in stations.points]) for name in stations.points[0]}
        )

    def _points(self, setting: Setting) -> list[dict[str, Any]]:
        return setting.points(where=Expression(self.where, condition=True) if self.where else None)

    def _limit(self, setting: Setting, point: Mapping[str, Any]) -> float:
        return float(setting.value(Expression(self.bound), setting.known(point)))

    def _climb(self, setting: Setting, point: dict[str, Any], height: float, ratio: Any) -> dict[str, Any]:
        """Half-way steps, in logarithms, towards the neighbours along every numeric axis, as long as they lead up."""
        where = Expression(self.where, condition=True) if self.where else None
        sizes = {name: 0.5 for name, values in setting.axes.items() if len(values) > 1 and _is_positive(values)}
        for _ in range(ROUNDS):
            tries = []
            for name, share in sizes.items():
                values = sorted(setting.axes[name])
                gap = np.log(values[-1] / values[0]) / (len(values) - 1)
                for sign in (-1, 1):
                    moved = float(np.clip(point[name] * np.exp(sign * share * gap), values[0], values[-1]))
                    near = round(moved) if all(isinstance(value, int) for value in values) else moved
                    other = {**point, name: near}
                    if other != point and (where is None or setting.value(where, setting.known(other))):
                        tries.append(other)
            if not tries:
                break
            found = ratio(tries)
            if np.nanmax(found) > height:
                point, height = tries[int(np.nanargmax(found))], float(np.nanmax(found))
            else:
                sizes = {name: share / 2 for name, share in sizes.items()}
        return point


def _is_positive(values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) and value > 0 for value in values)
