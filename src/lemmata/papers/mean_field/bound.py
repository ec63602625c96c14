"""The theorem's bound whole: distances to the limit are at most C(1/L + √((δ + log(L + 1))/M)) over all L and M.

One constant is fitted on the shallowest and the narrowest networks and must hold for all that are larger. The reference
has more layers and more particles than any; layers are drawn independently, as in the theorem. Gao et al. 2024,
arXiv 2410.23610, theorem 3.1, with δ = 0, for means over draws.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Estimate, Finding, at_most, claim, mean, need, one_of_each, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.axes import ticks_at
from lemmata.papers.mean_field.coupled import Coupled
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RUN = Coupled(reference_layers=32, reference_particles=128, law="ball", times=(0.0, 5.0, 10.0))
SIZES = {
    "smoke": Size(
        layers=(1, 2, 4), particles=(1, 4), reference_layers=8, reference_particles=16, seeds=2,
        changes={"times": (0.0, 1.0)},
    ),
    "laptop": Size(layers=(1, 2, 4, 8), particles=(1, 4, 16, 32), seeds=32),
    "paper": Size(
        half_step=(0.5, 1.0), law=("ball", "gaussian"), layers=(1, 2, 4, 8, 16, 32, 64), particles=(1, 4, 16, 64, 256),
        reference_layers=256, reference_particles=1024, seeds=100,
    ),
}  # fmt: skip


def _rate(data: xr.Dataset) -> xr.DataArray:
    return theory.approximation_rate(data.layers.astype(float), data.particles.astype(float)).reset_coords(drop=True)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The rate 1/L + √(log(L + 1)/M), without its constant."""
    said = {"long_name": "rate 1/L + √(log(L + 1)/M)", "units": "1"}
    return {"rate": _rate(data).assign_attrs(said)}


def _over_bound(data: xr.Dataset, name: str) -> Estimate:
    """Squared distance over (C · rate)², C² its largest mean over networks of the fewest layers or particles."""
    need(data, layers=3, particles=3, seed=2)
    ratio = ((rates.over_blocks(usable(data)[name]) / _rate(data)) ** 2).reset_coords(drop=True)
    small = (ratio.layers == ratio.layers.min()) | (ratio.particles == ratio.particles.min())
    dims = ["layers", "particles"]
    constant = ratio.mean("seed").where(small).max(dims)
    return mean((ratio / constant).where(~small))


def _bounded(data: xr.Dataset, name: str) -> Finding:
    said = "largest mean square over that of the bound {:.2f}"
    where = "with C fitted at the fewest layers or particles"
    return at_most(1.0, _over_bound(data, name), expected="≤ 1 for one C", format=said, where=where)


@claim("one constant bounds the outputs' distance for all L and M", setting.THEOREM_31)
def outputs_are_bounded(data: xr.Dataset) -> Finding:
    """Mean square distance of outputs over the bound's, intervals over all sizes together."""
    return _bounded(data, "output_error")


@claim("one constant bounds the risks' distance for all L and M", setting.THEOREM_31)
def risks_are_bounded(data: xr.Dataset) -> Finding:
    """Mean distance of risks over the bound."""
    return _bounded(data, "risk_error")


@claim("one constant bounds the energies' distance for all L and M", setting.THEOREM_31)
def energies_are_bounded(data: xr.Dataset) -> Finding:
    """Mean distance of energies over the bound."""
    return _bounded(data, "energy_error")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distance of outputs over its rate, against depth: flat or falling under one constant."""
    chosen, note = one_of_each(data, "layers", "particles", "time", of="output_error")
    times = chosen.time.values
    figure, axes = new_figure(1, len(times), title="Distance over the theorem's rate" + note, sharey=True, width=4.4)
    for ax, time in zip(axes[0], times):
        ratio = (chosen.output_error / chosen.rate).sel(time=time)
        ratio = ratio.assign_attrs(long_name="outputs' distance / (1/L + √(log(L + 1)/M))", units="1")
        curves(ax, ratio, "layers", "particles", log="xy", legend=ax is axes[0, -1], title=f"at s = {time:g}")
        ticks_at(ax, chosen.layers.values)
    return {"bound": figure}


EXPERIMENT = Experiment(
    RUN,
    SIZES,
    claims=(outputs_are_bounded, risks_are_bounded, energies_are_bounded),
    predict=predict,
    figures=figures,
)
