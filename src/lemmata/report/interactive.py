"""A map and a curve of any variable of a run, inside a page, played with offline; needs Bokeh.

The numbers stand in the page as means and intervals over seeds. The same run gives the same bytes: names that Bokeh
counts through a whole process are counted anew.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bokeh.embed import json_item
from bokeh.layouts import column, row
from bokeh.models import CustomJS, Select, Slider
from bokeh.resources import Resources

from lemmata.report.cells import show_curve, show_map
from lemmata.report.figure import curve_figure, map_figure
from lemmata.report.style import axis_label
from lemmata.report.views import View, along, shown_variables, ticks, view_of

MOST = 60_000
"""Numbers of one variable above which it is left out, and four times this for all of them."""
WIDTH = 280
"""Of controls, in pixels."""
PLAIN = {"value": 0, "step": 1, "show_value": False, "width": WIDTH}
_SCRIPT = Path(__file__).with_name("interactive.js")


def interactive(dataset: xr.Dataset, first: str = "", x: str = "", y: str = "") -> tuple[str, str]:
    """The HTML and the scripts of a map; two empty texts where the dataset has nothing to map.

    Args:
        dataset: measurements and predictions.
        first, x, y: the variable and the axes shown at first; by default the first variable, its last two dimensions.
    """
    views, left_out = _views(dataset)
    if not views:
        return "", ""
    first = first if first in views else next(iter(views))
    dims = views[first].dims
    x = x if x in dims else dims[-2] if len(dims) > 1 else dims[-1]
    y = y if y in dims and y != x else next((dim for dim in reversed(dims) if dim != x), "")
    axes = {name: array for name, array in along(dataset).items() if any(name in v.dims for v in views.values())}
    labels = {name: axis_label(array) for name, array in axes.items()}
    choices = [*labels.items()]
    variable = Select(
        title="variable", width=WIDTH, value=first, options=[(name, v.label) for name, v in views.items()]
    )
    chosen = [
        Select(title=title, value=value, options=choices, width=WIDTH)
        for title, value in (("x axis", x), ("y axis", y))
    ]
    sliders = {
        name: Slider(start=0, end=max(1, array.size - 1), title=f"{labels[name]} = {ticks(array)[0]}", **PLAIN)
        for name, array in axes.items()
    }
    for name, slider in sliders.items():
        slider.visible = name in dims and name != x
        slider.disabled = axes[name].size == 1
    drawn, below = map_figure(first), curve_figure()
    show_map(drawn, views[first], dataset, x, y, {}, views.get(f"{first}_predicted"))
    show_curve(below, views[first], dataset, x, {})
    data = {
        "views": {name: _plain(view) for name, view in views.items()},
        "axes": {name: {"label": labels[name], "ticks": ticks(array)} for name, array in axes.items()},
    }
    names = {"variable": variable, "x": chosen[0], "y": chosen[1], "sliders": sliders, "data": data}
    names |= {"cells": drawn.cells, "colours": drawn.colours, "bar": drawn.bar, "map": drawn.plot}
    names |= {"points": below.points, "below": below.plot}
    again = CustomJS(args=names, code=_SCRIPT.read_text())
    for widget in (variable, *chosen, *sliders.values()):
        widget.js_on_change("value", again)
    layout = row(column(variable, *chosen, *sliders.values()), column(drawn.plot, below.plot))
    note = f"<p>Too large for this page, and left out: {', '.join(left_out)}.</p>" if left_out else ""
    html = '<div id="map"></div><noscript>The map needs JavaScript; the rest does not.</noscript>'
    return html + note, _embed(layout)


def _views(dataset: xr.Dataset) -> tuple[dict[str, View], list[str]]:
    found, left_out, total = {}, [], 0
    for name in shown_variables(dataset):
        seeds = dataset[name].sizes.get("seed", 1)
        size = dataset[name].size // max(1, seeds)
        if not size or size > MOST or total + size > 4 * MOST:
            left_out.append(name)
            continue
        found[name] = view_of(dataset, name)
        total += size
    return found, left_out


def _plain(view: View) -> dict[str, Any]:
    return {
        "label": view.label, "dims": list(view.dims), "shape": list(view.mean.shape),
        "mean": _numbers(view.mean), "half": _numbers(view.half), "count": view.count.ravel().tolist(),
        "log": view.log, "low": view.low, "high": view.high,
    }  # fmt: skip


def _numbers(array: np.ndarray) -> list[float | None]:
    """Six digits of each, None where it is missing, as JSON has no NaN."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in array.ravel().tolist()]


def _embed(layout: Any) -> str:
    """Bokeh itself and the drawing as scripts; what is data cannot end the script that it stands in."""
    text = json.dumps(json_item(layout, "map")).replace("<", "\\u003c")
    order: dict[str, int] = {}
    text = re.sub(r'"p(\d+)"', lambda found: f'"p{order.setdefault(found[1], len(order))}"', text)
    text = re.sub(r'"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"', '"run"', text)
    library = Resources(mode="inline", components=["bokeh", "bokeh-widgets"], minified=True).js_raw
    scripts = [f"<script>{source}</script>" for source in library]
    return "\n".join([*scripts, f"<script>Bokeh.embed.embed_item({text});</script>"])
