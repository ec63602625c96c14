"""Attention networks trained from scratch on principal components, beside power iteration of equal depth.

A network of L layers can hold L products with the covariance (a constructed one does one per layer), so L steps of
power iteration for each eigenvector are its fair opponent. Two kinds of attention. Reference: He et al. 2025, arXiv
2501.01312 (synthetic data); sizes from the authors' code.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Finding,
    above,
    all_of,
    at,
    at_least,
    below,
    claim,
    mean,
    need,
    usable,
    within,
)
from lemmata.lab import Experiment, Size
from lemmata.papers.spectral import setting, theory
from lemmata.papers.spectral.setting import EigenpairsBody
from lemmata.report.curves import curves
from lemmata.report.style import THEORY, new_figure

BODY = EigenpairsBody(width=32, rate=3e-3, records=12, attention="relu")
SIZES = {
    "smoke": Size(attention=("relu",), n=6, d=3, width=16, heads=2, layers=1, steps=20, batch=8, records=2, seeds=2),
    "laptop": Size(attention=("relu", "softmax"), steps=1200, seeds=5),
    "paper": Size(attention=("relu", "softmax"), width=64, layers=12, steps=60_000, records=60, seeds=5),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """A direction drawn at random, and power iteration with one step per layer."""
    depth = int(data.layers) if not data.layers.ndim else int(data.layers.max())
    equal = data.power.interp(power_step=depth) if depth not in data.power_step else data.power.sel(power_step=depth)
    label = f"power iteration, {depth} steps per eigenvector"
    chance = xr.apply_ufunc(theory.random_cosine, data.d)
    return {
        "equal_depth": equal.drop_vars("power_step").assign_attrs(long_name=label, units="1"),
        "chance": chance.assign_attrs(long_name="|cos| of a random direction", units="1"),
    }


def _last(data: xr.Dataset) -> xr.DataArray:
    return usable(data).cosine.isel(step=-1, drop=True)


@claim("a trained network finds the first eigenvector", setting.PAPER)
def finds_the_first(data: xr.Dataset) -> Finding:
    """Mean |cos| with it."""
    need(data, seed=2)
    return at_least(0.85, mean(at(_last(data), attention="relu").sel(j=1, drop=True)))


@claim("the first eigenvector is found better than the second, and the second better than by chance", setting.PAPER)
def in_order_of_index(data: xr.Dataset) -> Finding:
    """Differences of |cos|."""
    need(data, seed=2, j=2)
    cos = _last(data)
    first, second = cos.sel(j=1, drop=True), cos.sel(j=2, drop=True)
    return all_of(
        above(0.0, mean(first - second), format="first − second {:.3f}"),
        above(0.0, mean(second - data.chance), format="second − chance {:.3f}"),
    )


@claim("softmax attention does as well as ReLU attention", setting.PAPER)
def softmax_as_well(data: xr.Dataset) -> Finding:
    """|cos| with the first eigenvector, softmax less ReLU; the same clouds and seeds."""
    need(data, seed=2, attention=2)
    cos = _last(data).sel(j=1, drop=True)
    return at_least(-0.05, mean(at(cos, attention="softmax") - at(cos, attention="relu")), format="difference {:+.3f}")


@claim(
    "for the first eigenvector a trained network is worth about as many power steps as it has layers", setting.DERIVED
)
def worth_its_depth(data: xr.Dataset) -> Finding:
    """|cos| less that of power iteration with one step per layer, on the same clouds."""
    need(data, seed=2)
    return within(0.05, mean((_last(data) - data.equal_depth).sel(j=1, drop=True)), of=0.0)


@claim("for the second it is worth fewer: it would have to wait for the first", setting.DERIVED)
def second_waits(data: xr.Dataset) -> Finding:
    """The same for the second eigenvector."""
    need(data, seed=2, j=2)
    return below(
        0.0, mean((_last(data) - data.equal_depth).sel(j=2, drop=True)), format="differences up to {most:+.3f}"
    )


CLAIMS = (finds_the_first, in_order_of_index, softmax_as_well, worth_its_depth, second_waits)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """|cos| along training for each kind, and the final ones beside power iteration by its steps."""
    kinds = [str(kind) for kind in data.attention.values.reshape(-1)]
    figure, axes = new_figure(1, len(kinds), title="The first eigenvector is learnt before the second")
    for ax, kind in zip(axes[0], kinds):
        part = data.sel(attention=kind) if "attention" in data.dims else data
        curves(ax, part.cosine, "step", "j", title=f"{kind} attention", legend=kind == kinds[-1])
        ax.axhline(float(part.chance.mean()), color="0.5", lw=0.9, ls=":")
        ax.set_ylim(0, 1.02)
    axes[0, 0].text(0.98, float(data.chance.mean()) - 0.06, "random direction", ha="right", fontsize=8,
                    transform=axes[0, 0].get_yaxis_transform())  # fmt: skip
    first = data.isel(attention=0) if "attention" in data.dims else data
    return {"training_curves": figure, "training_power": beside_power(first)}


def beside_power(data: xr.Dataset) -> Figure:
    """How many steps of power iteration a trained network is worth."""
    figure, axes = new_figure(title="How many power steps a trained network is worth", width=5.6, height=3.8)
    ax = axes[0, 0]
    curves(ax, data.power, "power_step", "j", log="x")
    final = data.cosine.isel(step=-1)
    for line, j in zip(ax.get_lines(), final.j.values):
        level = float(final.sel(j=j).mean())
        ax.axhline(level, color=line.get_color(), **THEORY)
    ax.plot([], [], color="0.3", label="trained network", **THEORY)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), title="eigenvector j, power iteration")
    ax.set_ylabel("mean |cos| with the eigenvector (1)")
    return figure


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
