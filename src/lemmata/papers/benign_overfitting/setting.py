"""What the experiments on benign overfitting share: the paper, the training, the options, the readings of a dataset.

    d = 2000, m = 10, σp = 1, σ0 = 1e-3, balanced labels, noise orthogonal to the signal, full-batch gradient descent of
    both layers with one step size η = 0.5/(m·max(v0, v*)²·(‖μ‖² + σp²d/n)), 600 steps

Settings are ours: the paper's own step sizes and grids are not public.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.experiment import Option, Paper
from lemmata.lab.readings import setting
from lemmata.papers.benign_overfitting import theory as benign

if TYPE_CHECKING:
    import xarray as xr

    from lemmata.sweep import Axis, Body

PAPER = Paper(
    "Shang, Meng, Cao, Zou 2024",
    "Initialization Matters: On the Benign Overfitting of Two-Layer ReLU CNN with Fully Trainable Layers",
    "2410.19139",
)
ABSTRACT = "Shang et al. 2024, abstract"

PROBES = (
    *("test_error", "test_error_se", "train_loss", "signal_learning", "noise_memorisation"),
    *("norm_hidden", "norm_output", "active_fraction"),
)

OPTIONS = (
    Option("n", int, "training samples, even numbers keep the classes balanced"),
    Option("signal", float, "signal strength ‖μ‖"),
    Option("d", int, "dimension of a patch"),
    Option("v0", float, "output scale at the start"),
    Option("init", float, "standard deviation σ0 of the filters at the start"),
    Option("m", int, "filters of either sign"),
    Option("sigma_p", float, "noise level σp"),
    Option("steps", int, "gradient steps", axis=False),
    Option("engine", str, "auto, direct, compressed or gram", axis=False),
    Option("dtype", str, "float64 or float32", axis=False),
    Option("device", str, "cpu or cuda", axis=False),
)

_AXES = {
    "n": "training samples n",
    "signal": "signal strength ‖μ‖",
    "v0": "output scale at the start v₀",
    "init": "filter scale at the start σ₀",
    "d": "dimension d",
    "kappa": "κ = n‖μ‖⁴/(σp⁴d)",
    "relative_v0": "output scale at the start v₀/v*",
    "sigma_p": "noise level σp",
    "seed": "seed",
}


def axis(name: str, values: Any) -> "Axis":
    """A grid axis with the label it has in all figures of this family."""
    from lemmata.sweep import Axis

    return Axis(name, tuple(values), "1", _AXES[name])


def training(size: str, *, device: str = "cpu", probes: tuple[str, ...] = PROBES, **changes: Any) -> "Body":
    """The training of every cell; ``changes`` are fixed values of axes and options, by name."""
    import dataclasses

    from lemmata import GD, Run, SignalNoise, TrainingBody, TwoLayerCNN

    large: dict[str, Any] = {"m": 20, "steps": 2000} if size == "paper" else {}
    record = changes.pop("record", None)
    run = Run(SignalNoise(n=40, d=2000, signal=5.0), TwoLayerCNN(m=10), rule=GD(), steps=600, probes=probes)
    run = run.at({**large, **changes})
    if record is not None:
        record = tuple(step for step in record if step <= run.steps)
    return TrainingBody(dataclasses.replace(run, device=device, record=record))


def kappa(dataset: "xr.Dataset") -> "xr.DataArray":
    """κ of every cell."""
    import xarray as xr

    value = xr.DataArray(benign.kappa(*setting(dataset, "n", "signal", "d", "sigma_p")))
    value.attrs = {"long_name": _AXES["kappa"], "units": "1", "symbol": "κ"}
    return value.rename("kappa")


def predictions(dataset: "xr.Dataset") -> "xr.Dataset":
    """``kappa``, ``test_error_predicted``, ``norm_output_predicted`` and ``v0c`` from the configuration alone."""
    import xarray as xr

    names = ("v0", "n", "signal", "d", "m", "init", "sigma_p")
    values, steps = setting(dataset, *names), setting(dataset, "steps")[0]

    def path(*values: np.ndarray) -> tuple[np.ndarray, ...]:
        v0, n, signal, d, m, init, sigma_p = np.broadcast_arrays(*values)
        end = benign.training_path(v0, n, signal, d, m, sigma_p=sigma_p, steps=steps)
        error = benign.predicted_error(v0, n, signal, d, m, init, sigma_p=sigma_p, steps=steps)
        boundary = benign.v0c(n, signal, d, m, sigma_p, margin=end.margin)
        return error, np.sqrt(2 * m) * end.output, boundary

    error, norm, boundary = xr.apply_ufunc(path, *map(xr.DataArray, values), output_core_dims=[[], [], []])
    error.attrs = {"long_name": "predicted test error", "units": "probability"}
    norm.attrs = {"long_name": "predicted norm of the output layer ‖v‖", "units": "1"}
    boundary.attrs = {"long_name": "predicted boundary of the regimes v₀c", "units": "1"}
    derived = {"test_error_predicted": error, "norm_output_predicted": norm, "v0c": boundary}
    return xr.Dataset({"kappa": kappa(dataset), **derived})
