"""Pre-training is a power method up to a residual: one step is w + (A + Ξ)w with ‖Ξ‖ ≤ σ0‖A‖.

Lemma 5.1 of Zhang, Cao 2024, arXiv 2409.18685. A is known from the data (``theory.power_matrix``); one step of gradient
descent on the SimCLR loss is taken from random filters of scale σ0, and what A does not explain of it is measured as
‖ΔW − A W‖/(‖A‖ ‖W‖), the scale of A fitted to the step. Names: ``init`` σ0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import LinearEncoder, Run, SignalNoisePairs, SimCLR, train
from lemmata.claims import Finding, at_most, claim, one_of_each, usable
from lemmata.data.pairs import PairSample
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.simclr import theory
from lemmata.parameters import parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body, Variable
from lemmata.theory.signal_noise import signal_at_snr

SCALES = tuple(np.geomspace(1e-6, 1e-2, 9).round(12).tolist())
SIZES = {
    "smoke": Size(snr=(0.2,), init=(1e-5, 1e-3), pairs=40, d=400, seeds=2),
    "laptop": Size(snr=(0.1, 0.2, 0.3), init=SCALES, seeds=4),
    "paper": Size(snr=(0.05, 0.1, 0.2, 0.3), init=SCALES, pairs=400, d=4000, seeds=20),
}


@dataclass(frozen=True)
class OneStep(Body):
    """What the power matrix does not explain of one step of pre-training."""

    snr: float = parameter("SNR = ‖μ‖/(σp√d)", above=0, scale="log", per_cell=False, default=0.2)
    init: float = parameter("filter scale at the start σ₀", above=0, scale="log", default=1e-4)
    pairs: int = parameter("unlabelled pairs n₀", int, units="pairs", least=2, default=150)
    d: int = parameter("dimension d", int, least=10, most=20000, scale="log", default=2000)
    m: int = parameter("half the number of filters m", int, units="filters", least=1, default=20)
    sigma_p: float = parameter("noise level σp", above=0, scale="log", default=1.0)
    variables: ClassVar[Mapping[str, Variable]] = {
        "residual": Variable(units="1", long_name="residual ‖ΔW − A W‖/(‖A‖ ‖W‖)"),
    }

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile: cells differ in their seeds alone."""
        here = replace(self, **{name: value for name, value in points[0].items() if name != "seed"})
        return {"residual": here.residuals([int(point.get("seed", 0)) for point in points])}

    def residuals(self, seeds: Sequence[int]) -> np.ndarray:
        """``(c,)``, one per seed."""
        data = SignalNoisePairs(pairs=self.pairs, d=self.d, signal=signal_at_snr(self.snr, self.d, self.sigma_p),
                                sigma_p=self.sigma_p)  # fmt: skip
        run = Run(data, LinearEncoder(self.m, init=self.init), SimCLR(), steps=1)
        sample = draw(run, cell_seeds(run.seed_root, seeds, run.device))
        moved = (train(run, seeds, sample=sample).filters - sample.filters).cpu().numpy()
        first, second = (side.cpu().numpy() for side in cast(PairSample, sample).view_vectors())
        matrix = theory.power_matrix(first, second)
        start = sample.filters.cpu().numpy()
        explained = start @ matrix
        scale = (moved * explained).sum((1, 2)) / (explained**2).sum((1, 2))
        left = np.linalg.norm(moved - scale[:, None, None] * explained, axis=(1, 2))
        size = np.abs(scale) * np.linalg.norm(matrix, 2, axis=(1, 2)) * np.linalg.norm(start, axis=(1, 2))
        return left / size


@claim("the residual of the power method is at most σ0", "Zhang, Cao 2024, lemma 5.1", sizes=ALL)
def residual_is_small(data: xr.Dataset) -> Finding:
    """The residual over σ0, for σ0 up to 1e-3."""
    small = usable(data).residual.where(data.init <= 1e-3)
    return at_most(1.0, small / data.init, where="times σ0, for σ0 ≤ 1e-3", format="at most {:.2g} σ0", expected="≤ σ0")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """The residual against σ0, a curve for each SNR, with the lemma's bound."""
    chosen, note = one_of_each(data, "snr", "init", of="residual")
    figure, axes = new_figure(width=6.0, title="One step of pre-training is a step of the power method" + note)
    hue = "snr" if "snr" in chosen.dims else None
    bound = chosen.init * xr.ones_like(chosen.init)
    curves(axes[0, 0], chosen.residual, "init", hue, log="xy", theory=bound, theory_label="lemma 5.1: σ₀")
    return {"residual": figure}


EXPERIMENT = Experiment(OneStep(), SIZES, claims=(residual_is_small,), figures=figures)
