"""An experiment trained while one looks: sliders, one map or two beside each other, and the life of a cell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from bokeh.document import Document
from bokeh.layouts import column, gridplot, row
from bokeh.models import CrosshairTool, Span
from bokeh.models.widgets import Button, Select
from bokeh.plotting import figure

from lemmata.explorer.frame import WIDTH, Settings, framed, html
from lemmata.explorer.job import Job, default_explore
from lemmata.explorer.limits import movable
from lemmata.explorer.panel import Panel
from lemmata.explorer.server import Slots, held
from lemmata.explorer.worker import Worker
from lemmata.lab.find import find
from lemmata.report.style import COLOURS, axis_label
from lemmata.report.views import DECADE, FLOOR

DEBOUNCE, LOOK = 60, 100
"""Milliseconds after a slider's last move before work begins, and between two looks for new tiles."""
MOST_CURVES = 9
_DASHES = ("solid", "dashed", "dotted", "dotdash")


class Live:
    """An experiment, the process that computes, and its page for every tab.

    Args:
        name: of the experiment, or the path of a user's file.
        size: whose axes the map has.

    Raises:
        ValueError: no such experiment or size, or one that has no two axes.
    """

    def __init__(self, name: str, size: str, worker: Worker | None = None):
        self.experiment, self.size = find(name), size
        self.explore = default_explore(self.experiment, size)
        first = Job(self.experiment, size, {}, 1)
        known, body = movable(self.experiment), first.plan.body
        wanted = [*self.explore.sliders, *first.changes]
        axes = (self.explore.x, self.explore.y)
        values = {key: first.changes.get(key, body.value(key)) for key in dict.fromkeys(wanted) if key not in axes}
        self.defaults = {key: value for key, value in values.items() if key in known and value is not None}
        self.worker = worker or Worker()
        # Its process loads torch and compiles now, and not when the first slider moves.
        first.live(self.worker, {"seed": 0}, lambda found: None)

    def close(self) -> None:
        """End the process."""
        self.worker.close()

    def page(self, document: Document, slots: Slots) -> None:
        """Fill a tab."""
        framed(document, self.experiment.name)
        _Tab(self, document, slots)


class _Tab:
    """One tab: its panels, and what its buttons do."""

    def __init__(self, live: Live, document: Document, slots: Slots):
        self.live, self.document, self.settings = live, document, Settings(document)
        self.panels = []
        for name in "AB":
            slot = held(document, slots, lambda name=name: self._dataset(name), live.experiment)  # type: ignore[misc]
            shared = (live.experiment, live.size, live.explore, live.defaults)
            self.panels.append(Panel(name, *shared, slot, self.moved))
        self.waiting: dict[str, Any] = {}
        variables = live.experiment.plain.variables
        options = [(name, says.long_name or name) for name, says in variables.items() if not says.dims]
        self.variable = Select(title="colour shows", value=live.explore.shows, options=options, width=WIDTH)
        _, grid = live.experiment.configure(live.size)
        self.axes = {axis.name: axis for axis in grid.axes}
        picked = [self.axes[name] for name in (live.explore.x, live.explore.y)]
        self.cell = [
            Select(title=f"cell: {axis.long_name or axis.name}", options=[*map(str, axis.values)], width=WIDTH)
            for axis in picked
        ]
        for select in self.cell:
            select.value = select.options[len(select.options) // 2]
        self.of, self.life = (
            html("<p>Click a cell, or choose one and press the button, to see its training.</p>"),
            column(),
        )
        buttons = {
            "Defaults": self.default, "Copy A to B": self.copy, "Compare A and B": self.compare, "Cancel": self.cancel,
            "Train this cell again": lambda: self.train(self.panels[0], [s.options.index(s.value) for s in self.cell]),
        }  # fmt: skip
        made = [Button(label=label, width=WIDTH) for label in buttons]
        for button, action in zip(made, buttons.values()):
            button.on_click(action)
        self.variable.on_change("value", lambda attr, old, new: self.recolour())
        a, b = (panel.map.plot for panel in self.panels)
        b.x_range, b.y_range = a.x_range, a.y_range
        spans = [Span(dimension=dimension, line_dash="dotted") for dimension in ("width", "height")]
        for panel in self.panels:
            panel.map.plot.add_tools(CrosshairTool(overlay=spans))
            panel.map.plot.add_tools("tap")
            panel.map.cells.selected.on_change("indices", self._tapped(panel))
        controls = column(self.variable, *made[:4], *self.cell, made[4], self.settings.field)
        document.add_root(column(row(controls, *(panel.layout for panel in self.panels)), self.of, self.life))
        self._restore()
        document.add_periodic_callback(self.look, LOOK)
        document.on_session_destroyed(lambda session_context: self.cancel())

    def moved(self, panel: Panel) -> None:
        """A slider has moved: work begins when it rests, in place of what was asked before."""
        if panel.name in self.waiting:
            self.document.remove_timeout_callback(self.waiting.pop(panel.name))

        def begin() -> None:
            self.waiting.pop(panel.name, None)
            panel.begin(self.live.worker)
            self._keep()

        self.waiting[panel.name] = self.document.add_timeout_callback(begin, DEBOUNCE)

    def look(self) -> None:
        """Show what has come."""
        for panel in self.panels:
            panel.refresh()

    def default(self) -> None:
        """Both settings as the experiment has them."""
        for panel in self.panels:
            self._set(panel, self.live.defaults)

    def copy(self) -> None:
        """B as A is."""
        self._set(self.panels[1], self.panels[0].settings)

    def compare(self) -> None:
        """Show B beside A, or hide it."""
        b = self.panels[1]
        b.layout.visible = not b.layout.visible
        if b.layout.visible and b.job is None:
            b.begin(self.live.worker)
        self._keep()

    def cancel(self) -> None:
        """Give up what is being computed."""
        for panel in self.panels:
            panel.cancel()

    def recolour(self) -> None:
        """Another variable on the maps that are there."""
        for panel in self.panels:
            panel.variable = self.variable.value
            panel.refresh(again=True)
        self._keep()

    def _tapped(self, panel: Panel) -> Callable[[str, Any, list[int]], None]:
        """What a click on a cell of this panel does."""

        def tapped(attr: str, old: Any, new: list[int]) -> None:
            if new:
                across = len(self.axes[self.live.explore.x].values)
                self.train(panel, [new[0] % across, new[0] // across])

        return tapped

    def train(self, panel: Panel, at: list[int]) -> None:
        """Train one cell of a panel again, and show its life when it comes."""
        if panel.job is None:
            return
        explore, fixed = self.live.explore, panel.job.changes
        place = {name: self.axes[name].values[k] for name, k in zip((explore.x, explore.y), at)}
        for select, k in zip(self.cell, at):
            select.value = select.options[k]
        said = ", ".join(f"{name} = {value:g}" for name, value in {**place, **fixed}.items())
        self.of.text = f"<p role='status'>training {panel.name}, {said}, seed 0 ...</p>"

        def heard(found: Any) -> None:
            self.document.add_next_tick_callback(lambda: self._show(found, f"{panel.name}: {said}, seed 0"))

        panel.job.live(self.live.worker, {**place, **fixed, "seed": 0}, heard)

    def _show(self, found: Any, title: str) -> None:
        if isinstance(found, Exception):
            self.of.text = "<p role='alert' class='fails'>this cell could not be trained again; see the terminal</p>"
            raise found
        self.of.text = f"<p role='status'>{title}</p>"
        self.life.children = [gridplot(life_figures(found), ncols=3, toolbar_location=None)]

    def _set(self, panel: Panel, values: Any) -> None:
        for name, control in panel.controls.items():
            control.set(values[name])
        if panel.layout.visible:
            self.moved(panel)

    def _dataset(self, name: str) -> xr.Dataset:
        job = self.panels["AB".index(name)].job
        if job is None:
            raise ValueError(f"{name} has no map yet")
        return job.dataset()

    def _keep(self) -> None:
        moved = [(p, key, value) for p in self.panels for key, value in p.settings.items() if value != p.defaults[key]]
        found = {f"{panel.name}.{key}": value for panel, key, value in moved}
        both = {"two": "yes"} if self.panels[1].layout.visible else {}
        self.settings.keep({"show": self.variable.value, **both, **found})

    def _restore(self) -> None:
        given = self.settings.given
        if given.get("show") in {name for name, _ in self.variable.options}:
            self.variable.value = given["show"]
        for panel in self.panels:
            for key, control in panel.controls.items():
                if (text := given.get(f"{panel.name}.{key}")) is not None:
                    try:
                        control.set(control.says.parse(key, text))
                    except ValueError:
                        continue  # an address written by hand; the default stands
        self.panels[1].layout.visible = given.get("two") == "yes"
        for panel in self.panels[: 1 + self.panels[1].layout.visible]:
            panel.begin(self.live.worker)


def life_figures(found: xr.Dataset) -> list[Any]:
    """Small figures of the variables of one cell along the steps that were looked at."""
    plots = []
    for array in found.data_vars.values():
        if not array.dims or array.dims[0] not in found.coords or array.dtype.kind not in "fi":
            continue
        steps = found[array.dims[0]]
        lines = array.values.reshape(steps.size, -1).astype(float)
        usable = lines[np.isfinite(lines)]
        log = usable.size > 0 and usable.min() >= 0 and usable.max() > DECADE * max(usable.min(), FLOOR)
        plot = figure(width=330, height=210, y_axis_type="log" if log else "linear", toolbar_location=None, tools="")
        plot.title.text = axis_label(array)
        plot.xaxis.axis_label = axis_label(steps)
        for k, line in enumerate(lines.T[: len(COLOURS)]):
            shown = np.where(line > 0, line, np.nan) if log else line
            plot.line(steps.values, shown, color=COLOURS[k], line_width=2, line_dash=_DASHES[k % len(_DASHES)])
        plots.append(plot)
    return plots[:MOST_CURVES]
