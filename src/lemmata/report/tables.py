"""The table of claims: statement, measured, predicted, allowed, verdict, source; for the console and for Markdown."""

from collections.abc import Sequence
from typing import Protocol

from rich import box
from rich.markup import escape
from rich.table import Table


class Row(Protocol):
    """What a table needs of a verdict; all but ``holds`` are texts ready to print."""

    @property
    def statement(self) -> str: ...
    @property
    def holds(self) -> bool | None: ...
    @property
    def measured(self) -> str: ...
    @property
    def predicted(self) -> str: ...
    @property
    def tolerance(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def source(self) -> str: ...


HEADINGS = ("claim", "measured", "predicted", "allowed", "verdict", "source")
_WORDS = {True: "holds", False: "FAILS", None: "not measurable"}
_ORDER = {True: 0, False: 1, None: 2}
_STYLES = {True: "green", False: "bold red", None: "yellow"}


def verdict_word(holds: bool | None) -> str:
    """``holds``, ``FAILS`` or ``not measurable``."""
    return _WORDS[holds]


def console_table(rows: Sequence[Row], title: str = "") -> Table:
    """A rich table of the verdicts that breaks no word at 80 columns: what holds first, then what fails, then the rest.

    Under a claim stand its source and, where it does not hold, the detail.
    """
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, expand=True)
    table.add_column("verdict", width=14, no_wrap=True)
    table.add_column("claim", ratio=5)
    table.add_column("measured, predicted, allowed", ratio=5)
    for row in sorted(rows, key=lambda row: _ORDER[row.holds]):
        claim, measured, predicted, allowed, verdict, source = (escape(text) for text in _texts(row))
        notes = [source, *([escape(row.detail)] if row.detail and row.holds is not True else [])]
        found = [
            f"[dim]{word}[/dim] {text}"
            for word, text in zip(("", "predicted", "allowed"), (measured, predicted, allowed))
            if text
        ]
        claim += "".join(f"\n[dim]{note}[/dim]" for note in notes)
        table.add_row(
            f"[{_STYLES[row.holds]}]{verdict}[/]", claim, "\n".join(part.removeprefix("[dim][/dim] ") for part in found)
        )
    return table


def markdown_table(rows: Sequence[Row]) -> str:
    """The same table for a README; no line break at the end."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *map(_texts, rows)]
    return "\n".join(
        "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in line) + " |" for line in lines
    )


def _texts(row: Row) -> list[str]:
    return [row.statement, row.measured, row.predicted, row.tolerance, verdict_word(row.holds), row.source]
