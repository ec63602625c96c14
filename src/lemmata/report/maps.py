"""Maps over two axes of a dataset, with contours, predicted lines and unusable cells laid over the measurement.

They know labelled arrays and nothing of what was measured: names and units come from the arrays' attributes
``long_name`` and ``units``, positions from their coordinates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, colors, patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lemmata.report.style import COLOUR_MAP, THEORY, axis_label, styled

_OUTLINE: list[patheffects.AbstractPathEffect] = [patheffects.withStroke(linewidth=3.0, foreground="black")]
_THIN_OUTLINE: list[patheffects.AbstractPathEffect] = [patheffects.withStroke(linewidth=1.8, foreground="black")]


@dataclass(frozen=True)
class Scale:
    """Where the values of a coordinate go on an axis of a map.

    Strings and truth values are placed at 0, 1, 2, ...; positive numbers spaced at least twice as evenly in their
    logarithms as in themselves go on a logarithmic axis, all others on a linear one. Cells meet half-way between their
    centres.
    """

    kind: str
    """``"category"``, ``"log"`` or ``"linear"``."""
    centres: np.ndarray
    edges: np.ndarray
    labels: tuple[str, ...]

    @classmethod
    def of(cls, coordinate: xr.DataArray) -> "Scale":
        values = coordinate.values
        labels = tuple(f"{value:g}" if values.dtype.kind in "fiu" else str(value) for value in values)
        if values.dtype.kind not in "fiu" or np.any(np.diff(values) <= 0):
            centres = np.arange(values.size, dtype=float)
            return cls("category", centres, _edges(centres), labels)
        centres = values.astype(float)
        if centres.size > 2 and centres[0] > 0 and 2 * _unevenness(np.log(centres)) < _unevenness(centres):
            return cls("log", centres, np.exp(_edges(np.log(centres))), labels)
        return cls("linear", centres, _edges(centres), labels)

    def apply(self, axis: Any, name: str) -> None:
        """Set scale, limits, ticks and label of a matplotlib axis; ``name`` is ``"x"`` or ``"y"``."""
        axes = axis.axes
        if self.kind == "log":
            getattr(axes, f"set_{name}scale")("log")
        getattr(axes, f"set_{name}lim")(self.edges[0], self.edges[-1])
        if self.centres.size <= 12:
            axis.set_ticks(self.centres, self.labels)
            axis.set_ticks([], minor=True)


def _edges(centres: np.ndarray) -> np.ndarray:
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _unevenness(values: np.ndarray) -> float:
    gaps = np.diff(values)
    return float(gaps.std() / gaps.mean())


@styled
def heat_map(
    ax: Axes,
    array: xr.DataArray,
    x: str,
    y: str,
    *,
    log_colour: bool = False,
    limits: tuple[float, float] | None = None,
    contours: xr.DataArray | None = None,
    levels: Sequence[float] = (),
    lines: Mapping[str, xr.DataArray] | None = None,
    hatched: xr.DataArray | None = None,
    colour_bar: bool = True,
    title: str = "",
) -> None:
    """A map of ``array`` over two of its dimensions, with contours and predicted lines on top.

    Args:
        array: exactly the dimensions ``x`` and ``y``; NaN cells are left grey.
        limits: colours end here, and the colour bar says so; by default the range of the data.
        contours: another array on ``x`` and ``y``, drawn at ``levels`` and labelled with its name and the level.
        lines: label → array along ``x`` of values on the ``y`` axis, e.g. a predicted transition; drawn dashed.
        hatched: truth values on ``x`` and ``y``: cells that count for nothing, e.g. diverged.
        title: the claim that the map shows.

    Raises:
        ValueError: the array has other dimensions than ``x`` and ``y``.
    """
    x_scale, y_scale, values = _place(ax, array, x, y)
    norm, extend = _norm(values, log_colour, limits)
    shown = values if norm.vmin is None else np.clip(values, norm.vmin, None) if log_colour else values
    cmap = colormaps[COLOUR_MAP].with_extremes(bad="0.82")
    mesh = ax.pcolormesh(x_scale.edges, y_scale.edges, np.ma.masked_invalid(shown), norm=norm, cmap=cmap)
    if colour_bar:
        bar = ax.figure.colorbar(mesh, ax=ax, extend=extend, pad=0.02)
        bar.set_label(axis_label(array))
    _finish(ax, x_scale, y_scale, array, x, y, contours, levels, lines, hatched, title)


@styled
def threshold_map(
    ax: Axes,
    array: xr.DataArray,
    x: str,
    y: str,
    *,
    level: float,
    below: str,
    above: str,
    contours: xr.DataArray | None = None,
    levels: Sequence[float] = (),
    lines: Mapping[str, xr.DataArray] | None = None,
    hatched: xr.DataArray | None = None,
    title: str = "",
) -> None:
    """The truncated version of :func:`heat_map`: two colours, for values at most ``level`` and above it.

    ``below`` and ``above`` name the two sides in the colour bar.
    """
    x_scale, y_scale, values = _place(ax, array, x, y)
    cmap: colors.Colormap = colors.ListedColormap([colormaps[COLOUR_MAP](0.22), colormaps[COLOUR_MAP](0.88)])
    cmap = cmap.with_extremes(bad="0.82")
    side = np.ma.masked_array((values > level).astype(float), np.isnan(values))
    mesh = ax.pcolormesh(x_scale.edges, y_scale.edges, side, cmap=cmap, vmin=0, vmax=1)
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02, ticks=[0.25, 0.75])
    bar.ax.set_yticklabels([f"{below}\n≤ {level:g}", f"{above}\n> {level:g}"])
    bar.ax.tick_params(length=0)
    _finish(ax, x_scale, y_scale, array, x, y, contours, levels, lines, hatched, title)


def _place(ax: Axes, array: xr.DataArray, x: str, y: str) -> tuple[Scale, Scale, np.ndarray]:
    if set(array.dims) != {x, y}:
        raise ValueError(f"a map over {x!r} and {y!r} got dimensions {array.dims}; select or average the others first")
    return Scale.of(array[x]), Scale.of(array[y]), array.transpose(y, x).values.astype(float)


def _norm(values: np.ndarray, log: bool, limits: tuple[float, float] | None) -> tuple[colors.Normalize, str]:
    usable = values[np.isfinite(values) & ((values > 0) | (not log))]
    low, high = limits or ((float(usable.min()), float(usable.max())) if usable.size else (0.1, 1.0))
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    finite = values[np.isfinite(values)]
    under, over = bool((finite < low).any()), bool((finite > high).any())
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[under, over]
    return (colors.LogNorm if log else colors.Normalize)(low, high), extend


def _finish(
    ax: Axes,
    x_scale: Scale,
    y_scale: Scale,
    array: xr.DataArray,
    x: str,
    y: str,
    contours: xr.DataArray | None,
    levels: Sequence[float],
    lines: Mapping[str, xr.DataArray] | None,
    hatched: xr.DataArray | None,
    title: str,
) -> None:
    """What all maps share: hatching, contours, lines, axes, title."""
    if hatched is not None and bool(hatched.any()):
        for row, column in np.argwhere(hatched.transpose(y, x).values):
            corner = (x_scale.edges[column], y_scale.edges[row])
            width, height = np.diff(x_scale.edges)[column], np.diff(y_scale.edges)[row]
            ax.add_patch(Rectangle(corner, width, height, fill=False, hatch="////", edgecolor="black", lw=0))
    if contours is not None and min(array.sizes[x], array.sizes[y]) > 1:
        grid, wanted = contours.transpose(y, x).values, np.sort(levels)
        # Between cell centres matplotlib interpolates linearly, which suits the logarithm of a positive quantity.
        by_log = bool((grid > 0).all() and (wanted > 0).all())
        grid, wanted = (np.log(grid), np.log(wanted)) if by_log else (grid, wanted)
        drawn = ax.contour(
            x_scale.centres, y_scale.centres, grid, wanted, colors="white", linewidths=1.0, linestyles="solid"
        )
        drawn.set_path_effects(_THIN_OUTLINE)
        name = contours.attrs.get("symbol", contours.name)
        for text in ax.clabel(drawn, fmt=lambda at: f"{name} = {np.exp(at) if by_log else at:.4g}", fontsize=7.5):
            text.set_path_effects(_THIN_OUTLINE)
    for index, (label, line) in enumerate((lines or {}).items()):
        style: dict[str, Any] = THEORY if index == 0 else {"linestyle": (0, (1, 1.2)), "marker": "None"}
        ax.plot(
            _positions(x_scale, line[x]), line.values, color="white", lw=2, path_effects=_OUTLINE, label=label, **style
        )
    for scale, axis, name in ((x_scale, ax.xaxis, "x"), (y_scale, ax.yaxis, "y")):
        scale.apply(axis, name)
    ax.set_xlabel(axis_label(array[x]))
    ax.set_ylabel(axis_label(array[y]))
    if lines:
        legend = ax.legend(loc="upper left", bbox_to_anchor=(0, -0.16), borderaxespad=0, ncols=2, handlelength=3)
        for handle in legend.get_lines():
            handle.set_path_effects(_OUTLINE)
    if title:
        ax.set_title(title)


def _positions(scale: Scale, coordinate: xr.DataArray) -> np.ndarray:
    return scale.centres if scale.kind == "category" else coordinate.values.astype(float)
