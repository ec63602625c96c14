"""``Scaling``: a quantity follows a law on a range, Q = C n^a d^b, or k^(−1/3) along a training, or exp(−bκ).

One station per point; the quantity's mean over seeds, in logarithms, is judged as a law (``lawful.py``). An axis of the
law may be one along which the run records (steps): all its values then come from one training of each seed and are
correlated near 1, which one fit per seed gets right and a fit over points does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lemmata.tester.conjecture import Ask, Conjecture, Judgement, Setting, Stations, log_means
from lemmata.tester.expression import Expression
from lemmata.tester.law import Law
from lemmata.tester.lawful import check_law, judge_law


@dataclass(frozen=True)
class Scaling(Conjecture):
    """``of`` follows ``law``.

        Scaling("loss", "C * k**a", expect={"a": -1/3}, tolerance=0.02, where="k >= 1000")

    Args:
        of: the quantity, positive.
        law: product of powers of axes, see :mod:`lemmata.tester.law`.
        expect, tolerance, form_tolerance, correction: as of :class:`~lemmata.tester.threshold.Threshold`.
        where: the range, a condition on axes.
    """

    of: str
    law: str
    expect: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | Mapping[str, float] = 0.02
    form_tolerance: float = 0.02
    correction: str | None = None
    where: str | None = None

    @property
    def statement(self) -> str:
        """In one line."""
        return f"{self.of} = {self.law}" + (f" where {self.where}" if self.where else "")

    def check(self, setting: Setting) -> None:
        """Axes, law and expectations fit together."""
        shapes = [shape for shape, _ in self._places(setting)]
        check_law(self.law, self.expect, self.tolerance, self.correction, shapes, setting)
        free = len(Law.parse(self.law, setting.names).names) + (self.correction is not None)
        if len(shapes) <= free:
            raise ValueError(f"{len(shapes)} points are too few for the {free} parameters of {self.law!r}; add values")

    def explore(self, setting: Setting, ask: Ask) -> Stations:
        """Nothing needs to be found."""
        points = setting.points(where=None if self._along(setting) else self._where())
        return Stations(tuple(points), tuple(shape for shape, _ in self._places(setting)))

    def judge(self, setting: Setting, stations: Stations, values: np.ndarray, alpha: float) -> Judgement:
        """The law of the means."""
        places = self._places(setting)
        if values.ndim > 2 and not self._along(setting):
            values = values[..., -1]  # the end of a recorded training
        rows = np.stack([values[index[0]][(slice(None), *index[1:])] for _, index in places])
        y = log_means(rows, self.of, stations.shapes)
        known = [setting.known(shape) for shape in stations.shapes]
        extra = Expression(self.correction) if self.correction else None
        column = (extra.text, np.array([extra(point) for point in known], float)) if extra else None
        tolerance = self.tolerance
        allowed = {name: tolerance[name] if isinstance(tolerance, Mapping) else tolerance for name in self.expect}
        law = Law.parse(self.law, setting.names)
        return judge_law(
            law, self.of, self.expect, allowed, self.form_tolerance, stations.shapes, known, y, alpha, column
        )

    def _along(self, setting: Setting) -> tuple[str, ...]:
        """Recorded dimensions that the law or its range needs."""
        where = self._where()
        names = {*Law.parse(self.law, setting.names).axes, *(where.names if where else ())}
        lets = [name for let in names if let in setting.let for name in setting.let[let].names]
        return tuple(name for name in setting.runner.recorded if name in {*names, *lets})

    def _where(self) -> Expression | None:
        return Expression(self.where, condition=True) if self.where else None

    def _places(self, setting: Setting) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
        """Every point of the law, and where its values stand: station, recorded index."""
        along, where = self._along(setting), self._where()
        if len(along) > 1:
            raise ValueError(
                f"the law {self.law!r} runs along {' and '.join(along)}; one recorded dimension is possible"
            )
        points = setting.points(where=None if along else where)
        if not along:
            return [(dict(point), (number,)) for number, point in enumerate(points)]
        found = [
            ({**point, along[0]: float(value)}, (number, index))
            for number, point in enumerate(points)
            for index, value in enumerate(setting.runner.recorded[along[0]])
        ]
        return [place for place in found if where is None or setting.value(where, setting.known(place[0]))]
