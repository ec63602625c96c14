"""What follows a run: predictions and verdicts are computed from the stored dataset and written beside it."""

from pathlib import Path
from typing import TYPE_CHECKING

from lemmata.lab.claims import Verdict, verdicts_to_json
from lemmata.lab.experiment import Experiment, find

if TYPE_CHECKING:
    import xarray as xr

DATA = "data.zarr"
"""Name of the store in the folder of a run."""


def conclude(experiment: Experiment, size: str, folder: str | Path) -> "tuple[xr.Dataset, list[Verdict]]":
    """Write predictions, verdicts and the experiment's name into the store of a run that has ended.

    Returns:
        The dataset with its predictions, in memory, and the verdict on every claim.

    Raises:
        FileNotFoundError, ValueError, OSError: no whole sweep is there, or it cannot be written.
    """
    from lemmata.sweep import annotate, open_store

    store = Path(folder) / DATA
    measured = open_store(store).load()
    dataset = measured.merge(experiment.predict(measured), compat="override", combine_attrs="override")
    verdicts = [claim.check(dataset, size) for claim in experiment.claims]
    derived = dataset.drop_vars([*measured.data_vars, *measured.coords], errors="ignore")
    annotate(store, derived, {"experiment": experiment.name, "size": size, "verdicts": verdicts_to_json(verdicts)})
    return dataset, verdicts


def finished(folder: str | Path) -> tuple[Experiment, str]:
    """The experiment and the size of a run that has ended.

    Raises:
        FileNotFoundError, ValueError: there is none in this folder, or it has not ended.
    """
    from lemmata.sweep import open_store

    store = Path(folder) / DATA
    if not store.exists():
        raise FileNotFoundError(f"{folder} holds no {DATA}; run the experiment first, or give the folder of a run")
    dataset = open_store(store)
    if "experiment" not in dataset.attrs or not bool(dataset["done"].all()):
        done, cells = int(dataset["done"].sum()), dataset["done"].size
        raise ValueError(f"the run in {folder} has not ended ({done} of {cells} cells); run it again to resume")
    return find(dataset.attrs["experiment"]), dataset.attrs["size"]
