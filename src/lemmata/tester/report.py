"""What a study found: verdicts with intervals, where a conjecture fails, how it was looked at."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Claim, Finding
from lemmata.tester.conjecture import WORDS, Judgement, Row
from lemmata.tester.figure import draw
from lemmata.tester.looks import Layout


@dataclass(frozen=True)
class Outcome:
    """One conjecture's end.

    Args:
        statement: the conjecture in one line.
        judgement: at the last look.
        looks: (seeds, verdict) of every look.
        reason: why it is undecided, where that is not its intervals.
    """

    statement: str
    judgement: Judgement
    looks: tuple[tuple[int, str], ...]
    reason: str = ""

    @property
    def holds(self) -> bool | None:
        """True: consistent; False: refuted; None: undecided."""
        return None if self.reason else self.judgement.holds

    @property
    def word(self) -> str:
        """``consistent``, ``refuted`` or ``undecided``."""
        return WORDS[self.holds]


@dataclass(frozen=True)
class Report:
    """The end of a study.

    Args:
        outcomes: one per conjecture.
        layout: looks and α that were laid out.
        cells: how many ran, by stage.
        seconds: time they took.
        dropped: seeds left out because a cell of theirs did not count.
        confirmatory: no seed had been looked at for another conjecture.
        notes: assumptions of the whole study.
    """

    outcomes: tuple[Outcome, ...]
    layout: Layout
    cells: dict[str, int]
    seconds: float
    dropped: int = 0
    confirmatory: bool = True
    notes: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool | None:
        """False if any conjecture is refuted, True if all are consistent, else None."""
        found = [outcome.holds for outcome in self.outcomes]
        return False if False in found else True if all(found) else None

    @property
    def dataset(self) -> xr.Dataset:
        """Measurements of the first conjecture, labelled, with rows and verdicts as attributes."""
        return self.datasets[0]

    @property
    def datasets(self) -> tuple[xr.Dataset, ...]:
        """Measurements of every conjecture."""
        return tuple(
            outcome.judgement.dataset.assign_attrs(
                statement=outcome.statement,
                verdict=outcome.word,
                rows=[
                    f"{row.name} {row.value!r} [{row.low!r}, {row.high!r}] {row.word}" for row in outcome.judgement.rows
                ],
            )
            for outcome in self.outcomes
        )

    def __str__(self) -> str:
        parts = [_text(outcome, self.layout) for outcome in self.outcomes]
        share = f"α = {self.layout.alpha:g} over {len(self.layout.looks)} looks laid out beforehand"
        if len(self.outcomes) > 1:
            share += f", shared by {len(self.outcomes)} conjectures (Holm)"
        total = sum(self.cells.values())
        explored = self.cells.get("explore", 0)
        end = [f"{share}; {total} cells ({explored} of them to explore, on seeds of their own), {self.seconds:.1f} s"]
        if self.dropped:
            end.append(f"{self.dropped} seeds left out: a cell of theirs diverged or did not end")
        if not self.confirmatory:
            end.append("NOT CONFIRMATORY: its seeds had been looked at before")
        return "\n".join([*parts, *end, *self.notes])

    def as_claim(self, name: str, source: str = "derived here") -> Claim:
        """The outcome as a claim, for a table of claims; one row per conjecture's worst number."""

        def predicate(dataset: xr.Dataset) -> Finding:
            return self.finding()

        return Claim(name, "; ".join(outcome.statement for outcome in self.outcomes), source, predicate)

    def finding(self) -> Finding:
        """The outcome as a line of a table of claims."""
        rows = [row for outcome in self.outcomes for row in outcome.judgement.rows if row.counts]
        examples = [text for outcome in self.outcomes for text in outcome.judgement.counterexamples]
        reasons = [outcome.reason for outcome in self.outcomes if outcome.reason]
        seeds = max((looks[-1][0] for looks in (outcome.looks for outcome in self.outcomes) if looks), default=0)
        return Finding(
            holds=self.holds,
            measured="; ".join(f"{row.name} {row.value:.4g} [{row.low:.4g}, {row.high:.4g}]" for row in rows[:6]),
            predicted="; ".join(f"{row.name} {row.expected}" for row in rows[:6] if row.expected),
            tolerance="whole interval inside",
            detail="; ".join(
                [*examples, *reasons, f"{seeds} fresh seeds", *([] if self.confirmatory else ["not confirmatory"])]
            ),
        )

    def plot(self) -> dict[str, Figure]:
        """Figures by file name, one per conjecture, see :mod:`lemmata.tester.figure`."""
        return {
            f"conjecture-{number}" if len(self.outcomes) > 1 else "conjecture": draw(
                f"{one.statement}: {one.word}", one.judgement
            )
            for number, one in enumerate(self.outcomes, start=1)
        }

    def to_json(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "outcomes": [
                {
                    "statement": outcome.statement,
                    "verdict": outcome.word,
                    "rows": [asdict(row) for row in outcome.judgement.rows],
                    "counterexamples": list(outcome.judgement.counterexamples),
                    "notes": list(outcome.judgement.notes),
                    "looks": [list(look) for look in outcome.looks],
                    "reason": outcome.reason,
                }
                for outcome in self.outcomes
            ],
            "looks": list(self.layout.looks),
            "alpha": self.layout.alpha,
            "cells": self.cells,
            "seconds": self.seconds,
            "dropped": self.dropped,
            "confirmatory": self.confirmatory,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Report":
        """The inverse, without the measurements."""
        outcomes = [
            Outcome(
                one["statement"],
                Judgement(tuple(Row(**row) for row in one["rows"]), tuple(one["counterexamples"]), tuple(one["notes"])),
                tuple((seeds, word) for seeds, word in one["looks"]),
                one["reason"],
            )
            for one in stored["outcomes"]
        ]
        return cls(
            tuple(outcomes),
            Layout(tuple(stored["looks"]), stored["alpha"]),
            stored["cells"],
            stored["seconds"],
            stored["dropped"],
            stored["confirmatory"],
            tuple(stored["notes"]),
        )


def _text(outcome: Outcome, layout: Layout) -> str:
    rows = [("", "estimate", "interval", "expected", "verdict"), *map(_cells, outcome.judgement.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    told = [f"counter-example: {text}" for text in outcome.judgement.counterexamples]
    looks = " → ".join(f"{seeds} seeds: {word}" for seeds, word in outcome.looks)
    reason = [f"undecided: {outcome.reason}"] if outcome.reason else []
    if outcome.holds is None and outcome.looks and not reason:
        left = [str(count) for count in layout.looks if count > outcome.looks[-1][0]]
        more = f"looks at {', '.join(left)} seeds are left for more budget" if left else "all its looks are spent"
        reason = [f"undecided: intervals reach over the tolerance; {more}"]
    return "\n".join(
        [
            f"{outcome.statement}: {outcome.word.upper()}",
            *lines,
            *told,
            *reason,
            *outcome.judgement.notes,
            f"looks {looks}",
        ]
    )


def _cells(row: Row) -> Sequence[str]:
    per_cent = row.name == "form" or row.expected.startswith("×")
    number = "{:+.2%}" if per_cent else "{:+.4f}" if abs(row.value) < 1e3 else "{:+.4g}"
    value, low, high = (number.format(part) for part in (row.value, row.low, row.high))
    return (row.name, value, f"[{low}, {high}]", row.expected, row.word)
