"""The dimension drops out: from d = 10³ to 10⁹ the test error at fixed κ = n‖μ‖⁴/(σp⁴d) stays nearly the same.

At each d the signal is ‖μ‖ = (κσp⁴d/n)^(1/4), and the output scale a multiple of v* = (m√(‖μ‖² + σp²d/n))^(−1/2). The
filters must start ever more quietly, because at fixed κ the signal's share of a margin falls like n·SNR² = √(nκ/d):
σ0 is such that the start's noise is a fixed small part of the signal. (With σ0σp√d fixed instead, the start drowns the
signal at d = 10⁹ and activations stay as drawn.) κ: Kou, Chen, Chen, Gu 2023, arXiv 2303.04145; setting: Shang, Meng,
Cao, Zou 2024, arXiv 2410.19139.
"""

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, alike, among, claim, extremes, need, one_of_each, usable
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.benign_overfitting import setting, theory
from lemmata.parameters import Parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import derived

QUIET, MARGIN = 0.04, 5.0
"""The start's noise over the signal on a fresh point at this margin: as σ0 = 1e-3 gives at d = 2000, ‖μ‖ = 5."""


def at_fixed_kappa(kappa: float, relative_v0: float, *, n: int, d: int, m: int, sigma_p: float) -> Mapping[str, float]:
    """‖μ‖, v0 and σ0 of a point given by κ and v0/v*."""
    signal = theory.signal_at_kappa(kappa, n, d, sigma_p)
    v0 = relative_v0 * theory.balanced_scale(n, signal, d, m, sigma_p)
    output = max(v0, theory.v0c(n, signal, d, m, sigma_p, margin=MARGIN))
    init = QUIET / output * theory.output_limit(n, signal, d, m, 1.0, sigma_p, margin=MARGIN)
    return {"signal": float(signal), "v0": float(v0), "init": float(init)}


BODY = derived(
    setting.RUN,
    at_fixed_kappa,
    kappa=Parameter("κ = n‖μ‖⁴/(σp⁴d)", above=0, scale="log"),
    relative_v0=Parameter("output scale at the start v₀/v*", above=0, scale="log"),
)
SIZES = {
    "smoke": Size(relative_v0=(5.0,), d=(10**3, 10**9), kappa=(0.5, 1.0, 4.0), seeds=3),
    "laptop": Size(
        relative_v0=(0.05, 5.0), d=(10**3, 10**5, 10**7, 10**9), kappa=(0.5, 1.0, 2.0, 4.0, 8.0, 16.0), seeds=12
    ),
    "paper": Size(
        relative_v0=(0.05, 0.5, 5.0),
        d=tuple(10**k for k in range(3, 10)),
        kappa=tuple(2.0**k for k in range(-3, 6)),
        seeds=100,
        m=20,
        steps=2000,
    ),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The error that κ alone predicts, the same at every d."""
    error = xr.apply_ufunc(theory.error_from_kappa, data.kappa)
    return {"test_error_predicted": error.assign_attrs(long_name="predicted test error", units="1")}


@claim("at fixed κ the test error does not depend on the dimension", setting.KOU, sizes=ALL)
def dimension_drops_out(data: xr.Dataset) -> Finding:
    """Largest ratio of mean test errors between dimensions, at equal κ up to 4."""
    need(data, d=2)
    error = usable(data).test_error.mean("seed")
    low = among(error, error.kappa <= 4, "κ ≤ 4").dropna("kappa", how="all")
    spread = (error.max("d") / error.min("d")).max([dim for dim in error.dims if dim not in ("d", "kappa")])
    dimensions = f"between d = {data.d.values[0]:.0e} and {data.d.values[-1]:.0e}"
    return alike(1.25, low, over="d", where="for κ ≤ 4", expected="no dependence on d",
                 format=f"×{{:.2f}} {dimensions}", detail=spread)  # fmt: skip


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error against κ, a curve for each dimension."""
    chosen, note = one_of_each(data, "relative_v0", "d", "kappa")
    scales = extremes(chosen, "relative_v0")
    title = "Six orders of magnitude of dimension, nearly one curve" + note
    figure, axes = new_figure(1, len(scales), title=title, sharey=True)
    for ax, scale in zip(axes[0], scales):
        error = chosen.test_error
        curves(
            ax,
            error.sel(relative_v0=scale) if "relative_v0" in error.dims else error,
            "kappa",
            "d",
            log="xy",
            theory=chosen.test_error_predicted,
            theory_label="predicted for all d",
            legend=ax is axes[0, -1],
            title=f"output scale v₀ = {scale:g} v*",
        )
        ax.set_ylim(top=1)
    return {"dimension": figure}


EXPERIMENT = Experiment(
    BODY, SIZES, claims=(setting.fits_training_data, dimension_drops_out), predict=predict, figures=figures
)
