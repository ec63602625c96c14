"""What stands in every cell of a map, and at every point of the curve along its x axis, as columns for Bokeh."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from lemmata.report.figure import CELL_COLUMNS, CURVE_COLUMNS, CurveFigure, MapFigure, set_axis
from lemmata.report.style import axis_label
from lemmata.report.views import View, along, ticks


def show_map(
    drawn: MapFigure,
    view: View,
    dataset: xr.Dataset,
    x: str,
    y: str,
    at: Mapping[str, int],
    twin: View | None = None,
    fill: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Draw a view over two of its dimensions; ``y`` may be empty, for a strip along ``x``.

    Args:
        at: the index along every other dimension.
        twin: the predicted values of the same variable, for hovering.
        fill: what missing cells show in the meantime, from a map ``(y, x)``; hovering says that they are missing.
    """
    axes = along(dataset)
    sides = [(axis_label(axes[name]), ticks(axes[name])) if name else ("", [""]) for name in (x, y)]
    (x_label, x_ticks), (y_label, y_ticks) = sides
    mean, half, count = (_slab(array, view.dims, x, y, at) for array in (view.mean, view.half, view.count))
    predicted = np.full(mean.shape, np.nan) if twin is None else _slab(twin.mean, twin.dims, x, y, at)
    predicted = np.broadcast_to(predicted, mean.shape)
    shades = mean if fill is None else fill(mean)
    columns: dict[str, list[Any]] = {name: [] for name in CELL_COLUMNS}
    for j, i in itertools.product(range(mean.shape[0]), range(mean.shape[1])):
        cell = (
            *(i, j, coloured(view, shades[j, i]), said(mean[j, i]), interval(half[j, i]), int(count[j, i])),
            *(said(predicted[j, i], "–"), f"{x_label} = {x_ticks[i]}", f"{y_label} = {y_ticks[j]}" if y else ""),
        )
        for name, value in zip(CELL_COLUMNS, cell):
            columns[name].append(value)
    drawn.cells.data = columns
    drawn.colours.update(low=view.low, high=view.high)
    drawn.bar.title = view.label
    if drawn.bar.formatter.args["log"] != [view.log]:
        drawn.bar.formatter.args = {"log": [view.log]}
    for extent, size in ((drawn.plot.x_range, len(x_ticks)), (drawn.plot.y_range, len(y_ticks))):
        extent.update(start=-0.5, end=size - 0.5)
    set_axis(drawn.plot.xaxis[0], x_ticks, x_label)
    set_axis(drawn.plot.yaxis[0], y_ticks, y_label)


def show_curve(drawn: CurveFigure, view: View, dataset: xr.Dataset, x: str, at: Mapping[str, int]) -> None:
    """Draw a view along one of its dimensions, at the given indices of the others."""
    axis = along(dataset)[x]
    labels, name = ticks(axis), axis_label(axis)
    mean, half = (_slab(array, view.dims, x, "", at)[0] for array in (view.mean, view.half))
    columns: dict[str, list[Any]] = {column: [] for column in CURVE_COLUMNS}
    for i in np.flatnonzero(np.isfinite(mean)).tolist():
        reach = half[i] if np.isfinite(half[i]) else 0.0
        point = (i, mean[i], mean[i] - reach, mean[i] + reach, f"{name} = {labels[i]}", interval(half[i]))
        for column, value in zip(CURVE_COLUMNS, point):
            columns[column].append(value)
    drawn.points.data = columns
    set_axis(drawn.plot.xaxis[0], labels, name)
    drawn.plot.yaxis[0].axis_label = view.label


def coloured(view: View, value: float) -> float:
    """What the colour of a cell shows: the value, or its logarithm where the view is logarithmic."""
    return float(np.log10(max(value, 10**view.low)) if view.log and np.isfinite(value) else value)


def said(value: float, missing: str = "missing") -> str:
    """A number as hovering says it."""
    return f"{value:.4g}" if np.isfinite(value) else missing


def interval(half: float) -> str:
    """Half the width of an interval, as hovering says it."""
    return f"± {half:.4g}" if np.isfinite(half) else "one seed"


def _slab(array: np.ndarray, dims: tuple[str, ...], x: str, y: str, at: Mapping[str, int]) -> np.ndarray:
    """``(y, x)``, of length 1 where the array does not lie along one of them."""
    picked = array[tuple(slice(None) if dim in (x, y) else at.get(dim, 0) for dim in dims)]
    left = [dim for dim in dims if dim in (x, y)]
    if left == [x, y]:
        return picked.T
    return picked if left == [y, x] else picked.reshape((-1, 1) if left == [y] else (1, -1))
