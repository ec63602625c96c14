"""How an experiment is described, found and run. A name is imported when first used: a card loads nothing else."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_CONTENTS = {
    "Card": "lemmata.lab.card",
    "Entry": "lemmata.lab.card",
    "Paper": "lemmata.lab.card",
    "Sentence": "lemmata.lab.card",
    "Size": "lemmata.lab.size",
    "Explore": "lemmata.lab.explore",
    "Experiment": "lemmata.lab.experiment",
    "ALL": "lemmata.lab.card",
}

__all__ = [*_CONTENTS]

if TYPE_CHECKING:
    from lemmata.lab.card import ALL as ALL
    from lemmata.lab.card import Card as Card
    from lemmata.lab.card import Entry as Entry
    from lemmata.lab.card import Paper as Paper
    from lemmata.lab.card import Sentence as Sentence
    from lemmata.lab.experiment import Experiment as Experiment
    from lemmata.lab.explore import Explore as Explore
    from lemmata.lab.size import Size as Size


def __getattr__(name: str) -> Any:
    if name not in _CONTENTS:
        raise AttributeError(f"lemmata.lab has no {name!r}; its names are {', '.join(_CONTENTS)}")
    return getattr(import_module(_CONTENTS[name]), name)
