"""Sampled noise against its expectation: a denoiser trained on a few fresh noises ends near the same stationary point.

The theory of Han, Huang, Cao, Zou 2024, arXiv 2412.01021, averages the loss over the noise; practice draws a few noises
per patch and step. The steps are simulated exactly in law (:mod:`lemmata.dynamics.fresh_noise`). Names: ``noises`` per
patch and step, ``excess`` expected denoising loss − d, ``ratio`` signal over noise.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import GD, FreshNoiseDenoising, Run, TiedDenoiser, TwoSignals
from lemmata.claims import (
    Finding,
    above,
    all_of,
    among,
    at,
    between,
    claim,
    left_out,
    need,
    one_of_each,
    usable,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.diffusion import setting, theory
from lemmata.papers.diffusion.setting import DENOISER, HIGH, LOW
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import derived

RECORD = (0, *(int(step) for step in np.round(np.geomspace(20, 500, 16))), *range(520, 1001, 20))
STEP = 0.25
"""Step size in units of the stable one: longer steps on one noise diverge now and then, the loss having degree six."""
LATE = 700
"""From this step on the last values are averaged."""
_KEPT = tuple(probe for probe in setting.probes(DENOISER) if probe.name in ("signal_learnt", "noise_learnt", "ratio"))
RUN = Run(
    TwoSignals(n=30, d=1000, signal=5.0), TiedDenoiser(20, init=1e-2), FreshNoiseDenoising(0.2), GD(c=STEP), steps=1000,
    probes=(*_KEPT, "denoising_excess", "branch_spread"), record=RECORD,
)  # fmt: skip
BODY = derived(RUN, setting.at_control, **setting.CONTROLS)
SIZES = {
    "smoke": Size(noises=(4,), n_snr2=(LOW,)),
    "laptop": Size(noises=(1, 4, 16), n_snr2=(LOW, HIGH), seeds=3),
    "paper": Size(noises=(1, 4, 16, 64, 256), n_snr2=(LOW, HIGH), seeds=20),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """``stationary``, the ratio at the symmetric stationary point, and the predictions of the paper."""
    n, signal, d, m, _, sigma_p = setting.settings(data)
    point = xr.apply_ufunc(lambda *x: theory.stationary_point(*x).ratio, n, signal, d, m, data.t, sigma_p)
    return {
        **setting.predict(data),
        "stationary": point.assign_attrs(long_name="ratio at the stationary point", units="1"),
    }


def _late(data: xr.Dataset) -> xr.Dataset:
    """Means over the last steps of the cells that did not diverge."""
    late = data.sel(step=data.step >= LATE)
    need(late, step=1)
    return usable(late).mean("step")


@claim("a few fresh noises per step lead to the same ratio of signal to noise", "derived here", ALL)
def same_ratio(data: xr.Dataset) -> Finding:
    """The late ratio against that of the expected loss's stationary point."""
    # The denoiser still moves late where n·SNR² is large; the low one has settled.
    cells = at(_late(data), n_snr2=LOW)
    ratio = among(cells.ratio.mean("seed"), cells.noises >= 4, "4 noises or more")
    expected = "that of the stationary point of the expected loss"
    return within(0.05, ratio, of=cells.stationary, relative=True, where="for 4 noises or more", expected=expected)


@claim(
    "what the expected loss stays above the stationary point falls like one over the number of noises", "derived here"
)
def floor_falls(data: xr.Dataset) -> Finding:
    """Differences between numbers of noises, because what the loss falls to differs from data set to data set."""
    late = at(_late(data), n_snr2=LOW)
    excess = [float(at(late, noises=count).denoising_excess.mean("seed")) for count in (1, 4, 16)]
    few, many = excess[0] - excess[1], excess[1] - excess[2]
    said = f"loss lower by {few:.2f} from 1 to 4 noises, by {many:.2f} from 4 to 16"
    return all_of(
        above(0, many, where="from 4 to 16", format=said),
        between(2.5, 6, few / many, unit="×", format="×{:.1f}", expected="×4"),
    )


CLAIMS = (same_ratio, floor_falls)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Everything that is drawn, by file name."""
    chosen, note = one_of_each(data, "noises", "n_snr2", "step", of="ratio")
    note += f" ({out})" if (out := str(left_out(chosen))) else ""
    chosen = usable(chosen).isel(step=slice(1, None))
    controls = chosen["n_snr2"].values.tolist()
    title = "A few fresh noises per step lead where their expectation leads" + note
    figure, axes = new_figure(2, len(controls), title=title, height=3.2)
    for column, control in enumerate(controls):
        part = chosen.sel(n_snr2=control)
        quantities = (("ratio", "stationary"), ("denoising_excess", "excess_predicted"))
        for row, (measured, predicted) in enumerate(quantities):
            curves(
                axes[row, column],
                part[measured],
                "step",
                "noises",
                theory=part[predicted] + 0 * part["step"],
                theory_label="stationary point",
                legend=column == len(controls) - 1,
                title=f"n·SNR² = {control:g}",
            )
    return {"noises": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
