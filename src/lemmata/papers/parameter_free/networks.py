"""Networks on handwritten digits: any first scale against a grid of Adam's learning rates, two schedules.

A convolutional network and a transformer are trained for 15 epochs of mini-batches of 64 on four fifths of
scikit-learn's digits, with a constant multiplier and with one that falls to 0 along a cosine. Tao, Yuan, Zhou, Cao, Gu
2024, arXiv 2412.19444, show the same on CIFAR-10; the small setting is ours. Sizes of the networks were chosen so that
Adam over its learning rates spans the range from useless to best.
"""

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, all_of, at, at_least, at_most, claim, count_at_most, need
from lemmata.lab import ALL, Experiment, Size
from lemmata.papers.parameter_free.compared_networks import SCHEDULES
from lemmata.papers.parameter_free.digits_networks import NETS, DigitsBody
from lemmata.papers.parameter_free.figures import by_net_and_schedule, look
from lemmata.papers.parameter_free.methods import DEFAULT_SCALE, METHODS, PEERS, PLUS, SOURCE, Knobs, place_of
from lemmata.report.statistics import seed_interval
from lemmata.report.style import RC, log_scales, new_figure
from lemmata.status import Status

LEVELS = {"cnn": (0.975, 0.975), "transformer": (0.90, 0.935)}
"""Test accuracy that the ++ methods reach at η₀ below 1e-7 and from there on: the worst of a study before this one
(cnn 0.983; transformer 0.930 and 0.946 for Adam++) less a hundredth, for the transformer's smallest η₀ less three."""
WHY = "limits: the worst of a study before this one, less 0.01 (0.03 at the transformer's smallest η₀)"
LOSSES = ("test_loss", "train_loss")
_SCALES = (*PLUS, "adam++max", "adam++literal", "prodigy", "dadapt-adam")
KNOBS: Knobs = (
    *((name, (1e-8, 1e-6, 1e-4, 1e-2)) for name in _SCALES),
    ("adam", (1e-4, 1e-3, 3e-3, 3e-2)),
    ("schedule-free", (1e-4, 1e-3, 1e-2, 3e-2)),
)
"""Values by optimiser; the first of the ++ methods is far below any sensible guess."""
FINE: Knobs = (
    *((name, (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)) for name in _SCALES),
    *((name, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)) for name in ("adam", "schedule-free")),
)
SIZES = {
    "smoke": Size(net=NETS, schedule=SCHEDULES[:1], optimiser=("adam++", "adam"), tuning=(1, 3), epochs=1,
                  changes={"records": 2}),
    "laptop": Size(net=NETS, schedule=SCHEDULES, optimiser=(*PLUS, "adam", "prodigy"), tuning=tuple(range(4)), seeds=3),
    "paper": Size(
        net=NETS,
        schedule=SCHEDULES,
        optimiser=(*PLUS, "adam++max", "adam++literal", "adam", *PEERS),
        tuning=tuple(range(7)),
        epochs=60,
        seeds=10,
        changes={"knobs": FINE, "records": 20},
    ),
}  # fmt: skip


def _accuracy(data: xr.Dataset, schedule: str) -> xr.DataArray:
    """After the last step, mean over seeds ``(net, optimiser, tuning)``; 0 where a seed diverged."""
    kept = at(data.isel(step=-1), schedule=schedule)
    return kept.accuracy.where(kept.status == Status.ALL_STEPS, 0.0).mean("seed")


def _own(accuracy: xr.DataArray) -> xr.DataArray:
    names = [name for name in accuracy.optimiser.values if name in PLUS]
    if not names:
        raise NotMeasurable("needs a ++ method")
    need(accuracy, tuning=2)
    return accuracy.sel(optimiser=names)


def _any_first_scale(data: xr.Dataset, schedule: str) -> Finding:
    own = _own(_accuracy(data, schedule))
    far = data.knob.isel(schedule=0, seed=0).sel(optimiser=own.optimiser) < 1e-7
    parts = []
    for name in map(str, own.net.values):
        (low, high), here = LEVELS[name], own.sel(net=name)
        said = f"worst accuracy {{:.3f}} ({name})"
        if low == high:
            parts.append(at_least(high, here, where=f"({name})", format=said))
        else:
            near = here.where(~far.sel(net=name))
            parts.append(at_least(high, near, where=f"({name})", format=said))
            if bool(far.sel(net=name).any()):
                deep = here.where(far.sel(net=name))
                parts.append(at_least(low, deep, where="below η₀ = 1e-7", format="{:.3f} there below η₀ = 1e-7"))
    return all_of(*parts, expected="near the best for every η₀", detail=WHY)


@claim("the ++ methods train well from every η₀", SOURCE, name="any-first-scale")
def any_first_scale_trains(data: xr.Dataset) -> Finding:
    """The worst accuracy over methods and η₀, constant schedule, against :data:`LEVELS`."""
    return _any_first_scale(data, "constant")


@claim("the same under a cosine schedule", SOURCE, name="any-on-cosine")
def any_first_scale_trains_on_cosine(data: xr.Dataset) -> Finding:
    """The same under the cosine schedule, which ends while a small η still grows."""
    return _any_first_scale(data, "cosine")


@claim("η₀ matters less than Adam's learning rate", SOURCE)
def flatter_than_adam(data: xr.Dataset) -> Finding:
    """The range of accuracy over η₀ against that over Adam's learning rates."""
    accuracy = _accuracy(data, "constant")
    adam = at(accuracy, optimiser="adam")
    adam, own = adam.max("tuning") - adam.min("tuning"), _own(accuracy)
    widest = (own.max("tuning") - own.min("tuning")).max("optimiser")
    said = f"range ≤ {float(widest.max()):.3f} over η₀, ≥ {float(adam.min()):.3f} over learning rates"
    return at_least(3, adam / widest, expected="flat over η₀", where="times flatter, each network", format=said)


def _below_adam(data: xr.Dataset, schedule: str) -> Finding:
    accuracy = _accuracy(data, schedule)
    own = at(accuracy, optimiser="adam++").isel(tuning=place_of(data, "adam++", DEFAULT_SCALE))
    below = at(accuracy, optimiser="adam").max("tuning") - own
    said = ", ".join(f"{float(below.sel(net=name)):+.3f} ({name})" for name in below.net.values)
    return at_most(0.01, below, expected="0", where="below the best learning rate", format=said)


@claim("Adam++ as it comes matches Adam at its best", SOURCE)
def matches_tuned_adam(data: xr.Dataset) -> Finding:
    """Accuracy at η₀ = 1e-6 against Adam's best, constant schedule."""
    return _below_adam(data, "constant")


@claim("so it does under a cosine schedule", SOURCE, name="matches-on-cosine")
def matches_tuned_adam_on_cosine(data: xr.Dataset) -> Finding:
    """Accuracy at η₀ = 1e-6 against Adam's best, cosine schedule."""
    return _below_adam(data, "cosine")


@claim("every run ends", SOURCE, ALL)
def all_end(data: xr.Dataset) -> Finding:
    """No run may diverge."""
    return count_at_most(0, data.status == Status.DIVERGED, "runs", expected="none diverges")


CLAIMS = (
    all_end,
    any_first_scale_trains,
    any_first_scale_trains_on_cosine,
    flatter_than_adam,
    matches_tuned_adam,
    matches_tuned_adam_on_cosine,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error against knob; training beside test error along the steps."""
    last = data.isel(step=-1)
    title = "Networks on digits: any first scale trains, unless a cosine ends before η has grown"
    errors = by_net_and_schedule(last.accuracy, last.status, last.knob, title, 1 / 359)
    return {"networks": errors, "curves": training_beside_test(data)}


def training_beside_test(data: xr.Dataset) -> Figure:
    """Training loss and test loss along the steps: is it less over-fitting, or faster optimisation?

    Adam++ and AdaGrad++ at their default η₀, Adam at the learning rate with the best final accuracy; constant schedule.
    """
    part = at(data, schedule=str(data.schedule.values[0]))
    chosen = [name for name in ("adam++", "adagrad++", "adam") if name in part.optimiser.values]
    with rc_context(RC):
        title = "Training beside test loss: the gap between the two lines of a colour is over-fitting"
        figure, axes = new_figure(1, part.sizes["net"], title=title, sharey=True)
        for ax, net in zip(axes[0], part.net.values):
            for name in chosen:
                here = part.sel(net=net, optimiser=name)
                place, said = _shown(here, name)
                style, label = look(name), f"{METHODS[name].label}, {said}"
                test, training = (seed_interval(here[v].isel(tuning=place), geometric=True) for v in LOSSES)
                ax.plot(test.step, test["mean"], label=f"{label}: test", **style)
                thin = {**style, "ls": ":", "lw": 1.4, "mfc": "white"}
                ax.plot(training.step, training["mean"], label="training", **thin)
                ax.fill_between(test.step, test.low, test.high, color=style["color"], alpha=0.12, lw=0)
            log_scales(ax, "y")
            ax.set_xlabel("steps t")
            ax.set_title(f"{net}, {part.schedule.values} schedule")
        lowest = float(min(part[v].sel(optimiser=chosen).mean("seed").min() for v in LOSSES))
        if lowest > 0:
            axes[0, 0].set_ylim(lowest / 3, 4.0)
        axes[0, 0].set_ylabel("cross entropy")
        axes[0, -1].legend(
            loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, title="mean over seeds\n(test: 95 % interval)"
        )
    return figure


def _shown(here: xr.Dataset, name: str) -> tuple[int, str]:
    """Place of the knob that is drawn, and its value in words."""
    knob = here.knob.isel(seed=0).values
    if name in PLUS:
        place = int(np.abs(np.log(knob / DEFAULT_SCALE)).argmin())
    else:
        place = int(here.accuracy.isel(step=-1).mean("seed").fillna(0).values.argmax())
    return place, f"{'η₀' if name in PLUS else 'rate'} {knob[place]:.0e}"


EXPERIMENT = Experiment(DigitsBody(knobs=KNOBS), SIZES, claims=CLAIMS, figures=figures)
