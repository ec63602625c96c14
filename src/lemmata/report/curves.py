"""Curves along one axis of a dataset and clouds of one quantity against another, theory dashed over measurement.

They know labelled arrays and nothing of what was measured: names and units come from the arrays' attributes
``long_name`` and ``units``, intervals from the dimension ``seed``.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes

from lemmata.report.statistics import seed_interval
from lemmata.report.style import (
    COLOUR_MAP,
    COLOURS,
    MARKERS,
    MEASURED,
    THEORY,
    axis_label,
    explain_band,
    log_scales,
    styled,
    value_label,
)


@styled
def curves(
    ax: Axes,
    array: xr.DataArray,
    x: str,
    hue: str | None = None,
    *,
    seed: str = "seed",
    band: bool = True,
    log: str = "",
    theory: xr.DataArray | None = None,
    theory_label: str = "predicted",
    legend: bool = True,
    title: str = "",
) -> None:
    """Curves of ``array`` along ``x``, one for each value of ``hue``: mean over ``seed`` with its 95 % interval.

    Args:
        array: dimensions among ``x``, ``hue`` and ``seed``.
        band: shade the interval of the mean, and say so in the legend.
        log: which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``; with ``y`` the mean is geometric.
        theory: the prediction on ``x`` and perhaps ``hue``, drawn dashed in the colour of its curve.
        title: the claim that the curves show.

    Raises:
        ValueError: the array has a dimension beyond these.
    """
    extra = set(map(str, array.dims)) - {x, hue, seed}
    if extra:
        raise ValueError(
            f"curves along {x!r} got the further dimension {sorted(extra)[0]!r}; select or average it first"
        )
    interval = seed_interval(array, seed, geometric="y" in log)
    values = [None] if hue is None else list(array[hue].values)
    marked = max(1, array.sizes[x] // 12)
    for index, value in enumerate(values):
        part = interval if value is None else interval.sel({hue: value})
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        at = part[x].values
        label = "measured" if value is None else value_label(array[hue], value)
        style: dict[str, Any] = {"color": colour, "zorder": 3}
        ax.plot(at, part["mean"].values, label=label, marker=marker, markevery=marked, **style, **MEASURED)
        if band:
            ax.fill_between(at, part["low"].values, part["high"].values, color=colour, alpha=0.18, lw=0)
        if theory is not None and (index == 0 or hue in theory.dims):
            line = theory.sel({hue: value}) if hue in theory.dims else theory
            ax.plot(line[x].values, line.values, color=colour, alpha=0.9, zorder=2, **THEORY)
    if theory is not None:
        ax.plot([], [], color="0.3", label=theory_label, **THEORY)
    banded = band and array.sizes.get(seed, 1) > 1
    if banded:
        explain_band(ax)
    log_scales(ax, log)
    ax.set_xlabel(axis_label(array[x]))
    ax.set_ylabel(axis_label(array))
    if legend and (hue is not None or theory is not None or banded):
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    if title:
        ax.set_title(title)


@styled
def cloud(
    ax: Axes,
    x: xr.DataArray,
    y: xr.DataArray,
    hue: str,
    *,
    log: str = "",
    theory: xr.DataArray | None = None,
    theory_label: str = "predicted",
    limits: tuple[float, float] | None = None,
    legend: bool = True,
    title: str = "",
) -> None:
    """All cells as points of one quantity against another, shaded by ``hue``: where they fall on one curve, x decides.

    Args:
        x: dimensions among those of ``y``.
        y: points that are missing, or not positive on a logarithmic axis, are not drawn.
        hue: a dimension of ``y``; its values are told apart by marker and shade.
        log: which axes are logarithmic.
        theory: one-dimensional, its coordinate in the units of ``x``; drawn dashed.
        limits: of the y axis.
    """
    x = x.broadcast_like(y)
    values = y[hue].values if hue in y.dims else [None]
    shades = colormaps[COLOUR_MAP](np.linspace(0.0, 0.88, len(values)))
    named = set(np.linspace(0, len(values) - 1, min(len(values), 6)).round().astype(int).tolist())
    for index, value in enumerate(values):
        at = {} if value is None else {hue: value}
        label = value_label(y[hue], value) if value is not None and index in named else None
        marker = MARKERS[index % len(MARKERS)]
        points = x.sel(at).values.ravel(), y.sel(at).values.ravel()
        ax.plot(
            *points, linestyle="", marker=marker, color=shades[index], markeredgecolor="white", mew=0.4, label=label
        )
    if theory is not None:
        (along,) = theory.dims
        ax.plot(theory[along].values, theory.values, color="0.1", label=theory_label, **THEORY)
    log_scales(ax, log)
    if limits is not None:
        ax.set_ylim(*limits)
    ax.set_xlabel(axis_label(x))
    ax.set_ylabel(axis_label(y))
    if legend:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    if title:
        ax.set_title(title)
