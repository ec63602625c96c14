"""Two clusters by written weights, beside the algorithms people use, and who knows the centres.

    centre, τ power steps, ŷ_i = clip(C <x_i, v>, -1, 1)

Reference: He et al. 2025, arXiv 2501.01312 (two-class Gaussian mixtures by the leading eigenvector). Accuracies count
the better of the two namings of the clusters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lemmata.claims import Finding, above, all_of, at_least, at_most, claim, mean, need, within
from lemmata.draws import cell_seeds, normal
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.spectral import setting, theory
from lemmata.papers.spectral.construction import PowerIteration
from lemmata.parameters import Parameter, check, parameter
from lemmata.prompts.gmm import Clusters, TwoClusters, accuracy
from lemmata.prompts.pca import eigenpairs
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body, Variable

ALGORITHMS = ("constructed", "eigh", "k-means", "EM", "SpectralClustering", "oracle")


@dataclass(frozen=True)
class ClustersBody(Body):
    """One constructed network per cell, and its peers on the same clouds."""

    n: int = parameter("points n", int, units="points", least=2, default=50)
    d: int = parameter("dimension d", int, units="dimensions", least=1, default=2)
    snr: float = parameter("separation snr (half distance over σ)", least=0, default=2.0)
    power_steps: int = parameter("power steps τ", int, units="steps", least=1, default=30)
    sharpness: float = parameter("slope of the soft sign C", above=0, default=50.0)
    clouds: int = parameter("clouds asked about", int, units="clouds", least=1, default=10)

    def __post_init__(self) -> None:
        check(self)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Accuracy by algorithm, and how soft the answers are."""
        return {
            "accuracy": Variable(("algorithm",), "1", "share of points in the right cluster"),
            "softness": Variable((), "1", "mean of 1 − |ŷ|"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The algorithms."""
        return {"algorithm": np.asarray(ALGORITHMS)}

    def labels(self) -> dict[str, Any]:
        """Of the algorithms."""
        return {"algorithm": Parameter("algorithm", str)}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Cell by cell: peers are single algorithms."""
        found = [self._one(point) for point in points]
        return {"accuracy": np.stack([a for a, _ in found]), "softness": np.array([s for _, s in found])}

    def _one(self, point: dict[str, Any]) -> tuple[NDArray, float]:
        body = self.at({name: value for name, value in point.items() if name != "seed"})
        assert isinstance(body, ClustersBody)
        seeds = cell_seeds(0, [int(point.get("seed", 0))])
        clouds = TwoClusters(body.n, body.d, snr=body.snr).draw(seeds, "clouds", body.clouds, torch.float64)
        starts = normal(seeds, "starts", (1, body.d))
        said = PowerIteration(body.d, 1, body.power_steps).clusters(starts, body.sharpness)(clouds.points).squeeze(-1)
        answers = {"constructed": said, **peers(clouds)}
        each = [float(accuracy(answers[name], clouds.labels).mean()) for name in ALGORITHMS]
        return np.array(each), float((1 - said.abs()).mean())


def peers(clouds: Clusters) -> dict[str, Any]:
    """Answers ``(1, b, n)`` of the other algorithms; what scikit-learn draws, it draws from a fixed state."""
    from sklearn.cluster import KMeans, SpectralClustering
    from sklearn.mixture import GaussianMixture

    centred = clouds.points - clouds.points.mean(2, keepdim=True)
    first = eigenpairs(clouds.points, 1)[1][:, :, 0]
    models = {
        "k-means": KMeans(2, n_init=10, random_state=0),
        "EM": GaussianMixture(2, covariance_type="spherical", random_state=0),
        "SpectralClustering": SpectralClustering(2, random_state=0),
    }
    said = {
        name: torch.tensor(np.stack([model.fit_predict(cloud) for cloud in clouds.points[0].numpy()]) * 2.0 - 1)[None]
        for name, model in models.items()
    }
    return {**said, "eigh": (centred @ first.unsqueeze(-1)).squeeze(-1), "oracle": clouds.oracle}


SIZES = {
    "smoke": Size(snr=(1.0, 3.0), d=(2,), n=(30,), clouds=2, seeds=2),
    "laptop": Size(snr=(0.5, 1.0, 2.0, 3.0), d=(2, 10), n=(50, 200), seeds=6),
    "paper": Size(snr=(0.5, 1.0, 1.5, 2.0, 3.0), d=(2, 10, 50), n=(50, 200, 1000), clouds=50, seeds=20),
}


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Φ(snr), the best for who knows both centres."""
    best = xr.apply_ufunc(theory.bayes_accuracy, data.snr)
    return {"bayes": best.assign_attrs(long_name="Φ(snr)", units="1")}


def _of(data: xr.Dataset, method: str) -> xr.DataArray:
    return data.accuracy.sel(algorithm=method, drop=True)


@claim("the constructed network clusters as the exact eigenvector does", setting.PAPER, sizes=ALL)
def as_eigh(data: xr.Dataset) -> Finding:
    """Difference of accuracies on the same clouds, worst cell, from separation one on."""
    off = (_of(data, "constructed") - _of(data, "eigh")).where(data.snr >= 1)
    return within(0.01, off.mean("seed"), of=0.0, where="for snr ≥ 1")


@claim("far clusters are told apart nearly as well as by who knows the centres", setting.PAPER)
def near_the_oracle(data: xr.Dataset) -> Finding:
    """Accuracy less the oracle's for separations of two and more, mean over lengths and up to ten dimensions."""
    need(data, seed=2)
    loss = (_of(data, "constructed") - _of(data, "oracle")).where((data.snr >= 2) & (data.d <= 10))
    loss = loss.mean([name for name in loss.dims if name not in ("snr", "seed")])
    return at_least(-0.02, mean(loss), format="difference at worst {least:+.4f}", where="for snr ≥ 2, d ≤ 10")


@claim("accuracy rises with the separation", setting.PAPER)
def rises_with_snr(data: xr.Dataset) -> Finding:
    """Differences of neighbours."""
    need(data, snr=2, seed=2)
    return above(0.0, mean(_of(data, "constructed").diff("snr")), format="differences from {least:.3f}")


@claim("it is as good as k-means, EM and spectral clustering with a kernel", setting.DERIVED)
def as_good_as_peers(data: xr.Dataset) -> Finding:
    """Accuracy less the peer's, from separation one on."""
    need(data, seed=2)
    names = ("k-means", "EM", "SpectralClustering")
    rest = data.accuracy.sel(algorithm=list(names)).where(data.snr >= 1)
    mine = _of(data, "constructed")
    worst = {name: mean(mine - rest.sel(algorithm=name, drop=True)) for name in names}
    return all_of(
        *(at_least(-0.05, e, format=f"{name} {{least:+.3f}}", where="for snr ≥ 1") for name, e in worst.items())
    )


@claim("who knows the centres is right with probability Φ(snr)", setting.DERIVED)
def oracle_is_phi(data: xr.Dataset) -> Finding:
    """Means over dimensions, lengths and clouds."""
    need(data, seed=2)
    off = _of(data, "oracle") - data.bayes
    off = off.mean([name for name in off.dims if name not in ("snr", "seed")])
    return within(0.02, mean(off), of=0.0)


@claim("the soft sign is hard", setting.DERIVED)
def signs_are_hard(data: xr.Dataset) -> Finding:
    """Mean of 1 − |ŷ|."""
    return at_most(0.01, data.softness.mean("seed"), format="1 − |ŷ| at most {most:.4f}")


CLAIMS = (as_eigh, near_the_oracle, rises_with_snr, as_good_as_peers, oracle_is_phi, signs_are_hard)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Accuracy over separation by algorithm, for fewest and most dimensions."""
    if "snr" not in data.dims:
        return {}
    shown = data.isel(n=0) if "n" in data.dims else data
    ends = [shown.isel(d=0), shown.isel(d=-1)] if shown.sizes.get("d", 1) > 1 else [shown.squeeze("d")]
    figure, axes = new_figure(1, len(ends), title="Written weights cluster as the exact eigenvector does")
    for ax, part in zip(axes[0], ends):
        kept = part.accuracy.sel(algorithm=["constructed", "eigh", "k-means", "EM", "SpectralClustering"])
        bayes = part.bayes if "seed" not in part.bayes.dims else part.bayes.isel(seed=0)
        curves(ax, kept, "snr", "algorithm", theory=bayes, theory_label="Φ(snr)", legend=part is ends[-1],
               band=False, title=f"d = {int(part.d)}, n = {int(part.n)}")  # fmt: skip
        ax.set_ylim(0.48, 1.01)
    return {"clusters": figure}


EXPERIMENT = Experiment(ClustersBody(), SIZES, claims=CLAIMS, predict=predict, figures=figures)
