"""The loss over its two parameters, exactly: far from convex, and punished where ξ1 runs ahead of ξ2.

The paper's figure 2 shows it for n = d = 4 from 100 sampled prompts, with W = diag(ξ1, .., ξ1, 0, +ξ2): its vertical
axis has the other sign than its lemma 2 and ours, W = diag(.., -ξ2). Reference: Li et al. 2024, arXiv 2411.10830.
"""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, among, at, at_least, below, claim
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.nearest_neighbour import reduced, setting
from lemmata.papers.nearest_neighbour.exact import LossBody
from lemmata.report.maps import heat_map
from lemmata.report.style import COLOUR_MAP, new_figure

SIZES = {
    "smoke": Size(xi1=tuple(np.arange(-2.0, 21, 2).tolist()), xi2=tuple(np.arange(-6.0, 21, 2).tolist()), seeds=0),
    "laptop": Size(xi1=tuple(np.arange(-2.0, 21, 1).tolist()), xi2=tuple(np.arange(-6.0, 21, 1).tolist()), seeds=0),
    "paper": Size(
        xi1=tuple(np.arange(-2.0, 21, 0.25).tolist()), xi2=tuple(np.arange(-6.0, 21, 0.25).tolist()), seeds=0
    ),
}
FIGURE_2 = "Li et al. 2024, figure 2"


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The smallest eigenvalue of the Hessian, from the exact slopes."""
    if not {"xi1", "xi2"} <= set(data.dims) or min(data.sizes["xi1"], data.sizes["xi2"]) < 3:
        return {}
    h11, h22 = data.slope1.differentiate("xi1"), data.slope2.differentiate("xi2")
    h12 = (data.slope1.differentiate("xi2") + data.slope2.differentiate("xi1")) / 2
    smallest = (h11 + h22) / 2 - np.sqrt(((h11 - h22) / 2) ** 2 + h12**2)
    rim = [(data[name] == data[name].values[end]) for name in ("xi1", "xi2") for end in (0, -1)]
    curvature = smallest.where(~(rim[0] | rim[1] | rim[2] | rim[3]))  # one-sided differences there say nothing
    return {"curvature": curvature.assign_attrs(long_name="smallest eigenvalue of the Hessian", units="1")}


@claim("the loss is highly nonconvex", FIGURE_2, sizes=ALL)
def nonconvex(data: xr.Dataset) -> Finding:
    """Share of inner cells whose Hessian has a negative eigenvalue."""
    if "curvature" not in data:
        raise NotMeasurable("needs at least three values of ξ1 and of ξ2")
    inner = data.curvature.isel(xi1=slice(1, -1), xi2=slice(1, -1))
    return at_least(0.3, float((inner < 0).mean()), format="indefinite or concave in {:.1%} of the cells")


@claim("too much ξ1 is punished: the query looks at itself", setting.DERIVED, sizes=ALL)
def overshooting_is_punished(data: xr.Dataset) -> Finding:
    """Along ξ2 = 10 the loss at ξ1 = 10 lies below those at 0 and at 20."""
    row = at(data, xi2=10.0).loss
    middle = float(at(row, xi1=10.0))
    ends = {end: float(at(row, xi1=end)) for end in (0.0, 20.0)}
    detail = ", ".join(f"L({end:g}, 10) = {value:.3f}" for end, value in ends.items())
    said = f"L(10, 10) = {middle:.3f} is ×{{:.2f}} of the lower of the two"
    return below(1.0, np.float64(middle) / min(ends.values()), format=said, detail=detail, expected="the middle lowest")


@claim("the least loss lies where ξ2 is largest", setting.DERIVED, sizes=ALL)
def best_at_largest_xi2(data: xr.Dataset) -> Finding:
    """ξ2 of the lowest cell."""
    loss = among(data.loss, data.loss.notnull(), "a loss")
    best = loss.where(loss == loss.min(), drop=True)
    return at_least(float(data.xi2.max()), float(best.xi2[0]), format="lowest cell at ξ2 = {:g}")


CLAIMS = (nonconvex, overshooting_is_punished, best_at_largest_xi2)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The map with a path of descent, and the surface."""
    if not {"xi1", "xi2"} <= set(data.dims):
        return {}
    n, d = int(data.n), int(data.d)
    figure, axes = new_figure(title=f"The loss over its two parameters, n = {n}, d = {d}", width=6.6, height=4.6)
    levels = (0.05, 0.1, 0.2, 0.3, 0.4)
    loss = data.loss.assign_attrs(long_name="L", units="1").rename("L")
    heat_map(axes[0, 0], loss, "xi1", "xi2", contours=loss, levels=levels, title="exact; dots: descent from (0, 3)")
    path = reduced.descend(n, d, 10.0 * d, (0.0, 3.0), np.unique(np.geomspace(1, 1000, 40).astype(int)).tolist())
    inside = (path[:, 0] <= data.xi1.values.max()) & (path[:, 1] <= data.xi2.values.max())
    axes[0, 0].plot(*path[inside, :2].T, color="white", lw=2.4)
    axes[0, 0].plot(*path[inside, :2].T, color="black", lw=1.2, marker="o", ms=3)
    return {"landscape_map": figure, "landscape_surface": surface(loss)}


def surface(loss: xr.DataArray) -> Figure:
    """The same in three dimensions, with the paper's sign on the second axis."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    ax = figure.add_subplot(projection="3d")
    x, y = np.meshgrid(loss.xi1, -loss.xi2, indexing="ij")
    ax.plot_surface(
        x,
        y,
        loss.transpose("xi1", "xi2").values,
        cmap=colormaps[COLOUR_MAP],
        rstride=1,
        cstride=1,
        lw=0.2,
        edgecolor="0.3",
    )
    ax.set_xlabel("ξ1")
    ax.set_ylabel("corner of W (= −ξ2)")
    ax.set_zlabel("L")
    ax.view_init(30, -130)
    figure.suptitle("The loss as the paper's figure 2 draws it", x=0.01, ha="left", fontweight="bold")
    return figure


EXPERIMENT = Experiment(LossBody(), SIZES, claims=CLAIMS, predict=predict, figures=figures)
