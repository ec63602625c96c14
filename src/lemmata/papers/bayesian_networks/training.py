"""Networks trained on one length of context, tested on all: beside the MLE, naive estimates, Laplace and the truth.

The paper's figures show the accuracy of its trained networks over the length of the context close to the MLE on the
true graph, above naive estimates, rising to the optimum. Here distances to the truth and to the MLE are measured, for
two losses: cross-entropy to the MLE itself, and to labels, whose optimum is the posterior mean. Reference: Cao, He, Wu,
Chen, Fan, Liu (2025), arXiv 2501.02547. ``paper`` has its networks' 6 layers, 8 heads, width 256 and n = 100; numbers
of steps are ours, for none could be read.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lemmata.claims import (
    Estimate,
    Finding,
    NotMeasurable,
    above,
    all_of,
    at_most,
    below,
    between,
    claim,
    mean,
    need,
    usable,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.bayesian_networks.setting import DERIVED, FIGURES, TrainedBody
from lemmata.report.curves import curves
from lemmata.report.style import COLOURS, MARKERS, new_figure, styled

SIZES = {
    "smoke": Size(
        loss=("mle", "label"), graph="wet-grass", steps=25, batch=16, width=16, tested=60, records=3, seeds=2
    ),
    "laptop": Size(loss=("mle", "label"), records=12, seeds=3),
    "paper": Size(
        loss=("mle", "label", "l1"), graph=("general", "tree", "chain"), n=100, layers=6, heads=8, width=256,
        rate=5e-4, weight_decay=0.05, warmup=2000, steps=50_000, tested=5000, records=40, seeds=10,
    ),
}  # fmt: skip


def trained_on(data: xr.Dataset, loss: str) -> xr.Dataset:
    """The ends of the trainings with one loss; steps stay."""
    found = data.sel(loss=loss) if "loss" in data.dims and loss in data.loss else data
    if str(found.loss.values) != loss:
        raise NotMeasurable(f"needs trainings with loss = {loss}")
    return usable(found)


def ends(data: xr.Dataset, length: int | None = 50) -> xr.Dataset:
    """After the last step, at one length."""
    last = data.isel(step=-1)
    return last if length is None else last.sel(length=length)


def over_seeds(array: xr.DataArray) -> Estimate:
    """An estimate for each other coordinate, with its interval."""
    return mean(array)


@claim("trained on the MLE it says what the MLE says", FIGURES)
def near_the_mle(data: xr.Dataset) -> Finding:
    """Mean total variation between the two on contexts of the training length."""
    found = over_seeds(ends(trained_on(data, "mle")).to_mle)
    return below(0.02, found, format="total variation {:.4f}", expected="→ 0", where="at n = 50")


@claim("it is as far from the truth as the MLE is", FIGURES)
def as_good_as_the_mle(data: xr.Dataset) -> Finding:
    """Difference of the mean total variations to the truth on the same prompts."""
    last = ends(trained_on(data, "mle"))
    off = last.to_truth - last.baseline_to_truth.sel(estimate="mle")
    return between(-0.005, 0.005, over_seeds(off), format="differs by {:+.4f}", expected="0", where="at n = 50")


@claim("it is nearer to the truth than the estimate that ignores the graph", FIGURES)
def beats_naive(data: xr.Dataset) -> Finding:
    """By how much, for both losses, on contexts of the training length."""
    parts, said = [], []
    for loss in ("mle", "label"):
        last = ends(trained_on(data, loss))
        gain = over_seeds(last.baseline_to_truth.sel(estimate="naive") - last.to_truth)
        parts.append(above(0.02, gain, where="at n = 50"))
        said.append(f"{float(gain.value.min()):.4f} trained on {loss}")
    return all_of(*parts, measured="nearer by " + ", ".join(said), expected="nearer")


@claim("trained on labels it is as near to the truth as the MLE, without being the MLE", DERIVED)
def labels_are_not_the_mle(data: xr.Dataset) -> Finding:
    """Distances to truth and MLE on contexts of the training length."""
    last = ends(trained_on(data, "label"))
    truth, mle = over_seeds(last.to_truth), over_seeds(last.to_mle)
    said = f"{float(truth.value.max()):.4f} to the truth, {float(mle.value.min()):.4f} to the MLE"
    parts = below(0.085, truth), between(0.02, 0.07, mle)
    return all_of(*parts, measured=said, expected="≈ 0.07 and 0.028 to 0.07")


@claim("on short contexts training on labels beats the MLE", DERIVED)
def labels_help_short_contexts(data: xr.Dataset) -> Finding:
    """By how much it is nearer to the truth at n = 10, unseen configurations answered uniformly."""
    last = ends(trained_on(data, "label"), 10)
    gain = over_seeds(last.baseline_to_truth.sel(estimate="mle") - last.to_truth)
    return above(0.01, gain, format="nearer by {:.4f}", expected="toward the posterior mean")


@claim("it keeps improving on contexts longer than those it was trained on", FIGURES)
def improves_with_length(data: xr.Dataset) -> Finding:
    """Ratio of distances to the truth between neighbouring lengths, for both losses."""
    parts, said = [], []
    for loss in ("mle", "label"):
        far = ends(trained_on(data, loss), None).to_truth
        ratio = xr.DataArray(
            far.isel(length=slice(1, None)).values / far.isel(length=slice(None, -1)).values,
            dims=far.dims, coords={"seed": far.seed} if "seed" in far.coords else None,
        )  # fmt: skip
        found = over_seeds(ratio)
        parts.append(below(1.0, found))
        said.append(f"×{float(found.value.max()):.3f} trained on {loss}")
    return all_of(*parts, measured="per neighbour at most " + ", ".join(said), expected="below ×1")


@claim("at n = 200 it has not become the MLE again, trained on labels of n = 50", DERIVED)
def flattens_beyond(data: xr.Dataset) -> Finding:
    """How much farther from the truth than the MLE at four times the length."""
    last = ends(trained_on(data, "label"), 200)
    gap = over_seeds(last.to_truth - last.baseline_to_truth.sel(estimate="mle"))
    return above(0.0, gap, format="farther by {:.4f}", expected="farther")


@claim("its likeliest value is right as often as the MLE's", FIGURES)
def accuracy_of_the_mle(data: xr.Dataset) -> Finding:
    """Difference of accuracies at n = 50, trained on the MLE."""
    last = ends(trained_on(data, "mle"))
    off = last.accuracy - last.baseline_accuracy.sel(estimate="mle")
    return between(-0.01, 0.01, over_seeds(off), format="differs by {:+.4f}", expected="0", where="at n = 50")


@claim("counting unseen configurations as failures is what makes the published MLE weak on short contexts", DERIVED)
def failures_move_the_curve(data: xr.Dataset) -> Finding:
    """How much farther from the truth the MLE is at n = 5 by that rule than with a uniform answer."""
    first = usable(data).isel(step=-1).sel(length=5).baseline_to_truth
    need(first, estimate=2)
    rise = first.sel(estimate="mle, unseen fails") - first.sel(estimate="mle")
    rise = rise.mean([dim for dim in rise.dims if dim != "seed"])
    return above(0.04, over_seeds(rise), format="farther by {:.3f}", expected="0.07", where="at n = 5")


@claim("training lowers the distance to the MLE", FIGURES, sizes=ALL)
def training_helps(data: xr.Dataset) -> Finding:
    """Distance at the end over that at the start, mean over lengths and seeds, trained on the MLE."""
    far = trained_on(data, "mle").to_mle.mean(("length", "seed"))
    return at_most(1.0, far.isel(step=-1) / far.isel(step=0), format="×{:.3f}", expected="→ 0")


@claim("baselines are where the reference has them", DERIVED)
def baselines_as_known(data: xr.Dataset) -> Finding:
    """Distances to the truth at n = 50 for the graph "general" with tables from U(0.1, 0.9)."""
    last = ends(usable(data))
    if set(np.atleast_1d(last.graph.values)) != {"general"}:
        raise NotMeasurable("the reference is of graph = general")
    found = last.baseline_to_truth.mean([dim for dim in last.baseline_to_truth.dims if dim not in ("estimate",)])
    known = {"mle": 0.0737, "laplace": 0.0665, "naive": 0.106, "marginal": 0.111}
    parts = [within(0.1, found.sel(estimate=name), of=value, relative=True) for name, value in known.items()]
    said = ", ".join(f"{name} {float(found.sel(estimate=name)):.4f}" for name in known)
    return all_of(*parts, measured=said, expected=", ".join(f"{value:g}" for value in known.values()))


CLAIMS = (
    near_the_mle,
    as_good_as_the_mle,
    beats_naive,
    labels_are_not_the_mle,
    labels_help_short_contexts,
    improves_with_length,
    flattens_beyond,
    accuracy_of_the_mle,
    failures_move_the_curve,
    training_helps,
    baselines_as_known,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distance to the truth over the length beside the baselines, accuracy likewise, and the distance to the MLE."""
    one = data.isel(graph=0) if "graph" in data.dims else data
    losses = list(np.atleast_1d(one.loss.values))
    title = f"Trained on contexts of {int(one.n)} samples: tested on shorter and longer ones"
    figure, (axes,) = new_figure(1, 2, title=title, width=5.6, height=4.4)
    last = one.isel(step=-1)
    beside(axes[0], last, "to_truth", losses, ("mle", "naive", "laplace", "posterior", "mle, unseen fails"), "xy")
    axes[0].set_title("distance to the truth, ½ Σ|p − q|")
    beside(axes[1], last, "accuracy", losses, ("mle", "naive", "posterior", "truth"), "x")
    axes[1].set_title("accuracy of the likeliest value")
    return {"training_lengths": figure, "training_steps": along_steps(one)}


@styled
def beside(ax: Axes, data: xr.Dataset, name: str, losses: list[str], estimates: tuple[str, ...], log: str) -> None:
    """Trained networks solid with intervals over seeds, baselines dashed."""
    part = data[name] if "loss" in data[name].dims else data[name].expand_dims(loss=losses)
    part = part.assign_coords(loss=[f"trained on {loss}" for loss in losses]).assign_attrs(data[name].attrs)
    curves(ax, part, "length", "loss", log=log, legend=False)
    lines = data[f"baseline_{name}"]
    lines = lines.mean([dim for dim in lines.dims if dim not in ("estimate", "length")])
    for i, estimate in enumerate(estimates):
        shade = COLOURS[(i + 2) % len(COLOURS)]
        ax.plot(lines.length, lines.sel(estimate=estimate), color=shade, ls=(0, (5, 2.5)), lw=1.2,
                marker=MARKERS[(i + 2) % len(MARKERS)], ms=3.5, label=estimate)  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def along_steps(data: xr.Dataset) -> Figure:
    """Distance to the MLE along the training, at the length trained on."""
    at = data.to_mle.sel(length=50 if 50 in data.length else data.length[0])
    figure, axes = new_figure(title="The distance to the MLE along the training, contexts of 50", width=6.4)
    shown = at.sel(step=at.step > 0).assign_attrs(data.to_mle.attrs)
    curves(axes[0, 0], shown, "step", "loss" if "loss" in at.dims else None, log="xy")
    return figure


EXPERIMENT = Experiment(TrainedBody(), SIZES, claims=CLAIMS, figures=figures)
