"""How much tuning a method needs, drawn: a quantity against the value of each method's knob, all methods in one panel.

Learning rates and first scales share the axis, as both are lengths a coordinate moves in its first steps. Lines of the
paper's own methods are thick.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lemmata.papers.parameter_free.methods import METHODS, PLUS
from lemmata.report.statistics import seed_interval
from lemmata.report.style import COLOUR_MAP, RC, THEORY, axis_label, explain_band, log_scales, new_figure

_LOOKS = {
    "adagrad++": ("#1b1b1b", "o"),
    "adam++": ("#0072b2", "s"),
    "adam++sum": ("#009e73", "^"),
    "adam++max": ("#56b4e9", "P"),
    "adam++literal": ("0.55", "x"),
    "adam": ("#d55e00", "D"),
    "adagrad": ("#cc79a7", "v"),
    "schedule-free": ("#e69f00", "<"),
    "prodigy": ("0.45", "*"),
    "dadapt-adam": ("#8c6d4f", "P"),
}


def look(method: str) -> dict[str, Any]:
    """Colour, marker and width of a method's line, the same in all figures."""
    colour, marker = _LOOKS.get(method, ("0.3", "."))
    plus = method in PLUS or method == "adam++max"
    return {"color": colour, "marker": marker, "lw": 2.4 if plus else 1.1, "zorder": 4 if plus else 3, "ms": 5}


def sensitivity(
    ax: Axes,
    knob: xr.DataArray,
    value: xr.DataArray,
    *,
    limits: tuple[float, float],
    levels: Mapping[str, float] | None = None,
    title: str = "",
) -> None:
    """Curves of ``value`` over ``knob``, one a method, with the 95 % interval over seeds.

    Args:
        knob: ``(optimiser, tuning)``.
        value: ``(optimiser, tuning, seed)``, or without seed; missing (diverged) is drawn as a cross on the upper
            edge.
        limits: of the value's axis, which is logarithmic; points beyond are drawn on the edge.
        levels: name → value of horizontal lines to compare with.
        title: the claim that the panel shows.
    """
    interval = seed_interval(value, geometric=True)
    for method in map(str, value["optimiser"].values):
        part, at = interval.sel(optimiser=method), knob.sel(optimiser=method).values
        diverged = value.sel(optimiser=method).isnull()
        lost = (diverged.any("seed") if "seed" in diverged.dims else diverged).values
        # An exact hit of the optimum has no logarithm; it belongs on the lower edge, not among the missing.
        mean = np.where(np.isnan(part["mean"].values) & ~lost, limits[0], part["mean"].values)
        style = look(method)
        ax.plot(at, np.clip(np.where(lost, np.nan, mean), *limits), label=METHODS[method].label, **style)
        low, high = (np.clip(part[name].values, *limits) for name in ("low", "high"))
        ax.fill_between(at, low, high, where=~lost, color=style["color"], alpha=0.15, lw=0)
        if lost.any():
            cross: dict[str, Any] = {"ms": 7, "mew": 2, "clip_on": False, "zorder": 5}
            ax.plot(at[lost], np.full(lost.sum(), limits[1]), "x", color=style["color"], **cross)
    if value.sizes.get("seed", 1) > 1:
        explain_band(ax)
    for name, level in (levels or {}).items():
        ax.axhline(level, color="0.6", lw=0.8, ls=":", zorder=1)
        at_right: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        ax.text(1.0, level, name, fontsize=7.5, color="0.4", **at_right).set_in_layout(False)
    log_scales(ax, "xy")
    span = limits[1] / limits[0]
    ax.set_ylim(limits[0] / span**0.03, limits[1] * span**0.03)
    ax.set_xlabel("learning rate, or first scale η₀, d₀")
    ax.set_ylabel(axis_label(value))
    ax.set_title(title)


def legend_beside(ax: Axes) -> None:
    """One legend for all panels, right of this one; crosses and the lower edge are explained."""
    ax.plot([], [], "x", color="0.3", ms=7, mew=2, label="diverged")
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        title="thick: this paper\non the lower edge: there or below",
    )


def by_net_and_schedule(
    accuracy: xr.DataArray, status: xr.DataArray, knob: xr.DataArray, title: str, lowest: float
) -> Figure:
    """Test error against knob; rows: networks, columns: schedules.

    Args:
        accuracy, status, knob: ``(net, schedule, optimiser, tuning, seed)``.
        lowest: where the axis of the error begins, about one test sample.
    """
    # A network without an error would have none on a logarithmic axis; it counts as one with the lowest there is.
    error = (1 - accuracy).clip(min=lowest).where(status == 0).assign_attrs(long_name="test error")
    with rc_context(RC):
        shape = (error.sizes["net"], error.sizes["schedule"])
        figure, axes = new_figure(*shape, title=title, sharex=True, sharey="row")
        for row, net in zip(axes, error["net"].values):
            for ax, name in zip(row, error["schedule"].values):
                at = {"net": net, "schedule": name}
                where = f"{net}, {name} schedule"
                sensitivity(ax, knob.sel(at).isel(seed=0), error.sel(at), limits=(lowest, 1.0), title=where)
        legend_beside(axes[0, -1])
    return figure


def scale_paths(dataset: xr.Dataset, title: str) -> Figure:
    """The scale of one method along training, a panel a table and a line a first scale.

    Args:
        dataset: ``eta_path`` ``(data, tuning, step)``, ``knob``, ``distance``; coordinates ``optimiser``, ``batch``.
    """
    shades = colormaps[COLOUR_MAP](np.linspace(0.0, 0.85, dataset.sizes["tuning"]))
    batch = int(dataset["batch"])
    where = f"{METHODS[str(dataset['optimiser'].values)].label}, " + (
        f"{batch} samples a step" if batch else "all samples"
    )
    with rc_context(RC):
        figure, axes = new_figure(1, dataset.sizes["data"], title=title, sharey=True)
        for ax, name in zip(axes[0], dataset["data"].values):
            part = dataset.sel(data=name)
            for index, shade in enumerate(shades):
                one = part.isel(tuning=index)
                label = f"η₀ = {float(one['knob']):.0e}"
                ax.plot(one["step"], one["eta_path"], color=shade, marker="o", ms=3, label=label)
            ax.axhline(float(part["distance"]), color="0.1", label="distance D to the optimum", **THEORY)
            log_scales(ax, "xy")
            ax.set_xlabel("steps")
            ax.set_title(f"{str(name).replace('_', ' ')}, {where}")
        axes[0, 0].set_ylabel("distance scale η")
        axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return figure
