"""A conjecture as a sentence, as it is typed on the command line.

test_error = 0.1 at signal = C * n**a * d**b             a threshold: Q = LEVEL at AXIS = LAW
loss = C * k**a where k >= 1000                          a scaling: Q = LAW [where CONDITION]
test_error <= exp(-kappa / 1.7) where kappa >= 1         a bound: Q <= FORMULA [where CONDITION]
test_error collapses on n * signal**4 / d along signal   a collapse: Q collapses on FORMULA along AXIS
test_error does not depend on d where kappa <= 4         an invariance: Q does not depend on AXIS [where ...]
error is lower with start = simclr than with direct      an order: Q is lower with AXIS = A than with B [where ...]
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lemmata.tester.bound import Bound
from lemmata.tester.collapse import Collapse
from lemmata.tester.conjecture import Conjecture
from lemmata.tester.expression import Expression
from lemmata.tester.invariance import Invariance
from lemmata.tester.law import Law
from lemmata.tester.order import Order
from lemmata.tester.scaling import Scaling
from lemmata.tester.threshold import Threshold

_NAME = r"[A-Za-z_]\w*"
_FORMS: dict[Any, str] = {
    Threshold: rf"(?P<of>{_NAME}) = (?P<at>[\d.eE+-]+) at (?P<along>{_NAME}) = (?P<law>.+)",
    Collapse: rf"(?P<of>{_NAME}) collapses on (?P<against>.+) along (?P<along>{_NAME})",
    Invariance: rf"(?P<of>{_NAME}) does not depend on (?P<to>{_NAME})",
    Order: rf"(?P<of>{_NAME}) is lower with (?P<along>{_NAME}) = (?P<lower>\S+) than with (?P<higher>\S+)",
    Bound: rf"(?P<of>{_NAME}) <= (?P<bound>.+)",
    Scaling: rf"(?P<of>{_NAME}) = (?P<law>.+)",
}
FORMS = (
    "Q = LEVEL at AXIS = LAW; Q = LAW where CONDITION; Q <= FORMULA where CONDITION; Q collapses on FORMULA along "
    "AXIS; Q does not depend on AXIS; Q is lower with AXIS = A than with B"
)


def parse(sentence: str, options: Mapping[str, Any]) -> Conjecture:
    """The conjecture of a sentence.

    Args:
        options: further fields by name, e.g. ``expect``, ``tolerance``, ``statistic``; those a kind does not have are
            refused.

    Raises:
        ValueError: it has none of the forms, or an option is not the kind's.
    """
    words = " ".join(sentence.split())
    said, _, where = words.partition(" where ")
    for kind, form in _FORMS.items():
        found = re.fullmatch(form, said)
        if found is None:
            continue
        fields: dict[str, Any] = found.groupdict()
        known = {one.name for one in dataclasses.fields(kind)}
        if where:
            if "where" not in known:
                raise ValueError(f"{sentence!r}: a {kind.__name__.lower()} has no range; choose the values of its axes")
            fields["where"] = where
        if kind is Threshold:
            fields["at"] = float(fields["at"])
        if kind is Order:
            fields |= {name: _value(fields[name]) for name in ("lower", "higher")}
        for name, value in options.items():
            if name not in known:
                raise ValueError(f"--{name.replace('_', '-')} was given; {kind.__name__} has no such option")
            fields[name] = value
        return kind(**fields)
    raise ValueError(f"{sentence!r} is none of the forms: {FORMS}")


def names_of(conjecture: Conjecture, known: Sequence[str]) -> tuple[str, ...]:
    """Parameters that a conjecture names, of those that are known: the axes it needs, but the one it runs along."""
    texts = [getattr(conjecture, name, None) for name in ("bound", "against", "correction")]
    found = [name for text in texts if text for name in Expression(text).names]
    if where := getattr(conjecture, "where", None):
        found += Expression(where, condition=True).names
    if law := getattr(conjecture, "law", None):
        found += Law.parse(law, known).axes
    found += [getattr(conjecture, "to", "")]
    along = getattr(conjecture, "along", "")
    if isinstance(conjecture, Order):
        return tuple(dict.fromkeys(name for name in (along, *found) if name in known))
    return tuple(dict.fromkeys(name for name in found if name in known and name != along))


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
