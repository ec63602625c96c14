"""What the experiments on contrastive learning of one and of two modalities share: paper, training, options, readings.

    two-patch paired data, noise orthogonal to the signal; ReLU encoders of m features; InfoNCE with stop-gradient,
    dot products, τ = 1; full-batch gradient descent until the loss of a direction is 0.01

Single- and multi-modal runs of one seed start from the same filters on the same first modality. Sizes and step sizes
are ours: the paper's own are not known to us.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Converged, Finding, NotMeasurable, converged
from lemmata.lab.old_experiment import Option, Paper

if TYPE_CHECKING:
    import xarray as xr

    from lemmata.sweep import Axis

PAPER = Paper(
    "Huang, Han, Chen, Cao, Xu, Suzuki 2024",
    "On the Comparison between Multi-modal and Single-modal Contrastive Learning",
    "2411.02837",
)
ABSTRACT = "Huang et al. 2024, abstract"
FIGURE = "Huang et al. 2024, Figure 1"

STOP_LOSS = 0.01
"""Per direction: two modalities sum two losses."""

OPTIONS = (
    Option("signal", float, "signal strength ‖μ‖ of the first modality"),
    Option("signal_ratio", float, "C = ‖μ̃‖/‖μ‖"),
    Option("n", int, "training pairs"),
    Option("d", int, "dimension of a patch of the first modality"),
    Option("d2", int, "dimension of a patch of the second modality, d if not given"),
    Option("m", int, "features of an encoder"),
    Option("init", float, "standard deviation σ0 of the filters at the start"),
    Option("sigma_p", float, "noise level of the first modality"),
    Option("sigma_p2", float, "noise level of the second modality"),
    Option("sigma_aug", float, "noise level of the augmentation"),
    Option("tau", float, "temperature"),
    Option("negatives", str, "opposite or all"),
    Option("negatives_count", int, "negatives drawn for every sample, all of them if not given"),
    Option("modality", str, "single or multi"),
    Option("augmentation", str, "fixed or fresh", axis=False),
    Option("step_size", float, "step size η", axis=False),
    Option("steps", int, "gradient steps", axis=False),
    Option("engine", str, "auto, direct, compressed or gram", axis=False),
    Option("device", str, "cpu or cuda", axis=False),
)

_AXES = {
    "signal": "signal strength ‖μ‖",
    "signal_ratio": "C = ‖μ̃‖/‖μ‖",
    "modality": "modalities",
    "negatives": "negatives",
    "n": "training pairs n",
    "seed": "seed",
}


def axis(name: str, values: Any) -> "Axis":
    """A grid axis with the label it has in all figures of this family."""
    from lemmata.sweep import Axis

    return Axis(name, tuple(values), "1", _AXES[name])


def snr_signal(n_snr2: float, n: int, d: int, sigma_p: float = 1.0) -> float:
    """The signal strength ‖μ‖ at which n·SNR² is as given."""
    return float(np.sqrt(n_snr2 * d / n) * sigma_p)


def reached(dataset: "xr.Dataset", *axes: str) -> Converged:
    """The cells that reached the loss asked for; the others are missing, and counted.

    Raises:
        NotMeasurable: no cell is left; or the run has an axis beyond ``axes`` and ``seed``.
    """
    further = [str(dim) for dim in dataset["status"].dims if dim not in (*axes, "seed")]
    if further:
        raise NotMeasurable(f"is about runs without an axis {further[0]!r}; run one value at a time")
    kept = converged(dataset)
    usable = kept.usable & (dataset["status"] == 1)
    if not bool(usable.any()):
        raise NotMeasurable(f"no cell reached a loss of {STOP_LOSS} per direction")
    count = int((kept.usable & ~usable).sum())
    left_out = {**kept.left_out, **({f"above a loss of {STOP_LOSS}": count} if count else {})}
    masked = kept.dataset.map(
        lambda v: v.where(usable) if v.dtype.kind == "f" and set(usable.dims) <= set(v.dims) else v
    )
    return Converged(masked.transpose(*dataset.dims), usable, left_out)


def all_reached(dataset: "xr.Dataset") -> Finding:
    """Every cell of either modality reaches the loss."""
    done = dataset["status"] == 1
    if "modality" not in done.dims:
        raise NotMeasurable("needs both modalities")
    share = done.mean([dim for dim in done.dims if dim != "modality"])
    texts = [f"{float(share.sel(modality=name)):.0%} {name}" for name in share["modality"].values]
    missing = int((~done).sum())
    return Finding(
        holds=not missing,
        measured=f"{', '.join(texts)}; {missing} of {done.size} cells stay above",
        predicted="all, with high probability",
        tolerance="every cell",
        detail="the cells that stay above are left out of all other claims",
    )


def both(dataset: "xr.Dataset", variable: str) -> "tuple[xr.DataArray, xr.DataArray]":
    """Means over seeds of a variable for one and for two modalities.

    Raises:
        NotMeasurable: one of them was not run.
    """
    values = dataset[variable]
    if "modality" not in values.dims or set(values["modality"].values) != {"single", "multi"}:
        raise NotMeasurable("needs modality single and multi")
    mean = values.mean("seed") if "seed" in values.dims else values
    return mean.sel(modality="single"), mean.sel(modality="multi")
