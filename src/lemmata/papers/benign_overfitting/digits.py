"""Real images: two classes of handwritten digits as signal patches, each beside a patch of Gaussian noise.

The theory speaks of one signal vector; here every image is its own. The question is whether the network still fits all
noise and generalises while the noise is weak, and where that ends. As a yardstick κ = n‖μ‖⁴/(σp⁴d) is taken with μ half
the difference of the class means. Data model of the signal-noise line (Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526);
both layers trained: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab import readings
from lemmata.lab.claims import Claim, Finding, NotMeasurable, converged
from lemmata.lab.experiment import SIZES, Experiment, Option
from lemmata.papers.benign_overfitting import setting as family
from lemmata.papers.benign_overfitting import theory as benign
from lemmata.papers.benign_overfitting.phase_diagram import fits_training_data

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

CLASSES = (3, 8)
LARGE, SMALL = 0.5, 0.005
LEVEL = 0.2


def grid(size: str) -> "Grid":
    """Sample size by noise level at two output scales."""
    from lemmata.sweep import Grid

    n, sigma_p, seeds = {
        "smoke": ((20, 80), (0.1, 0.4, 1.6), 2),
        "laptop": ((10, 20, 40, 80, 160), tuple(float(x) for x in np.round(np.geomspace(0.1, 3.2, 11), 3)), 5),
        "paper": ((10, 20, 40, 80, 160, 320), tuple(float(x) for x in np.round(np.geomspace(0.05, 6.4, 29), 4)), 50),
    }[size]
    axes = {"v0": (SMALL, LARGE), "n": n, "sigma_p": sigma_p, "seed": range(seeds)}
    return Grid(tuple(family.axis(name, values) for name, values in axes.items()))


def body(size: str, *, images: str | None = None, device: str = "cpu", **changes: Any) -> "Body":
    """Training on images of two classes beside noise."""
    import dataclasses

    from lemmata import GD, ImageNoise, Run, TrainingBody, TwoLayerCNN, load_digits, load_images

    pictures = load_digits(CLASSES) if images is None else load_images(images, classes=2)
    # Real pixels may be more than 500; the noise patch is at least as long.
    data = ImageNoise(pictures, n=20, d=max(500, pictures.x.shape[1]))
    run = Run(data, TwoLayerCNN(m=10), rule=GD(), steps=600, probes=family.PROBES)
    return TrainingBody(dataclasses.replace(run.at(changes), device=device))


def _signal(dataset: "xr.Dataset") -> float:
    """Half the distance between the class means of the images that were used."""
    from lemmata import load_digits, load_images

    (described,) = readings.setting(dataset, "images")
    try:
        source = described["source"]
        images = load_digits(CLASSES) if source == "scikit-learn digits" else load_images(source, classes=2)
    except (ValueError, ModuleNotFoundError) as error:
        raise NotMeasurable(f"the images are no longer readable: {error}") from None
    means = [images.x[images.y == label].mean(0) for label in images.classes]
    return float(np.linalg.norm(means[1] - means[0]) / 2)


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """κ with the class means as the signal, and the error it predicts for data without any other variation."""
    import xarray as xr

    try:
        signal = _signal(dataset)
    except NotMeasurable:
        return xr.Dataset()
    n, sigma_p, d = readings.setting(dataset, "n", "sigma_p", "d")
    kappa = xr.DataArray(benign.kappa(n, signal, d, sigma_p)).assign_attrs(
        long_name="κ of the class means", units="1", symbol="κ"
    )
    error = xr.apply_ufunc(benign.error_from_kappa, kappa).assign_attrs(long_name="predicted test error")
    return xr.Dataset({"kappa": kappa, "test_error_predicted": error})


# -- claims ----------------------------------------------------------------------------------------------------------


def _errors(dataset: "xr.Dataset") -> "xr.DataArray":
    error = converged(dataset).dataset["test_error"].mean("seed")
    if min(error.sizes.get(name, 1) for name in ("n", "sigma_p")) < 2:
        raise NotMeasurable("needs several sample sizes and noise levels")
    return error


def benign_at_low_noise(dataset: "xr.Dataset") -> Finding:
    """Test error at the lowest noise level and the largest sample."""
    error = _errors(dataset).isel(sigma_p=0, n=-1)
    return Finding(
        holds=float(error.max()) < 0.05,
        measured=f"test error {float(error.max()):.3f}",
        predicted="small",
        tolerance=f"< 0.05 at σp = {float(error['sigma_p']):g}, n = {int(error['n'])}",
    )


def harmful_at_high_noise(dataset: "xr.Dataset") -> Finding:
    """Smallest test error at the highest noise level."""
    error = _errors(dataset).isel(sigma_p=-1)
    return Finding(
        holds=float(error.min()) > 0.1,
        measured=f"test error at least {float(error.min()):.2f}",
        predicted="bounded below",
        tolerance=f"> 0.1 at σp = {float(error['sigma_p']):g}, every n",
    )


def transition(dataset: "xr.Dataset") -> "xr.DataArray":
    """σp at which the mean test error rises through :data:`LEVEL`, per n and v0; interpolated in log σp."""
    error = _errors(dataset)
    log_noise: Any = np.log(error["sigma_p"]) + 0 * error
    above = error > LEVEL
    crossing = above & ~above.shift(sigma_p=1, fill_value=True)
    before, start = error.shift(sigma_p=1), log_noise.shift(sigma_p=1)
    found = np.exp(start + (LEVEL - before) / (error - before) * (log_noise - start)).where(crossing)
    return found.isel(sigma_p=crossing.argmax("sigma_p"))


def transition_moves_with_n(dataset: "xr.Dataset") -> Finding:
    """Exponent of n in the noise level at which the error crosses its level."""
    found = transition(dataset)
    slopes = []
    for column in np.atleast_2d(found.transpose(..., "n").values):
        usable = np.isfinite(column)
        if usable.sum() >= 3:
            slopes.append(np.polyfit(np.log(found["n"].values[usable]), np.log(column[usable]), 1)[0])
    if not slopes:
        raise NotMeasurable(f"the error crosses {LEVEL} at fewer than three sample sizes")
    return Finding(
        holds=all(0.125 < slope < 0.5 for slope in slopes),
        measured="exponent " + ", ".join(f"{slope:.2f}" for slope in slopes),
        predicted="σp ∝ n^(1/4), as κ is fixed",
        tolerance="within ×2",
    )


CLAIMS = (
    Claim("fits-training-data", "every network fits its training data", family.ABSTRACT, fits_training_data, SIZES),
    Claim("benign-at-low-noise", "with weak noise it generalises", "derived here", benign_at_low_noise, SIZES),
    Claim("harmful-at-high-noise", "with strong noise it does not", "derived here", harmful_at_high_noise, SIZES),
    Claim(
        "transition-moves-with-n",
        "more samples bear more noise, as κ says",
        "derived here; κ from Kou et al. 2023",
        transition_moves_with_n,
    ),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error over noise level and sample size."""
    from lemmata.report.curves import curves
    from lemmata.report.maps import heat_map
    from lemmata.report.statistics import seed_interval
    from lemmata.report.style import new_figure

    chosen, note = readings.one_of_each(dataset, "v0", "n", "sigma_p")
    scales = readings.extremes(chosen)
    figure, axes = new_figure(
        len(scales), 2, title="Digits: the network fits the noise, and generalises while it is weak" + note
    )
    for row, v0 in zip(axes, scales):
        part = chosen.sel(v0=v0) if "v0" in chosen.dims else chosen
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
            hatched=readings.unusable(part),
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


EXPERIMENT = Experiment(
    name="benign-overfitting-digits",
    paper=family.PAPER,
    shows="Handwritten digits beside Gaussian noise: generalisation is lost at a noise level that grows with n.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("images", str, "an .npz file with x (N × H × W or N × p) and y (two classes)", axis=False),
        *(option for option in family.OPTIONS if option.name != "signal"),
    ),
    seconds={"smoke": 3, "laptop": 40, "paper": 2400},
)
