"""Sampled noise against its expectation: a denoiser trained on a few fresh noises ends near the same stationary point.

The theory of Han, Huang, Cao, Zou 2024, arXiv 2412.01021, averages the loss over the noise; practice draws a few noises
per patch and step. The steps are simulated exactly in law (:mod:`lemmata.dynamics.fresh_noise`). Names: ``noises`` per
patch and step, ``excess`` expected denoising loss − d, ``ratio`` signal over noise.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.papers.diffusion import setting as family
from lemmata.papers.diffusion.setting import DENOISER, HIGH, LOW
from lemmata.sweep.bodies.reparametrised import Reparametrised

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

RECORD = (0, *(int(step) for step in np.round(np.geomspace(20, 500, 16))), *range(520, 1001, 20))
STEP = 0.25
"""Step size in units of the stable one: longer steps on one noise diverge now and then, the loss having degree six."""
LATE = 700
"""From this step on the last values are averaged."""


def grid(size: str) -> "Grid":
    """Size → the points of the sweep."""
    from lemmata.sweep import Grid

    noises, seeds = {"smoke": ((4,), 1), "laptop": ((1, 4, 16), 3), "paper": ((1, 4, 16, 64, 256), 20)}[size]
    axes = {"noises": noises, "n_snr2": (LOW,) if size == "smoke" else (LOW, HIGH), "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, *, steps: int = 1000, device: str = "cpu", t: float = 0.2, **changes: Any) -> "Body":
    """Size and options → the training of every cell."""
    from lemmata import GD, FreshNoiseDenoising, Run, TiedDenoiser, TrainingBody, TwoSignals

    probes = tuple(probe for probe in family.probes(DENOISER) if probe.name in ("signal", "noise", "ratio"))
    run = Run(
        TwoSignals(n=30, d=1000, signal=5.0), TiedDenoiser(20, init=1e-2), FreshNoiseDenoising(t), GD(c=STEP), steps,
        probes=(*probes, "denoising_excess", "branch_spread"), device=device,
        record=tuple(step for step in RECORD if step <= steps),
    ).at(changes)  # fmt: skip
    change = family.SignalAt(run.data.n, run.data.d, run.data.sigma_p)
    return Reparametrised(TrainingBody(run), ("n_snr2",), change)


def _late(dataset: "xr.Dataset") -> tuple["xr.Dataset", str]:
    """Means over the last steps of the cells that did not diverge."""
    kept = converged(dataset)
    late = kept.dataset.sel(step=kept.dataset["step"] >= LATE)
    if not late.sizes["step"]:
        raise NotMeasurable(f"needs a record from step {LATE} on")
    return late.mean("step"), kept.note


# -- claims ----------------------------------------------------------------------------------------------------------


def same_ratio(dataset: "xr.Dataset") -> Finding:
    """The late ratio against that of the expected loss's stationary point."""
    late, note = _late(dataset)
    cells = late.sel(noises=late["noises"] >= 4)
    if not cells.sizes["noises"]:
        raise NotMeasurable("needs 4 noises or more")
    # The denoiser still moves late where n·SNR² is large; the low one has settled.
    off = abs(at(cells, n_snr2=LOW)["ratio"].mean("seed") / at(cells, n_snr2=LOW)["stationary"] - 1)
    return Finding(
        holds=float(off.max()) < 0.05,
        measured=f"off by {float(off.max()):.1%} at most at n·SNR² = {LOW}",
        predicted="that of the stationary point of the expected loss",
        tolerance="5 %, 4 noises or more",
        detail=note,
    )


def floor_falls(dataset: "xr.Dataset") -> Finding:
    """Differences between numbers of noises, because what the loss falls to differs from data set to data set."""
    late, note = _late(dataset)
    excess = [float(at(late, n_snr2=LOW, noises=count)["denoising_excess"].mean("seed")) for count in (1, 4, 16)]
    few, many = excess[0] - excess[1], excess[1] - excess[2]
    return Finding(
        holds=many > 0 and 2.5 < few / many < 6,
        measured=f"loss lower by {few:.2f} from 1 to 4 noises, by {many:.2f} from 4 to 16: ×{few / many:.1f}",
        predicted="×4",
        tolerance="×2.5 to ×6",
        detail=note,
    )


CLAIMS = (
    Claim(
        "same-ratio",
        "a few fresh noises per step lead to the same ratio of signal to noise",
        "derived here",
        same_ratio,
        SIZES,
    ),
    Claim(
        "floor-falls",
        "what the expected loss stays above the stationary point falls like one over the number of noises",
        "derived here",
        floor_falls,
    ),
)


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """``stationary``, the ratio at the symmetric stationary point, and the predictions of the family."""
    import xarray as xr

    from lemmata.papers.diffusion import theory as diffusion

    found = family.predictions(dataset)
    n, signal, d, m, _, sigma_p = (xr.DataArray(value) for value in family.parameters(dataset))
    (t,) = family.setting(dataset, "t")
    point = xr.apply_ufunc(lambda *x: diffusion.stationary_point(*x).ratio, n, signal, d, m, t, sigma_p)
    return found.assign(stationary=point.assign_attrs(long_name="ratio at the stationary point", units="1"))


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Everything that is drawn, by file name."""
    from lemmata.lab.readings import one_of_each
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "noises", "n_snr2", "step", of="ratio")
    usable = converged(chosen)
    note += f" ({usable.note})" if usable.note else ""
    chosen = usable.dataset.isel(step=slice(1, None))
    chosen["step"].attrs = {"long_name": "gradient steps", "units": "1"}
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


EXPERIMENT = Experiment(
    name="diffusion-noises",
    paper=family.PAPER,
    shows="A few fresh noises per step lead a denoiser where the expectation over the noise leads it.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=tuple(
        option for option in family.OPTIONS if option.name in ("n_snr2", "n", "d", "m", "sigma_p", "init", "t", "steps")
    ),
    seconds={"smoke": 4, "laptop": 40, "paper": 3600},
)
