"""Length one by ReLU attention: hinges in the squared length, one head each, and a few rounds of polishing.

    w <- w f(||w||²),   f(s) ≈ s^(-1/2) piecewise linear

changes the length of an iterate alone, never its direction; errors of length enter through deflation and eigenvalues.
Reference: He et al. 2025, arXiv 2501.01312, and the proof of its sibling arXiv 2502.06007v1 (an inverse length as a sum
of ReLUs over heads); knots near one and polishing are ours.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, at, at_most, below, claim
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.spectral import setting
from lemmata.papers.spectral.constructed import ConstructedBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

BODY = ConstructedBody(power_steps=12, normaliser="relu attention", ratio=0.3, n=30, d=6, clouds=4)
SIZES = {
    "smoke": Size(polish=(0, 4), near_one=(True,), ratio=0.2, n=20, d=4, k=2, seeds=2),
    "laptop": Size(polish=(0, 1, 2, 3, 4, 6), near_one=(True, False), seeds=4),
    "paper": Size(
        polish=(0, 1, 2, 3, 4, 6, 8),
        near_one=(True, False),
        knots=(12, 24, 48),
        power_steps=30,
        n=100,
        d=8,
        clouds=20,
        seeds=10,
    ),
}


@claim("attention alone normalises: the network is the same algorithm with hinges", setting.PAPER, sizes=ALL)
def is_the_algorithm(data: xr.Dataset) -> Finding:
    """Largest difference from numpy's power iteration with the same hinges, where lengths come out as one."""
    polished = data.disagreement.where(data.polish >= 4)
    return at_most(
        1e-12, polished, format="difference at most {most:.1e}", expected="rounding", where="polished ≥ 4 times"
    )


@claim("four polishing rounds make eigenvalues exact to five digits", setting.DERIVED, sizes=ALL)
def four_rounds_do(data: xr.Dataset) -> Finding:
    """Largest relative error over clouds and seeds, with knots near one."""
    return below(1e-5, at(data.value_error, polish=4, near_one=True), format="at most {most:.1e}")


@claim("without polishing they are wrong", setting.DERIVED)
def none_does_not(data: xr.Dataset) -> Finding:
    """Largest relative error of each seed."""
    return above(1e-3, at(data.value_error, polish=0), format="at least {least:.1e}")


@claim("knots near one are worth it", setting.DERIVED)
def knots_near_one(data: xr.Dataset) -> Finding:
    """Error with them over that without, after four rounds, both the largest of all clouds."""
    worst = at(data.value_error, polish=4).max("seed")
    return below(1.0, at(worst, near_one=True) / at(worst, near_one=False), format="×{most:.3f}")


CLAIMS = (is_the_algorithm, four_rounds_do, none_does_not, knots_near_one)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Errors of eigenvalues and of lengths over polishing rounds."""
    shown = data.isel({name: 0 for name in data.value_error.dims if name not in ("polish", "near_one", "seed")})
    if "polish" not in shown.dims:
        return {}
    hue = "near_one" if "near_one" in shown.dims else None
    if hue:
        words = [("with" if near else "without") + " knots" for near in shown.near_one.values]
        shown = shown.assign_coords(near_one=("near_one", words, {"long_name": "near one"}))
    figure, axes = new_figure(1, 2, title="With knots near one, each polishing round brings lengths nearer to one")
    curves(axes[0, 0], shown.length_error, "polish", hue, log="y", legend=False, title="lengths")
    curves(axes[0, 1], shown.value_error, "polish", hue, log="y", title="eigenvalues")
    return {"normaliser": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
