"""Values of an axis as a user means and later selects them: plain Python, of one kind, the shortest decimal.

``np.float32(0.1)`` is 0.1 and not 0.10000000149; ``np.arange(0.1, 0.35, 0.1)[2]``, 0.30000000000000004, is 0.3: a
number within four units in the last place of one with twelve significant digits is that one, and an evenly spaced axis
passes zero at zero. So ``dataset.sel(v0=0.3)`` finds what was written as 0.3, however it was computed. Other numbers,
such as 1/3, stay as they are.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from lemmata.parameters import Parameter

DIGITS = 12
_NEAR = 4 * np.finfo(float).eps
Spread = Literal["linear", "log"]


def plain(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Plain Python values of one kind, so that a point reads the same in every process and in JSON.

    Raises:
        ValueError: no value, a non-finite number, or values of different kinds.
        TypeError: a value that is neither number, string nor truth value.
    """
    found = [_python(value) for value in sequence(name, values)]
    if not found:
        raise ValueError(f"axis {name!r} has no values; give it one or leave it out")
    wrong = [value for value in found if not isinstance(value, bool | int | float | str)]
    if wrong:
        raise TypeError(f"axis {name!r} takes numbers, strings or truth values, got {wrong[0]!r}; convert it first")
    kinds = {float if isinstance(value, int) and not isinstance(value, bool) else type(value) for value in found}
    if len(kinds) > 1:
        raise ValueError(f"axis {name!r} mixes {', '.join(sorted(k.__name__ for k in kinds))}; give values of one kind")
    if any(isinstance(value, float) for value in found):
        bad = [value for value in found if not math.isfinite(value)]
        if bad:
            raise ValueError(f"axis {name!r} holds {bad[0]}; an axis takes finite numbers, leave it out")
        found = tidy([float(value) for value in found])
    large = [value for value in found if isinstance(value, int) and not -(2**63) <= value < 2**63]
    if large:
        raise ValueError(f"axis {name!r} holds {large[0]}, beyond 64-bit integers; use a float or a smaller number")
    return tuple(found)


def distinct(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """:func:`plain` values, each once.

    Raises:
        ValueError: besides, a value twice.
    """
    seen: set[Any] = set()
    found = plain(name, values)
    for value in found:
        if value in seen:
            raise ValueError(f"axis {name!r} holds {value!r} twice; give each value once")
        seen.add(value)
    return found


def sequence(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Several values, given as such.

    Raises:
        TypeError: one value stands alone.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"axis {name!r} needs a sequence of values, got {values!r}; write {name}=({values!r},)")
    return tuple(values)


def tidy(values: Sequence[float]) -> list[float]:
    """Numbers as they are meant: twelve significant digits where rounding alone keeps them from that."""
    found = [near if abs((near := float(f"{x:.{DIGITS}g}")) - x) <= _NEAR * abs(x) else x for x in values]
    steps = np.diff(found)
    if len(found) > 2 and (np.abs(steps - steps[0]) <= 1e-9 * abs(steps[0])).all():
        zero = _NEAR * max(map(abs, found))
        found = [0.0 if abs(x) <= zero else x for x in found]
    return found


def spread(low: float, high: float, count: int, scale: Spread) -> tuple[float, ...]:
    """``count`` numbers from ``low`` to ``high``, both included, evenly spaced or in equal ratios; twelve digits each.

    Raises:
        ValueError: fewer than two numbers, equal or non-finite ends, or ends of a ratio that are not above 0.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ValueError(f"{count!r} values from {low} to {high} were asked for; give a whole number of at least 2")
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise ValueError(f"values from {low} to {high} were asked for; give two different finite numbers")
    if scale == "log":
        if low <= 0 or high <= 0:
            raise ValueError(f"equal ratios from {low} to {high} were asked for; both ends must be above 0")
        found = np.geomspace(low, high, count)
    else:
        found = np.linspace(low, high, count)
        found[np.abs(found) <= _NEAR * max(abs(low), abs(high))] = 0.0
    return tuple(float(f"{x:.{DIGITS}g}") for x in found)


def parse_values(texts: Iterable[str], parameter: Parameter, name: str = "it") -> tuple[Any, ...]:
    """The values that words of a command line stand for: each a value, ``log:0.5:8:10`` or ``lin:1:4:7``.

    Whole numbers in equal ratios are rounded to whole ones, as sample sizes are; evenly spaced ones must be whole.

    Raises:
        ValueError: a word that is neither, or a value outside the parameter's range.
    """
    found: list[Any] = []
    for text in texts:
        kind, _, rest = text.partition(":")
        if kind not in ("log", "lin") or not rest or text in parameter.choices or parameter.kind in (str, bool):
            found.append(parameter.parse(name, text))
            continue
        try:
            low, high, count = rest.split(":")
            ends = float(low), float(high), int(count)
        except ValueError:
            raise ValueError(
                f"{name} = {text!r} was asked for; write {kind}:FROM:TO:COUNT, e.g. {kind}:1:8:4"
            ) from None
        values = spread(*ends, "log" if kind == "log" else "linear")
        for value in values:
            if parameter.kind is int and kind == "lin" and value != round(value):
                raise ValueError(f"{name} = {text!r} was asked for and holds {value:g}; {name} takes whole numbers")
            whole = round(value) if parameter.kind is int else value
            parameter.check(name, whole)
            found.append(whole)
    return tuple(found)


def _python(value: Any) -> Any:
    if isinstance(value, np.floating) and not isinstance(value, float):
        return float(str(value))  # float32 and float16 by their own shortest decimal
    return value.item() if isinstance(value, np.generic) or (hasattr(value, "item") and value.ndim == 0) else value
