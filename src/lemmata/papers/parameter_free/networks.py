"""Networks on handwritten digits: any first scale against a grid of Adam's learning rates, two schedules.

A convolutional network and a transformer are trained for 15 epochs of mini-batches of 64 on four fifths of
scikit-learn's digits, with a constant multiplier and with one that falls to 0 along a cosine. Tao, Yuan, Zhou, Cao, Gu
2024, arXiv 2412.19444, show the same on CIFAR-10; the small setting is ours. Sizes of the networks were chosen so that
Adam over its learning rates spans the range from useless to best.
"""

from typing import TYPE_CHECKING

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.papers.parameter_free.digits_networks import NETS, SCHEDULES, DigitsBody
from lemmata.papers.parameter_free.methods import DEFAULT_SCALE, PAPER, PEERS, PLUS, SOURCE, Knobs, place_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Grid

LEVELS = {"cnn": (0.975, 0.975), "transformer": (0.90, 0.935)}
"""Test accuracy that the ++ methods exceed at η₀ below 1e-7 and from there on, set by a study before this one."""


def knobs(size: str) -> Knobs:
    """Values by optimiser; the first of the ++ methods is far below any sensible guess."""
    scales: tuple[float, ...] = (1e-8, 1e-6, 1e-4, 1e-2)
    rates: dict[str, tuple[float, ...]] = {
        "adam": (1e-4, 1e-3, 3e-3, 3e-2),
        "schedule-free": (1e-4, 1e-3, 1e-2, 3e-2),
    }
    if size == "paper":
        scales = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
        rates = dict.fromkeys(rates, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1))
    own = dict.fromkeys((*PLUS, "adam++max", "adam++literal", "prodigy", "dadapt-adam"), scales)
    return tuple({**own, **rates}.items())


def grid(size: str) -> "Grid":
    """The points at each size."""
    from lemmata.sweep import Axis, Grid

    schedules, optimisers, tunings, seeds = {
        "smoke": (SCHEDULES[:1], ("adam++", "adam"), (1, 3), 1),
        "laptop": (SCHEDULES, (*PLUS, "adam", "prodigy"), range(4), 3),
        "paper": (SCHEDULES, (*PLUS, "adam++max", "adam++literal", "adam", *PEERS), range(7), 10),
    }[size]
    return Grid(
        (
            Axis("net", NETS, long_name="network"),
            Axis("schedule", schedules, long_name="schedule"),
            Axis("optimiser", optimisers, long_name="optimiser"),
            Axis("tuning", tuple(tunings), long_name="place in the method's grid of knob values"),
            Axis("seed", tuple(range(seeds)), long_name="seed"),
        )
    )


def body(size: str, *, epochs: int | None = None) -> DigitsBody:
    """Trainings at a size: 4, 15 or 60 epochs unless ``epochs`` says otherwise."""
    default = {"smoke": 4, "laptop": 15, "paper": 60}[size]
    return DigitsBody(knobs(size), default if epochs is None else epochs)


# -- claims ----------------------------------------------------------------------------------------------------------


def _accuracy(dataset: "xr.Dataset", schedule: str) -> "xr.DataArray":
    """Mean over seeds ``(net, optimiser, tuning)``; 0 where a seed diverged."""
    kept = at(dataset, schedule=schedule)
    return kept["accuracy"].where(kept["status"] == 0, 0.0).mean("seed")


def _own(accuracy: "xr.DataArray") -> "xr.DataArray":
    names = [name for name in accuracy["optimiser"].values if name in PLUS]
    if not names or accuracy.sizes["tuning"] < 2:
        raise NotMeasurable("needs a ++ method at two values of η₀ or more")
    return accuracy.sel(optimiser=names)


def _any_first_scale(dataset: "xr.Dataset", schedule: str) -> Finding:
    own = _own(_accuracy(dataset, schedule))
    knob = dataset["knob"].isel(schedule=0, seed=0).sel(optimiser=own["optimiser"])
    worst, holds, levels = [], True, []
    for name in map(str, own["net"].values):
        here, far = own.sel(net=name), knob.sel(net=name) < 1e-7
        low, high = LEVELS[name]
        holds = holds and not bool((here < far * (low - high) + high).any())
        worst.append(f"{float(here.min()):.3f} ({name})")
        levels.append(f"≥ {high}" + (f", {low} below η₀ = 1e-7" if low < high else "") + f" ({name})")
    return Finding(
        holds=holds,
        measured="worst accuracy " + ", ".join(worst),
        predicted="near the best for every η₀",
        tolerance=", ".join(levels),
    )


def any_first_scale_trains(dataset: "xr.Dataset") -> Finding:
    """The worst accuracy over methods and η₀, constant schedule, against :data:`LEVELS`."""
    return _any_first_scale(dataset, "constant")


def any_first_scale_trains_on_cosine(dataset: "xr.Dataset") -> Finding:
    """The same under the cosine schedule, which ends while a small η still grows."""
    return _any_first_scale(dataset, "cosine")


def flatter_than_adam(dataset: "xr.Dataset") -> Finding:
    """The range of accuracy over η₀ against that over Adam's learning rates."""
    accuracy = _accuracy(dataset, "constant")
    spread = accuracy.max("tuning") - accuracy.min("tuning")
    own, adam = _own(accuracy), at(spread.to_dataset(name="spread"), optimiser="adam")["spread"]
    widest = (own.max("tuning") - own.min("tuning")).max("optimiser")
    return Finding(
        holds=bool((adam >= 3 * widest).all()),
        measured=f"range ≤ {float(widest.max()):.3f} over η₀, ≥ {float(adam.min()):.3f} over learning rates",
        predicted="flat over η₀",
        tolerance="three times flatter for each network",
    )


def _below_adam(dataset: "xr.Dataset", schedule: str) -> Finding:
    accuracy = _accuracy(dataset, schedule)
    best = at(accuracy.to_dataset(name="accuracy"), optimiser="adam")["accuracy"].max("tuning")
    below = best - accuracy.sel(optimiser="adam++").isel(tuning=place_of(dataset, "adam++", DEFAULT_SCALE))
    found = {str(name): float(below.sel(net=name)) for name in below["net"].values}
    return Finding(
        holds=all(value <= 0.01 for value in found.values()),
        measured=", ".join(f"{value:+.3f} ({name})" for name, value in found.items()),
        predicted="0",
        tolerance="at most 0.010 below the best learning rate",
    )


def matches_tuned_adam(dataset: "xr.Dataset") -> Finding:
    """Accuracy at η₀ = 1e-6 against Adam's best, constant schedule."""
    return _below_adam(dataset, "constant")


def matches_tuned_adam_on_cosine(dataset: "xr.Dataset") -> Finding:
    """Accuracy at η₀ = 1e-6 against Adam's best, cosine schedule."""
    return _below_adam(dataset, "cosine")


def all_end(dataset: "xr.Dataset") -> Finding:
    """No run may diverge."""
    kept = converged(dataset)
    return Finding(
        holds=not kept.left_out,
        measured=f"{sum(kept.left_out.values())} of {kept.usable.size} diverged",
        predicted="none diverges",
    )


CLAIMS = (
    Claim("all-end", "every run ends", SOURCE, all_end, SIZES),
    Claim("any-first-scale", "the ++ methods train well from every η₀", SOURCE, any_first_scale_trains),
    Claim("any-on-cosine", "the same under a cosine schedule", SOURCE, any_first_scale_trains_on_cosine),
    Claim("flatter-than-adam", "η₀ matters less than Adam's learning rate", SOURCE, flatter_than_adam),
    Claim("matches-tuned-adam", "Adam++ as it comes matches Adam at its best", SOURCE, matches_tuned_adam),
    Claim("matches-on-cosine", "so it does under a cosine schedule", SOURCE, matches_tuned_adam_on_cosine),
)


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Test error against knob; rows: networks, columns: schedules."""
    from lemmata.papers.parameter_free.figures import by_net_and_schedule

    title = "Networks on digits: any first scale trains, unless a cosine ends before η has grown"
    return {"networks": by_net_and_schedule(dataset["accuracy"], dataset["status"], dataset["knob"], title, 1 / 359)}


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Nothing: no prediction is made without running."""
    import xarray as xr

    return xr.Dataset()


EXPERIMENT = Experiment(
    name="parameter-free-networks",
    paper=PAPER,
    shows="A CNN and a transformer on digits: any first scale trains, few learning rates of Adam do.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("net", str, "cnn or transformer"),
        Option("schedule", str, "constant or cosine"),
        Option("optimiser", str, "optimisers to compare"),
        Option("tuning", int, "places in each method's grid of knob values, from 0"),
        Option("epochs", int, "passes through the data, from 1", axis=False),
    ),
    seconds={"smoke": 3, "laptop": 300, "paper": 7000},
)
