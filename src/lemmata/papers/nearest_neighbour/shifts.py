"""Test prompts from other laws than the training prompts': what does no harm, what must, and how it is repaired.

A head trained on unit vectors orders points by inner products, which order distances too as long as all points have one
length. With lengths in [1, 1.5] they do not, and no training helps a token (x, y, mark); with ||x||² in the token the
score ξ1 (<x_i, x_q> - ½||x_i||²) orders distances again, and training finds it. Model: Li et al. 2024, arXiv
2411.10830, whose Theorem 2 covers unit vectors alone; the suite is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, above, at, at_least, at_most, claim, usable
from lemmata.lab import Experiment, Size
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Task
from lemmata.papers.nearest_neighbour import setting
from lemmata.papers.nearest_neighbour.network import errors, weights
from lemmata.papers.nearest_neighbour.setting import FullMatrix, FullMatrixBody
from lemmata.parameters import Parameter
from lemmata.prompts.shifts import shift_suite
from lemmata.report.statistics import seed_interval
from lemmata.report.style import COLOURS, new_figure
from lemmata.sweep import Variable

_TESTED = 2000


@dataclass(frozen=True)
class ShiftsBody(FullMatrixBody):
    """Trains as its base does, then tests on every law of the suite."""

    @property
    def laws(self) -> tuple[str, ...]:
        """Names of the suite."""
        return tuple(shift_suite(self.n, self.d))

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Those of the training, and of each law."""
        return {
            **super().variables,
            "agrees": Variable(("law",), "1", "share of signs as 1-NN says"),
            "squared_error": Variable(("law",), "1", "E(ŷ − y*)²"),
            "weight": Variable(("law",), "1", "mean attention on the nearest point"),
            "top": Variable(("law",), "1", "share where the nearest point has the largest attention"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The laws, besides."""
        return {**super().coordinates, "law": np.asarray(self.laws)}

    def labels(self) -> dict[str, Any]:
        """The laws, besides."""
        return {**super().labels(), "law": Parameter("law of the test prompts", str)}

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Tests on the suite."""
        assert isinstance(task, FullMatrix)
        W, found = trained.parameters["W"], super().measured(points, task, trained)
        rows: dict[str, list[np.ndarray]] = {name: [] for name in ("agrees", "squared_error", "weight", "top")}
        for law in shift_suite(self.n, self.d).values():
            prompts = law.draw(task.seeds, f"suite/{type(law).__name__}/{law.n}", _TESTED)
            p = weights(W, task.tokens(prompts))
            error = errors(p, prompts.labels, prompts.targets)
            context, nearest = p[..., :-1], prompts.nearest.unsqueeze(2)
            each = {
                "agrees": error.abs() < 1,
                "squared_error": error.square(),
                "weight": context.gather(2, nearest).squeeze(2),
                "top": context.argmax(2) == prompts.nearest,
            }
            for name, values in each.items():
                rows[name].append(values.double().mean(1).numpy())
        return {**found, **{name: np.stack(values, 1) for name, values in rows.items()}}


BODY = ShiftsBody(steps=2000, rule="adam", rate=0.05, batch=256, pool=10_000, records=10)
SIZES = {
    "smoke": Size(
        tokens=("plain", "with norms"), trained_on=("sphere",), steps=60, pool=500, batch=64, n=8, d=4, seeds=2
    ),
    "laptop": Size(tokens=("plain", "with norms"), trained_on=("sphere", "unnormalised"), pool=4000, seeds=4),
    "paper": Size(
        n=(16, 64), d=(8, 16), tokens=("plain", "with norms"), trained_on=("sphere", "unnormalised"), seeds=10
    ),
}
UNIT = ("none", "separated", "anisotropic", "clustered", "longer", "shorter")
"""Laws whose points have length one."""


def plain(data: xr.Dataset) -> xr.Dataset:
    """The paper's tokens, trained on the sphere."""
    return at(usable(data), tokens="plain", trained_on="sphere")


@claim("laws of unit vectors do no harm, longer and shorter prompts neither", setting.THEOREM_2)
def unit_shifts_do_no_harm(data: xr.Dataset) -> Finding:
    """Smallest agreement with 1-NN over laws of unit vectors."""
    for law in UNIT:
        at(data, law=law)
    agrees = plain(data).agrees.sel(law=list(UNIT)).mean("seed")
    return at_least(0.96, agrees, format="agreement at least {least:.3f}", expected="1", detail=agrees)


@claim("lengths that differ make it fail", setting.DERIVED)
def lengths_make_it_fail(data: xr.Dataset) -> Finding:
    """Agreement with 1-NN on points of lengths 1 to 1.5."""
    agrees = at(plain(data).agrees, law="unnormalised").mean("seed")
    return at_most(0.90, agrees, format="agreement {most:.3f}", expected="well below 1")


@claim("no training on such points helps the paper's tokens", setting.DERIVED)
def training_does_not_help(data: xr.Dataset) -> Finding:
    """The same after training on points of lengths 1 to 1.5."""
    agrees = at(usable(data), tokens="plain", trained_on="unnormalised").agrees.sel(law="unnormalised").mean("seed")
    return at_most(0.92, agrees, format="agreement {most:.3f}", expected="well below 1")


@claim("with the squared norm in the token training repairs it", setting.DERIVED)
def norms_repair_it(data: xr.Dataset) -> Finding:
    """Agreement on points of lengths 1 to 1.5, with norms and trained on them."""
    agrees = (
        at(usable(data), tokens="with norms", trained_on="unnormalised").agrees.sel(law="unnormalised").mean("seed")
    )
    return at_least(0.95, agrees, format="agreement {least:.3f}", expected="1")


@claim("the shorter the prompt, the more certain", setting.DERIVED)
def shorter_is_more_certain(data: xr.Dataset) -> Finding:
    """Ratio of mean attention on the nearest point, neighbours in length."""
    weight = plain(data).weight.mean("seed").sel(law=["shorter", "none", "longer"])
    ratio = xr.DataArray(weight.values[..., :-1] / weight.values[..., 1:], dims=weight.dims)
    return above(1.0, ratio, format="ratios from {least:.3f}", expected="above 1")


CLAIMS = (
    unit_shifts_do_no_harm,
    lengths_make_it_fail,
    training_does_not_help,
    norms_repair_it,
    shorter_is_more_certain,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Agreement with 1-NN for each law, training law and token."""
    one = data.isel({name: 0 for name in ("n", "d") if name in data.dims})
    title = "Only lengths that differ do harm, and a norm in the token repairs that"
    figure, axes = new_figure(title=title, width=8.4, height=4.2)
    ax, laws = axes[0, 0], [str(law) for law in one.law.values]
    cells = one.agrees.stack(kind=[name for name in ("tokens", "trained_on") if name in one.dims] or ["law"])
    if "law" not in cells.dims:
        raise NotMeasurable("nothing to compare")
    for i in range(cells.sizes["kind"]):
        part = seed_interval(cells.isel(kind=i))
        place = np.arange(len(laws)) + (i - (cells.sizes["kind"] - 1) / 2) * 0.17
        said = [str(cells.isel(kind=i)[name].item()) for name in ("tokens", "trained_on")]
        bars = np.abs(np.stack([part["mean"] - part["low"], part["high"] - part["mean"]]))
        label = f"tokens: {said[0]}, trained on: {said[1]}"
        ax.errorbar(place, part["mean"], bars, ls="", marker="os^D"[i % 4], color=COLOURS[i], capsize=2, label=label)
    ax.set_xticks(range(len(laws)), laws)
    ax.set_xlabel("law of the test prompts")
    ax.set_ylabel("share of signs as 1-NN says")
    ax.legend(loc="lower left")
    return {"shifts": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
