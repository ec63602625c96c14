"""One conjecture while a study goes on: where it is measured, what was found, which seeds count."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Setting, Stations

FRESH = 1000
"""First seed of those that estimates are made of; moved behind the seeds that a conjecture was found on."""
MAY_MISS = 0.05
"""Share of seeds that may be left out for a cell that did not end; with more, a study decides nothing."""


@dataclass
class Thread:
    """What is known of one conjecture while the study goes on."""

    conjecture: Conjecture
    stations: Stations
    values: np.ndarray | None = None
    first_seed: int = FRESH
    judgement: Judgement | None = None
    looks: list[tuple[int, str]] = field(default_factory=list)
    reason: str = ""
    dropped: int = 0
    closed: bool = False

    def take(self, ask: Ask, count: int, setting: Setting) -> None:
        """Measure as many seeds as a look has; move stations once if they are misplaced."""
        have = 0 if self.values is None else self.values.shape[1]
        new = self.conjecture.measure(self.stations, ask, self.seeds(count))
        self.values = new if self.values is None else np.concatenate([self.values, new], 1)
        if have == 0:
            moved = self.conjecture.recentred(setting, self.stations, self.values[:, _whole(self.values)])
            if moved is not None:
                self.stations, self.first_seed = moved, self.first_seed + count
                self.values = self.conjecture.measure(moved, ask, range(self.first_seed, self.first_seed + count))
            seeds = range(self.first_seed, self.first_seed + count)
            self.stations = self.conjecture.bent(self.stations, self.values, ask, seeds)

    def seeds(self, count: int) -> range:
        """Seeds that a look at this many still has to measure."""
        have = 0 if self.values is None else self.values.shape[1]
        return range(self.first_seed + have, self.first_seed + count)

    def beyond_stations(self) -> int:
        """Cells that the next seed costs beyond its stations, at places that measuring finds."""
        bend = self.conjecture.cells_to_bend(self.stations) if self.values is None else 0
        return self.conjecture.cells_per_seed(self.stations) - len(self.stations.points) + bend

    def whole(self) -> np.ndarray:
        """Values of the seeds all of whose cells count; says so if too many do not."""
        assert self.values is not None
        kept = _whole(self.values)
        self.dropped, self.reason = int((~kept).sum()), ""
        if self.dropped > MAY_MISS * len(kept) or kept.sum() < 3:
            self.reason = f"{self.dropped} of {len(kept)} seeds have a cell that diverged or did not end"
        found: np.ndarray = self.values[:, kept]
        return found

    def judging(self, setting: Setting, values: np.ndarray) -> Callable[[float], Judgement]:
        """What :meth:`whole` values say, as a function of the α that may be spent."""
        if self.reason:
            return lambda alpha: Judgement(())
        return lambda alpha: self.conjecture.judge(setting, self.stations, values, alpha)


def _whole(values: np.ndarray) -> np.ndarray:
    kept: np.ndarray = np.isfinite(values).all(tuple(axis for axis in range(values.ndim) if axis != 1))
    return kept
