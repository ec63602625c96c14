"""Loading an experiment that a card names: the one dynamic arrow of the house."""

import dataclasses
import importlib
import os
import sys
from pathlib import Path

from lemmata.lab.card import Card
from lemmata.lab.cards import card
from lemmata.lab.experiment import Experiment


def load(found: Card) -> Experiment:
    """The experiment that a card names, with the card on it.

    The folder of a user's file is put on the path, here and for processes started later, so that workers find its
    classes.

    Raises:
        ValueError: what the card names is no experiment. Whatever loading the file raises is passed on.
    """
    if found.path is not None:
        _on_path(found.path)
    module, _, attribute = found.module.partition(":")
    try:
        experiment = getattr(importlib.import_module(module), attribute or "EXPERIMENT", None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ValueError(f"{found.name} is in the module {module}, which is not installed") from None
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"{found.path or module} holds {experiment!r} as its EXPERIMENT; write EXPERIMENT = Experiment(...)"
        )
    return dataclasses.replace(experiment, card=found)


def find(name: str) -> Experiment:
    """The experiment of a name or of the path of a file; see :func:`card` and :func:`load`."""
    return load(card(name))


def _on_path(path: Path) -> None:
    folder, loaded = str(path.parent), sys.modules.get(path.stem)
    if loaded is not None and Path(getattr(loaded, "__file__", None) or "").resolve() != path:
        where = getattr(loaded, "__file__", None) or "Python itself"
        raise ValueError(f"{path} is called like the module {path.stem} of {where}; give the file another name")
    if folder not in sys.path:
        sys.path.insert(0, folder)
        parts = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(parts)
