"""The table of claims: statement, measured, predicted, allowed, verdict, source; for the console and for Markdown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
_STYLES = {True: "green", False: "bold red", None: "yellow"}


def verdict_word(holds: bool | None) -> str:
    """``holds``, ``FAILS`` or ``not measurable``."""
    return _WORDS[holds]


def console_table(rows: Sequence[Row], title: str = "") -> "Table":
    """A rich table of the verdicts, readable at 80 columns.

    The source stands under its claim, and so does the detail of a claim that does not hold.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, expand=True)
    for heading, ratio in (("verdict", 14), ("claim", 32), ("measured", 24), ("predicted", 15), ("allowed", 15)):
        table.add_column(heading, overflow="fold", ratio=ratio)
    for row in rows:
        claim, measured, predicted, allowed, verdict, source = (escape(text) for text in _texts(row))
        notes = [source, *([escape(row.detail)] if row.detail and row.holds is not True else [])]
        claim += "".join(f"\n[dim]{note}[/dim]" for note in notes)
        table.add_row(f"[{_STYLES[row.holds]}]{verdict}[/]", claim, measured, predicted, allowed)
    return table


def markdown_table(rows: Sequence[Row]) -> str:
    """The same table for a README; no line break at the end."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *map(_texts, rows)]
    return "\n".join(
        "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in line) + " |" for line in lines
    )


def _texts(row: Row) -> list[str]:
    return [row.statement, row.measured, row.predicted, row.tolerance, verdict_word(row.holds), row.source]
