"""Figures of a report: for a law, what is measured over what it expects; for the rest, numbers with intervals."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lemmata.report.laws import over_law, rows
from lemmata.report.style import new_figure
from lemmata.tester.conjecture import Judgement


def draw(title: str, judgement: Judgement) -> Figure:
    """The figure of one conjecture."""
    data = judgement.dataset
    along = [name for name in map(str, data.get("off", data).dims) if _is_scale(data, name)] if "off" in data else []
    if not along:
        shown = [row for row in judgement.rows if np.isfinite([row.value, row.low, row.high]).all()]
        figure, axes = new_figure(title=title, width=6.5, height=0.9 + 0.6 * max(1, len(shown)))
        numbers = [(row.value, row.low, row.high) for row in shown]
        rows(axes[0, 0], [row.name for row in shown], numbers, [f"{row.expected}  {row.word}" for row in shown])
        return figure
    figure, axes = new_figure(1, len(along), title=title, width=4.8, height=3.6, sharey=True)
    for ax, x in zip(axes[0], along):
        others = [name for name in map(str, data.off.dims) if name != x]
        hue = max(others, key=lambda name: data.sizes[name]) if others else None
        rest: dict[str, Any] = {name: 0 for name in others if name != hue}
        over_law(
            ax,
            data.isel(rest)[["off", "off_low", "off_high"]],
            x,
            hue,
            tolerance=float(data.attrs.get("tolerances", {}).get(x, 0.0)),
            quantity=str(data.attrs.get("quantity", "")) if ax is axes[0, 0] else "",
            title=", ".join(f"{name} = {data[name].values[0]:g}" for name in rest),
        )
    return figure


def _is_scale(data: Any, name: str) -> bool:
    values = data[name].values
    return values.dtype.kind in "if" and len(values) > 1 and bool((values > 0).all())
