"""Signs of eigenvectors are no property of a cloud: a loss that asks for them asks for LAPACK's habits.

The authors' code trains on 1 - cos with the vectors as the library returns them; their signs jump between neighbouring
matrices. Beside it the same networks with 1 - |cos|. Reference: He et al. 2025, arXiv 2501.01312, and its authors'
code; the comparison is ours.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, at, at_most, below, claim, mean, need, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.spectral import setting
from lemmata.papers.spectral.setting import EigenpairsBody
from lemmata.report.curves import curves
from lemmata.report.style import new_figure

BODY = EigenpairsBody(width=32, batch=32, rate=3e-3, records=10, k=1)
SIZES = {
    "smoke": Size(
        wanted=("vectors", "signed vectors"),
        n=6,
        d=3,
        width=16,
        heads=2,
        layers=1,
        steps=20,
        batch=8,
        records=2,
        seeds=2,
    ),
    "laptop": Size(wanted=("vectors", "signed vectors"), steps=1000, seeds=4),
    "paper": Size(wanted=("vectors", "signed vectors"), width=64, layers=12, steps=60_000, k=3, seeds=5),
}


def _last(data: xr.Dataset, name: str, wanted: str) -> xr.DataArray:
    return at(usable(data)[name].isel(step=-1, drop=True).sel(j=1, drop=True), wanted=wanted)


@claim("a loss that asks for signs is not met", setting.DERIVED)
def signs_cost(data: xr.Dataset) -> Finding:
    """Signed cosine of those trained on it, less |cos| of those trained on that; the same clouds."""
    need(data, seed=2, wanted=2)
    off = _last(data, "signed", "signed vectors") - _last(data, "cosine", "vectors")
    return at_most(-0.05, mean(off), format="difference {:+.3f}")


@claim("what is missed are signs: the line is found better than the sign says", setting.DERIVED)
def lines_are_found(data: xr.Dataset) -> Finding:
    """Signed cosine less |cos| of the same networks."""
    need(data, seed=2)
    off = _last(data, "signed", "signed vectors") - _last(data, "cosine", "signed vectors")
    return below(0.0, mean(off), format="difference {:+.3f}")


CLAIMS = (signs_cost, lines_are_found)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Signed and unsigned cosines along training, by loss."""
    if data.sizes.get("wanted", 1) < 2:
        return {}
    figure, axes = new_figure(1, 2, title="Lines are learnt, signs only in part")
    for ax, name, title in zip(axes[0], ("cosine", "signed"), ("line: |cos|", "with its sign: cos")):
        part = data[name].sel(j=1, drop=True).assign_coords(wanted=["1 − |cos|", "1 − cos"])
        part.wanted.attrs["long_name"] = "loss"
        curves(ax, part, "step", "wanted", legend=name == "signed", title=title)
        ax.set_ylim(-0.1, 1.02)
    return {"signs": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
