"""Over-parameterisation: labels of pure noise are fitted once there are enough particles in width times depth.

λ = 0, 32 prompts with independent targets, 600 Euler steps. Derived here: the theorem (Gao et al. 2024,
arXiv 2410.23610, theorem 4.1) speaks of the limit; this asks how many particles stand in for it.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Estimate, Finding, above, all_of, at, at_least, claim, mean, need, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import setting
from lemmata.papers.mean_field.at_the_end import risk_at_the_end
from lemmata.papers.mean_field.setting import Flowing

RUN = Flowing(targets="noise", decay=0.0, step=0.3, probes=0, times=(0.0, 30.0, 180.0))
SIZES = {
    "smoke": Size(layers=(1, 2), particles=(1, 2), seeds=2, changes={"times": (0.0, 6.0)}),
    "laptop": Size(half_step=(0.5, 1.0), layers=(1, 2, 4, 8), particles=(1, 2, 4, 16), seeds=16),
    "paper": Size(
        half_step=(0.5, 1.0), layers=(1, 2, 4, 8, 16), particles=(1, 2, 4, 8, 16, 32), seeds=48,
        changes={"times": (0.0, 30.0, 180.0, 1800.0)},
    ),
}  # fmt: skip


def _risk(data: xr.Dataset, layers: int, particles: int) -> Estimate:
    last = usable(data).isel(time=-1).risk.reset_coords(drop=True)
    return mean(at(last, layers=layers, particles=particles), log=True)


@claim("one particle cannot fit noise", setting.DERIVED)
def one_particle_cannot(data: xr.Dataset) -> Finding:
    """Geometric mean risk of a single layer with a single particle; the start has about 0.31."""
    need(data, seed=2)
    return above(0.1, _risk(data, 1, 1), expected="> 0.1 of 0.31")


@claim("each doubling of width and depth divides the risk by ten or more", setting.DERIVED)
def more_particles_fit(data: xr.Dataset) -> Finding:
    """Ratios of geometric mean risks along (L, M) = (1, 2), (2, 2), (4, 4)."""
    need(data, seed=2)
    sizes = [_risk(data, *size) for size in ((1, 2), (2, 2), (4, 4))]
    pairs = zip(sizes, sizes[1:], ("from (1, 2) to (2, 2)", "from (2, 2) to (4, 4)"))
    return all_of(*(at_least(10.0, big.over(small), where=where, expected="×10") for big, small, where in pairs))


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Final risk against the number of particles per layer."""
    return {"threshold": risk_at_the_end(data, "Labels of pure noise: risk at the end")}


EXPERIMENT = Experiment(RUN, SIZES, claims=(one_particle_cannot, more_particles_fit), figures=figures)
