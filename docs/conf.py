"""The site: pages are plain Markdown; those with Python in them are executed when the site is built.

A page reads the same where it is stored: on their way into Sphinx its blocks of Python become cells of a notebook, run
one after another in one kernel.
"""

import re
from pathlib import Path
from typing import Any

import lemmata

project, author, release = "Lemmata", "The Lemmata authors", lemmata.__version__
copyright = "The Lemmata authors, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
html_theme, html_title = "furo", "Lemmata"
html_static_path: list[str] = []

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"  # a page whose cells did not change is not run again
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True
napoleon_google_docstring = True

_NOTEBOOK = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n"
_INLINE = "```{code-cell} ipython3\n:tags: [remove-cell]\n%matplotlib inline\n```\n\n"  # a figure is shown as a picture
_OUTSIDE = re.compile(r"\]\(((?:\.\./)+)([\w./-]+?)(#[\w-]*)?\)")
HERE = Path(__file__).parent


def _cells(app: Any, name: str, source: list[str]) -> None:
    text = source[0]
    if "```python\n" in text and not text.startswith("---\n"):
        text = text.replace("```python\n", _INLINE + "```{code-cell} ipython3\n", 1)
        text = _NOTEBOOK + text.replace("```python\n", "```{code-cell} ipython3\n")
    if name == "gallery":
        text += _gallery()
    page = (HERE / name).parent
    source[0] = _OUTSIDE.sub(lambda link: _reached(page, link), text)


def _reached(page: Path, link: re.Match[str]) -> str:
    """A link to a page or file of the site stays; one to a file of the repository names it."""
    target = (page / link[1] / link[2]).resolve()
    if target.is_relative_to(HERE):
        return link[0]
    if not target.exists():
        raise FileNotFoundError(f"{page} points to {link[2]}, which is not there")
    return f"](<path:{link[1]}{link[2]}>)"


def _gallery() -> str:
    """Every figure of every page, under the page's title."""
    parts = []
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text()
        shown = re.findall(r"!\[([^\]]*)\]\((figures/[^)]+)\)", text) if page.stem != "index" else []
        if shown:
            pictures = "\n\n".join(f"[![{what}]({figure})]({page.name})" for what, figure in shown)
            parts.append(f"## [{text.splitlines()[0][2:]}]({page.name})\n\n{pictures}\n")
    return "\n".join(parts)


_SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:", "Yields:", "Example:")


def _plain(app: object, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text: indented lines are shown as they stand, bars are absolute values."""
    said, literal, section = [], False, False
    for line in lines:
        indented = line.startswith("    ")
        section = line.strip() in _SECTIONS or (section and (indented or not line))
        if indented and not section and not literal and said and not said[-1]:
            said += ["::", ""]
        literal = (indented or (literal and not line)) and not section
        said.append(line if literal else re.sub(r"([|]|_(?=\W))", r"\\\1", line))
    lines[:] = said


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _cells)
    app.connect("autodoc-process-docstring", _plain, priority=100)
