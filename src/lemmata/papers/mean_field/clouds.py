"""Clouds: which distances between clouds of particles fall with M, and how the particles themselves move.

Between two independent clouds of a layer's starts the Wasserstein distance falls like M^(−1/P) in P = 41 dimensions,
that is hardly; the sliced one falls like M^(−1/2), at the start and between a network and its reference after training.
So the sliced distance, or that of coupled particles, tells whether measures converge. Derived here, for the measures of
Gao et al. 2024, arXiv 2410.23610, section 3.2; rates: Fournier, Guillin 2015, arXiv 1312.2128.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, between, claim, need, one_of_each, usable
from lemmata.claims.exponent import exponent
from lemmata.draws import split
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.papers.mean_field.coupled import Coupled
from lemmata.parameters import check
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Variable
from lemmata.theory.transport import directions, exact_wasserstein, sliced_wasserstein

DIRECTIONS = 200
"""Slices of a distance; its own error from them is a few per cent, and the same for all clouds."""


@dataclass(frozen=True)
class Clouds(Coupled):
    """Distances of a layer's cloud: to an independent one at the start, to the reference's along training."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Means over layers."""
        return {
            "sliced_start": Variable((), "1", "sliced W₂ of independent starts"),
            "exact_start": Variable((), "1", "W₂ of independent starts"),
            "sliced_reference": Variable(("time",), "1", "sliced W₂ to the reference's cloud"),
        }

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Clouds of one number of particles."""
        here = self.own(points)
        assert isinstance(here, Clouds)
        here._check_blocks(0)
        seeds, decays, steps = here.seeds(points), here.column(points, "decay"), here.column(points, "step")
        first = here.start(seeds, here.layers, here.particles)
        twin = here.start(split(seeds, "twin"), here.layers, here.particles).cpu().numpy()
        along = directions(DIRECTIONS, first.shape[-1])
        pairs = zip(first.cpu().numpy()[:, 0], twin[:, 0])
        references = [here._reference(point, decay, step) for point, decay, step in zip(points, decays, steps)]
        to_reference = []
        for index, state in enumerate(here.flow(here.energy(seeds, decays), first, steps)):
            clouds = zip(state.theta.cpu().numpy(), (r.theta[index].cpu().numpy() for r in references))
            to_reference.append([sliced_wasserstein(own, other, along).mean() for own, other in clouds])
        return {
            "sliced_start": sliced_wasserstein(first.cpu().numpy(), twin, along).mean(1),
            "exact_start": np.asarray([exact_wasserstein(x, y) for x, y in pairs]),
            "sliced_reference": np.asarray(to_reference).T,
        }


RUN = Clouds(layers=4, reference_layers=4, reference_particles=512, times=(0.0, 10.0))
SIZES = {
    "smoke": Size(
        particles=(2, 4, 8),
        reference_particles=16,
        layers=2,
        reference_layers=2,
        seeds=2,
        changes={"times": (0.0, 1.0)},
    ),
    "laptop": Size(particles=(8, 16, 32, 64, 128), seeds=8),
    "paper": Size(particles=(16, 32, 64, 128, 256, 512), reference_particles=4096, seeds=32),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """C M^(−1/2) for independent clouds, C fitted."""
    if "particles" not in data.dims:
        return {}
    return {"sliced_start_predicted": rates.fitted(data.sliced_start, "particles", theory.independent_cloud_distance)}


def _slope(data: xr.Dataset, name: str) -> Any:
    need(data, particles=3, seed=2)
    return exponent(usable(data)[name].reset_coords(drop=True), "particles")


@claim("the sliced distance of independent clouds falls like 1/√M", setting.DERIVED)
def sliced_distance_falls(data: xr.Dataset) -> Finding:
    """Exponent at the start."""
    return between(-0.6, -0.35, _slope(data, "sliced_start"), expected="−1/2")


@claim("their Wasserstein distance hardly falls", setting.DERIVED)
def exact_distance_hardly_falls(data: xr.Dataset) -> Finding:
    """Exponent at the start, in 41 dimensions."""
    return above(-0.1, _slope(data, "exact_start"), expected="−1/41")


@claim("trained clouds approach the reference's like 1/√M", "Gao et al. 2024, theorem 3.1 (weak convergence)")
def trained_clouds_converge(data: xr.Dataset) -> Finding:
    """Exponent of the sliced distance to the reference, at the start and after training."""
    reference = float(data.reference_particles)
    base: rates.Base = lambda particles: theory.width_error(particles, reference) ** 2  # noqa: E731
    distance = usable(data).sliced_reference
    return rates.rate_finding(distance, "particles", base, -0.6, -0.35, "−1/2")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distances of clouds against their number of particles."""
    chosen, note = one_of_each(data, "particles", "time", of="sliced_reference")
    figure, axes = new_figure(1, 2, title="Distances between clouds of particles" + note)
    words = {"sliced_start": "sliced", "exact_start": "exact"}
    both = xr.concat([chosen[name].expand_dims(distance=[word]) for name, word in words.items()], "distance")
    both.attrs = {"long_name": "W₂ of independent starts", "units": "1"}
    curves(
        axes[0, 0], both, "particles", "distance", log="xy", theory=chosen.get("sliced_start_predicted"),
        theory_label="C M^(−1/2)", title="independent clouds at s = 0",
    )  # fmt: skip
    curves(axes[0, 1], chosen.sliced_reference, "particles", "time", log="xy", title="to the reference's clouds")
    for ax in axes[0]:
        ticks_at(ax, chosen.particles.values)
    return {"clouds": figure}


EXPERIMENT = Experiment(
    RUN,
    SIZES,
    claims=(sliced_distance_falls, exact_distance_hardly_falls, trained_clouds_converge),
    predict=predict,
    figures=figures,
)
