"""What a user sees of a run that has ended: the table of claims and the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from lemmata.claims import Verdict
from lemmata.commands.refusing import Refused
from lemmata.lab.cards import cards
from lemmata.lab.experiment import Experiment
from lemmata.lab.run_folder import drawn
from lemmata.report.style import save
from lemmata.report.tables import console_table


def print_claims(verdicts: Sequence[Verdict]) -> None:
    """The table of claims on the console."""
    Console().print(console_table(verdicts))


def draw(experiment: Experiment, dataset: xr.Dataset, folder: Path) -> None:
    """Write the figures of an experiment into a folder, and print their paths."""
    save_figures(drawn(experiment, dataset), folder)


def save_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures into a folder, and print their paths."""
    for name, figure in figures.items():
        try:
            print(save(figure, folder / f"{name}.png"))
        except OSError as error:
            why = f"cannot write {folder / name}.png ({error.strerror})"
            raise Refused(f"{why}; make room, fix its rights, or name another folder with `show --out`") from error


def folder_of(name: str) -> Path:
    """A folder as given, or that in which an experiment's run is by default."""
    path = Path(name)
    return path if path.is_dir() or name not in cards() else Path("results") / name
