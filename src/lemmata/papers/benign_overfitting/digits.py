"""Real images: two classes of handwritten digits as signal patches, each beside a patch of Gaussian noise.

The theory speaks of one signal vector; here every image is its own. The question is whether the network still fits all
noise and generalises while the noise is weak, and where that ends. As a yardstick κ = n‖μ‖⁴/(σp⁴d) is taken with μ half
the difference of the class means. Data model of the signal-noise line (Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526);
both layers trained: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata import ImageNoise, TrainingBody
from lemmata.claims import (
    Estimate,
    Finding,
    above,
    at,
    below,
    between,
    claim,
    exponent,
    extremes,
    need,
    one_of_each,
    threshold,
    unusable,
    usable,
)
from lemmata.data.files.image_files import two_classes
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.benign_overfitting import setting, theory
from lemmata.papers.benign_overfitting.setting import LARGE, SMALL
from lemmata.parameters import Parameter
from lemmata.report.curves import curves
from lemmata.report.maps import heat_map
from lemmata.report.statistics import seed_interval
from lemmata.report.style import new_figure
from lemmata.sweep import Variable
from lemmata.sweep.around import Around

CLASSES = (3, 8)
LEVEL = 0.2
"""Test error at the transition."""
OPTIONS = {
    "images": Parameter(
        "file of images: .npz with x and y, .npy pair or IDX; pixels in the unit of σp", str, axis=False
    ),
    "classes": Parameter("the two classes to keep", int, least=-(2**31)),
}
SIZES = {
    "smoke": Size(v0=(SMALL, LARGE), n=(20, 80), sigma_p=(0.1, 0.4, 1.6), seeds=2),
    "laptop": Size(
        v0=(SMALL, LARGE), n=(10, 20, 40, 80, 160), sigma_p=tuple(np.geomspace(0.1, 3.2, 11).round(3).tolist()), seeds=5
    ),
    "paper": Size(
        v0=(SMALL, LARGE),
        n=(10, 20, 40, 80, 160, 320),
        sigma_p=tuple(np.geomspace(0.05, 6.4, 29).round(4).tolist()),
        seeds=50,
    ),
}


@dataclass(frozen=True)
class OnImages(Around):
    """A training that also says how far apart the classes of its images are.

    Args:
        distance: between the means of the two classes.
    """

    distance: float

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The training's, and ``class_distance``."""
        return {**self.body.variables, "class_distance": Variable(long_name="distance between the class means")}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:  # type: ignore[override]
        """One tile."""
        return {**self.body.run(points), "class_distance": np.full(len(points), self.distance)}


def body(images: str | None = None, classes: tuple[int, ...] | None = None) -> OnImages:
    """Training on images of two classes beside noise; ``images`` is a file, by default scikit-learn's digits."""
    pictures = two_classes(images, classes, CLASSES)
    # Real pixels may be more than 500; the noise patch is at least as long.
    data = ImageNoise(pictures, n=2, d=max(500, pictures.x.shape[1]))
    means = [pictures.x[pictures.y == label].mean(0) for label in pictures.classes]
    distance = float(np.linalg.norm(means[1] - means[0]))
    return OnImages(TrainingBody(replace(setting.RUN, data=data)), distance)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """κ with the class means as the signal, and the error it predicts for data without any other variation."""
    signal = float(data.class_distance.max()) / 2
    kappa = theory.kappa(data.n, signal, data.d, data.sigma_p)
    error = xr.apply_ufunc(theory.error_from_kappa, kappa).assign_attrs(long_name="predicted test error", units="1")
    named = {"long_name": "κ of the class means", "units": "1", "symbol": "κ"}
    return {"kappa": kappa.assign_attrs(named), "test_error_predicted": error}


def _errors(data: xr.Dataset) -> xr.DataArray:
    need(data, n=2, sigma_p=2)
    return usable(data).test_error.mean("seed")


@claim("with weak noise it generalises", "derived here", sizes=ALL)
def benign_at_low_noise(data: xr.Dataset) -> Finding:
    """Test error at the lowest noise level and the largest sample."""
    error = _errors(data).isel(sigma_p=0, n=-1)
    where = f"at σp = {float(error.sigma_p):g}, n = {int(error.n)}"
    return below(0.05, error, where=where, format="test error {:.3f}", expected="small")


@claim("with strong noise it does not", "derived here", sizes=ALL)
def harmful_at_high_noise(data: xr.Dataset) -> Finding:
    """Smallest test error at the highest noise level."""
    error = _errors(data).isel(sigma_p=-1)
    where = f"at σp = {float(error.sigma_p):g}, every n"
    return above(0.1, error, where=where, format="test error at least {least:.2f}", expected="bounded below")


def transition(data: xr.Dataset) -> Estimate:
    """σp at which the mean test error rises through :data:`LEVEL`, per n and v0, with its interval."""
    need(data, n=2, sigma_p=2)
    return threshold(usable(data).test_error, LEVEL, along="sigma_p", log=False)


@claim("more samples bear more noise, as κ says", "derived here; κ from Kou et al. 2023")
def transition_moves_with_n(data: xr.Dataset) -> Finding:
    """Exponent of n in the noise level at which the error crosses its level."""
    found = exponent(transition(data), "n")
    return between(0.125, 0.5, found, format="exponent {:.2f}", expected="σp ∝ n^(1/4), as κ is fixed", point=True)


CLAIMS = (setting.fits_training_data, benign_at_low_noise, harmful_at_high_noise, transition_moves_with_n)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error over noise level and sample size."""
    chosen, note = one_of_each(data, "v0", "n", "sigma_p")
    scales = extremes(chosen, "v0")
    figure, axes = new_figure(
        len(scales), 2, title="Digits: the network fits the noise, and generalises while it is weak" + note
    )
    for row, v0 in zip(axes, scales):
        part = at(chosen, v0=v0)
        kappa = part.get("kappa")
        error = seed_interval(part["test_error"])["mean"]
        heat_map(
            row[0],
            error,
            "n",
            "sigma_p",
            limits=(0, 0.5),
            contours=kappa,
            levels=(0.1, 1, 10, 100),
            hatched=unusable(part),
            title=f"v₀ = {v0:g}, with κ of the class means",
        )
        curves(
            row[1],
            part["test_error"],
            "sigma_p",
            "n",
            log="x",
            theory=part.get("test_error_predicted"),
            theory_label="predicted, class means only",
            title=f"v₀ = {v0:g}",
        )
    return {"digits": figure}


EXPERIMENT = Experiment(body, SIZES, claims=CLAIMS, predict=predict, figures=figures, options=OPTIONS)
