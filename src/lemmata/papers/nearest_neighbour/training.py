"""The paper's experiment: all of W is trained on random labels, for several n and d, and tested on separated prompts.

Left of the paper's figure 3 the training loss falls for all pairs, slower for larger n and d; right, the error on
prompts whose nearest neighbour is separated (δ = 0.1) falls much faster. Reference: Li et al. 2024, arXiv 2411.10830,
section 5 and appendix B; no numbers are printed there. ``paper`` is its run; ``laptop`` takes fewer points and
dimensions and a step of 1.5 from the theorem's sparse start.
"""

from functools import lru_cache

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import (
    Finding,
    NotMeasurable,
    above,
    all_of,
    at_most,
    below,
    claim,
    need,
    usable,
    within,
)
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.nearest_neighbour import reduced, setting, theory
from lemmata.papers.nearest_neighbour.setting import FullMatrixBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

SIZES = {
    "smoke": Size(n=(8, 16), d=4, steps=200, pool=500, batch=64, records=10, seeds=2),
    "laptop": Size(n=(8, 16, 32), d=(4, 8), rate=1.5, steps=4000, batch=256, records=40, seeds=3),
    "paper": Size(
        n=(16, 32, 64),
        d=(8, 16),
        steps=156_250,
        pool=10_000,
        batch=128,
        rate=0.1,
        start="gaussian",
        records=200,
        seeds=10,
    ),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """The two-parameter recursion with exact gradients, the law, and the bound on shifted errors."""
    sparse = data.start == "sparse"
    if not bool(sparse) or str(data.rule.values) != "sgd" or int(data.step[-1]) > 20_000:
        return {"xi1_law": _law(data)}
    found = xr.apply_ufunc(
        _path, data.n, data.d, data.rate, data.sigma, data.step, input_core_dims=[[], [], [], [], ["step"]],
        output_core_dims=[["step"], ["step"], ["step"]], vectorize=True,
    )  # fmt: skip
    labels = (
        "ξ1 of the two-parameter recursion",
        "ξ2 of the two-parameter recursion",
        "population loss of the recursion",
    )
    names = ("xi1_predicted", "xi2_predicted", "loss_predicted")
    predicted = {name: part.assign_attrs(long_name=label, units="1") for name, part, label in zip(names, found, labels)}
    bound = xr.apply_ufunc(theory.shift_error_bound, found[0], found[1], data.n, data.delta)
    bound = bound.assign_attrs(long_name="bound on the shifted error", units="1")
    return {**predicted, "xi1_law": _law(data), "shift_bound": bound}


def _law(data: xr.Dataset) -> xr.DataArray:
    c = xr.apply_ufunc(theory.tie_constant, data.n, data.d, vectorize=True)
    return np.cbrt(3 * c * data.rate * data.step / data.d).assign_attrs(long_name="(3cηk/d)^(1/3)", units="1")


def _path(n: int, d: int, rate: float, sigma: float, steps: np.ndarray) -> tuple[np.ndarray, ...]:
    path = _descend(int(n), int(d), float(rate), float(sigma), tuple(int(step) for step in steps))
    return path[:, 0], path[:, 1], path[:, 2]


@lru_cache(maxsize=256)
def _descend(n: int, d: int, rate: float, sigma: float, steps: tuple[int, ...]) -> np.ndarray:
    return reduced.descend(n, d, rate, (0.0, sigma), steps)


@claim("the loss falls steadily although it is not convex", setting.FIGURE_3, sizes=ALL)
def loss_falls(data: xr.Dataset) -> Finding:
    """Largest rise of the test loss, averaged over ten records, relative to its start."""
    loss = usable(data).test_loss
    need(loss, step=4)
    smooth = loss.rolling(step=min(10, loss.sizes["step"] // 2)).mean().dropna("step")
    rise = (smooth.diff("step") / smooth.isel(step=0)).max("step")
    return at_most(0.0, rise, format="largest rise {:+.4f}", expected="none", where="in every cell")


@claim("training is slower for longer contexts and in more dimensions", setting.SECTION_5)
def slower_for_larger(data: xr.Dataset) -> Finding:
    """Smallest ratio of final losses between neighbours, in n and in d."""
    need(data, n=2, d=2)
    last = usable(data).test_loss.isel(step=slice(-5, None)).mean(("step", "seed"))
    ratios = [
        (last.isel({x: slice(1, None)}).values / last.isel({x: slice(None, -1)}).values).min() for x in ("n", "d")
    ]
    said = f"neighbours in n differ by ×{ratios[0]:.2f} or more, in d by ×{ratios[1]:.2f} or more"
    parts = [above(1.0, ratio) for ratio in ratios]
    return all_of(*parts, measured=said, expected="larger n, larger d: larger loss")


@claim("the error on separated prompts falls much faster than the training loss", setting.FIGURE_3)
def shifted_error_falls_faster(data: xr.Dataset) -> Finding:
    """By how many e-folds each has fallen from its start, δ = 0.1."""
    used = usable(data).mean("seed")
    shifted = used.shift_error.sel(delta=0.1)
    folds = np.log(shifted.isel(step=0) / shifted.isel(step=-1))
    loss = np.log(used.test_loss.isel(step=0) / used.test_loss.isel(step=-1))
    return above(1.5, folds / loss, format="×{least:.1f} to ×{most:.1f} as many e-folds", expected="many more")


@claim("the trained head says what 1-NN says on separated prompts", setting.THEOREM_2)
def is_nearest_neighbour_under_shift(data: xr.Dataset) -> Finding:
    """Mean squared error at the end, for δ = 0.5."""
    error = usable(data).shift_error.sel(delta=0.5).isel(step=-1).mean("seed")
    return below(1e-3, error, format="mean squared error at most {most:.1e}", expected="→ 0", where="for δ = 0.5")


@claim("the shifted error falls with the separation", setting.DERIVED)
def falls_with_separation(data: xr.Dataset) -> Finding:
    """Largest ratio of errors between neighbouring δ at the end."""
    error = usable(data).shift_error.isel(step=-1).mean("seed")
    ratio = xr.DataArray(
        error.isel(delta=slice(1, None)).values / error.isel(delta=slice(None, -1)).values, dims=error.dims
    )
    return below(1.0, ratio, format="ratios up to {most:.2f}", expected="falling")


@claim("two parameters with exact gradients tell how the whole matrix moves", setting.DERIVED)
def recursion_predicts(data: xr.Dataset) -> Finding:
    """Relative deviation of ξ1 at the end from the recursion."""
    if "xi1_predicted" not in data:
        raise NotMeasurable("the recursion is followed from the sparse start, by plain descent, for up to 20 000 steps")
    last = usable(data).isel(step=-1)
    return within(0.05, last.xi1.mean("seed"), of=last.xi1_predicted, relative=True, expected="the recursion")


@claim("ξ1 grows as (3cηk/d)^(1/3)", setting.DERIVED)
def law_of_xi1(data: xr.Dataset) -> Finding:
    """Relative deviation at the end."""
    last = usable(data).isel(step=-1)
    return within(setting.LAW, last.xi1.mean("seed"), of=last.xi1_law, relative=True, expected="(3cηk/d)^(1/3)")


@claim("the matrix stays in its two-parameter family", setting.DERIVED)
def stays_in_the_family(data: xr.Dataset) -> Finding:
    """Share of ‖W‖ outside at the end."""
    return below(0.1, usable(data).off_structure.isel(step=-1).mean("seed"), format="at most {most:.3f} of ‖W‖")


@claim("the shifted error lies below its bound", setting.DERIVED)
def below_the_bound(data: xr.Dataset) -> Finding:
    """Error over 2 (n e^(-ξ1 δ/2 + a) + e^(-ξ2 + a))², ξ measured and a = 2‖W outside the family‖."""
    last = usable(data).isel(step=-1)
    size = np.sqrt(last.d * last.xi1**2 + last.xi2**2) / np.sqrt(1 - last.off_structure**2)
    allowance = np.exp(2 * 2 * last.off_structure * size)
    bound = 2 * (last.n * np.exp(-last.xi1 * last.delta / 2) + np.exp(-last.xi2)) ** 2 * allowance
    return at_most(1.0, (last.shift_error / bound), format="at most {most:.2g} of the bound")


CLAIMS = (
    loss_falls,
    slower_for_larger,
    shifted_error_falls_faster,
    is_nearest_neighbour_under_shift,
    falls_with_separation,
    recursion_predicts,
    law_of_xi1,
    stays_in_the_family,
    below_the_bound,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Both panels of the paper's figure 3, and ξ1 beside the recursion."""
    d_values = data.d.values if "d" in data.dims else [None]
    title = "The loss falls for all n and d; the error on separated prompts falls much faster"
    figure, axes = new_figure(2, len(d_values), title=title, width=5.6, height=3.4)
    for i, d in enumerate(d_values):
        part = (data if d is None else data.sel(d=d)).sel(step=data.step > 0)
        hue = "n" if "n" in part.dims else None
        predicted = part.get("loss_predicted")
        curves(axes[0, i], part.test_loss, "step", hue, log="xy", theory=predicted, theory_label="recursion",
               legend=i == len(d_values) - 1, title=f"loss on fresh prompts, d = {int(part.d)}")  # fmt: skip
        shifted = part.shift_error.sel(delta=0.1).assign_attrs(part.shift_error.attrs)
        curves(
            axes[1, i], shifted, "step", hue, log="xy", legend=False, title=f"separated by δ = 0.1, d = {int(part.d)}"
        )
    return {"training_curves": figure, "training_xi1": growth(data), "training_shift": separations(data)}


def growth(data: xr.Dataset) -> Figure:
    """ξ1 along the steps."""
    one = data.isel(d=0) if "d" in data.dims else data
    one = one.sel(step=one.step > 0)
    figure, axes = new_figure(
        title=f"The whole matrix follows the two-parameter recursion, d = {int(one.d)}", width=6.4
    )
    theory_line, label = one.xi1_law, "(3cηk/d)^(1/3)"
    if "xi1_predicted" in one:
        theory_line, label = one.xi1_predicted, "recursion, exact gradients"
    curves(
        axes[0, 0], one.xi1, "step", "n" if "n" in one.dims else None, log="xy", theory=theory_line, theory_label=label
    )
    return figure


def separations(data: xr.Dataset) -> Figure:
    """Shifted error for each δ at one (n, d)."""
    one = data.isel({name: 0 for name in ("n", "d") if name in data.dims})
    one = one.sel(step=one.step > 0)
    title = f"The farther the others, the faster: n = {int(one.n)}, d = {int(one.d)}"
    figure, axes = new_figure(title=title, width=6.4)
    curves(axes[0, 0], one.shift_error, "step", "delta", log="xy", theory=one.get("shift_bound"), theory_label="bound")
    axes[0, 0].set_ylim(top=3)
    return figure


EXPERIMENT = Experiment(FullMatrixBody(), SIZES, claims=CLAIMS, predict=predict, figures=figures)
