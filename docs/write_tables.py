"""Writes the tables of claims of these pages from stored runs: a section `## Title: `NAME`` gets the verdicts of NAME.

    python docs/write_tables.py results          # results/NAME/data.zarr, made by `lemmata run NAME --size laptop`

A section without a run keeps its table, and is named. Figures are copied where the page shows one of the run's. A table
of the abstract puts the page's own rows beside the sentences on the paper's card.
"""

import importlib
import re
import shutil
import sys
from pathlib import Path

from lemmata.lab import Sentence
from lemmata.lab.cards import cards
from lemmata.lab.find import find
from lemmata.lab.run_folder import conclusions, finished
from lemmata.report.tables import markdown_table

HERE = Path(__file__).parent
SECTION = re.compile(r"^## .*?: `([a-z0-9-]+)`.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ABSTRACT = re.compile(r"^\| the abstract says \|.*?(?=^\s*$|\Z)", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^\| claim \| measured \|.*?(?=^\s*$|\Z)", re.MULTILINE | re.DOTALL)


def section_with_table(section: str, name: str, results: Path) -> str:
    """The section with its first table of claims, and its figures, from the run of that name."""
    if not (results / name / "data.zarr").exists():
        print(f"{name}: no run in {results}, its table stays")
        return section
    experiment, size, dataset = finished(results / name)
    _, verdicts = conclusions(experiment, dataset, size)
    table = markdown_table(verdicts) + "\n"
    for shown in re.findall(r"\]\(figures/([^)]+)\.png\)", section):
        for drawn in results.joinpath(name).glob("*.png"):
            if shown == drawn.stem or shown.endswith("_" + drawn.stem) or shown.startswith(drawn.stem + "_"):
                shutil.copy(drawn, HERE / "figures" / f"{shown}.png")
    return TABLE.sub(lambda _: table, section, count=1)


def sentences(text: str) -> tuple[Sentence, ...]:
    """Those of the paper that a page is about: the one of its first experiment."""
    known = cards()
    name = next(found[1] for found in SECTION.finditer(text) if found[1] in known)
    module = importlib.import_module(known[name].module.rpartition(".")[0])
    found: tuple[Sentence, ...] = module.ABSTRACT
    return found


def abstract_table(text: str) -> str:
    """Every sentence of the abstract beside its claims as the page's tables have them."""
    rows = {}
    for section in SECTION.finditer(text):
        table = TABLE.search(section[0])
        for line in table[0].strip().split("\n")[2:] if table else ():
            statement, measured, _, allowed, verdict, _ = re.split(r" (?<!\\)\| ", line.strip().strip("|").strip())
            rows[section[1], statement] = (measured, allowed, verdict)
    lines = ["| the abstract says | claim | measured | allowed | verdict |", "| --- | --- | --- | --- | --- |"]
    for sentence in sentences(text):
        said = sentence.says + (f" ({sentence.because})" if sentence.because else "")
        for named in sentence.claims:
            experiment, _, name = named.partition("/")
            (claim,) = (claim for claim in find(experiment).claims if claim.name == name)
            statement = claim.statement.replace("|", "\\|")
            lines.append(
                " | ".join([f"| {said}", f"{statement} (`{experiment}`)", *rows[experiment, statement]]) + " |"
            )
            said = ""
        if not sentence.claims:
            lines.append(f"| {sentence.says} | not testable here, because {sentence.because} | | | |")
    return "\n".join(lines) + "\n"


def main(results: Path) -> None:
    """Rewrite all pages."""
    known = cards()
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text()
        new = SECTION.sub(
            lambda found: section_with_table(found[0], found[1], results) if found[1] in known else found[0], text
        )
        if ABSTRACT.search(new):
            new = ABSTRACT.sub(lambda _, page=new: abstract_table(page), new, count=1)
        if new != text:
            page.write_text(new)
            print(f"{page.name}: written")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
