"""One setting on a live page: its sliders, its map as it is computed, and what is said of it."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource

from lemmata.explorer.control import Control
from lemmata.explorer.frame import downloads, html
from lemmata.explorer.job import Job
from lemmata.explorer.limits import movable
from lemmata.explorer.refine import filled
from lemmata.explorer.worker import Worker
from lemmata.lab.command_line import command_line
from lemmata.lab.experiment import Experiment
from lemmata.lab.explore import Explore
from lemmata.report.cells import show_map
from lemmata.report.figure import map_figure
from lemmata.report.page import claims_table
from lemmata.report.style import axis_label
from lemmata.report.views import View, view_of

SEEDS = 3


class Panel:
    """Sliders and a map.

    Args:
        defaults: value of each parameter that may be moved.
        moved: called with this panel when a setting has changed.
    """

    def __init__(
        self, name: str, experiment: Experiment, size: str, explore: Explore, defaults: Mapping[str, Any],
        slot: str, moved: Callable[["Panel"], None],
    ) -> None:  # fmt: skip
        self.name, self.experiment, self.size, self.explore, self.defaults = name, experiment, size, explore, defaults
        known = movable(experiment)
        self.controls = {
            key: Control(key, known[key], *explore.sliders.get(key, _around(value)), value, lambda: moved(self))
            for key, value in defaults.items()
        }
        self.map = map_figure(explore.shows, width=470, height=400)
        self.map.plot.title.text = f"{name}: nothing computed yet"
        self.predicted = ColumnDataSource({"xs": [], "ys": []})
        lines = {"xs": "xs", "ys": "ys", "source": self.predicted}
        self.map.plot.multi_line(**lines, line_color="black", line_width=4)
        self.map.plot.multi_line(**lines, line_color="white", line_width=2, line_dash="dashed")
        self.status, self.below = html(width=470), html(width=640)
        sliders = [control.layout for control in self.controls.values()]
        self.layout = column(*sliders, self.map.plot, self.status, self.below)
        self.slot, self.variable, self._seen = slot, explore.shows, -1
        self.job: Job | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What its sliders say."""
        return {name: control.value for name, control in self.controls.items()}

    def begin(self, worker: Worker) -> None:
        """Ask for the map at these settings in place of the one before; the old map stays until the first new tile."""
        try:
            job = Job(self.experiment, self.size, self.settings, SEEDS)
        except ValueError as error:
            self.status.text = f'<p role="alert" class="fails">{escape(str(error))}</p>'
            return
        self.cancel()
        self.job, self._seen = job, 0
        job.start(worker)
        self._say(job)

    def cancel(self) -> None:
        """Give up what is being computed."""
        if self.job is not None:
            self.job.cancel()

    def refresh(self, again: bool = False) -> None:
        """Show what has come since; ``again`` shows it anyhow."""
        job = self.job
        if job is None or (job.version == self._seen and not again):
            return
        self._seen = job.version
        self._say(job)
        if not job.done:
            return
        data, explore = job.dataset(), self.explore
        limits = explore.limits if self.variable == explore.shows else None
        view, twin = view_of(data, self.variable, limits=limits), f"{self.variable}_predicted"
        predicted = view_of(data, twin) if twin in data else None
        show_map(self.map, view, data, explore.x, explore.y, {}, predicted, filled)
        self.map.plot.title.text = f"{self.name}: {axis_label(data[self.variable])}"
        if explore.contours in data and self.variable == explore.shows:
            self.predicted.data = contour(view_of(data, explore.contours), explore)
        else:
            self.predicted.data = {"xs": [], "ys": []}

    def _say(self, job: Job) -> None:
        state = "done" if job.finished else "computing"
        error = f'<p role="alert" class="fails">{escape(job.error)}</p>' if job.error else ""
        progress = f'<progress max="{job.total}" value="{job.done}" aria-label="cells computed"></progress>'
        said = f"{job.done} of {job.total} cells, {state}, {job.seconds:.1f} s of work"
        self.status.text = f'<p role="status" aria-live="polite">{progress} {said}</p>{error}'
        x, y = (next(axis.values for axis in job.plan.grid.axes if axis.name == name) for name in job._axes)
        changes = {job.explore.x: x, job.explore.y: y, **job.changes}
        command = command_line(self.experiment, self.size, changes, SEEDS)
        claims = claims_table(job.verdicts) if job.verdicts else "<p>Claims are tested when the map is complete.</p>"
        links = downloads(self.slot, True)
        self.below.text = f"<p>{links}</p><p>The same on the command line:</p><pre>{escape(command)}</pre>{claims}"


def contour(view: View, explore: Explore) -> dict[str, list[Any]]:
    """Lines at the explorer's levels of a predicted variable, in indices of the map's axes."""
    from contourpy import contour_generator  # comes with Bokeh

    if not {explore.x, explore.y} <= {*view.dims}:
        return {"xs": [], "ys": []}
    pick = tuple(slice(None) if dim in (explore.x, explore.y) else 0 for dim in view.dims)
    plane = view.mean[pick]
    plane = plane.T if view.dims.index(explore.x) < view.dims.index(explore.y) else plane
    levels, log = np.asarray(explore.levels), bool((plane > 0).all())
    lines: Any = contour_generator(z=np.log(plane) if log else plane)
    found = [line for level in levels for line in lines.lines(float(np.log(level) if log else level))]
    return {"xs": [line[:, 0].tolist() for line in found], "ys": [line[:, 1].tolist() for line in found]}


def _around(value: float) -> tuple[float, float]:
    """A range around a value, where the experiment names none."""
    return (value / 10, value * 10) if value > 0 else (value - 1, value + 1)
