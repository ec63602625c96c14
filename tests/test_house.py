"""The house rules that a machine can check: arrows between rooms, docstrings, and what an import loads."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import lemmata

ROOT = Path(lemmata.__file__).parent
ORDER = (
    *("compiled", "threads", "cells", "draws", "parameters", "status"),
    *("data", "nets", "objectives", "probes", "dynamics"),  # the exact world
    *("prompts", "modules", "loops"),  # the other world
    *("sweep", "report", "tester", "lab", "papers", "explorer", "commands", "cli", "__main__"),
)
"""A room may import those before it."""
ALONE = {"theory": set(), "optim": set(), "robust": set(), "claims": {"status"}}
"""Rooms that import nothing of Lemmata but what is named here; every room may import them."""
EXACT, OTHER = {"data", "nets", "objectives", "probes", "dynamics"}, {"prompts", "modules", "loops"}
FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path):
    """Every dotted name of Lemmata that a file imports, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "lemmata" and len(parts) > 1 and parts[1] != "__version__":
                yield [*lemmata._CONTENTS.get(parts[1], name).split("."), ""]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_go_one_way(path):
    here = room(path)
    for _, there, *_ in imports(path):
        if there == here:
            continue
        if here in ALONE:
            assert there in ALONE[here], f"{here} stands alone and imports {there}"
        elif there not in ALONE:
            assert ORDER.index(there) < ORDER.index(here), f"{here} imports {there}, against the arrows"
            assert not (here in OTHER and there in EXACT), f"{here} imports {there} of the exact world"


PAPERS = sorted(path for path in (ROOT / "papers").iterdir() if path.is_dir() and path.name != "__pycache__")


@pytest.mark.parametrize("path", sorted((ROOT / "papers").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_papers_do_not_import_each_other(path):
    paper = path.relative_to(ROOT / "papers").parts[0]
    for _, there, *rest in imports(path):
        assert there != "papers" or rest[0] == paper, f"{paper} imports {rest[0]}; papers stand side by side"
        if path.name == "theory.py":
            assert there == "theory", f"{path}: a paper's theory imports numpy and lemmata.theory alone"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path}: no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert text.count("\n") <= 300, f"{path}: over 300 lines; look for the missing concept"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{path}: {node.name} has over 60 lines"


def cpu_seconds(*command):
    """Processor time of a command, the smaller of two runs."""
    found = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def test_the_first_answer_comes_at_once():
    assert cpu_seconds(sys.executable, "-c", "import lemmata") < 0.1
    assert cpu_seconds(sys.executable, "-m", "lemmata", "--help") < 0.5


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import lemmata", ("torch", "xarray", "zarr", "matplotlib")),
        ("from lemmata.optim import AdamPP", ("lemmata.cells", "lemmata.sweep", "lemmata.dynamics", "xarray")),
        ("from lemmata.robust import SelfKnowledge", ("lemmata.cells", "lemmata.sweep", "lemmata.dynamics", "xarray")),
        ("import lemmata.cli", ("torch", "zarr", "matplotlib")),
    ],
)
def test_imports_load_no_more_than_they_need(statement, unwanted):
    code = f"{statement}; import sys; print([name for name in {unwanted!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_public_names_are_there():
    for name in lemmata.__all__:
        assert getattr(lemmata, name) is not None
    with pytest.raises(AttributeError, match="lemmata has no 'nothing'"):
        lemmata.nothing  # noqa: B018
