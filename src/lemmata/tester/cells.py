"""The cells of a study: asked for as lists of points, run once each, recorded, counted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lemmata.status import Status
from lemmata.tester.journal import Journal
from lemmata.tester.runner import Runner, seconds_of

EXPLORE, CONFIRM = "explore", "confirm"
Key = tuple[tuple[str, Any], ...]


class Cells:
    """Answers questions for points; a point that ran before, now or before a kill, is not run again.

    Args:
        runner: what runs.
        quantities: which of its arrays are kept.
        journal: where cells are recorded.
        heard: called after every batch with this object; for progress.
    """

    def __init__(
        self,
        runner: Runner,
        quantities: Sequence[str],
        journal: Journal,
        heard: Callable[["Cells"], None] = lambda cells: None,
    ):
        self.runner, self.quantities, self.journal, self.heard = runner, tuple(quantities), journal, heard
        self.known: dict[Key, dict[str, np.ndarray]] = {}
        self.asked: set[Key] = set()
        self.counts = {EXPLORE: 0, CONFIRM: 0}
        self.seconds = 0.0
        for point, values, stage in journal.cells():
            self.known[_key(point)] = values
            self.counts[stage] += 1
        self.seconds = sum(line["cells"]["seconds"] for line in journal.lines if "cells" in line)

    @property
    def count(self) -> int:
        """Cells that ran, over all starts of the study."""
        return sum(self.counts.values())

    @property
    def spent(self) -> int:
        """Cells that were asked for, whether they ran now or are replayed from the journal: what a budget counts."""
        return len(self.asked)

    def price(self, points: Iterable[Mapping[str, Any]]) -> int:
        """How many of these points were not asked for yet; conjectures that share cells pay for them once."""
        return len({_key(point) for point in points} - self.asked)

    def ask(self, points: Sequence[Mapping[str, Any]], stage: str, quantity: str) -> np.ndarray:
        """A quantity at points, ``(c, ...)``; missing where a cell diverged or gave no finite number.

        Raises:
            ValueError: the run does not measure it.
        """
        keys = [_key(point) for point in points]
        self.asked.update(keys)
        new = list(dict.fromkeys(key for key in keys if quantity not in self.known.get(key, ())))
        if new:
            asked = [dict(key) for key in new]
            found, seconds = seconds_of(lambda: self.runner(asked))
            kept = {name: np.asarray(found[name], float) for name in self._kept(found)}
            self.journal.write_cells(stage, asked, kept, seconds)
            for row, key in enumerate(new):
                self.known[key] = {name: values[row] for name, values in kept.items()}
            self.counts[stage] += len(new)
            self.seconds += seconds
            self.heard(self)
        rows = [self.known[key] for key in keys]
        values = np.stack([row[quantity] for row in rows])
        ended = np.array([float(row.get("status", 0.0)) for row in rows])
        values[(ended < 0) | (ended == Status.DIVERGED)] = np.nan
        return np.where(np.isfinite(values), values, np.nan)

    def _kept(self, found: Mapping[str, Any]) -> list[str]:
        for name in self.quantities:
            if name not in found:
                raise ValueError(f"the run does not measure {name!r}; it measures {', '.join(found)}")
        return [*self.quantities, *(["status"] if "status" in found and np.ndim(found["status"]) == 1 else [])]


def _key(point: Mapping[str, Any]) -> Key:
    return tuple(
        (name, value.item() if isinstance(value, np.generic) else value) for name, value in sorted(point.items())
    )
