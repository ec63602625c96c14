"""Width: M particles a layer are a sample of their measure, at distance 1/√M of its limit all along training.

Small networks start as disjoint blocks of the particles of a reference of 512 a layer, so that every particle has its
counterpart there. Rate: Gao et al. 2024, arXiv 2410.23610, theorem 3.1, second term, and appendix D for the coupling.
Particles move as far at every width: features are learned, where lazy training would leave them.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, alike, claim, mean, need, one_of_each, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.papers.mean_field.coupled import Coupled
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RUN = Coupled(layers=8, reference_layers=8, reference_particles=512, times=(0.0, 5.0, 10.0))
_BLOCKS = tuple(range(6))
SIZES = {
    "smoke": Size(
        half_step=(0.5,), particles=(2, 4, 8), block=(0, 1), reference_particles=32, layers=2, reference_layers=2,
        seeds=2,
        changes={"times": (0.0, 1.0)},
    ),
    "laptop": Size(half_step=(0.5, 1.0), particles=(2, 4, 8, 16, 32, 64), block=_BLOCKS, seeds=16),
    "paper": Size(
        half_step=(0.5, 1.0), law=("gaussian", "ball"), particles=(2, 4, 8, 16, 32, 64, 128), block=_BLOCKS,
        reference_particles=4096, seeds=32, changes={"times": (0.0, 5.0, 10.0, 20.0)},
    ),
}  # fmt: skip
LOW, HIGH = -0.65, -0.38


def _base(data: xr.Dataset) -> rates.Base:
    reference = float(data.reference_particles)
    return lambda particles: theory.width_error(particles, reference) ** 2


def _trained(data: xr.Dataset) -> xr.Dataset:
    return data.isel(time=data.time.values > 0)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """C√(1/M − 1/M_ref), C fitted at each time."""
    if "particles" not in data.dims:
        return {}
    made = {"output_error_predicted": rates.fitted(data.output_error, "particles", _base(data), 0.5)}
    moved = rates.fitted(_trained(data).coupled_distance, "particles", _base(data), 0.5)
    return {**made, "coupled_distance_predicted": moved.reindex(time=data.time)}


@claim("outputs approach their limit in width like 1/√M", setting.THEOREM_31)
def outputs_like_root_of_width(data: xr.Dataset) -> Finding:
    """Exponent of the outputs' distance, at every recorded time."""
    return rates.rate_finding(usable(data).output_error, "particles", _base(data), LOW, HIGH, "−1/2")


@claim("coupled particles stay as close as 1/√M", "Gao et al. 2024, appendix D")
def particles_like_root_of_width(data: xr.Dataset) -> Finding:
    """Exponent of the distance of particles to their counterparts, after the start, where it is zero."""
    distance = _trained(usable(data)).coupled_distance
    return rates.rate_finding(distance, "particles", _base(data), LOW, HIGH, "−1/2")


@claim("every width moves its particles as far: features are learned", setting.DERIVED)
def movement_does_not_depend_on_width(data: xr.Dataset) -> Finding:
    """Largest ratio of mean movements between widths."""
    need(data, particles=3, seed=2)
    moved = _trained(usable(data)).movement.mean("block") if "block" in data.dims else _trained(usable(data)).movement
    return alike(1.05, mean(moved, log=True), over="particles", expected="flat; 1/√M where training is lazy")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distances of outputs and particles, and movement, against width."""
    chosen, note = one_of_each(data, "half_step", "particles", "time", "block", of="output_error")
    steps = chosen.half_step.values
    figure, axes = new_figure(len(steps), 3, title="Distance to the limit in width" + note, height=3.3)
    for row, half_step in zip(axes, steps):
        part = chosen.sel(half_step=half_step)
        trained = _trained(part)
        for ax, name, of in zip(row, ("output_error", "coupled_distance", "movement"), (part, trained, trained)):
            line = of.get(f"{name}_predicted")
            error = rates.over_blocks(of[name])
            curves(
                ax, error, "particles", "time", log="xy", theory=line, theory_label="C√(1/M − 1/M_ref)",
                legend=name != "coupled_distance", title=f"half step η = {half_step:g}",
            )  # fmt: skip
            ticks_at(ax, part.particles.values)
            if name == "movement":
                ax.set_ylim(0.2, 5)
    return {"width": figure}


EXPERIMENT = Experiment(
    RUN,
    SIZES,
    claims=(outputs_like_root_of_width, particles_like_root_of_width, movement_does_not_depend_on_width),
    predict=predict,
    figures=figures,
)
