"""A body around another: it hands everything on, and a subclass changes what it is there for."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.parameters import Parameter, check_known, parameters_of
from lemmata.sweep.body import Body, Variable
from lemmata.sweep.grid import Grid


@dataclass(frozen=True)
class Around(Body):
    """Runs ``body``, and is described as it is. Parameters of a subclass stand beside the body's.

    Args:
        body: what runs.
    """

    body: Body

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The body's."""
        return self.body.variables

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The body's."""
        return self.body.coordinates

    def parameters(self) -> dict[str, Parameter]:
        """The body's, and its own."""
        return {**self.body.parameters(), **parameters_of(self)}

    def value(self, name: str) -> Any:
        """What a parameter is set to, here or in the body."""
        return getattr(self, name) if name in parameters_of(self) else self.body.value(name)

    def at(self, changes: Mapping[str, Any]) -> Body:
        """Changes its own parameters here, and the others in the body."""
        own = parameters_of(self)
        check_known({name: changes[name] for name in changes if name in own}, own, type(self).__name__)
        here = {name: value for name, value in changes.items() if name in own}
        rest = {name: value for name, value in changes.items() if name not in own}
        return dataclasses.replace(self, body=self.body.at(rest) if rest else self.body, **here)

    def configuration(self) -> dict[str, Any]:
        """The body's, and its own parameters."""
        return {**self.body.configuration(), **{name: getattr(self, name) for name in parameters_of(self)}}

    def check(self, grid: Grid) -> None:
        """Checks the axes that are its own here, and the others in the body."""
        own = parameters_of(self)
        for axis in grid.axes:
            for value in axis.values if axis.name in own else ():
                own[axis.name].check(axis.name, value)
        if rest := tuple(axis for axis in grid.axes if axis.name not in own):
            self.body.check(Grid(rest))

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """The body's, and those of its own that may not vary inside a tile."""
        own = parameters_of(self)
        rest = tuple(axis for axis in grid.axes if axis.name not in own)
        found = {*(self.body.shape_axes(Grid(rest)) if rest else ())}
        return tuple(name for name in grid.names if name in found or (name in own and own[name].per_cell is not True))

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """The body's."""
        return self.body.bytes_per_cell(self.inside(point))

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """The body's."""
        return self.body.estimate_seconds([self.inside(point) for point in points])

    def in_use(self, point: Mapping[str, Any]) -> str:
        """The body's."""
        return self.body.in_use(self.inside(point))

    def computed_from(self) -> tuple[str, ...]:
        """The body's."""
        return self.body.computed_from()

    def computed(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The body's."""
        return self.body.computed(self.inside(point))

    def labels(self) -> dict[str, Parameter]:
        """The body's."""
        return self.body.labels()

    def along_steps(self, count: int) -> Body:
        """The body's looks."""
        return dataclasses.replace(self, body=self.body.along_steps(count))

    @property
    def wants_scratch(self) -> bool:
        """Whether the body does."""
        return self.body.wants_scratch and "scratch" in signature(self.run).parameters

    def inside(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point as the body is given it: without what is this one's own."""
        own = parameters_of(self)
        return {name: value for name, value in point.items() if name not in own}

    def run(self, points: Sequence[dict[str, Any]], scratch: Path | None = None) -> Mapping[str, np.ndarray]:
        """Runs the body."""
        inside = [self.inside(point) for point in points]
        if self.wants_scratch:
            return self.body.run(inside, scratch=scratch)  # type: ignore[call-arg]
        return self.body.run(inside)
