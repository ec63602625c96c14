"""One of several bodies, chosen by an axis of words, such as the model that is trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.parameters import Parameter, check_known
from lemmata.sweep.body import Body, Variable
from lemmata.sweep.grid import Grid


@dataclass(frozen=True)
class ByAxis(Body):
    """Runs the body that a point names; all measure the same variables.

    A parameter goes to every body that has it; where two bodies share one, the first says what it is.

    Args:
        name: of the axis.
        label: what a figure writes on it.
        bodies: value of the axis → body.
        chosen: the value where the grid has no such axis; by default the first.
    """

    name: str
    label: str
    bodies: tuple[tuple[str, Body], ...]
    chosen: str | None = None

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Those of the first body, which all measure."""
        return self.bodies[0][1].variables

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Those of the first body."""
        return self.bodies[0][1].coordinates

    def parameters(self) -> dict[str, Parameter]:
        """Those of all bodies, and the axis."""
        found = {self.name: Parameter(self.label, str, choices=tuple(dict(self.bodies)))}
        for _, body in self.bodies:
            found |= {name: says for name, says in body.parameters().items() if name not in found}
        return found

    def value(self, name: str) -> Any:
        """What a parameter is set to in the first body that has it."""
        if name == self.name:
            return self.chosen or self.bodies[0][0]
        return next((body.value(name) for _, body in self.bodies if name in body.parameters()), None)

    def at(self, changes: Mapping[str, Any]) -> "ByAxis":
        """Changes every body that has the parameter; a field that is none goes to all."""
        named = {name: changes[name] for name in changes if name in self.parameters()}
        check_known(named, self.parameters(), "this body")
        rest = {name: value for name, value in changes.items() if name != self.name}
        made = []
        for name, body in self.bodies:
            known = body.parameters()
            theirs = {k: v for k, v in rest.items() if k in known or k not in named}
            made.append((name, body.at(theirs) if theirs else body))
        return dataclasses.replace(self, bodies=tuple(made), chosen=changes.get(self.name, self.chosen))

    def configuration(self) -> dict[str, Any]:
        """Each body's, by the value of the axis."""
        return {name: body.configuration() for name, body in self.bodies}

    def check(self, grid: Grid) -> None:
        """Every axis must be a parameter of one body at least, and fit all that have it."""
        check_known({axis.name: axis.values[0] for axis in grid.axes}, self.parameters(), "this body")
        for axis in grid.axes:
            for value in axis.values if axis.name == self.name else ():
                self.parameters()[self.name].check(self.name, value)
        for _, body in self.bodies:
            if (rest := self._grid_of(body, grid)) is not None:
                body.check(rest)

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """The axis itself, and every body's."""
        found = {self.name}
        for _, body in self.bodies:
            if (rest := self._grid_of(body, grid)) is not None:
                found |= {*body.shape_axes(rest)}
        return tuple(name for name in grid.names if name in found)

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """The body's that the point names."""
        body, (rest,) = self._of([point])
        return body.bytes_per_cell(rest)

    def in_use(self, point: Mapping[str, Any]) -> str:
        """The body's that the point names."""
        body, (rest,) = self._of([dict(point)])
        return body.in_use(rest)

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """The body's that the points name."""
        body, rest = self._of(points)
        return body.estimate_seconds(rest)

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Runs the body that the points name; one tile holds one value of the axis."""
        body, rest = self._of(points)
        return body.run(rest)

    def _grid_of(self, body: Body, grid: Grid) -> Grid | None:
        known = body.parameters()
        axes = tuple(axis for axis in grid.axes if axis.name in known)
        return Grid(axes) if axes else None

    def _of(self, points: Sequence[dict[str, Any]]) -> tuple[Body, list[dict[str, Any]]]:
        body = dict(self.bodies)[points[0].get(self.name, self.value(self.name))]
        known = body.parameters()
        return body, [{name: value for name, value in point.items() if name in known} for point in points]
