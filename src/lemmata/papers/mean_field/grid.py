"""Width and depth at a small decay: the risk that 64 prompts are left with after a fixed training time.

λ = 1e-4, the structured task. Derived here: on it depth helps more than width, which the theorem's rate
(Gao et al. 2024, arXiv 2410.23610, theorem 3.1) allows but does not say.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, at, below, claim, mean, need, usable
from lemmata.claims import all_of as both
from lemmata.lab import Experiment, Size
from lemmata.papers.mean_field import rates, setting
from lemmata.papers.mean_field.at_the_end import risk_at_the_end
from lemmata.papers.mean_field.setting import Flowing

RUN = Flowing(prompts=64, decay=1e-4, step=0.5, probes=0, times=(0.0, 25.0, 250.0))
SIZES = {
    "smoke": Size(layers=(1, 2), particles=(1, 2), seeds=2, changes={"times": (0.0, 5.0)}),
    "laptop": Size(half_step=(0.5, 1.0), layers=(1, 2, 4, 8), particles=(1, 2, 4, 8, 16), seeds=12),
    "paper": Size(half_step=(0.5, 1.0), layers=(1, 2, 4, 8, 16), particles=(1, 2, 4, 8, 16, 32, 64), seeds=48),
}


def _risk(data: xr.Dataset) -> xr.DataArray:
    need(data, layers=2, particles=2, seed=2)
    return usable(data).isel(time=-1).risk.reset_coords(drop=True)


@claim("depth and width each lower the risk", setting.DERIVED)
def both_help(data: xr.Dataset) -> Finding:
    """Ratios of geometric mean risks: from L = 1 to 8 at M = 4, and from M = 1 to 16 at L = 4."""
    risk = _risk(data)
    deep = mean(at(risk, layers=8, particles=4), log=True).over(mean(at(risk, layers=1, particles=4), log=True))
    wide = mean(at(risk, layers=4, particles=16), log=True).over(mean(at(risk, layers=4, particles=1), log=True))
    return both(
        below(1.0, deep, format="depth ×{:.2f}", where="from L = 1 to 8 at M = 4"),
        below(1.0, wide, format="width ×{:.2f}", where="from M = 1 to 16 at L = 4"),
        expected="both below 1",
    )


@claim("on this task eight times the depth helps more than sixteen times the width", setting.DERIVED)
def depth_helps_more(data: xr.Dataset) -> Finding:
    """The gain by width over the gain by depth, paired over seeds."""
    risk = rates.logarithm(_risk(data))
    deep = at(risk, layers=8, particles=4) - at(risk, layers=1, particles=4)
    wide = at(risk, layers=4, particles=16) - at(risk, layers=4, particles=1)
    ratio: xr.DataArray = xr.apply_ufunc(np.exp, wide - deep)
    gain = mean(ratio, log=True)
    return above(1.0, gain, expected="> 1", format="depth gains ×{:.1f} as much")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Risk at the end against width, a curve for each depth."""
    return {"grid": risk_at_the_end(data, "Risk after training, over width and depth")}


EXPERIMENT = Experiment(RUN, SIZES, claims=(both_help, depth_helps_more), figures=figures)
