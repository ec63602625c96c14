"""A stored run to be looked at: any variable over any two axes, sliders for the rest, the mean or one seed.

The store is only read, and may be unfinished: cells that have not run are grey. Nothing is computed.
"""

from pathlib import Path
from typing import Any

import xarray as xr
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models.widgets import Select, Slider

from lemmata.claims import Verdict
from lemmata.explorer.frame import WIDTH, Settings, downloads, framed, html
from lemmata.explorer.server import Slots, held
from lemmata.lab.experiment import Experiment
from lemmata.lab.run_folder import DATA, conclusions, finished
from lemmata.report.cells import show_curve, show_map
from lemmata.report.figure import curve_figure, map_figure
from lemmata.report.page import claims_table
from lemmata.report.style import axis_label
from lemmata.report.views import along, shown_variables, ticks, view_of
from lemmata.sweep import open_store

MEAN = "mean"


class Stored:
    """A run read once, and its page for every tab.

    Args:
        folder: of the run.

    Raises:
        FileNotFoundError, ValueError: there is no run, or nothing in it that could be shown.
    """

    def __init__(self, folder: str | Path):
        self.folder, self.verdicts = Path(folder), list[Verdict]()
        self.experiment: Experiment | None = None
        if not (self.folder / DATA).exists():
            raise FileNotFoundError(f"{folder} holds no {DATA}; give the folder of a run")
        self.dataset = open_store(self.folder / DATA).load()
        if bool(self.dataset.done.all()) and "experiment" in self.dataset.attrs:
            self.experiment, size, measured = finished(folder)
            self.dataset, self.verdicts = conclusions(self.experiment, measured, size)
        if not shown_variables(self.dataset):
            raise ValueError(f"the run in {folder} has no variable along an axis, so there is no map of it")

    def page(self, document: Document, slots: Slots) -> None:
        """Fill a tab."""
        framed(document, str(self.dataset.attrs.get("experiment", self.folder.name)))
        slot = held(document, slots, lambda: self.dataset, self.experiment)
        shown = _Shown(self.dataset, Settings(document))
        done, total = int(self.dataset.done.sum()), self.dataset.done.size
        said = f"<p>{done} of {total} cells have run.</p>{claims_table(self.verdicts) if self.verdicts else ''}"
        note = html(said + f"<p>{downloads(slot, self.experiment is not None)}</p>", width=900)
        document.add_root(column(row(column(*shown.controls), column(shown.map.plot, shown.curve.plot)), note))


class _Shown:
    """The controls of one tab, and what they show."""

    def __init__(self, dataset: xr.Dataset, settings: Settings):
        self.dataset, self.settings = dataset, settings
        self.axes = along(dataset)
        labels = {name: axis_label(array) for name, array in self.axes.items()}
        names, given = shown_variables(dataset), settings.given
        first = given.get("variable", names[0])
        first = first if first in names else names[0]
        dims = [str(dim) for dim in dataset[first].dims if dim != "seed"]
        x = given.get("x") if given.get("x") in dims else dims[-2:][0]
        y = given.get("y") if given.get("y") in dims and given.get("y") != x else ""
        seeds = [MEAN, *map(str, dataset.seed.values.tolist())] if "seed" in dataset.coords else [MEAN]
        options = [(name, axis_label(dataset[name])) for name in names]
        self.variable = Select(title="variable", value=first, options=options, width=WIDTH)
        self.x = Select(title="x axis", value=x, options=[*labels.items()], width=WIDTH)
        self.y = Select(title="y axis", value=y or "", options=[*labels.items(), ("", "none")], width=WIDTH)
        if not y and len(dims) > 1:
            self.y.value = next(dim for dim in reversed(dims) if dim != x)
        self.seed = Select(title="seeds", value=given.get("seed", MEAN), options=seeds, width=WIDTH)
        if self.seed.value not in seeds:
            self.seed.value = MEAN
        self.sliders = {
            name: Slider(
                start=0, end=max(1, array.size - 1), step=1, value=_index(given.get(f"at_{name}"), array.size),
                show_value=False, width=WIDTH, disabled=array.size == 1,
            )
            for name, array in self.axes.items()
        }  # fmt: skip
        self.labels = labels
        self.map, self.curve = map_figure(first), curve_figure()
        self.controls = [self.variable, self.x, self.y, self.seed, *self.sliders.values(), settings.field]
        for widget in (self.variable, self.x, self.y, self.seed, *self.sliders.values()):
            widget.on_change("value", lambda attr, old, new: self.draw())
        self._drawing = False
        self.draw()

    def draw(self) -> None:
        """Show what the controls say; axes that the variable does not have give way."""
        if self._drawing:
            return
        self._drawing = True
        names = [option for option, _ in self.variable.options]
        name = self.variable.value if self.variable.value in names else names[0]
        dims = [str(dim) for dim in self.dataset[name].dims if dim != "seed"]
        if self.x.value not in dims:
            self.x.value = dims[0]
        if self.y.value not in dims or self.y.value == self.x.value:
            self.y.value = next((dim for dim in dims if dim != self.x.value), "")
        x, y, at = self.x.value, self.y.value, {dim: int(slider.value) for dim, slider in self.sliders.items()}
        for dim, slider in self.sliders.items():
            slider.visible = dim in dims and dim != x
            at[dim] = min(max(0, at[dim]), self.axes[dim].size - 1)
            slider.title = f"{self.labels[dim]} = {ticks(self.axes[dim])[at[dim]]}" + " (for the curve)" * (dim == y)
        seed = None if self.seed.value not in self.seed.options[1:] else int(self.seed.value)
        view = view_of(self.dataset, name, seed)
        twin = f"{name}_predicted"
        show_map(self.map, view, self.dataset, x, y, at, view_of(self.dataset, twin) if twin in self.dataset else None)
        show_curve(self.curve, view, self.dataset, x, at)
        places = {f"at_{dim}": index for dim, index in at.items() if index}
        self.settings.keep({"variable": name, "x": x, "y": y, "seed": self.seed.value, **places})
        self._drawing = False


def _index(text: Any, size: int) -> int:
    return min(int(text), size - 1) if isinstance(text, str) and text.isdecimal() else 0
