"""One run as one HTML file that opens from a mail: claims, figures, provenance, and the command that makes it again.

Everything is inside the file and readable without JavaScript; the same run gives the same bytes. What was stored is
data and never markup: all of it is escaped.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from matplotlib.figure import Figure

import lemmata
from lemmata.report.style import styled
from lemmata.report.tables import HEADINGS, Row, verdict_word

DPI = 110
"""Dots per inch of a figure in a page."""

_CLASSES = {True: "holds", False: "fails", None: "open"}
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #ffffff; --soft: #595959; --line: #c8c8c8;
  --holds: #00664a; --fails: #a61c00; --open: #6b5300; --link: #00558c; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --paper: #16181b; --soft: #b0b0b0; --line: #4a4d52;
  --holds: #5fd3a8; --fails: #ff9a80; --open: #e8c766; --link: #7cc4ff; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.5rem; max-width: 78rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .6rem; }
p.lead { font-size: 1.1rem; margin: .2rem 0; } .soft { color: var(--soft); }
a { color: var(--link); } a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); }
.holds { color: var(--holds); font-weight: 600; } .fails { color: var(--fails); font-weight: 700; }
.open { color: var(--open); font-weight: 600; } td.holds, td.fails, td.open { white-space: nowrap; }
figure { margin: 0 0 1.5rem; } figure img { max-width: 100%; height: auto; background: #fff; }
pre { overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  border: 1px solid var(--line); padding: .7rem; font-size: .85rem; }
.bokeh { color-scheme: light; background: #fff; color: #1b1b1b; padding: .7rem; overflow-x: auto; }
@media print { details { display: block; } }
"""


@dataclass(frozen=True)
class Page:
    """What a page says of one run.

    Args:
        title: the experiment's name.
        sentence: what it shows.
        source: whose result it is.
        verdicts: every claim, as it was found.
        figures: drawn as the house draws them, by name.
        interactive: HTML of a map that can be played with; empty where there is none.
        scripts: JavaScript that it needs, of our own making or a library's.
        command: what makes the run again.
        provenance: what ran, when and where, by name.
        configuration: the whole configuration, as JSON text.
        cite: what to cite, one line each.
    """

    title: str
    sentence: str = ""
    source: str = ""
    verdicts: Sequence[Row] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    interactive: str = ""
    scripts: str = ""
    command: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""
    cite: Sequence[str] = ()

    def html(self) -> str:
        """The whole file."""
        abstract = [row for row in self.verdicts if "abstract" in row.source.lower()]
        parts = [
            f"<h1>{escape(self.title)}</h1>",
            f'<p class="lead">{escape(self.sentence)}</p>' if self.sentence else "",
            f'<p class="soft">{escape(self.source)}</p>' if self.source else "",
            _section("Claims", claims_table(self.verdicts)),
            _section("Sentences of the abstract", _abstract_table(abstract)) if abstract else "",
            _section("Figures", "".join(_figure(name, figure) for name, figure in self.figures.items())),
            _section("Look for yourself", f'<div class="bokeh">{self.interactive}</div>') if self.interactive else "",
            _section("Run it again", f"<pre>{escape(self.command)}</pre>" if self.command else ""),
            _section("Where it comes from", _pairs(self.provenance)),
            _details("Configuration", self.configuration),
            _section("How to cite", "".join(f"<p>{escape(line)}</p>" for line in self.cite)),
        ]
        return document(self.title, "\n".join(filter(None, parts)), self.scripts)


def document(title: str, body: str, scripts: str = "") -> str:
    """An HTML file around ``body``, which asks nothing of any other host."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"
    policy += "; script-src 'unsafe-inline' 'unsafe-eval'" if scripts else ""
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="lemmata {escape(lemmata.__version__)}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    return f"{head}\n<body><main>\n{body}\n</main>\n{scripts}</body></html>\n"


def claims_table(verdicts: Sequence[Row]) -> str:
    """Every claim with what was measured, predicted and allowed; what fails is said in words and in colour."""
    if not verdicts:
        return "<p>No claim was tested on this run.</p>"
    rows = []
    for row in verdicts:
        note = f'<br><span class="soft">{escape(row.detail)}</span>' if row.detail else ""
        cells = [escape(text) for text in (row.measured, row.predicted, row.tolerance)]
        rows.append(
            f"<tr><td>{escape(row.statement)}{note}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}"
            f"{_verdict(row.holds)}<td>{escape(row.source)}</td></tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in HEADINGS)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


@styled
def png(figure: Figure, dpi: int = DPI) -> bytes:
    """A figure as PNG; the same figure gives the same bytes."""
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=dpi, metadata={"Software": f"lemmata {lemmata.__version__}"})
    return written.getvalue()


def _verdict(holds: bool | None) -> str:
    return f'<td class="{_CLASSES[holds]}">{verdict_word(holds)}</td>'


def _abstract_table(rows: Sequence[Row]) -> str:
    lines = [f"<tr><td>{escape(row.statement)}</td>{_verdict(row.holds)}</tr>" for row in rows]
    head = '<th scope="col">sentence, as it was made measurable</th><th scope="col">verdict</th>'
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _figure(name: str, figure: Figure) -> str:
    title = figure.get_suptitle() or name.replace("_", " ")
    data = base64.b64encode(png(figure)).decode()
    source = f"data:image/png;base64,{data}"
    return f'<figure><img src="{source}" alt="{escape(title)}"><figcaption>{escape(title)}</figcaption></figure>'


def _pairs(pairs: Mapping[str, str]) -> str:
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in pairs.items())
    return f"<table><tbody>{rows}</tbody></table>" if rows else ""


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def _details(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>" if text else ""
