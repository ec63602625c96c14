"""The map and the curve that the page of a run and the explorer draw with Bokeh, which comes with an extra.

Cells stand side by side at their indices, whatever their values, which the ticks say: a coarse axis, a logarithmic one
and one of words look alike. Colours are viridis, of monotone lightness; what has not run or is missing is grey.
"""

from typing import Any, NamedTuple

from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    Whisker,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

MISSING = "#b8b8b8"
CELL_COLUMNS = ("x", "y", "value", "mean", "interval", "count", "predicted", "x_is", "y_is")
CURVE_COLUMNS = ("x", "y", "low", "high", "x_is", "interval")
_READING = [("measured", "@mean"), ("95 % interval", "@interval"), ("seeds", "@count"), ("predicted", "@predicted")]


class MapFigure(NamedTuple):
    """A map and what changes in it."""

    plot: Any
    cells: ColumnDataSource
    colours: LinearColorMapper
    bar: ColorBar


class CurveFigure(NamedTuple):
    """A curve with its intervals and what changes in it."""

    plot: Any
    points: ColumnDataSource


def map_figure(label: str, width: int = 560, height: int = 460) -> MapFigure:
    """A map without cells. A cell's ``value`` is what its colour shows; the other columns are what hovering says."""
    cells = ColumnDataSource({name: [] for name in CELL_COLUMNS}, name="cells")
    tools = "pan,wheel_zoom,box_zoom,reset,save"
    extents: Any = {"x_range": (-0.5, 0.5), "y_range": (-0.5, 0.5)}
    plot = figure(width=width, height=height, toolbar_location="above", tools=tools, **extents)
    plot.toolbar.logo = None
    plot.background_fill_color = MISSING
    plot.grid.visible = False
    colours = LinearColorMapper(palette=Viridis256, low=0.0, high=1.0, nan_color=MISSING)
    colour: Any = {"field": "value", "transform": colours}
    plot.rect(
        x="x", y="y", width=1, height=1, source=cells, fill_color=colour, line_color=colour, name=label,
        nonselection_fill_alpha=1.0, nonselection_line_alpha=1.0,
        selection_line_color="#d55e00", selection_line_width=3,
    )  # fmt: skip
    bar = ColorBar(color_mapper=colours, ticker=BasicTicker(desired_num_ticks=6), formatter=exponents(False))
    plot.add_layout(bar, "right")
    plot.add_tools(HoverTool(tooltips=[("", "@x_is"), ("", "@y_is"), *_READING]))
    return MapFigure(plot, cells, colours, bar)


def curve_figure(width: int = 560, height: int = 260) -> CurveFigure:
    """A curve without points; whiskers are 95 % intervals over seeds."""
    points = ColumnDataSource({name: [] for name in CURVE_COLUMNS}, name="points")
    plot = figure(width=width, height=height, toolbar_location=None, tools="")
    plot.line("x", "y", source=points, line_color="#0072b2", line_width=2)
    plot.scatter("x", "y", source=points, size=7, color="#0072b2")
    plot.add_layout(Whisker(base="x", lower="low", upper="high", source=points, line_color="#0072b2"))
    plot.add_tools(HoverTool(tooltips=[("", "@x_is"), ("measured", "@y"), ("95 % interval", "@interval")]))
    return CurveFigure(plot, points)


def exponents(log: bool) -> CustomJSTickFormatter:
    """Ticks of a colour bar: powers of ten where the map shows logarithms."""
    code = "return log[0] ? Math.pow(10, tick).toExponential(Number.isInteger(tick) ? 0 : 1) : +tick.toPrecision(4)"
    return CustomJSTickFormatter(args={"log": [log]}, code=code)


def set_axis(axis: Any, labels: list[str], name: str) -> None:
    """Ticks at the indices 0, 1, ... with these labels, at most about a dozen of them."""
    every = max(1, -(-len(labels) // 12))
    axis.ticker = FixedTicker(ticks=list(range(0, len(labels), every)))
    axis.major_label_overrides = {k: labels[k] for k in range(0, len(labels), every)}
    axis.axis_label = name
