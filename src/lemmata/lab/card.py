"""A card says what an experiment is without loading it: name, paper, one sentence, how long it takes, which file.

A paper's ``__init__`` is its card index::

    PAPER = Paper("Shang, Meng, Cao, Zou 2024", "Initialization Matters: ...", "2410.19139")
    EXPERIMENTS = {
        "benign-overfitting": Entry("phase_diagram", "Test error falls where κ passes one.", laptop=13, paper=5000),
    }
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIZES = ("smoke", "laptop", "paper")
"""Seconds, for the tests; about a minute on two cores; the full thing."""
ALL = SIZES
"""For a claim that can be tested at every size."""


@dataclass(frozen=True)
class Paper:
    """Where a result was published."""

    authors: str
    title: str
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors}, arXiv {self.arxiv}"


@dataclass(frozen=True)
class Sentence:
    """A statement of a paper's abstract, in our words, and the claims that test it.

    Args:
        says: the statement.
        claims: ``"experiment/claim"`` each.
        because: why it is not tested here, or what the claims leave out.
    """

    says: str
    claims: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, init=False)
class Entry:
    """One experiment in a paper's index.

    Args:
        file: its module in the paper's folder.
        sentence: what it shows.
        seconds: size → about how long a run takes on one thread of a laptop, as keywords ``smoke``, ``laptop``, ...
    """

    file: str
    sentence: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __init__(self, file: str, sentence: str, **seconds: float):
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "sentence", sentence)
        object.__setattr__(self, "seconds", seconds)


@dataclass(frozen=True)
class Card:
    """What is known of an experiment before it is loaded.

    Args:
        name: on the command line.
        sentence: what it shows.
        paper: whose result it is; None for an experiment of no paper.
        module: where ``EXPERIMENT`` stands: a dotted name, with ``:ATTRIBUTE`` if it is called otherwise.
        path: its file, if it is a user's own.
        seconds: size → about how long a run takes.
    """

    name: str
    sentence: str
    paper: Paper | None
    module: str
    path: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
