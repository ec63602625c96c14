"""Beside the mean-field weights: lazy and standard ones, attention alone and neurons alone, along the same flow.

Weights η/(LM) have a limit in width in which particles move; η/√(LM) leave a random network that hardly moves its
particles; η, with outgoing weights that start 1/√(LM) smaller, need a step that shrinks with the network. Attention
alone and neurons alone (the mean-field ResNet of Lu, Ma, Lu, Lu, Ying 2020) are averages as well. Derived here.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, among, at, at_least, between, claim, need, one_of_each, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.papers.mean_field.coupled import Coupled
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RUN = Coupled(layers=8, reference_layers=8, reference_particles=256, times=(0.0, 10.0))
_WEIGHTS, _PARTS = ("mean-field", "lazy", "standard"), ("both", "attention", "feed-forward")
SIZES = {
    "smoke": Size(
        parametrisation=_WEIGHTS, parts=("both",),
        particles=(2, 4), layers=2, reference_layers=2, reference_particles=8,
        seeds=2, changes={"times": (0.0, 1.0)},
    ),
    "laptop": Size(parametrisation=_WEIGHTS, parts=_PARTS, particles=(2, 4, 8, 16, 32), block=(0, 1, 2, 3), seeds=16),
    "paper": Size(
        parametrisation=_WEIGHTS, parts=_PARTS, particles=(2, 4, 8, 16, 32, 64, 128), block=(0, 1, 2, 3),
        reference_particles=1024, seeds=32,
    ),
}  # fmt: skip


def _width_base(data: xr.Dataset) -> rates.Base:
    reference = float(data.reference_particles)
    return lambda particles: theory.width_error(particles, reference) ** 2


def _end(data: xr.Dataset, weights: str) -> xr.Dataset:
    need(data, particles=3, seed=2)
    return at(usable(data), parametrisation=weights).isel(time=-1)


@claim("attention alone and neurons alone approach their limits like 1/√M too", setting.DERIVED)
def every_part_has_a_limit(data: xr.Dataset) -> Finding:
    """Exponent of the outputs' distance with mean-field weights, for each choice of half steps."""
    error = _end(data, "mean-field").output_error
    return rates.rate_finding(error, "particles", _width_base(data), -0.65, -0.38, "−1/2")


@claim("lazy networks do not approach the large one they are blocks of", setting.DERIVED)
def lazy_has_no_such_limit(data: xr.Dataset) -> Finding:
    """Exponent of the outputs' distance at the end of training."""
    slope = rates.slope(_end(data, "lazy").output_error, "particles", _width_base(data))
    return above(-0.25, slope, expected="0", detail=slope)


@claim("in lazy networks particles move ever less", setting.DERIVED)
def lazy_hardly_moves(data: xr.Dataset) -> Finding:
    """Exponent of the mean movement in M."""
    slope = rates.slope(_end(data, "lazy").movement, "particles", lambda particles: 1 / particles)
    return between(-0.65, -0.38, slope, expected="−1/2", detail=slope)


@claim("with standard weights the same step is too long for wide networks", setting.DERIVED)
def standard_diverges(data: xr.Dataset) -> Finding:
    """Share of references, the widest networks, whose risk ended above where it started or is no number."""
    need(data, seed=2)
    risk = at(data, parametrisation="standard").isel(particles=-1).reference_risk
    worse = ~(risk.isel(time=-1) < risk.isel(time=0))
    return at_least(0.9, float(worse.mean()), expected="all", format="{:.0%} of the references")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distance of outputs and movement against width, per weights."""
    chosen, note = one_of_each(data.isel(time=-1), "parametrisation", "parts", "particles", "block", of="output_error")
    parts = np.atleast_1d(chosen["parts"].values)
    figure, axes = new_figure(len(parts), 2, title="Other weights, and other half steps" + note, height=3.0)
    for row, part in zip(axes, parts):
        own = chosen.sel(parts=part) if "parts" in chosen.dims else chosen
        for ax, name in zip(row, ("output_error", "movement")):
            shown = rates.over_blocks(own[name])
            shown = among(shown, shown < 1e3, "no divergence").assign_attrs(own[name].attrs)
            curves(ax, shown, "particles", "parametrisation", log="xy", legend=ax is row[-1], title=str(part))
            ticks_at(ax, own.particles.values)
    return {"baselines": figure}


EXPERIMENT = Experiment(
    RUN,
    SIZES,
    claims=(every_part_has_a_limit, lazy_has_no_such_limit, lazy_hardly_moves, standard_diverges),
    figures=figures,
)
