"""The best step: with mean-field weights it is the same at all widths and depths, with standard ones it shrinks.

A network is trained for a fixed number of updates at each of many steps; the best leaves the smallest risk. The flow
moves a particle by Δs · LM · ∂Q/∂β, so that Δs is free of L and M; standard weights η without 1/(LM), at a plain
learning rate, need rates like 1/(LM). Derived here; compare Yang et al. 2022, arXiv 2203.03466, for width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, all_of, at, between, claim, need, one_of_each
from lemmata.claims.exponent import exponent
from lemmata.lab import Experiment, Size
from lemmata.loops.flow import optimise
from lemmata.papers.mean_field import setting
from lemmata.papers.mean_field.setting import Network
from lemmata.parameters import parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Variable

OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


@dataclass(frozen=True)
class Stepped(Network):
    """A network after a fixed number of updates, each cell with a step of its own."""

    updates: int = parameter("updates", int, units="updates", least=1, default=40)
    optimiser: str = parameter("optimiser; adam is outside the theory", str, choices=tuple(OPTIMISERS), default="sgd")

    @property
    def variables(self) -> Mapping[str, Variable]:
        """At the end."""
        return {
            "risk": Variable((), "1", "risk R after training"),
            "outside_theory": Variable((), "", "moved by something other than the flow", "bool"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """None: the end alone is recorded."""
        return {}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Networks of one shape."""
        here = self.own(points)
        assert isinstance(here, Stepped)
        seeds = here.seeds(points)
        energy = here.energy(seeds, here.column(points, "decay"))
        theta = here.start(seeds, here.layers, here.particles)
        speed = here.transformer.speed(here.layers, here.particles) if here.optimiser == "sgd" else 1.0
        rates = torch.as_tensor(here.column(points, "step").astype(float) * speed)
        (state,) = optimise(energy, theta, [here.updates], OPTIMISERS[here.optimiser], rates)
        outside = state.outside_theory and here.optimiser != "sgd"
        return {"risk": state.risk.cpu().numpy(), "outside_theory": np.full(len(points), outside)}


RUN = Stepped(decay=1e-3)
_WEIGHTS = ("mean-field", "standard")
SIZES = {
    "smoke": Size(
        parametrisation=_WEIGHTS, layers=(2, 4), particles=(2, 4), step=(0.1, 1.0), updates=3, seeds=2
    ),
    "laptop": Size(
        parametrisation=_WEIGHTS, layers=(2, 8, 32), particles=(4, 16, 64), seeds=4,
        step=tuple(2.0**k for k in range(-12, 5)),
    ),
    "paper": Size(
        parametrisation=_WEIGHTS, optimiser=("sgd", "adam"), layers=(2, 4, 8, 16, 32, 64), particles=(4, 16, 64, 256),
        step=tuple(2.0 ** (k / 2) for k in range(-26, 11)), updates=100, seeds=16,
    ),
}  # fmt: skip


def best_step(data: xr.Dataset) -> xr.DataArray:
    """The step of the smallest risk, per seed; a risk that is no number is none."""
    need(data, step=4)
    finite = data.risk.where(np.isfinite(data.risk))
    whole = finite.notnull().any("step")
    if not bool(whole.all()):
        raise NotMeasurable("some networks diverge at every step")
    found = data.step.isel(step=finite.fillna(np.inf).argmin("step"))
    return found.reset_coords(drop=True).rename("best_step").assign_attrs(long_name="best step Δs", units="1")


def _slopes(data: xr.Dataset, weights: str, low: float, high: float, expected: str) -> Finding:
    need(data, layers=3, particles=3, seed=2)
    best = best_step(at(data, parametrisation=weights))
    parts = []
    for axis, other in (("particles", "layers"), ("layers", "particles")):
        middle = best.isel({other: best.sizes[other] // 2}, drop=True)
        words = "in width" if axis == "particles" else "in depth"
        parts.append(between(low, high, exponent(middle, axis), where=words, expected=expected))
    return all_of(*parts)


@claim("with mean-field weights the best step does not depend on width or depth", setting.DERIVED)
def mean_field_steps_transfer(data: xr.Dataset) -> Finding:
    """Exponents of the best step in M and in L, each at the middle value of the other."""
    return _slopes(data, "mean-field", -0.25, 0.25, "0")


@claim("with standard weights the best step shrinks as the network grows", setting.DERIVED)
def standard_steps_do_not(data: xr.Dataset) -> Finding:
    """Exponents of the best step in M and in L."""
    return _slopes(data, "standard", -1.4, -0.6, "−1")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Risk after training against the step, a curve for each width and for each depth."""
    chosen, note = one_of_each(data, "parametrisation", "layers", "particles", "step", of="risk")
    weights = np.atleast_1d(chosen["parametrisation"].values)
    figure, axes = new_figure(2, len(weights), title="Risk after training against the step" + note, height=3.2)
    start = float(chosen.risk.isel(step=int(np.argmin(chosen.step.values))).max())
    for column, one in enumerate(weights):
        own = chosen.sel(parametrisation=one)
        for row, (hue, other) in enumerate((("particles", "layers"), ("layers", "particles"))):
            part = own.risk.isel({other: own.sizes[other] // 2}) if other in own.risk.dims else own.risk
            shown = part.where(part < 3 * start).assign_attrs(part.attrs)
            last = column == len(weights) - 1
            curves(axes[row, column], shown, "step", hue, log="xy", legend=last, title=f"{one} weights")
    return {"step": figure}


EXPERIMENT = Experiment(RUN, SIZES, claims=(mean_field_steps_transfer, standard_steps_do_not), figures=figures)
