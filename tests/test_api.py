"""The public names are those that docs/api.md lists: none vanishes, none appears, without the page saying so."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import lemmata

ROOT = Path(__file__).parent.parent
SECTIONS = re.findall(
    r"^## `([\w.]+)`: (?:stable|provisional)\n(.*?)(?=^## )", (ROOT / "docs/api.md").read_text(), re.M | re.S
)


@pytest.mark.parametrize(("room", "text"), SECTIONS, ids=[room for room, _ in SECTIONS])
def test_a_rooms_names_are_those_of_the_page(room, text):
    module = importlib.import_module(room)
    assert sorted(re.findall(r"`(\w+)`", text)) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_public_room_is_on_the_page():
    assert [room for room, _ in SECTIONS] == [
        "lemmata", "lemmata.optim", "lemmata.robust", "lemmata.claims", "lemmata.sweep", "lemmata.lab",
    ]  # fmt: skip


def test_an_old_name_warns_and_gives_the_new_one(monkeypatch):
    monkeypatch.setitem(lemmata.RENAMED, "Training", ("Run", "0.9"))
    with pytest.warns(DeprecationWarning, match=r"lemmata.Training is called lemmata.Run and goes in 0.9"):
        assert lemmata.Training is lemmata.Run


def test_the_version_is_said_once_and_cited():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    assert f"version: {lemmata.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {lemmata.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_dependency_has_its_licence_listed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.match(r"[\w-]+", one)[0] for one in asked} - {"lemmata"}
    listed = set(re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs/licences.md").read_text(), re.M))
    assert listed == names


def test_every_paper_is_cited():
    cited = (ROOT / "CITATION.cff").read_text()
    for paper in (ROOT / "src/lemmata/papers").iterdir():
        if (paper / "__init__.py").exists():
            found = importlib.import_module(f"lemmata.papers.{paper.name}")
            assert f"arXiv:{found.PAPER.arxiv}" in cited
