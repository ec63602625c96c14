"""``lemmata report``: a finished run as one HTML file, or an index of all runs. The stores are only read."""

import json
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import xarray as xr

from lemmata.commands.outcome import folder_of
from lemmata.commands.refusing import Refused, refusing
from lemmata.lab.command_line import changes_of, command_line
from lemmata.lab.experiment import Experiment
from lemmata.lab.run_folder import DATA, conclusions, drawn, finished
from lemmata.report.page import Page, document

NAME = "report.html"
"""Name of the file in the folder of a run."""
_KEPT = ("created", "lemmata", "device", "dtype", "seed_root", "wall_seconds", "size")


@click.command("report")
@click.argument("name_or_dir", required=False)
@click.option("--out", metavar="FILE", help=f"the file  [default: {NAME} in the folder of the run]")
@click.option("--all", "every", is_flag=True, help="every finished run below a folder [default: results], and an index")
def command(name_or_dir: str | None, out: str | None, every: bool) -> int:
    """One self-contained HTML file of a run: claims, figures, a map to play with, provenance, the command."""
    if every:
        return _all(Path(name_or_dir or "results"), out)
    if name_or_dir is None:
        raise click.UsageError("give a run: its folder or the name of its experiment; or --all")
    folder = folder_of(name_or_dir)
    path = Path(out) if out else folder / NAME
    with refusing():
        found = finished(folder)
    _write(path, _page(*found).html())
    return 0


def _all(root: Path, out: str | None) -> int:
    """A page for every finished run below a folder, and one that lists them."""
    rows = []
    for store in sorted(root.glob(f"**/{DATA}")):
        folder = store.parent
        with refusing():
            try:
                experiment, size, dataset = finished(folder)
            except ValueError as reason:
                rows.append(f"<tr><td>{escape(str(folder))}</td><td>{escape(str(reason))}</td><td></td></tr>")
                continue
        page = _page(experiment, size, dataset)
        _write(folder / NAME, page.html())
        link = (folder / NAME).relative_to(root).as_posix()
        verdicts = [{True: "holds", False: "FAILS", None: "not measurable"}[row.holds] for row in page.verdicts]
        counts = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts))
        name = f'<a href="{escape(link)}">{escape(str(folder.relative_to(root)))}</a>'
        rows.append(f"<tr><td>{name}</td><td>{escape(page.sentence)}</td><td>{escape(counts)}</td></tr>")
    if not rows:
        raise Refused(f"{root} holds no run; run an experiment first, or name the folder that holds the runs")
    head = "<tr><th>run</th><th>what it shows</th><th>claims</th></tr>"
    body = f"<h1>Runs</h1><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    _write(Path(out) if out else root / "index.html", document("Runs", body))
    return 0


def _page(experiment: Experiment, size: str, measured: xr.Dataset) -> Page:
    dataset, verdicts = conclusions(experiment, measured, size)
    card, html, scripts = experiment.card, "", ""
    if find_spec("bokeh"):
        from lemmata.report.interactive import interactive

        html, scripts = interactive(dataset)
    paper = card.paper if card else None
    cite = ["The Lemmata authors, Lemmata: a laboratory for deep-learning theory, version " + measured.attrs["lemmata"]]
    cite += [f"{paper.authors}, {paper.title}, arXiv {paper.arxiv}"] if paper else []
    return Page(
        title=experiment.name,
        sentence=card.sentence if card else "",
        source=f"{paper.title}. {paper}" if paper else "",
        verdicts=verdicts,
        figures=drawn(experiment, dataset),
        interactive=html,
        scripts=scripts,
        command=command_line(experiment, size, *changes_of(experiment, size, measured)),
        provenance=_provenance(measured.attrs),
        configuration=json.dumps(json.loads(measured.attrs["configuration"]), indent=1, ensure_ascii=False),
        cite=cite,
    )


def _provenance(attributes: dict[str, Any]) -> dict[str, str]:
    found = {name.replace("_", " "): str(attributes[name]) for name in _KEPT if name in attributes}
    for entry in json.loads(attributes.get("versions", "[]")):
        cells = entry.pop("cells", 0)
        found[f"{cells} cells run with"] = ", ".join(f"{name} {value}" for name, value in entry.items())
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot write {path} ({error.strerror}); name another file with --out") from error
    print(path)
