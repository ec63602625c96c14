"""Weight decay: the risk a flow ends at vanishes with λ, and without decay the flow reaches zero risk.

Each flow takes adaptive steps that must lower its energy and ends when its gradients are spent; small decays are then
near but not at a stationary point, as norms contract over times 1/λ, so their energies and norms are upper values. Gao
et al. 2024, arXiv 2410.23610, theorem 4.1: R ≤ ε + C₁(…) + C₂λ if the flow converges; the exponent here is larger.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, all_of, at_least, at_most, below, claim, mean, need, one_of_each, usable
from lemmata.claims.exponent import exponent
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting, theory
from lemmata.papers.mean_field.setting import Flowing
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

RUN = Flowing(
    layers=4, particles=16, adaptive=True, step=0.5, evaluations=2500, probes=8,
    times=(1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10000.0),
)  # fmt: skip
_DECAYS = (0.0, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SIZES = {
    "smoke": Size(
        decay=(0.0, 1e-2, 1e-1), layers=2, particles=4, evaluations=60, seeds=2, changes={"times": (1.0, 100.0)}
    ),
    "laptop": Size(half_step=(0.5, 1.0), decay=_DECAYS, seeds=6),
    "paper": Size(half_step=(0.5, 1.0), decay=(*_DECAYS, 3e-5, 1e-4), evaluations=50_000, seeds=24),
}


def _last(data: xr.Dataset) -> xr.Dataset:
    return usable(data).isel(time=-1).reset_coords(drop=True)


def _decayed(data: xr.Dataset) -> xr.Dataset:
    need(data, decay=4, seed=2)
    last = _last(data)
    return last.isel(decay=np.flatnonzero(last.decay.values > 0)).sortby("decay")


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """(λ/2) E‖θ*‖² of the best interpolator found, at λ = 0: no minimum has a larger energy, and so no larger risk."""
    if "decay" not in data.dims or 0.0 not in data.decay.values:
        return {}
    moment = data.second_moment.isel(time=-1).sel(decay=0.0).mean("seed").reset_coords(drop=True)
    said = {"long_name": "(λ/2) E‖θ*‖²", "units": "1"}
    return {"energy_bound": (theory.interpolator_bound(data.decay, 1.0) * moment).assign_attrs(said)}


@claim("the risk vanishes with the weight decay, no slower than linearly", setting.THEOREM_41)
def risk_vanishes_with_decay(data: xr.Dataset) -> Finding:
    """Exponent of the final risk in λ."""
    slope = exponent(_decayed(data).risk, "decay")
    return at_least(1.0, slope, expected="≥ 1", detail=slope)


@claim("the smaller the decay, the smaller the risk, and the risk over the decay", setting.DERIVED)
def risk_over_decay_falls(data: xr.Dataset) -> Finding:
    """Ratios of R, and of R/λ, from each decay to the next smaller one, geometric means over seeds."""
    last = _decayed(data)
    log_risk = rates.logarithm(last.risk).mean("seed")
    steps, widths = log_risk.diff("decay"), np.log(last.decay).diff("decay")
    return all_of(
        above(0.0, steps, format="log R falls by {least:.2f} or more a step"),
        above(0.0, steps - widths, format="log(R/λ) by {least:.2f} or more"),
        expected="both fall",
    )


@claim("without decay the flow reaches a global minimum", setting.THEOREM_41)
def without_decay_zero_risk(data: xr.Dataset) -> Finding:
    """Largest final risk at λ = 0 over the seeds; beside it how fast that risk still falls, −dlog R/ds = g²/R."""
    last = _last(data)
    if "decay" not in last.dims or 0.0 not in last.decay.values:
        raise setting.no_value("decay = 0")
    free = last.sel(decay=0.0)
    slowest = float((free.squared_slope / free.risk).min())
    falling = f"where gradients are spent the risk still falls, by {slowest:.1e} of itself per unit of time or more"
    return below(1e-8, free.risk, expected="0", format="largest risk {most:.1e}", detail=falling)


@claim("energies are below those of an interpolator", setting.DERIVED)
def energy_is_bounded(data: xr.Dataset) -> Finding:
    """Q at the end over (λ/2) E‖θ*‖² of the network trained without decay."""
    last = _decayed(data)
    if "energy_bound" not in last:
        raise setting.no_value("decay = 0")
    ratio = mean(last.energy / last.energy_bound, log=True)
    return at_most(1.0, ratio, expected="≤ 1", format="largest ratio {:.2f}")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Risk against decay at the end, and along training."""
    chosen, note = one_of_each(data, "half_step", "decay", "time", of="risk")
    figure, axes = new_figure(1, 2, title="The risk falls with the weight decay" + note)
    last = chosen.isel(time=-1)
    last = last.isel(decay=np.flatnonzero(last.decay.values > 0))
    weights = "half_step" if "half_step" in last.risk.dims else None
    curves(
        axes[0, 0], last.risk, "decay", weights, log="xy", theory=last.get("energy_bound"),
        theory_label="(λ/2) E‖θ*‖² ≥ min Q", title="at the end",
    )  # fmt: skip
    first = chosen.isel(half_step=0) if weights else chosen
    curves(axes[0, 1], first.risk, "time", "decay", log="xy", title=f"along training, η = {float(first.half_step):g}")
    return {"decay": figure}


EXPERIMENT = Experiment(
    RUN,
    SIZES,
    claims=(risk_vanishes_with_decay, risk_over_decay_falls, without_decay_zero_risk, energy_is_bounded),
    predict=predict,
    figures=figures,
)
