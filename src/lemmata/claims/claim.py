"""A claim is a statement made measurable: a predicate on a dataset, with the numbers measured beside those expected.

A predicate is a function dataset → :class:`Finding`; ``@claim("statement", "source")`` above it makes it a
:class:`Claim` whose name is the function's, with hyphens. Where the dataset cannot decide, it raises
:class:`NotMeasurable`; what :func:`note` says while it runs (how many cells were left out) ends in its detail.
"""

import json
import re
import warnings
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace

import numpy as np
import xarray as xr

Predicate = Callable[[xr.Dataset], "Finding"]
_NOTES: ContextVar[list[str] | None] = ContextVar("notes", default=None)


class NotMeasurable(Exception):
    """Raised by a predicate when the dataset cannot decide the claim; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a predicate found. The texts go into tables as they are; a tolerance writes them, see ``tolerance.py``."""

    holds: bool | None
    """``None``: the dataset cannot decide, or an interval reaches over the limit."""
    measured: str = ""
    predicted: str = ""
    tolerance: str = ""
    detail: str = ""
    """One sentence more: where the worst cell is, how many cells were left out."""


@dataclass(frozen=True, kw_only=True)
class Verdict(Finding):
    """A finding together with the claim it is about."""

    claim: str
    statement: str
    source: str


@dataclass(frozen=True)
class Claim:
    """A statement and the predicate that tests it; made by :func:`claim`, and callable as the predicate itself.

    Args:
        name: short, with hyphens, unique within an experiment.
        statement: one sentence in plain words.
        source: where it is stated ("Shang et al. 2024, abstract"), or "derived here".
        predicate: dataset → :class:`Finding`; raises :class:`NotMeasurable` where the dataset cannot decide.
        sizes: sizes at which it can show; at others it is reported as not measurable.
        known: why it fails, in one clause, where that is known; said with the verdict when it does.
    """

    name: str
    statement: str
    source: str
    predicate: Predicate
    sizes: tuple[str, ...] = ("laptop", "paper")
    known: str = ""

    def __call__(self, dataset: xr.Dataset) -> Finding:
        """What the predicate finds."""
        return self.predicate(dataset)

    def check(self, dataset: xr.Dataset, size: str | None = None) -> Verdict:
        """The verdict on a dataset that was run at ``size``; never raises :class:`NotMeasurable`."""
        notes: list[str] = []
        if size is not None and size not in self.sizes:
            finding = Finding(holds=None, detail=f"shows at size {' or '.join(self.sizes)}, this is {size}")
        else:
            collecting = _NOTES.set(notes)
            try:
                # Cells left out are NaN on purpose; numpy's warnings about means of nothing say nothing new.
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)
                    finding = self.predicate(dataset)
            except NotMeasurable as reason:
                finding = Finding(holds=None, detail=str(reason))
            except KeyError as missing:
                finding = Finding(holds=None, detail=not_run(missing))
            finally:
                _NOTES.reset(collecting)
        said = [text for text in dict.fromkeys(notes) if text not in finding.detail]
        known = f"known: {self.known}" if self.known and finding.holds is False else ""
        finding = replace(finding, detail="; ".join(filter(None, [known, finding.detail, *said])))
        # Verdicts are stored as JSON, which knows no numpy.bool.
        found = {**asdict(finding), "holds": None if finding.holds is None else bool(finding.holds)}
        return Verdict(claim=self.name, statement=self.statement, source=self.source, **found)


def claim(
    statement: str,
    source: str,
    sizes: tuple[str, ...] = ("laptop", "paper"),
    *,
    name: str | None = None,
    known: str = "",
) -> Callable[[Predicate], Claim]:
    """Decorator: the predicate below becomes a :class:`Claim`, named after it with hyphens for underscores.

        @claim("at fixed κ the test error does not depend on d", "Kou et al. 2023")
        def dimension_drops_out(data):
            return alike(1.25, usable(data).test_error.mean("seed"), over="d")

    Args:
        statement, source, sizes, known: see :class:`Claim`.
        name: where several claims share one predicate made by a function.
    """

    def made(predicate: Predicate) -> Claim:
        own = name or predicate.__name__.strip("_").replace("_", "-")
        return Claim(own, statement, source, predicate, tuple(sizes), known)

    return made


def not_run(missing: KeyError) -> str:
    """What a selection by label did not find, as a sentence; any other KeyError is a mistake and is raised again."""
    found = re.search(r"not all values found in index '(\w+)'", str(missing))
    if found is None:
        raise missing
    return f"needs values of {found[1]} that are not among those run"


def note(text: str) -> None:
    """Say something in the detail of the claim that is being checked; outside of a check nothing happens."""
    notes = _NOTES.get()
    if notes is not None and text:
        notes.append(text)


def verdicts_to_json(verdicts: Iterable[Verdict]) -> str:
    """For a dataset's attribute ``verdicts``."""
    return json.dumps([asdict(verdict) for verdict in verdicts], ensure_ascii=False)


def verdicts_from_json(text: str) -> list[Verdict]:
    """The inverse of :func:`verdicts_to_json`."""
    return [Verdict(**fields) for fields in json.loads(text)]
