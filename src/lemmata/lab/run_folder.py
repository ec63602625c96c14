"""The folder of a run: its store, what is concluded from it, and how the experiment is found again.

``conclude`` writes predictions and verdicts beside the measurements, once, when a run has ended. All else only reads.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import NotMeasurable, Verdict, not_run, verdicts_to_json
from lemmata.lab.card import Card
from lemmata.lab.cards import card, card_of_file
from lemmata.lab.experiment import Experiment
from lemmata.lab.find import load
from lemmata.report.style import figure_that_says
from lemmata.sweep import annotate, open_store

DATA = "data.zarr"
"""Name of the store in the folder of a run."""


def conclusions(experiment: Experiment, dataset: xr.Dataset, size: str | None) -> tuple[xr.Dataset, list[Verdict]]:
    """The dataset with its predictions, and the verdict on every claim; nothing is written."""
    # Cells that diverged are NaN, and so is what follows from them; numpy's warnings of it say nothing new.
    with np.errstate(all="ignore"):
        predicted = xr.Dataset(dict(experiment.predict(dataset)))
    # What was measured is never replaced by a prediction of the same name.
    merged = dataset.merge(predicted, compat="override", combine_attrs="override")
    return merged, [claim.check(merged, size) for claim in experiment.claims]


def drawn(experiment: Experiment, dataset: xr.Dataset) -> dict[str, Figure]:
    """The figures by file name; where the run leaves nothing to draw, one figure that says why."""
    try:
        return dict(experiment.figures(dataset))
    except NotMeasurable as reason:
        return {"nothing_to_draw": figure_that_says(f"nothing to draw: {reason}")}
    except KeyError as missing:
        return {"nothing_to_draw": figure_that_says(f"nothing to draw: {not_run(missing)}")}


def conclude(experiment: Experiment, size: str, folder: str | Path) -> tuple[xr.Dataset, list[Verdict]]:
    """Write predictions, verdicts and what the experiment is into the store of a run that has ended.

    Returns:
        As :func:`conclusions`.

    Raises:
        FileNotFoundError, ValueError, OSError: no whole sweep is there, or it cannot be written.
    """
    store = Path(folder) / DATA
    measured = open_store(store).load()
    dataset, verdicts = conclusions(experiment, measured, size)
    derived = dataset.drop_vars([*measured.data_vars, *measured.coords], errors="ignore")
    attributes: dict[str, Any] = {"experiment": experiment.name, "size": size, "verdicts": verdicts_to_json(verdicts)}
    path = experiment.card.path if experiment.card else None
    if path is not None:
        attributes |= {"experiment_file": str(path), "experiment_source": path.read_text()}
    annotate(store, derived, attributes)
    return dataset, verdicts


def finished(folder: str | Path) -> tuple[Experiment, str, xr.Dataset]:
    """The experiment, the size and the measurements of a run that has ended.

    Raises:
        FileNotFoundError, ValueError: there is none in this folder, or it has not ended.
    """
    store = Path(folder) / DATA
    if not store.exists():
        raise FileNotFoundError(f"{folder} holds no {DATA}; run the experiment first, or give the folder of a run")
    dataset = open_store(store)
    done, cells = int(dataset["done"].sum()), dataset["done"].size
    if done < cells:
        raise ValueError(f"the run in {folder} has not ended ({done} of {cells} cells); run it again to resume")
    for name in ("experiment", "size"):
        if not isinstance(dataset.attrs.get(name), str):
            raise ValueError(f"the run in {folder} has all its cells and no conclusions yet; run it again to draw them")
    return load(_card_of(dataset.attrs)), dataset.attrs["size"], dataset.load()


def _card_of(attributes: dict[str, Any]) -> Card:
    """The card of the experiment that a store names; a user's own comes from its file or from the stored text."""
    source = attributes.get("experiment_source")
    if source is None:
        return card(attributes["experiment"])
    path = Path(attributes.get("experiment_file", "experiment.py"))
    if path.is_file() and path.read_text() == source:
        return card_of_file(path)
    copy = Path(tempfile.mkdtemp(prefix="lemmata-")) / path.name
    copy.write_text(source)
    sys.modules.pop(path.stem, None)
    return card_of_file(copy)
