"""One look for all figures, and the one way to write them.

Readable in grey and for colour-blind eyes: colour maps of monotone lightness, curves told apart by marker as well as
colour. Theory is dashed, measurement is solid with markers. No global state: figures are made without ``pyplot``.
"""

import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import lemmata

RC: Any = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.titlesize": 12,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.6,
}
"""What :func:`styled` sets while a figure is drawn."""

COLOUR_MAP = "viridis"
"""Of monotone lightness, so that it prints in grey."""
COLOURS = ("#1b1b1b", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Black, then the colours of Okabe and Ito (2008) that are dark enough on white."""
MARKERS = "os^Dv*P"
THEORY: dict[str, Any] = {"linestyle": (0, (5, 2.5)), "marker": "None"}
MEASURED: dict[str, Any] = {"linestyle": "-"}

styled = rc_context(RC)
"""Decorator and context manager: draw with the house's settings and leave the user's alone."""


def axis_label(array: xr.DataArray) -> str:
    """``long_name (units)`` of an array or coordinate; its name stands in for a missing long name.

    Units that the name says already, as in "training samples n", are not said again.
    """
    name, units = _name(array), str(array.attrs.get("units") or "")
    return name if units in ("", "1") or units in name else f"{name} ({units})"


def value_label(coordinate: xr.DataArray, value: Any) -> str:
    """``n = 20`` for a number; a word speaks for itself."""
    return str(value) if isinstance(value, str) else f"{_name(coordinate)} = {value:g}"


def _name(array: xr.DataArray) -> str:
    return str(array.attrs.get("long_name") or array.name or "")


@styled
def new_figure(
    rows: int = 1, columns: int = 1, *, title: str = "", width: float = 5.2, height: float = 3.9, **axes: Any
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes ``(rows, columns)``; ``width`` and ``height`` in inches are those of one panel.

    A title too long for the panels is broken into lines. Further arguments go to ``Figure.subplots``, e.g.
    ``sharey=True``.
    """
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    if title:
        said = figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        letter = 0.65 * float(said.get_fontsize()) / 72  # inches, of a wide line of bold letters
        said.set_text(textwrap.fill(title, int(width * columns / letter)))
        figure.set_figheight(height * rows + 0.1 + 0.25 * len(said.get_text().splitlines()))
    return figure, figure.subplots(rows, columns, squeeze=False, **axes)


def explain_band(ax: Axes) -> None:
    """A legend entry for shaded intervals over seeds (:func:`~lemmata.report.statistics.seed_interval`)."""
    said = "95 % interval of the mean\n(geometric on a log axis)"
    if said not in ax.get_legend_handles_labels()[1]:  # several calls may draw on one panel
        ax.fill_between([], [], [], color="0.3", alpha=0.18, lw=0, label=said)


def log_scales(ax: Axes, log: str) -> None:
    """Logarithmic axes for the lines drawn so far: ``""``, ``"x"``, ``"y"`` or ``"xy"``.

    An axis on which no line has a positive value stays linear, and the panel says so.
    """
    points = [np.broadcast_arrays(*(np.asarray(part, float) for part in line.get_data())) for line in ax.lines]
    shown = [[part[np.isfinite(x) & np.isfinite(y)] for part in (x, y)] for x, y in points]
    for name in log:
        positive = np.concatenate([values["xy".index(name)] for values in shown] or [np.zeros(0)])
        positive = positive[positive > 0]
        if not positive.size:
            say(ax, "no positive value to show")
            continue
        getattr(ax, f"set_{name}scale")("log")
        low, high = getattr(ax, f"get_{name}lim")()
        if not 0 < low < high < np.inf:  # bands of missing values reach to where no logarithm is
            getattr(ax, f"set_{name}lim")(positive.min() / 2, positive.max() * 2)


def say(ax: Axes, text: str) -> None:
    """A sentence in the middle of a panel that has nothing else to show."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.35", wrap=True)


def figure_that_says(text: str) -> Figure:
    """A figure of one sentence, where a run leaves nothing to draw."""
    figure, axes = new_figure(height=2.0)
    axes[0, 0].set_axis_off()
    say(axes[0, 0], text)
    return figure


@styled
def save(figure: Figure, path: str | Path, *, dpi: int = 180) -> Path:
    """Write a PNG whole or not at all, with the program and the title in its metadata; returns the path.

    What a process killed while it wrote a figure left in the folder is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(".*.figure.partial"):
        if not _is_running(leftover.name.split(".")[-3]):
            leftover.unlink(missing_ok=True)
    title = " ".join(figure.get_suptitle().split()) or path.stem
    fresh = path.with_name(f".{path.stem}.{os.getpid()}.figure.partial")
    try:
        with open(fresh, "wb") as file:
            metadata = {"Software": f"lemmata {lemmata.__version__}", "Title": title}
            figure.savefig(file, format="png", dpi=dpi, metadata=metadata)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _is_running(process: str) -> bool:
    """Whether another process of this number is at work."""
    if not process.isdigit() or int(process) == os.getpid():
        return False
    if os.name == "nt":  # where this would end it
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:  # there, and somebody else's
        return True
    return True
