"""Axes of figures over widths and depths: ticks stand at the values that were run."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator


def ticks_at(ax: Axes, values: np.ndarray) -> None:
    """Ticks of the x axis at these values, written out, and none between them."""
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
