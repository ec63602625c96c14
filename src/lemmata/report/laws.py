"""A law and its test as a figure: what is measured over what the law expects, and numbers with their intervals."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from lemmata.report.style import COLOURS, MARKERS, axis_label, styled, value_label


@styled
def over_law(
    ax: Axes, off: xr.Dataset, x: str, hue: str | None, *, tolerance: float, quantity: str, title: str = ""
) -> None:
    """How far points are from the expected law, in per cent, along one axis.

    Args:
        off: ``off``, ``off_low``, ``off_high`` ``(x, hue)``, logarithms of measured over expected.
        x: the axis, drawn in logarithms.
        tolerance: of the exponent of ``x``: what a law at the end of it would do is shaded.
        quantity: what is measured, e.g. ``signal*``; empty where the panel to the left says it.
    """
    values = [None] if hue is None else list(off[hue].values)
    at = off[x].values.astype(float)
    dodge = 1 + 0.02 * np.log(at.max() / at.min() + 1) * (np.arange(len(values)) - (len(values) - 1) / 2)
    for number, value in enumerate(values):
        part = off if value is None else off.sel({hue: value})
        middle, low, high = (100 * np.expm1(part[name].values) for name in ("off", "off_low", "off_high"))
        ax.errorbar(
            at * dodge[number],
            middle,
            yerr=np.stack([middle - low, high - middle]),
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            capsize=2,
            lw=1.2,
            label="measured" if value is None else value_label(off[hue], value),
        )
    fine = np.geomspace(at.min(), at.max(), 60)
    wedge = tolerance * np.abs(np.log(fine / np.sqrt(at.min() * at.max())))
    ax.fill_between(fine, 100 * np.expm1(-wedge), 100 * np.expm1(wedge), color="0.85", lw=0, zorder=0)
    ax.plot([], [], color="0.85", lw=6, label=f"exponent ± {tolerance:g}")
    ax.axhline(0, color="0.3", lw=1, ls=(0, (5, 2.5)), label="expected law")
    ax.set_xscale("log")
    ax.set_xticks(at if len(at) < 8 else at[:: len(at) // 6])
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(axis_label(off[x]))
    ax.set_ylabel(f"{quantity} over the expected law, minus 1 (%)" if quantity else "")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    if title:
        ax.set_title(title)


@styled
def rows(ax: Axes, names: Sequence[str], numbers: Sequence[tuple[float, float, float]], words: Sequence[str]) -> None:
    """Numbers with their intervals, one below the other, and the verdict beside each.

    Args:
        numbers: value, low, high.
        words: what is expected, and the verdict.
    """
    places = np.arange(len(names))[::-1]
    for place, name, (value, low, high), word in zip(places, names, numbers, words):
        ax.errorbar(
            [value], [place], xerr=[[value - low], [high - value]], color=COLOURS[1], marker=MARKERS[0], capsize=3
        )
        ax.annotate(
            f"{name}: {value:.4g} [{low:.4g}, {high:.4g}]   {word}",
            (0, place + 0.22),
            xycoords=("axes fraction", "data"),
        )
    ax.set_yticks([])
    ax.set_ylim(-0.5, len(names) - 0.2)
    ax.set_xlabel("estimate and simultaneous interval")
    ax.spines["left"].set_visible(False)
