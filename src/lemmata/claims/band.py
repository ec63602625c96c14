"""A tolerance as a value: a band of numbers that judges a measurement and prints the very limits it tests."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

import numpy as np
import xarray as xr

from lemmata.claims.estimate import Estimate, Interval
from lemmata.claims.slices import Place, say, worst

Number = float | xr.DataArray
Measured = float | xr.DataArray | Estimate | Interval


@dataclass(frozen=True)
class Band:
    """Numbers from ``low`` to ``high``: ``str`` prints the very limits that :meth:`judge` tests.

    Args:
        low, high: ends; arrays, e.g. one limit per data set, are matched with the measured array by coordinate.
        strict: the ends are outside.
        unit: how the ends are written: ``""`` as they are, ``"×"`` as factors, ``"%"`` in per cent.
        where: for which cells it is meant, in words: ``"for κ ≤ 4"``.
    """

    low: Number = -np.inf
    high: Number = np.inf
    strict: bool = False
    unit: Literal["", "×", "%"] = ""
    where: str = ""

    def judge(self, measured: Measured) -> tuple[bool | None, Place, Place, Place]:
        """The verdict; the worst entry; the ends of its interval, which are the entry itself where there is none.

        Limits that are arrays have the labels of what is measured, see :meth:`matching`.

        Raises:
            NotMeasurable: no value is left to measure.
        """
        if isinstance(measured, Estimate | Interval):
            value, ends = measured.value, (measured.low, measured.high)
        else:
            value = measured if isinstance(measured, xr.DataArray) else xr.DataArray(measured)
            ends = (value, value)
        lowest, highest = (end.transpose(*value.dims).values.astype(float) for end in ends)
        low, high = (self._like(end, value) for end in (self.low, self.high))
        present = value.notnull().values
        distance = np.maximum(self._excess(lowest, low, high), self._excess(highest, low, high))
        place = worst(value, by=value.copy(data=np.where(present, distance, np.nan)))
        fits = self._inside(lowest, low, high) & self._inside(highest, low, high)
        misses = (highest <= low) | (lowest >= high) if self.strict else (highest < low) | (lowest > high)
        holds = False if (misses & present).any() else True if (fits | ~present).all() else None
        spot = tuple(place.index[str(dim)] for dim in value.dims)
        first, last = (Place(float(end[spot]), place.where, place.index) for end in (lowest, highest))
        return holds, place, first, last

    def _inside(self, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return (values > low) & (values < high) if self.strict else (values >= low) & (values <= high)

    def _excess(self, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """How far values lie beyond the nearer end; negative inside. An end at infinity is never crossed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.unit == "×":
                values, low, high = np.log(values), np.log(np.maximum(low, 0)), np.log(high)
            over = np.where(np.isinf(high), -np.inf, values - high)
            under = np.where(np.isinf(low), -np.inf, low - values)
        return np.asarray(np.fmax(over, under))

    def _like(self, end: Number, value: xr.DataArray) -> np.ndarray:
        """A limit as an array that fits the values."""
        if isinstance(end, xr.DataArray) and end.ndim:
            return end.broadcast_like(value).transpose(*value.dims).values
        return np.asarray(float(end))

    def matching(self, measured: Measured) -> "Band":
        """The same band with limits that are arrays brought to the labels of what is measured, in its order."""
        value = measured.value if isinstance(measured, Estimate | Interval) else measured
        if not isinstance(value, xr.DataArray):
            return self
        low, high = (
            xr.align(value, end, join="left")[1] if isinstance(end, xr.DataArray) else end
            for end in (self.low, self.high)
        )
        return replace(self, low=low, high=high)

    def __str__(self) -> str:
        for end in (self.low, self.high):
            if isinstance(end, xr.DataArray) and end.ndim:
                (name,) = end.dims
                rows = [self._text(*self._ends(k)) for k in range(end.size)]
                named = [f"{row} ({say(label)})" for row, label in zip(rows, end[name].values.tolist())]
                return " ".join(filter(None, [", ".join(named), self.where]))
        return " ".join(filter(None, [self._text(float(self.low), float(self.high)), self.where]))

    def _ends(self, k: int) -> tuple[float, float]:
        low, high = (
            float(end[k] if isinstance(end, xr.DataArray) and end.ndim else end) for end in (self.low, self.high)
        )
        return low, high

    def _text(self, low: float, high: float) -> str:
        less, more = ("<", ">") if self.strict else ("≤", "≥")
        if self.unit == "×" and high > 0 and low == 1 / high:
            return f"{self._one(high)} either way"
        if self.unit != "×" and low == -high:
            return f"± {self._one(high)}"
        if np.isfinite(low) and np.isfinite(high):
            return f"{self._one(low)} to {self._one(high)}"
        return f"{less} {self._one(high)}" if np.isfinite(high) else f"{more} {self._one(low)}"

    def _one(self, end: float) -> str:
        if self.unit == "%":
            return f"{shortest(end, 100)} %"
        return f"×{shortest(end)}" if self.unit == "×" else shortest(end)


def shortest(number: float, times: int = 1) -> str:
    """The shortest decimal of ``times * number`` that gives the number back: ``0.05`` in per cent is ``5``."""
    if times != 1:
        return f"{(Decimal(repr(float(number))) * times).normalize():f}"
    return next(text for digits in range(1, 18) if float(text := f"{number:.{digits}g}") == number)
