"""Eigenpairs of blocks of handwritten digits: networks trained on blocks of some classes, tested on others.

A cloud is n images drawn without repetition, in d principal coordinates. "own basis": seen and unseen images are each
projected on their own components and standardised, as the authors' code does; then a block's covariance is nearly
sampling noise around the identity, and a coordinate means something else at test. "training basis": one projection,
fitted on the seen images, unscaled. Reference: He et al. 2025, arXiv 2501.01312 (MNIST, d = n = 10; digits 0-4 against
5-9 from the authors' code); scikit-learn's 8 x 8 digits and the second variant are ours.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from lemmata.claims import Finding, above, at, claim, mean, need, usable, within
from lemmata.data.files.image_files import load_images
from lemmata.data.files.images import Images, load_digits
from lemmata.draws import uniform
from lemmata.lab import Experiment, Size
from lemmata.papers.spectral import setting, theory
from lemmata.papers.spectral.setting import EigenpairsBody
from lemmata.parameters import parameter
from lemmata.prompts.pca import PointClouds, eigenpairs
from lemmata.prompts.prompt import PromptLaw
from lemmata.report.curves import curves
from lemmata.report.style import THEORY, new_figure

BASES = ("training basis", "own basis")


@dataclass(frozen=True, eq=False)
class Blocks(PromptLaw[PointClouds]):
    """n different rows of a table for each cloud.

    Args:
        rows: ``(m, d)``.
        n, k: points and eigenpairs of a cloud.
    """

    rows: Tensor
    n: int
    k: int

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> PointClouds:
        """See :meth:`PromptLaw.draw`."""
        chosen = uniform(seeds, f"{name}/rows", (prompts, len(self.rows))).topk(self.n).indices
        points = self.rows.to(dtype)[chosen]
        return PointClouds(points, *eigenpairs(points, self.k))


@functools.cache
def images_of(path: str | None) -> Images:
    """The images of a file, or scikit-learn's digits."""
    return load_digits() if path is None else load_images(path)


def projected(images: NDArray, basis: str, d: int, fitted_on: NDArray) -> NDArray:
    """Images ``(m, pixels)`` in d principal coordinates; see the module's text.

    Args:
        fitted_on: the seen images, of which the training basis is made.
    """
    own = basis == "own basis"
    source = images if own else fitted_on
    centre = source.mean(0)
    _, _, axes = np.linalg.svd(source - centre, full_matrices=False)
    points: NDArray = (images - centre) @ axes[:d].T
    return points / points.std(0) if own else points / points.std()


@dataclass(frozen=True)
class DigitsBody(EigenpairsBody):
    """Trains on blocks of the lower half of the classes, tests on blocks of the upper half."""

    basis: str = parameter("coordinates of images", str, choices=BASES, default=BASES[0])
    images: str | None = parameter(
        "file of images: .npz with x and y, .npy pair or IDX", str, optional=True, default=None, axis=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        images = images_of(self.images)
        if len(images.classes) < 2:
            raise ValueError(f"{images.source} has the class {images.classes[0]} alone; two at least are needed")
        fewest = min(len(part) for part in self.halves)
        if not 2 <= self.n <= fewest or self.d > min(images.x.shape[1], fewest):
            raise ValueError(
                f"blocks of {self.n} images in {self.d} coordinates were asked for; {images.source} has "
                f"{fewest} images of {images.x.shape[1]} pixels in its smaller half of classes"
            )

    @property
    def halves(self) -> tuple[NDArray, NDArray]:
        """Images of the lower and of the upper half of the classes."""
        images = images_of(self.images)
        middle = len(images.classes) // 2
        return images.only(images.classes[:middle]).x, images.only(images.classes[middle:]).x

    def laws(self) -> tuple[PromptLaw[PointClouds], PromptLaw[PointClouds]]:
        """Blocks of seen classes, blocks of unseen ones."""
        seen, unseen = self.halves
        parts = [projected(part, self.basis, self.d, seen) for part in (seen, unseen)]
        first, second = (Blocks(torch.tensor(part, dtype=torch.float32), self.n, self.k) for part in parts)
        return first, second

    def configuration(self) -> dict[str, Any]:
        """With a digest of the images."""
        return {**super().configuration(), "data": images_of(self.images).describe()}


BODY = DigitsBody(n=10, d=10, k=3, width=32, rate=3e-3, steps=1200, records=10)
SIZES = {
    "smoke": Size(basis=BASES[:1], d=3, k=2, n=6, width=16, heads=2, layers=1, steps=20, batch=8, records=2, seeds=2),
    "laptop": Size(basis=BASES, seeds=3),
    "paper": Size(basis=BASES, width=256, heads=8, layers=12, steps=200_000, rate=5e-4, seeds=5),
}


def predict(data: xr.Dataset) -> Mapping[str, xr.DataArray]:
    """A direction drawn at random."""
    chance = xr.apply_ufunc(theory.random_cosine, data.d)
    return {"chance": chance.assign_attrs(long_name="|cos| of a random direction", units="1")}


def _last(data: xr.Dataset, name: str) -> xr.DataArray:
    return usable(data)[name].isel(step=-1, drop=True)


@claim("eigenvectors of blocks of unseen digits are found as well as of seen ones", setting.PAPER)
def transfers(data: xr.Dataset) -> Finding:
    """|cos| with the first eigenvector, unseen less seen classes, in either basis."""
    need(data, seed=2)
    return within(0.1, mean((_last(data, "cosine") - _last(data, "own_cosine")).sel(j=1, drop=True)), of=0.0)


@claim("the first eigenvector of unseen digits is found better than by chance", setting.PAPER)
def better_than_chance(data: xr.Dataset) -> Finding:
    """|cos| less that of a random direction, in either basis."""
    need(data, seed=2)
    return above(0.0, mean(_last(data, "cosine").sel(j=1, drop=True) - data.chance), format="difference {least:+.3f}")


@claim("only the first vectors transfer: later ones are found worse", setting.PAPER)
def later_are_worse(data: xr.Dataset) -> Finding:
    """|cos| of each eigenvector less the next one's, on unseen digits in the training basis."""
    need(data, seed=2, j=2)
    cos = at(_last(data, "cosine"), basis="training basis")
    return above(0.0, mean(-cos.diff("j")), format="differences from {least:.3f}")


CLAIMS = (transfers, better_than_chance, later_are_worse)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """|cos| on unseen digits along training, dashed on seen ones, by basis."""
    bases = [str(basis) for basis in data.basis.values.reshape(-1)]
    figure, axes = new_figure(
        1, len(bases), title="Eigenvectors of blocks of unseen digits (solid) beside seen ones (dashed)"
    )
    for ax, basis in zip(axes[0], bases):
        part = data.sel(basis=basis) if "basis" in data.dims else data
        seen = part.own_cosine.mean("seed") if "seed" in part.dims else part.own_cosine
        curves(ax, part.cosine, "step", "j", theory=seen, theory_label="seen digits", title=basis,
               legend=basis == bases[-1])  # fmt: skip
        ax.axhline(float(part.chance.mean()), color="0.5", **{**THEORY, "linestyle": ":"}, lw=0.9)
        ax.set_ylim(0, 1.02)
    return {"digits": figure}


EXPERIMENT = Experiment(BODY, SIZES, claims=CLAIMS, predict=predict, figures=figures)
