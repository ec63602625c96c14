"""How signal and noise grow: linearly and together in a denoiser, exponentially and in a race in a classifier.

Curves of the training at low and high signal-to-noise ratio, n·SNR² = 0.75 and 6.75: Han, Huang, Cao, Zou 2024, arXiv
2412.01021, synthetic experiments. Names: ``signal`` |⟨w, μ⟩|, ``noise`` |⟨w, ξ⟩|, mean over neurons for the denoiser,
largest neuron of the class for the classifier; ``control`` n·SNR².
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at
from lemmata.lab.old_experiment import SIZES, Experiment
from lemmata.papers.diffusion import setting as family
from lemmata.papers.diffusion.setting import CLASSIFIER, DENOISER, HIGH, LOW

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

RECORD = (0, *sorted({int(step) for step in np.round(np.geomspace(1, 2000, 80))}), 5000)
"""Steps looked at, ever less closely."""


def grid(size: str) -> "Grid":
    """Size → the points of the sweep."""
    from lemmata.sweep import Grid

    seeds = {"smoke": 1, "laptop": 10, "paper": 50}[size]
    axes = {"model": (DENOISER, CLASSIFIER), "n_snr2": (LOW, HIGH), "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, **changes: Any) -> "Body":
    """Size and options → the training of every cell."""
    return family.body(size, **{"record": RECORD, "steps": 2000 if size == "smoke" else 5000, **changes})


# -- claims ----------------------------------------------------------------------------------------------------------


def denoiser_learns_both(dataset: "xr.Dataset") -> Finding:
    """Signal and noise of the denoisers that converged are of one order."""
    kept = family.settled(dataset, DENOISER)
    grown, texts = [], []
    for value in (LOW, HIGH):
        cells = at(kept.dataset, n_snr2=value)
        start = at(family.of(dataset, DENOISER), n_snr2=value).isel(step=0)
        grown.append(min(float((cells[name] / start[name]).min()) for name in ("signal", "noise")))
        texts.append(f"{float(cells['signal'].mean()):.2f} and {float(cells['noise'].mean()):.2f} at {value}")
    return Finding(
        holds=min(grown) > 5,
        measured="signal and noise " + ", ".join(texts) + f", grown ×{min(grown):.0f} or more",
        predicted="both of constant order",
        tolerance="> ×5 in every seed",
        detail=kept.note,
    )


def classifier_learns_one(dataset: "xr.Dataset") -> Finding:
    """Signal over noise of the classifier at the paper's two values of n·SNR²."""
    kept = family.settled(dataset, CLASSIFIER)
    low, high = (float(at(kept.dataset, n_snr2=value)["ratio"].mean()) for value in (LOW, HIGH))
    return Finding(
        holds=low < 0.05 and high > 5,
        measured=f"signal/noise {low:.3f} at {LOW}, {high:.1f} at {HIGH}",
        predicted="o(1) and large",
        tolerance="< 0.05 and > 5",
        detail=kept.note,
    )


def _straightness(step: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """Share of the variance that a straight line leaves: of the value, and of its logarithm."""
    if len(step) < 4:
        raise NotMeasurable("growth passes between fewer than four recorded steps")
    shares = []
    for y in (value, np.log(value)):
        line = np.polyval(np.polyfit(step, y, 1), step)
        shares.append(float(((y - line) ** 2).sum() / ((y - y.mean()) ** 2).sum()))
    return shares[0], shares[1]


def linear_against_exponential(dataset: "xr.Dataset") -> Finding:
    """From twice the signal at the start: a denoiser until filters are longer by a tenth, a classifier to half way."""
    denoiser, classifier = (at(family.of(dataset, model), n_snr2=HIGH).mean("seed") for model in (DENOISER, CLASSIFIER))
    small = denoiser["norm_hidden"] <= 1.1 * denoiser["norm_hidden"].isel(step=0)
    small &= denoiser["signal"] > 2 * denoiser["signal"].isel(step=0)
    signal = classifier["signal"]
    growing = (signal > 2 * signal.isel(step=0)) & (signal < 0.5 * signal.isel(step=-1))
    found = [
        _straightness(kept["step"].values.astype(float), kept.values)
        for kept in (denoiser["signal"].isel(step=small.values), signal.isel(step=growing.values))
    ]
    percent = [f"{line:.2%} and {exponential:.2%}" for line, exponential in found]
    return Finding(
        holds=found[0][0] < 0.5 * found[0][1] and found[1][1] < 0.5 * found[1][0],
        measured=f"a line and an exponential leave {percent[0]} of the denoiser's early growth, {percent[1]} of the "
        "classifier's",
        predicted="linear, exponential",
        tolerance="one leaves less than half of the other",
    )


CLAIMS = (
    Claim(
        "denoiser-learns-both",
        "a denoiser learns signal and noise at low and at high signal-to-noise ratio",
        family.THEOREM_DENOISER,
        denoiser_learns_both,
        SIZES,
    ),
    Claim(
        "classifier-learns-one",
        "a classifier learns only noise at the low ratio and only signal at the high one",
        family.THEOREM_CLASSIFIER,
        classifier_learns_one,
        SIZES,
    ),
    Claim(
        "linear-against-exponential",
        "a denoiser's signal grows linearly at first, a classifier's exponentially",
        "Han et al. 2024",
        linear_against_exponential,
        SIZES,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Rows: n·SNR²; columns: denoiser and classifier; curves: signal and noise."""
    import xarray as xr

    from lemmata.lab.readings import one_of_each
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    chosen, note = one_of_each(dataset, "model", "n_snr2", "step", of="ratio")
    rows, models = chosen["n_snr2"].values.tolist(), chosen["model"].values.tolist()
    title = "A denoiser learns signal and noise together, a classifier only the faster of them" + note
    figure, axes = new_figure(len(rows), len(models), title=title, height=3.2)
    which = xr.DataArray(["signal |⟨w, μ⟩|", "noise |⟨w, ξ⟩|"], dims="quantity", attrs={"long_name": ""})
    for line, control in zip(axes, rows):
        for ax, model in zip(line, models):
            part = chosen.sel(n_snr2=control, model=model)
            shown = xr.concat([part["signal"], part["noise"]], which).assign_attrs(long_name="inner product learnt")
            moving = part["step"] <= _last_step(part)
            curves(
                ax,
                shown.sel(step=moving).assign_coords(step=("step", part["step"].values[moving.values], _STEP)),
                "step",
                "quantity",
                log="y",
                legend=ax is axes[0, -1],
                title=f"{model}, n·SNR² = {control:g}",
            )
    return {"dynamics": figure}


_STEP = {"long_name": "gradient steps", "units": "1"}


def _last_step(part: "xr.Dataset") -> int:
    """Where the curves stop being interesting: a little after the last seed has come within 2 % of its end."""
    ends = part[["signal", "noise"]].to_array()
    moving = (abs(ends / ends.isel(step=-1) - 1) > 0.02).any([dim for dim in ends.dims if dim != "step"])
    last = int(part["step"].values[moving.values].max()) if bool(moving.any()) else 1
    return max(int(1.5 * last), int(part["step"][3]))


EXPERIMENT = Experiment(
    name="diffusion-dynamics",
    paper=family.PAPER,
    shows="A denoiser learns signal and noise together, a classifier only the faster of them.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=family.predictions,
    figures=figures,
    options=family.OPTIONS,
    seconds={"smoke": 3, "laptop": 12, "paper": 60},
)
