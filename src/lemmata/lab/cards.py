"""Cards: every experiment there is, by a name, by an entry point, or by the path of a user's own file.

Reading cards loads none of what they name, so that one broken file breaks one experiment.
"""

import ast
import difflib
import importlib
import importlib.metadata
import os
import pkgutil
from pathlib import Path

from lemmata.lab.card import Card

ENTRY_POINTS = "lemmata.experiments"
"""The entry point group in which other packages name their experiments: ``name = "package.module"``."""


def cards() -> dict[str, Card]:
    """Every experiment there is, by name: those that ship, by paper, then those of other packages."""
    papers = importlib.import_module("lemmata.papers")
    found: dict[str, Card] = {}
    for info in pkgutil.iter_modules(papers.__path__):
        index = importlib.import_module(f"{papers.__name__}.{info.name}")
        for name, entry in getattr(index, "EXPERIMENTS", {}).items():
            module = f"{index.__name__}.{entry.file}"
            found[name] = Card(name, entry.sentence, index.PAPER, module, seconds=entry.seconds)
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        package = point.dist.name if point.dist else point.value
        found.setdefault(point.name, Card(point.name, f"from the package {package}", None, point.value))
    return found


def card(name: str) -> Card:
    """The card of a name, or of the path of a Python file.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    if name.endswith(".py") or os.sep in name:
        return card_of_file(Path(name))
    known = cards()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"there is no experiment {name!r}; {hint}`lemmata list` has them all, a path ends in .py")


def card_of_file(path: Path) -> Card:
    """The card of a user's own file: its name is the file's, its sentence the first of the file's docstring.

    Raises:
        ValueError: the file is not there, or is no Python with an ``EXPERIMENT``.
    """
    if not path.is_file():
        raise ValueError(f"{path} was asked for and is no file; `lemmata new NAME` writes one")
    try:
        tree = ast.parse(path.read_text())
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not Python ({error})") from None
    names = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
             if isinstance(target, ast.Name)}  # fmt: skip
    if "EXPERIMENT" not in names:
        raise ValueError(f"{path} has no EXPERIMENT; write EXPERIMENT = Experiment(...), as `lemmata new NAME` does")
    sentence = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    return Card(path.stem.replace("_", "-"), sentence, None, path.stem, path.resolve())
