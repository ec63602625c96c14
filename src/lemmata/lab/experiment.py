"""An experiment is one result: a body to run, sizes, claims, predictions and figures, as values of one file.

It asks one thing of its body, the sweep's: a function from points to arrays that says its parameters. Everything the
command line offers comes from there, so that nothing outside an experiment's file knows what it is about.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Claim
from lemmata.lab.card import SIZES, Card
from lemmata.lab.explore import Explore
from lemmata.lab.size import Size
from lemmata.parameters import Parameter
from lemmata.sweep import Axis, Body, Grid
from lemmata.sweep.as_body import as_body


def _nothing(dataset: xr.Dataset) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Experiment:
    """One result, as a table of contents of its file.

    Args:
        body: a :class:`~lemmata.Run`, a :class:`~lemmata.sweep.Body`, or with ``options`` a function of these.
        sizes: ``"smoke"``, ``"laptop"``, ``"paper"`` → :class:`~lemmata.lab.Size`.
        claims: what is tested on the dataset.
        predict: dataset → theory variables on the same coordinates, by name.
        figures: dataset with its predictions → file name without ending → figure.
        options: what decides how the body is made (a file, a device): parameter by name, given to ``body`` as keywords.
        explore: the map that is shown live; by default the first variable over the two longest axes.
        card: name, sentence and paper; whoever finds an experiment fills it in.

    Raises:
        ValueError: for a size that is missing or names no parameter of the body.
    """

    body: Any
    sizes: Mapping[str, Size]
    claims: tuple[Claim, ...] = ()
    predict: Callable[[xr.Dataset], Mapping[str, xr.DataArray] | xr.Dataset] = _nothing
    figures: Callable[[xr.Dataset], Mapping[str, Figure]] = _nothing
    options: Mapping[str, Parameter] = field(default_factory=dict)
    explore: Explore | None = None
    card: Card | None = None

    def __post_init__(self) -> None:
        if missing := [name for name in SIZES if name not in self.sizes]:
            raise ValueError(f"the experiment has no size {missing[0]!r}; give {', '.join(SIZES)}")
        known = self.parameters()
        for name, size in self.sizes.items():
            for value in size.values:
                if value not in known:
                    raise ValueError(
                        f"size {name!r} sets {value!r}, which is no parameter; there are {', '.join(known)}"
                    )

    @property
    def name(self) -> str:
        """On the command line."""
        return self.card.name if self.card else "experiment"

    @cached_property
    def plain(self) -> Body:
        """The body without any option; made once, as it may read a file."""
        return as_body(self.body() if self.options else self.body)

    def made(self, **options: Any) -> Body:
        """The body, with options by name."""
        if not any(name in self.options for name in options):
            return self.plain
        return as_body(self.body(**{name: value for name, value in options.items() if name in self.options}))

    def parameters(self) -> dict[str, Parameter]:
        """All that a user may set: the body's parameters but the seed, and the options."""
        own = self.plain.parameters()
        return {**{name: says for name, says in own.items() if name != "seed"}, **self.options}

    def configure(
        self, size: str = "laptop", changes: Mapping[str, Any] | None = None, seeds: int | None = None
    ) -> tuple[Body, Grid]:
        """The body and the grid of a run.

        Args:
            changes: parameter → one value, or a sequence of values, which spans an axis.
            seeds: number of seeds, at least 1; by default the size's.

        Raises:
            ValueError: an unknown size or name, no value, a value outside its range, or fewer than one seed.
        """
        if size not in self.sizes:
            raise ValueError(f"size {size!r} was asked for; the sizes are {', '.join(self.sizes)}")
        chosen, known = self.sizes[size], self.parameters()
        axes, fixed = dict(chosen.axes), dict(chosen.fixed)
        for name, given in (changes or {}).items():
            if name not in known:
                raise ValueError(f"{self.name} has no parameter {name!r}; it takes {', '.join(known) or 'none'}")
            values = tuple(given) if isinstance(given, list | tuple | range) else (given,)
            if not values:
                raise ValueError(f"{name} was given no value; give one or leave it out")
            for value in values:
                known[name].check(name, value)
            if len(values) > 1 and not known[name].axis:
                raise ValueError(f"{name} was given {len(values)} values; it is one choice for the whole run")
            if name in axes or len(values) > 1:
                axes[name] = values
                fixed.pop(name, None)
            else:
                fixed[name] = values[0]
        count = self._seeds(chosen, seeds)
        given = {**axes, **fixed}
        options = {name: given[name] for name in self.options if name in given}
        axes = {name: values for name, values in axes.items() if name not in options}
        fixed = {name: value for name, value in fixed.items() if name not in options}
        body = self.made(**options).at({**chosen.changes, **fixed})
        made = [Axis(name, values, known[name].units, known[name].label) for name, values in axes.items()]
        return body, Grid((*made, *([Axis("seed", tuple(range(count)), long_name="seed")] if count else [])))

    def _seeds(self, size: Size, asked: int | None) -> int:
        if asked is None:
            return size.seeds
        if not size.seeds:
            raise ValueError(f"{asked} seeds were asked for; {self.name} has no seeds")
        if asked < 1:
            raise ValueError(f"{asked} seeds were asked for; {self.name} takes 1 or more")
        return asked
