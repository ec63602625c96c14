"""The dimension drops out: from d = 10³ to 10⁹ the test error at fixed κ = n‖μ‖⁴/(σp⁴d) stays nearly the same.

At each d the signal is ‖μ‖ = (κσp⁴d/n)^(1/4), and the output scale a multiple of v* = (m√(‖μ‖² + σp²d/n))^(−1/2). The
filters must start ever more quietly, because at fixed κ the signal's share of a margin falls like n·SNR² = √(nκ/d):
σ0 is such that the start's noise is a fixed small part of the signal. (With σ0σp√d fixed instead, the start drowns the
signal at d = 10⁹ and activations stay as drawn.) κ: Kou, Chen, Chen, Gu 2023, arXiv 2303.04145; setting: Shang, Meng,
Cao, Zou 2024, arXiv 2410.19139.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemmata.lab import readings
from lemmata.lab.claims import Claim, Finding, NotMeasurable, converged
from lemmata.lab.experiment import SIZES, Experiment, Option
from lemmata.papers.benign_overfitting import setting as family
from lemmata.papers.benign_overfitting import theory as benign
from lemmata.papers.benign_overfitting.phase_diagram import fits_training_data
from lemmata.sweep.bodies.reparametrised import Reparametrised

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

QUIET = 0.04
"""The start's noise over the signal on a fresh point at a margin of five: as σ0 = 1e-3 gives at d = 2000, ‖μ‖ = 5."""
_MARGIN = 5.0


def grid(size: str) -> "Grid":
    """Dimension by κ at several multiples of v*."""
    from lemmata.sweep import Grid

    d, kappa, relative, seeds = {
        "smoke": ((10**3, 10**9), (0.5, 1.0, 4.0), (5.0,), 3),
        "laptop": ((10**3, 10**5, 10**7, 10**9), (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), (0.05, 5.0), 12),
        "paper": (tuple(10**k for k in range(3, 10)), tuple(2.0**k for k in range(-3, 6)), (0.05, 0.5, 5.0), 100),
    }[size]
    axes = {"relative_v0": relative, "d": d, "kappa": kappa, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


@dataclass(frozen=True)
class AtFixedKappa:
    """A point given by κ, v0/v* and d, as one given by ‖μ‖, v0 and σ0."""

    n: int
    m: int
    sigma_p: float

    def __call__(self, point: dict[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in point.items() if name not in ("kappa", "relative_v0")}
        here = {"n": self.n, "m": self.m, "sigma_p": self.sigma_p, **own}
        n, m, sigma_p, d = here["n"], here["m"], here["sigma_p"], point["d"]
        signal = (point["kappa"] * sigma_p**4 * d / n) ** 0.25
        v0 = point["relative_v0"] * benign.balanced_scale(n, signal, d, m, sigma_p)
        output = max(v0, benign.v0c(n, signal, d, m, sigma_p, margin=_MARGIN))
        init = QUIET / output * benign.output_limit(n, signal, d, m, 1.0, sigma_p, margin=_MARGIN)
        return {**own, "signal": signal, "v0": v0, "init": init}


def body(size: str, **changes: Any) -> "Body":
    """Training at points given by κ and v0/v* instead of signal and v0."""
    fixed = {"n": 40, "m": 20 if size == "paper" else 10, "sigma_p": 1.0, **changes}
    change = AtFixedKappa(fixed["n"], fixed["m"], fixed["sigma_p"])
    return Reparametrised(family.training(size, **fixed), ("kappa", "relative_v0"), change)


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """The error that κ alone predicts, the same at every d."""
    import xarray as xr

    error = xr.apply_ufunc(benign.error_from_kappa, dataset["kappa"])
    return xr.Dataset({"test_error_predicted": error.assign_attrs(long_name="predicted test error")})


# -- claims ----------------------------------------------------------------------------------------------------------


def dimension_drops_out(dataset: "xr.Dataset") -> Finding:
    """Largest ratio of mean test errors between dimensions, at equal κ."""
    error = converged(dataset).dataset["test_error"].mean("seed")
    if error.sizes.get("d", 1) < 2:
        raise NotMeasurable("needs several dimensions")
    spread = (error.max("d") / error.min("d")).max([dim for dim in error.dims if dim not in ("d", "kappa")])
    low = spread.where(spread["kappa"] <= 4, drop=True)
    if not low.size:
        raise NotMeasurable("needs κ ≤ 4")
    all_of_them = ", ".join(f"×{float(value):.2f} at κ = {float(value['kappa']):g}" for value in spread)
    return Finding(
        holds=float(low.max()) < 1.25,
        measured=f"×{float(low.max()):.2f} between d = {dataset['d'].values[0]:.0e} and {dataset['d'].values[-1]:.0e}",
        predicted="no dependence on d",
        tolerance="within ×1.25 for κ ≤ 4",
        detail=all_of_them,
    )


CLAIMS = (
    Claim(
        "fits-training-data",
        "every network fits its training data, noise included",
        family.ABSTRACT,
        fits_training_data,
        SIZES,
    ),
    Claim(
        "dimension-drops-out",
        "at fixed κ the test error does not depend on the dimension",
        "Kou et al. 2023, up to constants; fixed output layer",
        dimension_drops_out,
        SIZES,
    ),
)


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error against κ, a curve for each dimension."""
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = readings.one_of_each(dataset, "relative_v0", "d", "kappa")
    scales = readings.extremes(chosen, "relative_v0")
    figure, axes = new_figure(
        1, len(scales), title="Six orders of magnitude of dimension, nearly one curve" + note, sharey=True
    )
    for ax, scale in zip(axes[0], scales):
        curves(
            ax,
            chosen["test_error"].sel(relative_v0=scale),
            "kappa",
            "d",
            log="xy",
            theory=chosen["test_error_predicted"],
            theory_label="predicted for all d",
            legend=ax is axes[0, -1],
            title=f"output scale v₀ = {scale:g} v*",
        )
        ax.set_ylim(top=1)
    return {"dimension": figure}


EXPERIMENT = Experiment(
    name="benign-overfitting-dimension",
    paper=family.PAPER,
    shows="At fixed κ the test error hardly changes from d = 10³ to d = 10⁹, at the same cost.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("d", int, "dimension of a patch"),
        Option("kappa", float, "κ = n‖μ‖⁴/(σp⁴d)"),
        Option("relative_v0", float, "output scale at the start in units of v*"),
        *(option for option in family.OPTIONS if option.name in ("n", "m", "sigma_p") or not option.axis),
    ),
    seconds={"smoke": 1, "laptop": 8, "paper": 500},
)
