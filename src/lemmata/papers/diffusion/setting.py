"""What the experiments on denoisers and classifiers share: the paper, both trainings, the options, the predictions.

    d = 1000, n = 30, m = 20, σ = 1, σ0 = 1e-3, t = 0.2, balanced classes, signals of length ‖μ‖ = σ√(n·SNR²·d/n)

The sizes are the paper's as far as they could be recovered; steps and step sizes are ours. The denoiser's loss is the
exact expectation over the noise, and descent takes a step back where the loss rises, until the gradient is below 1e-6.
The classifier has the same activation, a fixed second layer, and stops at a logistic loss of 0.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Converged, NotMeasurable, at, converged
from lemmata.lab.old_experiment import Option, Paper
from lemmata.lab.readings import setting
from lemmata.papers.diffusion import theory as diffusion
from lemmata.sweep.bodies.reparametrised import Reparametrised

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from lemmata.sweep import Axis, Body, Grid, Variable

PAPER = Paper("Han, Huang, Cao, Zou 2024", "On the Feature Learning in Diffusion Models", "2412.01021")
THEOREM_DENOISER = "Han et al. 2024, theorem on diffusion models"
THEOREM_CLASSIFIER = "Han et al. 2024, theorem on classification"

DENOISER, CLASSIFIER = "denoiser", "classifier"
LOW, HIGH = 0.75, 6.75
"""The paper's two values of n·SNR², ‖μ‖ = 5 and 15 at its sizes."""
CONVERGED = 1e-6
"""Length of the gradient at which a denoiser counts as converged."""
ENDS = {DENOISER: 3, CLASSIFIER: 1}
"""Value of ``status`` of a cell that ended where it should: its gradient, or its loss, is small enough."""
CLASSIFIER_STEP = 0.2
"""Step size of the classifier in units of m/(‖μ‖²/2 + σ²d/n)."""

PROBES = ("signal", "noise", "ratio", "branch_spread", "train_loss", "gradient_norm", "norm_hidden")

OPTIONS = (
    Option("n_snr2", float, "n·SNR² = n‖μ‖²/(σ²d), above 0"),
    Option("snr", float, "SNR = ‖μ‖/(σ√d), above 0"),
    Option("n", int, "training samples, even numbers keep the classes balanced"),
    Option("d", int, "dimension of a patch"),
    Option("m", int, "neurons (per class for the classifier)"),
    Option("sigma_p", float, "noise level σ"),
    Option("init", float, "standard deviation σ0 of the filters at the start"),
    Option("power", int, "degree of the activation, 2 or 3", axis=False),
    Option("t", float, "diffusion time, above 0", axis=False),
    Option("steps", int, "most gradient steps", axis=False),
    Option("engine", str, "auto, direct, compressed or gram", axis=False),
    Option("device", str, "cpu or cuda", axis=False),
)

_AXES = {
    "model": "model",
    "n_snr2": "n·SNR²",
    "snr": "SNR",
    "n": "training samples n",
    "t": "diffusion time t",
    "m": "neurons m",
    "noises": "noises per patch and step",
    "seed": "seed",
}


def axis(name: str, values: Any) -> "Axis":
    """A grid axis with the label it has in all figures of this family."""
    from lemmata.sweep import Axis

    return Axis(name, tuple(values), "1", _AXES[name])


@dataclass(frozen=True)
class SignalAt:
    """Turns ``n_snr2`` or ``snr`` of a point into the signal strength."""

    n: int
    d: int
    sigma_p: float

    def __call__(self, point: dict[str, Any]) -> dict[str, Any]:
        found = {"n": self.n, "d": self.d, "sigma_p": self.sigma_p, **point}
        if "snr" in found:
            found["n_snr2"] = found["n"] * found.pop("snr") ** 2
        if "n_snr2" in found:
            control = found.pop("n_snr2")
            if not control > 0:
                raise ValueError(f"n_snr2 = {control:g} was asked for; it is n‖μ‖²/(σ²d) and must be above 0")
            found["signal"] = float(diffusion.signal_at(control, found["n"], found["d"], found["sigma_p"]))
        return found


@dataclass(frozen=True)
class ByModel:
    """One body per value of the axis ``model``, all measuring the same variables."""

    bodies: tuple[tuple[str, "Body"], ...]

    @property
    def _first(self) -> "Body":
        return self.bodies[0][1]

    @property
    def variables(self) -> "Mapping[str, Variable]":
        return self._first.variables

    @property
    def coordinates(self) -> "Mapping[str, np.ndarray]":
        return self._first.coordinates

    def configuration(self) -> dict[str, Any]:
        return {name: body.configuration() for name, body in self.bodies}

    def shape_axes(self, grid: "Grid") -> tuple[str, ...]:
        from lemmata.sweep import Grid

        (models,) = (axis.values for axis in grid.axes if axis.name == "model")
        unknown = [name for name in models if name not in dict(self.bodies)]
        if unknown:
            raise ValueError(f"model {unknown[0]!r} was asked for; there are {', '.join(dict(self.bodies))}")
        rest = Grid(tuple(axis for axis in grid.axes if axis.name != "model"))
        return tuple(dict.fromkeys(("model", *(name for _, body in self.bodies for name in body.shape_axes(rest)))))

    def _of(self, points: Sequence[dict[str, Any]]) -> tuple["Body", list[dict[str, Any]]]:
        rest = [{name: value for name, value in point.items() if name != "model"} for point in points]
        return dict(self.bodies)[points[0]["model"]], rest

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        body, (rest,) = self._of([point])
        return body.bytes_per_cell(rest)

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        body, rest = self._of(points)
        return body.estimate_seconds(rest)

    def run(self, points: Sequence[dict[str, Any]]) -> "Mapping[str, np.ndarray]":
        body, rest = self._of(points)
        return body.run(rest)


def probes(model: str) -> tuple[Any, ...]:
    """The measurements of :data:`PROBES`, by what signal and noise mean for a model."""
    import dataclasses

    from lemmata import PROBES as SHIPPED

    kind = "filter" if model == DENOISER else "class"
    known = {name: SHIPPED[f"{kind}_{name}"] for name in ("signal", "noise", "ratio")}
    long_names = {"signal": "signal |⟨w, μ⟩|", "noise": "noise |⟨w, ξ⟩|", "ratio": "signal over noise"}
    renamed = {k: dataclasses.replace(probe, name=k, long_name=long_names[k]) for k, probe in known.items()}
    return tuple(renamed.get(name, SHIPPED.get(name)) for name in PROBES)


def runs(*, data: Any = None, record: tuple[int, ...] | None = None, steps: int = 5000, power: int = 2, t: float = 0.2,
         device: str = "cpu", engine: str = "auto", **changes: Any) -> dict[str, Any]:  # fmt: skip
    """Both trainings by model, as :class:`~lemmata.Run`; on two signals unless ``data`` is given."""
    from lemmata import GD, Denoising, Logistic, Power, Run, TiedDenoiser, TwoLayerCNN, TwoSignals

    data = TwoSignals(n=30, d=1000, signal=5.0) if data is None else data
    shared: dict[str, Any] = {"steps": steps, "device": device, "engine": engine, "record": record}
    if record is not None:
        shared["record"] = tuple(step for step in record if step <= steps)
    denoiser = Run(
        data, TiedDenoiser(20, activation=Power(power)), Denoising(t), GD(c=2.0, backtrack=True),
        stop_gradient=CONVERGED, probes=probes(DENOISER), **shared,
    )  # fmt: skip
    network = TwoLayerCNN(20, v0=1.0, activation=Power(power), train_output=False, divide_by_m=True)
    classifier = Run(
        data, network, Logistic(), GD(c=CLASSIFIER_STEP), stop_loss=0.1, probes=probes(CLASSIFIER), **shared
    )
    return {DENOISER: denoiser.at(changes), CLASSIFIER: classifier.at(changes)}


def body(size: str, **changes: Any) -> "Body":
    """Both models; ``changes`` are fixed values of axes and options, by name."""
    from lemmata import TrainingBody

    fixed: dict[str, Any] = {name: changes.pop(name) for name in ("n_snr2", "snr") if name in changes}
    made = []
    for name, run in runs(**changes).items():
        change = SignalAt(run.data.n, run.data.d, run.data.sigma_p)
        run = run.at({"signal": change(fixed)["signal"]}) if fixed else run
        made.append((name, Reparametrised(TrainingBody(run), ("n_snr2", "snr"), change)))
    return ByModel(tuple(made))


def parameters(dataset: "xr.Dataset") -> tuple[Any, ...]:
    """n, ‖μ‖, d, m, σ0 and σ of every cell."""
    n, d, m, init, sigma_p = setting(dataset, "n", "d", "m", "init", "sigma_p")
    control = control_of(dataset)
    return n, (control * sigma_p**2 * d / n) ** 0.5, d, m, init, sigma_p


def control_of(dataset: "xr.Dataset") -> Any:
    """n·SNR² of every cell."""
    if "n_snr2" in dataset.coords:
        return dataset["n_snr2"]
    if "snr" in dataset.coords:
        return (setting(dataset, "n")[0] * dataset["snr"] ** 2).assign_attrs(long_name=_AXES["n_snr2"], units="1")
    return diffusion.n_snr2(*setting(dataset, "n", "signal", "d", "sigma_p"))


def predictions(dataset: "xr.Dataset") -> "xr.Dataset":
    """``n_snr2_of_cell``, ``ratio_predicted`` by model, ``excess_predicted`` and ``early_predicted``.

    For a quadratic activation: the symmetric stationary point for the denoiser, the race for the classifier.
    """
    import xarray as xr

    control = xr.DataArray(control_of(dataset)).assign_attrs(long_name=_AXES["n_snr2"], units="1", symbol="n·SNR²")
    derived: dict[str, Any] = {"control": control}
    (power, t) = setting(dataset, "power", "t")
    if power != 2:
        return xr.Dataset(derived)
    values = [xr.DataArray(value) for value in (*parameters(dataset), t)]

    def follow(n: "np.ndarray", signal: Any, d: Any, m: Any, init: Any, sigma_p: Any, t: Any) -> tuple[Any, ...]:
        point = diffusion.stationary_point(n, signal, d, m, t, sigma_p)
        step = CLASSIFIER_STEP * m / (signal**2 / 2 + sigma_p**2 * d / n)
        race = diffusion.race_ratio(n, signal, d, m, init, step, sigma_p)
        return point.ratio, race, point.excess

    denoiser, classifier, excess = xr.apply_ufunc(follow, *values, output_core_dims=[[], [], []])
    if "model" in dataset.coords:
        by_model = [denoiser if name == DENOISER else classifier for name in dataset["model"].values.tolist()]
        both = xr.concat(by_model, dataset["model"]).assign_attrs(long_name="predicted signal over noise", units="1")
        derived["ratio_predicted"] = both
    derived["excess_predicted"] = excess.assign_attrs(long_name="predicted denoising loss − d", units="1")
    derived["early_predicted"] = diffusion.early_ratio(1.0) * control
    return xr.Dataset(derived)


def of(dataset: "xr.Dataset", model: str) -> "xr.Dataset":
    """The part of a dataset that belongs to a model.

    Raises:
        NotMeasurable: the model was not run.
    """
    return at(dataset, model=model)


def settled(dataset: "xr.Dataset", model: str, *, last: bool = True) -> "Converged":
    """The cells of a model that ended where they should: a denoiser converged, a classifier at its loss.

    Args:
        last: of the recorded steps keep only the last, where there are several.

    Raises:
        NotMeasurable: the model was not run, or no cell is left.
    """
    kept = converged(of(dataset, model))
    unsettled = kept.usable & (kept.dataset["status"] != ENDS[model])
    left_out = dict(kept.left_out)
    if bool(unsettled.any()):
        left_out["not converged"] = int(unsettled.sum())
    usable = kept.usable & ~unsettled
    masked = kept.dataset.map(
        lambda v: v.where(usable) if set(usable.dims) <= set(v.dims) and v.dtype.kind == "f" else v
    )
    masked.attrs = dict(dataset.attrs)
    result = Converged(masked.isel(step=-1) if last and "step" in masked.dims else masked, usable, left_out)
    if not bool(usable.any()):
        raise NotMeasurable(result.note)
    return result
