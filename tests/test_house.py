"""The house rules that a machine can check: arrows between rooms, docstrings, and what an import loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lemmata

ROOT = Path(lemmata.__file__).parent
LEVELS = [
    {"check", "compiled"},
    {"cells"},
    {"data", "nets", "objectives", "probes"},
    {"dynamics"},
    {"sweep"},
    {"report"},
    {"experiments"},
    {"cli"},
]
ALONE = {"theory", "optim"}
FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(i for i, rooms in enumerate(LEVELS) if name in rooms)


def imported_rooms(path: Path):
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
            if parts[0] != "lemmata" or len(parts) < 2:
                continue
            public = lemmata._CONTENTS.get(parts[1])
            yield public.split(".")[1] if public else parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_go_one_way(path):
    here = room(path)
    for there in imported_rooms(path):
        if there == here or there == "__version__":
            continue
        assert there not in ALONE or here not in ALONE, f"{here} imports {there}; both stand alone"
        if here in ALONE:
            pytest.fail(f"{here} stands alone and imports {there}")
        if there not in ALONE:
            assert level(there) <= level(here), f"{here} imports {there}, against the arrows"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path}: no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import lemmata", ("torch", "xarray", "zarr", "matplotlib")),
        ("from lemmata.optim import AdamPP", ("lemmata.cells", "lemmata.sweep", "lemmata.dynamics", "xarray")),
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
