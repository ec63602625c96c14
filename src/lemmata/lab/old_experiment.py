"""An experiment is one published result: a grid at three sizes, a body to run over it, claims, predictions and figures.

It asks one thing of its body, the sweep's: a function from points to arrays. Everything that the command line offers
(which axes, which options) comes from here, so that nothing outside an experiment's file knows what it is about.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lemmata.lab.claims import Claim

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lemmata.sweep import Body, Grid

SIZES = ("smoke", "laptop", "paper")
"""Seconds, for the tests; about a minute on two cores; the full thing."""


@dataclass(frozen=True)
class Option:
    """Something a user may set.

    Args:
        name: the parameter's name.
        kind: ``int``, ``float`` or ``str``.
        help: what it is, in a few words with its unit or range.
        axis: whether it takes several values and then spans an axis of the grid.
    """

    name: str
    kind: type
    help: str
    axis: bool = True

    def parse(self, text: str) -> Any:
        """A value from the command line.

        Raises:
            ValueError: the text is not of this kind.
        """
        try:
            return self.kind(text)
        except ValueError:
            wanted = {int: "whole numbers", float: "numbers"}.get(self.kind, self.kind.__name__)
            raise ValueError(f"--{self.flag} takes {wanted}, got {text!r}; {self.help}") from None

    @property
    def flag(self) -> str:
        """Its name on the command line, without the dashes in front."""
        return self.name.replace("_", "-")


@dataclass(frozen=True)
class Paper:
    """Where a result was published."""

    authors: str
    title: str
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors}, arXiv {self.arxiv}"


@dataclass(frozen=True)
class Experiment:
    """One result, as a table of contents of its file.

    Args:
        name: on the command line, in lower case with hyphens; the file is called the same with underscores.
        paper: whose result it is.
        shows: one sentence.
        grid: size → the points.
        body: size, then options and single-valued axes by name → what runs at each point.
        claims: what is tested on the dataset.
        predict: dataset → dataset of theory variables on the same coordinates.
        figures: dataset with its predictions → file name without ending → figure.
        options: what a user may set beyond the size.
        seconds: size → about how long a run takes on one thread of a laptop, for the list.
    """

    name: str
    paper: Paper
    shows: str
    grid: "Callable[[str], Grid]"
    body: "Callable[..., Body]"
    claims: tuple[Claim, ...]
    predict: "Callable[[xr.Dataset], xr.Dataset]"
    figures: "Callable[[xr.Dataset], dict[str, Figure]]"
    options: tuple[Option, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def configure(
        self, size: str = "laptop", changes: Mapping[str, Any] | None = None, seeds: int | None = None
    ) -> "tuple[Body, Grid]":
        """The body and the grid of a run.

        Args:
            changes: option name → value, or for axes → sequence of values. Values of an axis of the grid replace those
                it has; one value for another axis is given to the body; several make a new axis, before ``seed``.
            seeds: number of seeds, at least 1.

        Raises:
            ValueError: an unknown size or name, no value, or fewer than one seed.
        """
        from lemmata.sweep import Axis, Grid

        if size not in SIZES:
            raise ValueError(f"size {size!r} was asked for; the sizes are {', '.join(SIZES)}")
        known = {option.name: option for option in self.options}
        axes = {axis.name: axis for axis in self.grid(size).axes}
        fixed: dict[str, Any] = {}
        for name, value in (changes or {}).items():
            if name not in known:
                raise ValueError(f"{self.name} has no option {name!r}; it takes {', '.join(known) or 'none'}")
            if not known[name].axis:
                fixed[name] = value
                continue
            values = tuple(value)
            if not values:
                raise ValueError(f"axis {name!r} was given no value; give one or leave it out")
            if name in axes:
                axes[name] = Axis(name, values, axes[name].units, axes[name].long_name)
            elif len(values) == 1:
                fixed[name] = values[0]
            else:
                axes[name] = Axis(name, values, long_name=known[name].help)
        if seeds is not None:
            if seeds < 1 or "seed" not in axes:
                raise ValueError(
                    f"{seeds} seeds were asked for; {self.name} takes 1 or more"
                    if "seed" in axes
                    else f"{self.name} has no seeds"
                )
            axes["seed"] = Axis("seed", tuple(range(seeds)), long_name=axes["seed"].long_name)
        ordered = [axis for name, axis in axes.items() if name != "seed"] + [
            axes[name] for name in ("seed",) if name in axes
        ]
        return self.body(size, **fixed), Grid(tuple(ordered))


_REGISTERED: dict[str, Experiment] = {}


def register(experiment: Experiment) -> Experiment:
    """Make an experiment known by its name beside those that ship; an earlier one of the same name is replaced."""
    _REGISTERED[experiment.name] = experiment
    return experiment


def experiments() -> dict[str, Experiment]:
    """All experiments by name: every module of this folder that has an ``EXPERIMENT``, and those registered."""
    package = importlib.import_module("lemmata.papers")
    modules = (
        importlib.import_module(info.name) for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    )
    shipped = (module.EXPERIMENT for module in modules if hasattr(module, "EXPERIMENT"))
    found = {experiment.name: experiment for experiment in shipped}
    return dict(sorted({**found, **_REGISTERED}.items()))


def find(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    known = experiments()
    if name not in known:
        raise ValueError(f"there is no experiment {name!r}; there are {', '.join(known)}")
    return known[name]
