"""Pictures of these experiments: methods beside each other, classes beside each other, and both along training."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.papers.fast_adversarial.setting import LABELS
from lemmata.report.curves import curves
from lemmata.report.statistics import seed_interval
from lemmata.report.style import COLOURS, MARKERS, axis_label, explain_band, new_figure, styled
from lemmata.status import Status


def along_methods(data: xr.Dataset) -> xr.Dataset:
    """The dataset with its methods along a dimension, also where there is only one."""
    return data if "defence" in data.dims else data.expand_dims("defence")


def _radii(data: xr.Dataset) -> list[float]:
    return [float(value) for value in np.atleast_1d(data.eps.values)]


def _at_radius(data: xr.Dataset, eps: float) -> xr.Dataset:
    return data.sel(eps=eps) if "eps" in data.dims else data


@styled
def bars_by_method(data: xr.Dataset, names: Sequence[str]) -> Figure:
    """A panel for each radius: a row for each method, a mark for each quantity with its interval over seeds."""
    data, radii = along_methods(data), _radii(data)
    figure, axes = new_figure(
        1, len(radii), title="Digits: accuracy by method and attack", width=5.4, height=3.6, sharey=True
    )
    methods = [str(name) for name in data.defence.values]
    height = np.arange(len(methods))[::-1]
    for ax, eps in zip(axes[0], radii):
        for place, name in enumerate(names):
            found = seed_interval(_at_radius(data, eps)[name])
            at = height + 0.16 * ((len(names) - 1) / 2 - place)
            middle = found["mean"].values
            reach = np.abs(np.stack([middle - found["low"].values, found["high"].values - middle]))
            style = {"marker": MARKERS[place], "color": COLOURS[place], "linestyle": "", "capsize": 2, "elinewidth": 1}
            ax.errorbar(middle, at, xerr=reach, label=_short(name), **style)
        ax.set_yticks(height, [LABELS[name] for name in methods])
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel("accuracy on test images")
        ax.set_title(f"ε = {eps:g}")
        ax.grid(axis="x", color="0.9")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return figure


def _short(name: str) -> str:
    words = {"clean": "clean", "pgd": "PGD", "union": "PGD and margin", "worst_class": "worst class, PGD"}
    return words.get(name, name)


@styled
def class_accuracies(data: xr.Dataset, eps: float, methods: Sequence[str] = ()) -> Figure:
    """Accuracy of every class under PGD, classes in the order of the first method's; clean ones above."""
    data = _at_radius(along_methods(data), eps)
    shown = [str(n) for n in data.defence.values if not methods or n in methods]
    first = "fgsm-rs" if "fgsm-rs" in shown else shown[0]
    order = data.class_pgd.sel(defence=first).mean("seed").argsort().values
    figure, axes = new_figure(title=f"Digits, ε = {eps:g}: how robust each class is", width=7.0, height=4.0)
    ax = axes[0, 0]
    kept = [n for n in ("fgsm-rs", "bmi-ls", "pgi", "skg", "pgd-at") if n in shown] or shown
    for place, name in enumerate(kept):
        found = seed_interval(data.class_pgd.sel(defence=name).isel({"class": order}))
        at = np.arange(len(order)) + 0.12 * (place - (len(kept) - 1) / 2)
        middle = found["mean"].values
        reach = np.abs(np.stack([middle - found["low"].values, found["high"].values - middle]))
        style = {"marker": MARKERS[place], "color": COLOURS[place], "capsize": 2, "elinewidth": 1, "linewidth": 0.8}
        ax.errorbar(at, middle, yerr=reach, label=LABELS[name], **style)
    clean = data.class_clean.sel(defence=first).mean("seed").isel({"class": order})
    ax.plot(np.arange(len(order)), clean.values, color="0.5", ls=":", label=f"{LABELS[first]}, clean")
    ax.set_xticks(np.arange(len(order)), [str(c) for c in data["class"].values[order]])
    ax.set_xlabel(f"class, in the order of {LABELS[first]}")
    ax.set_ylabel(axis_label(data.class_pgd))
    ax.set_ylim(-0.02, 1.02)
    ax.grid(axis="y", color="0.9")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return figure


@styled
def attacks_along_training(data: xr.Dataset, title: str) -> Figure:
    """A panel for each method: clean, FGSM and PGD accuracy against the epoch, and what the monitor said."""
    data = along_methods(data)
    methods = [str(name) for name in data.defence.values]
    figure, axes = new_figure(1, len(methods), title=title, width=3.1, height=3.2, sharey=True)
    for ax, name in zip(axes[0], methods):
        part = data.sel(defence=name)
        sound = part.where(part.status != Status.DIVERGED)
        for place, (look, words) in enumerate((("look_clean", "clean"), ("look_fgsm", "FGSM"), ("look_pgd", "PGD-10"))):
            found = seed_interval(sound[look].mean("class", skipna=False))
            style = {"color": COLOURS[place], "marker": MARKERS[place], "markevery": 2}
            ax.plot(found.epoch.values, found["mean"].values, label=words, **style)
            ax.fill_between(
                found.epoch.values, found["low"].values, found["high"].values, color=COLOURS[place], alpha=0.18, lw=0
            )
        explain_band(ax)
        warned = [
            f"{int((part[variable] >= 0).sum())} of {part.sizes['seed']} {words}"
            for variable, words in (("warned_overfitting", "overfitting"), ("warned_constant", "constant"))
        ]
        lost = int((part.status == Status.DIVERGED).sum())
        diverged = f"; {lost} of {part.sizes['seed']} diverged" if lost else ""
        ax.set_title(f"{LABELS[name]}{diverged}\nwarned: {', '.join(warned)}", fontsize=8.5)
        ax.set_xlabel("epoch")
        ax.set_ylim(-0.02, 1.02)
    axes[0, 0].set_ylabel("accuracy on test images")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return figure


@styled
def clean_against_robust(data: xr.Dataset, title: str) -> Figure:
    """A panel for each method: each class's way from the first look to the last, clean against robust accuracy."""
    data = along_methods(data)
    methods = [str(name) for name in data.defence.values]
    columns = (len(methods) + 1) // 2 if len(methods) > 3 else len(methods)
    figure, axes = new_figure(
        -(-len(methods) // columns), columns, title=title, width=3.3, height=3.2, sharex=True, sharey=True
    )
    flat = axes.ravel()
    for ax, name in zip(flat, methods):
        clean = data.look_clean.sel(defence=name).mean("seed")
        robust = data.look_pgd.sel(defence=name).mean("seed")
        for label in data["class"].values:
            way = clean.sel({"class": label}).values, robust.sel({"class": label}).values
            ax.plot(*way, color="0.75", lw=0.8, zorder=1)
            ax.annotate(str(label), (way[0][-1], way[1][-1]), ha="center", va="center", fontsize=8, zorder=3)
        last = clean.isel(epoch=-1), robust.isel(epoch=-1)
        ax.axvline(float(last[0].mean()), color="0.4", lw=0.8, ls="--")
        ax.axhline(float(last[1].mean()), color="0.4", lw=0.8, ls="--")
        ax.set_title(LABELS[name])
    for ax in flat[len(methods) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("robust accuracy (PGD-10)")
    for ax in axes[-1]:
        ax.set_xlabel("clean accuracy")
    return figure


def curves_by_method(data: xr.Dataset, names: Sequence[str]) -> Figure:
    """A panel for each quantity along the steps, a curve for each method."""
    figure, axes = new_figure(1, len(names), title="Accuracy on test images along training", width=3.6)
    extra = [dim for dim in data[names[0]].dims if dim not in ("step", "defence", "seed")]
    kept = data.isel(dict.fromkeys(extra, 0))
    for place, name in enumerate(names):
        hue = "defence" if "defence" in kept.dims else None
        curves(axes[0, place], kept[name], "step", hue, legend=place == len(names) - 1)
        axes[0, place].set_ylim(0, 1)
    return figure
