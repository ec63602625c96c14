"""Trained output layer against a fixed one: alike from a large start, and from a small one only the trained fits.

Shang, Meng, Cao, Zou 2024, arXiv 2410.19139, say of a large output scale that training is as with the output fixed, the
model of Kou, Chen, Chen, Gu 2023, arXiv 2303.04145. Both are run from the same draws. Names: ``train_output`` whether
the output weights move, ``v0`` their scale at the start; the border is v0c (``theory.py``).
"""

from dataclasses import replace

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Estimate,
    Finding,
    above,
    all_of,
    among,
    at,
    below,
    between,
    claim,
    factor,
    mean,
    need,
    one_of_each,
    usable,
)  # fmt: skip
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.benign_overfitting import setting
from lemmata.papers.benign_overfitting.dynamics import RECORD
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

LARGE_FROM, SMALL_TO = 1.5, 0.1
"""v0 over v0c from which a start is large, and up to which it is small."""
BOTH = (True, False)
_SEEN = ("test_error", "test_error_se", "train_loss", "signal_learning_mean", "noise_memorisation_mean", "norm_output")
RUN = replace(setting.RUN, probes=_SEEN, record=tuple(step for step in RECORD if step <= setting.RUN.steps))
SIZES = {
    "smoke": Size(train_output=BOTH, v0=(0.02, 0.5), signal=3.0, m=5, seeds=2),
    "laptop": Size(train_output=BOTH, v0=(0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0), signal=(2.0, 3.0, 4.0), seeds=12),
    "paper": Size(
        train_output=BOTH, v0=(0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0), signal=(1.0, 2.0, 3.0, 4.0, 5.0),
        seeds=50, **setting.LONG,
    ),
}  # fmt: skip


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """κ, the boundary, and v0 over it."""
    found = setting.predict(data)
    relative = (data.v0 / found["v0c"]).assign_attrs(long_name="output scale over the boundary v₀/v₀c", units="1")
    return {"kappa": found["kappa"], "v0c": found["v0c"], "relative_v0": relative}


def _over(data: xr.Dataset, name: str, inside: xr.DataArray, which: str) -> Estimate:
    """A quantity with the output trained over that with it fixed, seeds paired, where ``inside``."""
    trained, fixed = (mean(at(usable(data), train_output=value)[name], log=True) for value in BOTH)
    ratio = trained.over(fixed)
    return ratio.where(among(ratio.value, inside, which).notnull())


@claim("from a large output layer training is as with the output fixed", setting.ABSTRACT, sizes=ALL)
def large_is_as_fixed(data: xr.Dataset) -> Finding:
    """Signal and noise along training and test error at its end, trained over fixed, from v0 = 1.5 v0c on."""
    need(data, train_output=2, seed=2)
    late = data.sel(step=data.step >= 10)
    large, which = data.relative_v0 >= LARGE_FROM, f"v0 ≥ {LARGE_FROM:g} v0c"
    where = f"for {which}"
    paths = [
        factor(
            1.15, _over(late, name, large, which), format=f"{word} ×{{least:.3f}} to ×{{most:.3f}}, worst", where=where
        )
        for name, word in (("signal_learning_mean", "signal"), ("noise_memorisation_mean", "noise"))
    ]
    error = _over(data.isel(step=-1), "test_error", large, which)
    said = "test error ×{least:.3f} to ×{most:.3f}, worst"
    return all_of(*paths, factor(1.15, error, format=said, where=where), expected="1, from step 10 on")


@claim("from a small one only the trained output fits in as many steps", "derived here", sizes=ALL)
def small_needs_training(data: xr.Dataset) -> Finding:
    """Training losses at the end below a tenth of v0c, with the output trained and fixed."""
    need(data, train_output=2)
    last = usable(data).isel(step=-1)
    small, which = data.relative_v0 <= SMALL_TO, f"v0 ≤ {SMALL_TO:g} v0c"
    trained, fixed = (among(at(last, train_output=value).train_loss, small, which) for value in BOTH)
    return all_of(
        below(setting.FITTED, trained, format="training loss {most:.4f} at most, trained"),
        above(2 * setting.FITTED, fixed, format="{least:.3f} at least, fixed"),
        expected="η is set by the trained layer's scale",
    )


@claim("where both fit, the trained output costs no test error", "derived here")
def no_worse(data: xr.Dataset) -> Finding:
    """Test error, trained over fixed, wherever both networks of every seed fit."""
    need(data, train_output=2, seed=2)
    last = data.isel(step=-1)
    fits = (last.train_loss < setting.FITTED).all(["train_output", "seed"])
    found = _over(last, "test_error", fits, "networks that both fit")
    return between(
        0.5, 1.25, found, unit="×", format="×{least:.2f} to ×{most:.2f}, worst", expected="about 1", point=True
    )


CLAIMS = (large_is_as_fixed, small_needs_training, no_worse)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error and training loss over the output scale, trained and fixed."""
    chosen, note = one_of_each(data, "train_output", "v0", "step", of="test_error")
    last = chosen.isel(step=-1) if "step" in chosen.dims else chosen
    words = ["trained" if value else "fixed" for value in last.train_output.values.ravel()]
    last = last.assign_coords(train_output=words) if "train_output" in last.dims else last
    title = f"Fixed or trained: alike above the predicted v₀c ≈ {float(chosen.v0c.mean()):.2g} (dashed){note}"
    figure, axes = new_figure(1, 2, title=title, width=4.8, height=3.6)
    hue = "train_output" if "train_output" in last.dims else None
    for ax, name in zip(axes[0], ("test_error", "train_loss")):
        shown = last[name].assign_attrs(data[name].attrs)
        curves(ax, shown, "v0", hue, log="xy", legend=ax is axes[0, 1], title=str(data[name].attrs["long_name"]))
        ax.axvline(float(chosen.v0c.mean()), color="0.5", ls="--", lw=1)
    return {"fixed": figure}


EXPERIMENT = Experiment(RUN, SIZES, claims=CLAIMS, predict=predict, figures=figures)
