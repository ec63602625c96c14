"""A parameter says itself once, where its field stands: label, units, range, scale, may it vary inside a tile.

    n: int = parameter("training samples n", int, units="samples", least=1)
    signal: float | Tensor = parameter("signal strength ‖μ‖", above=0, scale="log", per_cell=True)

Checks of arguments, options of the command line, axes and coordinates of datasets, help texts and sliders are read from
there. It is plain metadata of a dataclass field; a class calls :func:`check` in its ``__post_init__``. Numbers are
finite and of a size whose fourth power is still one (1e-30 to 1e30), so that no product of them overflows in silence.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

HUGE, TINY = 1e30, 1e-30
"""Largest absolute value of a number, and smallest of one that must be above zero."""
MOST_WHOLE = 10**12
"""Largest whole number, where a parameter names no limit of its own."""


class OutOfRange(ValueError):
    """A value that a parameter does not take.

    Attributes:
        name: the parameter; value: what was asked for; wanted: what it takes, in words.
    """

    def __init__(self, name: str, value: Any, wanted: str):
        super().__init__(name, value, wanted)
        self.name, self.value, self.wanted = name, value, wanted

    def __str__(self) -> str:
        return f"{self.name} = {_brief(self.value)} was asked for; {self.name} must be {self.wanted}"


@dataclass(frozen=True)
class Parameter:
    """Something a user may set.

    Args:
        label: what it is, with its symbol; figures write it on an axis, help texts beside the option.
        kind: ``float``, ``int``, ``bool`` or ``str``.
        units: ``"1"`` for pure numbers, else e.g. ``"samples"`` or ``"steps"``.
        least, above, most, below: its range, closed at ``least`` and ``most``, open at ``above`` and ``below``.
        choices: the only values it takes, for ``str``; for numbers, words it takes besides (``"auto"``).
        scale: how its values are spread in figures, axes and sliders: ``"linear"`` or ``"log"``.
        per_cell: whether cells of one tile may differ in it; ``"compressed"``: only in compressed coordinates.
        optional: whether None, "not asked", is a value.
        axis: whether a grid may vary it; otherwise it is a choice for the whole sweep (device, folders).
    """

    label: str
    kind: type = float
    units: str = "1"
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    scale: Literal["linear", "log"] = "linear"
    per_cell: bool | Literal["compressed"] = False
    optional: bool = False
    axis: bool = True

    @property
    def range(self) -> str:
        """What it takes, in words: ``"a number above 0 and at most 1"``."""
        if self.kind is bool:
            return "True or False"
        if self.kind is str:
            return " or ".join(filter(None, [_either(self.choices) or "a text", "None" * self.optional]))
        noun = "a whole number" if self.kind is int else "a finite number"
        bounds = [("of at least", self.least), ("above", self.above), ("of at most", self.most), ("below", self.below)]
        said = " and ".join(f"{word} {limit:g}" for word, limit in bounds if limit is not None)
        return " or ".join(filter(None, [f"{noun} {said}".strip(), _either(self.choices), "None" * self.optional]))

    def check(self, name: str, value: Any) -> None:
        """Refuse a value outside the range; a ``(c,)`` tensor is checked in all its entries.

        Raises:
            OutOfRange: with the value, and the range in words.
        """
        if value is None and self.optional:
            return
        if not isinstance(value, str | Real) and hasattr(value, "tolist") and getattr(value, "ndim", False):
            if not self.per_cell:
                raise OutOfRange(name, value, f"{self.range}, one for all cells of a tile")
            for entry in set(value.reshape(-1).tolist()):
                self._check_one(name, entry if self.kind is not int or entry != round(entry, 0) else int(entry))
        else:
            self._check_one(name, value.item() if hasattr(value, "item") and not isinstance(value, Real) else value)

    def parse(self, name: str, text: str) -> Any:
        """The value that a text stands for, checked.

        Raises:
            OutOfRange: it is not of this kind, or outside the range.
        """
        if self.optional and text == "none":
            return None
        value: Any = text
        if self.kind is bool:
            value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())
        elif self.kind is not str and text not in self.choices:
            try:
                value = self.kind(text)
            except ValueError:
                raise OutOfRange(name, text, self.range) from None
        self.check(name, value)
        return value

    def _check_one(self, name: str, value: Any) -> None:
        if not (self._is_choice(value) if isinstance(value, str) else self._is_in_range(value)):
            raise OutOfRange(name, value, self._wanted(value))

    def _is_choice(self, value: str) -> bool:
        return value in self.choices if self.choices else self.kind is str and bool(value.strip())

    def _is_in_range(self, value: Any) -> bool:
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if self.kind is str or not isinstance(value, Integral if self.kind is int else Real):
            return False
        value = self.kind(value)  # numpy's own integers and floats overflow in the comparisons below
        if not math.isfinite(value) or abs(value) > (MOST_WHOLE if self.kind is int else HUGE):
            return self.kind is int and self.most is not None and abs(value) <= self.most
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value >= self.above + (TINY if self.kind is float else 1))
            and value != self.above
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def _wanted(self, value: Any) -> str:
        """The range, and the limits of size where they are what refused the value."""
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if self.kind is int and is_number and abs(value) > MOST_WHOLE and self.most is None:
            return f"{self.range} and at most {MOST_WHOLE:.0e}"
        if self.kind is float and is_number and (abs(value) > HUGE or (self.above == 0 and 0 < value < TINY)):
            return f"{self.range}, between {TINY:g} and {HUGE:g} in size"
        return self.range


def parameter(label: str, kind: type = float, *, default: Any = dataclasses.MISSING, **says: Any) -> Any:
    """A dataclass field that is a :class:`Parameter`; takes what that takes, and a default."""
    return dataclasses.field(default=default, metadata={"parameter": Parameter(label, kind, **says)})


def parameters_of(thing: Any) -> dict[str, Parameter]:
    """The parameters among the fields of a dataclass or of an instance, by name."""
    return {f.name: f.metadata["parameter"] for f in dataclasses.fields(thing) if "parameter" in f.metadata}


def check(thing: Any) -> None:
    """Refuse an instance with a parameter outside its range; call it in ``__post_init__``.

    Raises:
        OutOfRange: for the first such parameter.
    """
    for name, says in parameters_of(thing).items():
        says.check(name, getattr(thing, name))


def per_cell_names(thing: Any, coordinates: str = "compressed") -> Iterator[str]:
    """Names of the fields in which cells of one tile may differ, in these coordinates."""
    for name, says in parameters_of(thing).items() if thing is not None else ():
        if says.per_cell is True or says.per_cell == coordinates:
            yield name


def check_known(given: Mapping[str, Any], known: Mapping[str, Parameter], of: str) -> None:
    """Refuse names that are no parameters, and values outside their ranges.

    Raises:
        ValueError: naming the parameters there are, the nearest first.
    """
    for name, value in given.items():
        if name not in known:
            raise ValueError(
                f"{name!r} was asked for and {of} has no such parameter; it has {', '.join(sorted(known))}"
            )
        known[name].check(name, value)


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(map(repr, words)) if len(words) < 3 else "one of " + ", ".join(map(repr, words))


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:50]}... "


# The names below serve checks that no range says; they go when their last caller has become a parameter.
def require(name: str, value: Any, holds: Any, wanted: str) -> None:
    """Raises ``ValueError`` unless ``holds(value)``. Per-cell tensors pass."""
    if type(value).__module__ == "torch":
        return
    number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        fits = (number or isinstance(value, str)) and holds(value)
    except TypeError:  # a text where a number is compared
        fits = False
    if not fits:
        raise OutOfRange(name, value, wanted)


def require_whole(name: str, value: Any, least: int, what: str) -> None:
    """Raises ``ValueError`` unless ``value`` is a whole number of at least ``least``. Per-cell tensors pass."""
    if type(value).__module__ == "torch":
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{name} = {value!r} was asked for; {name} is {what} and must be a whole number of at least {least}"
        )
