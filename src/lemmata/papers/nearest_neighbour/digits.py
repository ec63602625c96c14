"""Real prompts: a head trained on random points of the sphere, asked about pictures of handwritten digits.

The 8×8 digits of scikit-learn, projected on their 16 leading principal components and brought to length one; a prompt
shows 32 pictures of two classes with labels ±1 and asks for one more. Nothing is trained on digits. Beside it
scikit-learn's ``KNeighborsClassifier(1, metric="cosine")`` on the same prompts. Model: Li et al. 2024, arXiv
2411.10830; the test is ours.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lemmata.claims import Finding, above, at_least, claim, mean, usable, within
from lemmata.data.files.bundled import bundled
from lemmata.draws import permutation, split
from lemmata.lab import Experiment, Size
from lemmata.loops.ensemble import Trained
from lemmata.loops.task import Task
from lemmata.papers.nearest_neighbour import setting
from lemmata.papers.nearest_neighbour.network import weights
from lemmata.papers.nearest_neighbour.setting import FullMatrix, FullMatrixBody
from lemmata.parameters import Parameter, parameter
from lemmata.prompts.sphere import LabelledPoints, nearest_point
from lemmata.report.statistics import seed_interval
from lemmata.report.style import COLOURS, new_figure
from lemmata.sweep import Variable

PAIRS = tuple(itertools.combinations(range(10), 2))


@dataclass(frozen=True)
class DigitsBody(FullMatrixBody):
    """Trains on the sphere, then answers prompts made of digits, for each pair of classes."""

    asked: int = parameter("prompts for each pair of digits", int, units="prompts", least=1, default=100)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Those of the training, and of each pair."""
        return {
            **super().variables,
            "agrees": Variable(("pair",), "1", "share of answers as scikit-learn's 1-NN"),
            "right": Variable(("pair",), "1", "share of right answers, trained head"),
            "right_1nn": Variable(("pair",), "1", "share of right answers, scikit-learn's 1-NN"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The pairs, besides."""
        return {**super().coordinates, "pair": np.asarray([f"{a}-{b}" for a, b in PAIRS])}

    def labels(self) -> dict[str, Any]:
        """The pairs, besides."""
        return {**super().labels(), "pair": Parameter("pair of digits", str)}

    def measured(self, points: Sequence[dict[str, Any]], task: Task, trained: Trained) -> dict[str, np.ndarray]:
        """Answers to prompts of digits."""
        assert isinstance(task, FullMatrix)
        W, found = trained.parameters["W"], super().measured(points, task, trained)
        rows: dict[str, list[NDArray]] = {"agrees": [], "right": [], "right_1nn": []}
        for pair in PAIRS:
            prompts, truth = digit_prompts(task.seeds, pair, self.n, self.d, self.asked)
            p = weights(W, task.tokens(prompts))
            said = np.sign((p[..., :-1] * prompts.labels).sum(-1).numpy())
            nearest = of_scikit_learn(prompts)
            rows["agrees"].append((said == nearest).mean(1))
            rows["right"].append((said == truth.numpy()).mean(1))
            rows["right_1nn"].append((nearest == truth.numpy()).mean(1))
        return {**found, **{name: np.stack(values, 1) for name, values in rows.items()}}


@functools.cache
def embedded(d: int) -> tuple[NDArray, NDArray]:
    """All digits as unit vectors in their d leading principal components, and their classes."""
    pixels, classes = bundled("digits")
    centred = pixels - pixels.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes[:d].T
    return points / np.linalg.norm(points, axis=1, keepdims=True), classes


def digit_prompts(
    seeds: torch.Tensor, pair: tuple[int, int], n: int, d: int, prompts: int
) -> tuple[LabelledPoints, torch.Tensor]:
    """Prompts of n pictures and one more, all different, of two classes, and the true label ``(c, b)`` of the last.

    The first class has the label -1, the second +1.
    """
    points, classes = embedded(d)
    chosen = np.flatnonzero(np.isin(classes, pair))
    if n + 1 > len(chosen):
        raise ValueError(f"prompts of {n} digits were asked for; of classes {pair} there are {len(chosen)}")
    vectors = torch.tensor(points[chosen], dtype=torch.float32)
    signs = torch.tensor(np.where(classes[chosen] == pair[1], 1.0, -1.0), dtype=torch.float32)
    own = split(seeds, f"digits/{pair[0]}-{pair[1]}")
    rows = torch.stack([permutation(split(own, k), "rows", len(chosen))[:, : n + 1] for k in range(prompts)], 1)
    drawn, labels = vectors[rows], signs[rows]
    return LabelledPoints(drawn, labels[..., :n], nearest_point(drawn)), labels[..., n]


def of_scikit_learn(prompts: LabelledPoints) -> NDArray:
    """Answers of scikit-learn's 1-NN by cosine, ``(c, b)``."""
    from sklearn.neighbors import KNeighborsClassifier

    points, labels = prompts.points.numpy().astype(float), prompts.labels.numpy()
    answers = np.empty(labels.shape[:2])
    for c, b in np.ndindex(*answers.shape):
        model = KNeighborsClassifier(1, metric="cosine", algorithm="brute").fit(points[c, b, :-1], labels[c, b])
        answers[c, b] = model.predict(points[c, b, -1:])[0]
    return answers


BODY = DigitsBody(n=32, d=16, steps=2000, rule="adam", rate=0.05, pool=4000, batch=256, records=10)
SIZES = {
    "smoke": Size(steps=60, pool=500, batch=64, n=8, d=8, asked=2, seeds=2),
    "laptop": Size(asked=40, seeds=4),
    "paper": Size(steps=10_000, pool=10_000, asked=200, seeds=10),
}


@claim("the trained head answers as scikit-learn's 1-NN on pictures it was never trained on", setting.DERIVED)
def answers_as_scikit_learn(data: xr.Dataset) -> Finding:
    """Mean agreement over pairs of digits."""
    return at_least(0.97, mean(usable(data).agrees.mean("pair")), format="agreement {:.4f}", expected="1")


@claim("it is right as often as 1-NN", setting.DERIVED)
def right_as_often(data: xr.Dataset) -> Finding:
    """Difference of the shares of right answers, mean over pairs."""
    used = usable(data).mean("pair")
    return within(0.02, used.right.mean("seed"), of=used.right_1nn.mean("seed"))


@claim("the worst pair is still answered mostly as 1-NN", setting.DERIVED)
def worst_pair(data: xr.Dataset) -> Finding:
    """Smallest agreement of all pairs."""
    return above(0.85, usable(data).agrees.mean("seed"), format="agreement at least {least:.3f}")


CLAIMS = (answers_as_scikit_learn, right_as_often, worst_pair)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Shares of right answers of both, pair by pair."""
    figure, axes = new_figure(title="The trained head is right where 1-NN is", width=5.4, height=4.8)
    ax = axes[0, 0]
    one = data.isel({name: 0 for name in data.agrees.dims if name not in ("pair", "seed")})
    mine, theirs = seed_interval(one.right), seed_interval(one.right_1nn)
    bars = np.abs(np.stack([mine["mean"] - mine["low"], mine["high"] - mine["mean"]]))
    ax.errorbar(
        theirs["mean"],
        mine["mean"],
        bars,
        ls="",
        marker="o",
        color=COLOURS[1],
        ms=4,
        elinewidth=0.6,
        label="pair of digits",
    )
    low = float(min(mine["mean"].min(), theirs["mean"].min())) - 0.02
    ax.plot([low, 1], [low, 1], color="0.3", ls=(0, (5, 2.5)), label="equal")
    for i in mine["mean"].argsort()[:4].values:
        at = float(theirs["mean"][i]), float(mine["mean"][i])
        ax.annotate(str(one.pair.values[i]), at, xytext=(5, -9), textcoords="offset points", fontsize=8)
    if np.isfinite(low):
        ax.set_ylim(low, 1.01)
    ax.set_xlabel("share of right answers, scikit-learn's 1-NN")
    ax.set_ylabel("share of right answers, trained head")
    ax.legend()
    return {"digits": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, figures=figures)
