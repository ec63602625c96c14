"""A tolerance is a value that judges a measurement and prints itself, so that the printed limit is the tested one.

    return at_most(0.02, data.train_loss, expected="→ 0", format="largest training loss {:.4f}")

Every function returns a :class:`Finding`: holds, measured, expected, limit and where the worst entry is. ``measured``
is a number, an array (all entries must fit; missing ones do not count, none at all is not measurable) or an
:class:`Estimate`: then the whole interval must fit; a claim whose interval reaches over the limit is undecided.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import xarray as xr

from lemmata.claims.band import Band, Measured, Number
from lemmata.claims.claim import Finding, NotMeasurable
from lemmata.claims.estimate import Estimate, Interval
from lemmata.claims.slices import Place

Detail = str | xr.DataArray | Estimate | Interval | Sequence[Any]
UNDECIDED = "the interval reaches over the limit; more seeds would decide"


def at_most(limit: Number, measured: Measured, **said: Any) -> Finding:
    """Every entry is at most ``limit``. For ``said`` see :func:`judged`."""
    return judged(Band(high=limit, where=said.pop("where", "")), measured, **said)


def at_least(limit: Number, measured: Measured, **said: Any) -> Finding:
    """Every entry is at least ``limit``."""
    return judged(Band(low=limit, where=said.pop("where", "")), measured, **said)


def below(limit: Number, measured: Measured, **said: Any) -> Finding:
    """Every entry is smaller than ``limit``."""
    return judged(Band(high=limit, strict=True, where=said.pop("where", "")), measured, **said)


def above(limit: Number, measured: Measured, **said: Any) -> Finding:
    """Every entry is larger than ``limit``."""
    return judged(Band(low=limit, strict=True, where=said.pop("where", "")), measured, **said)


def between(low: Number, high: Number, measured: Measured, *, unit: Literal["", "×"] = "", **said: Any) -> Finding:
    """Every entry lies from ``low`` to ``high``, ends included."""
    return judged(Band(low, high, unit=unit, where=said.pop("where", "")), measured, **said)


def within(limit: float, measured: Number | Estimate, of: Number, *, relative: bool = False, **said: Any) -> Finding:
    """Every entry differs from ``of`` by at most ``limit``, absolute or relative to ``of`` (|m/of − 1| ≤ limit).

    Args:
        of: a number, which is then also what is expected, or an array on the same coordinates.
    """
    off: Measured
    if isinstance(measured, Estimate):
        off = measured.over(of) if relative else measured.minus(of)
        if relative:  # of the ratio, which an estimate keeps in logarithms
            band = Band(1 - limit, 1 + limit, unit="×", where=said.pop("where", ""))
            return judged(band, off, **{"format": "{:.3f} of what is expected", **said})
    else:
        off = measured / of - 1 if relative else measured - of
    if not isinstance(of, xr.DataArray) or not of.ndim:
        said.setdefault("expected", f"{float(of):.3g}")
    single = not isinstance(off, Estimate) and np.ndim(off) == 0
    said.setdefault("format", f"off by {{:{'+.1%' if relative else '+.3g'}}}" + ("" if single else " at most"))
    return judged(Band(-limit, limit, unit="%" if relative else "", where=said.pop("where", "")), off, **said)


def factor(limit: float, measured: Number | Estimate, of: Number = 1.0, **said: Any) -> Finding:
    """Every entry is ``of`` up to a factor, either way: 1/limit ≤ measured/of ≤ limit."""
    ratio = measured.over(of) if isinstance(measured, Estimate) else measured / of
    said.setdefault("expected", "1" if isinstance(of, xr.DataArray) and of.ndim else f"{float(of):.3g}")
    return judged(Band(1 / limit, limit, unit="×", where=said.pop("where", "")), ratio, **said)


def alike(
    limit: float, measured: xr.DataArray | Estimate, over: str | Sequence[str] | None = None, **said: Any
) -> Finding:
    """Largest over smallest entry is at most a factor; along ``over``, separately for every other coordinate.

    For an estimate in logarithms every two entries are compared, paired seed by seed, intervals holding together.
    """
    if isinstance(measured, Estimate):
        spread: Measured = measured.pairs(over if isinstance(over, str) else str(measured.value.dims[0]))
    else:
        spread = measured.max(over) / measured.min(over)
    band = Band(high=limit, unit="×", where=said.pop("where", ""))
    return judged(band, spread, **{"format": "varies by ×{most:.2f}", "expected": "the same", **said})


def judged(
    band: Band,
    measured: Measured,
    *,
    expected: str = "",
    detail: Detail = "",
    format: str = "",
    point: bool = False,
) -> Finding:
    """The finding of a band on a measurement.

    Args:
        expected: what theory or the paper says, in words or numbers.
        detail: more to say, in words; an array or an estimate is written entry by entry.
        format: how the measurement is said. ``{}`` is the worst entry, ``{low}``, ``{high}`` its interval's ends,
            ``{least}``, ``{most}`` the extremes of the array, ``{place}`` where the worst is. The interval of an
            estimate is added where the format does not name it.
        point: judge the estimate itself and not its whole interval, for statements about what was measured; that the
            interval reaches over the limit is then said in the detail.

    Raises:
        NotMeasurable: no value is left to measure.
    """
    band = band.matching(measured)
    holds, place, low, high = band.judge(measured)
    value = measured.value if isinstance(measured, Estimate | Interval) else measured
    several = isinstance(value, xr.DataArray) and int(value.count()) > 1
    text = format or _default_format(band, several)
    extremes = {"least": float(np.min(value)), "most": float(np.max(value))}
    said = text.format(place.value, low=low.value, high=high.value, place=place, **extremes)
    if isinstance(measured, Estimate | Interval) and "{low" not in text:
        said += f" [{low.value:.3g}, {high.value:.3g}]"
    worst_at = f"worst at {place}" if several and place.where and "{place" not in text else ""
    open_ = UNDECIDED if holds is None else ""
    if point and isinstance(measured, Estimate | Interval):
        certain, (holds, *_) = holds, band.judge(measured.value)
        open_ = "" if certain is holds else "the interval reaches over the limit"
    details = [worst_at, *_told(detail), open_]
    return Finding(
        holds=holds,
        measured=said,
        predicted=expected,
        tolerance=str(band),
        detail="; ".join(filter(None, details)),
    )


def all_of(*parts: Finding, measured: str = "", expected: str = "", detail: Detail = "") -> Finding:
    """Several findings that must all hold; one that fails fails all, else one undecided leaves all undecided.

    Args:
        measured, expected: in place of what the parts say, joined.
        detail: in addition to theirs.
    """
    if not parts:
        raise NotMeasurable("nothing was measured")
    found = [part.holds for part in parts]
    return Finding(
        holds=False if False in found else None if None in found else True,
        measured=measured or _joined(part.measured for part in parts),
        predicted=expected or _joined(part.predicted for part in parts),
        tolerance=_joined(part.tolerance for part in parts),
        detail=_joined([*(part.detail for part in parts), *_told(detail)]),
    )


def in_order(detail: Detail = "", **named: float) -> Finding:
    """Each number is smaller than the next: ``in_order(oracle=0.1, spectral=0.12, simclr=0.2)``."""
    values = list(named.values())
    if any(not np.isfinite(value) for value in values):
        raise NotMeasurable(f"needs {', '.join(named)}")
    words = {name: name.replace("_", " ") for name in named}
    return Finding(
        holds=all(first < second for first, second in pairwise(values)),
        measured=", ".join(f"{words[name]} {value:.3g}" for name, value in named.items()),
        predicted=" < ".join(words.values()),
        tolerance="strictly",
        detail="; ".join(_told(detail)),
    )


def _default_format(band: Band, several: bool) -> str:
    one = {"": "{%s:.3g}", "×": "×{%s:.2f}", "%": "{%s:.1%%}"}[band.unit]
    if not several:
        return one % ""
    if np.all(np.isfinite(band.low)) and np.all(np.isfinite(band.high)):
        return f"{one % 'least'} to {one % 'most'}"
    return f"at most {one % 'most'}" if np.all(np.isfinite(band.high)) else f"at least {one % 'least'}"


def _told(detail: Detail) -> list[str]:
    if isinstance(detail, str):
        return [detail] if detail else []
    if isinstance(detail, Estimate | Interval):
        value, low, high = detail.value, detail.low, detail.high
        cells = [np.unravel_index(k, value.shape) for k in range(value.size)]
        rows = [(value[k], f"{float(value[k]):.3g} [{float(low[k]):.3g}, {float(high[k]):.3g}]") for k in cells]
    elif isinstance(detail, xr.DataArray):
        cells = [np.unravel_index(k, detail.shape) for k in range(detail.size)]
        rows = [(detail[k], f"{float(detail[k]):.3g}") for k in cells]
    else:
        return [text for part in detail for text in _told(part)]
    dims = (detail if isinstance(detail, xr.DataArray) else detail.value).dims
    told = [(text, _place(cell, dims)) for cell, text in rows if cell.notnull()]
    return [", ".join(f"{text} at {place}" if place else text for text, place in told)]


def _place(cell: xr.DataArray, dims: Sequence[Any]) -> str:
    return str(Place(float(cell), {str(name): cell[name].item() for name in dims if name in cell.coords}))


def _joined(texts: Any) -> str:
    return "; ".join(dict.fromkeys(filter(None, texts)))
