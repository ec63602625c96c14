"""One layer and one head: how much of the answer is left, and for how many steps of training.

The construction has two layers of one head each. The paper's section 5.3 asks whether that is optimal and finds, by
what reviewers report, that going down to one layer and one head costs little. Reference: Cao, He, Wu, Chen, Fan, Liu
(2025), arXiv 2501.02547; sizes and measures are ours.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, at, at_most, below, claim, mean, need, usable
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.bayesian_networks.setting import DERIVED, TrainedBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

SECTION_5_3 = "Cao et al. 2025, section 5.3"
SIZES = {
    "smoke": Size(layers=(1, 2), graph="wet-grass", steps=10, batch=8, width=16, tested=20, n=10, records=2, seeds=2),
    "laptop": Size(layers=(1, 2), heads=(1, 4), steps=1500, tested=300, records=8, seeds=2),
    "paper": Size(layers=(1, 2, 4, 6), heads=(1, 2, 8), width=256, n=100, rate=5e-4, weight_decay=0.05, warmup=2000,
                  steps=50_000, tested=5000, seeds=10),
}  # fmt: skip


def at_the_end(data: xr.Dataset) -> xr.Dataset:
    """After the last step, on contexts of 50."""
    return usable(data).isel(step=-1).sel(length=50)


@claim("one layer with one head costs little", SECTION_5_3)
def smallest_costs_little(data: xr.Dataset) -> Finding:
    """How much farther from the truth it is than the largest network."""
    need(data, layers=2, heads=2)
    last = at_the_end(data).to_truth
    most = {name: data[name].max().item() for name in ("layers", "heads")}
    gap = at(last, layers=1, heads=1) - at(last, **most)
    return below(0.02, mean(gap), format="farther by {:.4f}", expected="little", where="at n = 50")


@claim("one layer with one head is still better than the estimate that ignores the graph", SECTION_5_3)
def smallest_beats_naive(data: xr.Dataset) -> Finding:
    """By how much it is nearer to the truth."""
    need(data, layers=2, heads=2)
    last = at(at_the_end(data), layers=1, heads=1)
    gain = last.baseline_to_truth.sel(estimate="naive") - last.to_truth
    return above(0.0, mean(gain), format="nearer by {:.4f}", expected="nearer", where="at n = 50")


@claim("two layers with one head, the construction's shape, are near the MLE", DERIVED)
def shape_of_the_construction(data: xr.Dataset) -> Finding:
    """Total variation between the two."""
    need(data, layers=2, heads=2)
    return below(
        0.05, mean(at(at_the_end(data), layers=2, heads=1).to_mle), format="total variation {:.4f}", expected="→ 0"
    )


@claim("training lowers the distance to the MLE in every shape", DERIVED, sizes=ALL)
def every_shape_learns(data: xr.Dataset) -> Finding:
    """Distance at the end over that at the start."""
    far = usable(data).to_mle.mean(("length", "seed"))
    return at_most(1.0, far.isel(step=-1) / far.isel(step=0), format="×{most:.3f} at most", expected="→ 0")


CLAIMS = (smallest_costs_little, smallest_beats_naive, shape_of_the_construction, every_shape_learns)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distance to the MLE along training for each number of layers, a panel for each number of heads."""
    heads = data["heads"].values if "heads" in data.dims else [None]
    figure, (axes,) = new_figure(1, len(heads), title="Layers and heads along the training, contexts of 50", width=5.6)
    for i, (ax, number) in enumerate(zip(axes, heads)):
        part = data if number is None else data.sel(heads=number)
        shown = part.to_mle.sel(length=50, step=part.step > 0).assign_attrs(data.to_mle.attrs)
        title = f"heads = {int(part['heads'])}"
        curves(ax, shown, "step", "layers" if "layers" in shown.dims else None, log="y", title=title,
               legend=i == len(heads) - 1)  # fmt: skip
    return {"ablation": figure}


EXPERIMENT = Experiment(TrainedBody(), SIZES, claims=CLAIMS, figures=figures)
