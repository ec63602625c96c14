"""A body whose grid has axes of the experimenter's choosing, such as a ratio or an invariant, in place of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from lemmata.sweep import Body, Grid, Variable


@dataclass(frozen=True)
class Reparametrised:
    """Runs ``body`` at ``change(point)`` for each point of the grid.

    Args:
        body: what runs.
        axes: names of the axes that the body does not know and ``change`` consumes; they must only change numbers.
        change: a point of the grid → a point of the body. To be sent to other processes it must be picklable, e.g. a
            frozen dataclass with ``__call__``; its text form is stored as part of the configuration.
    """

    body: "Body"
    axes: tuple[str, ...]
    change: Callable[[dict[str, Any]], dict[str, Any]]

    @property
    def variables(self) -> "Mapping[str, Variable]":
        return self.body.variables

    @property
    def coordinates(self) -> "Mapping[str, np.ndarray]":
        return self.body.coordinates

    def configuration(self) -> dict[str, Any]:
        return {**self.body.configuration(), "reparametrised": repr(self.change)}

    def shape_axes(self, grid: "Grid") -> tuple[str, ...]:
        from lemmata.sweep import Grid

        known = tuple(axis for axis in grid.axes if axis.name not in self.axes)
        return self.body.shape_axes(Grid(known)) if known else ()

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        return self.body.bytes_per_cell(self.change(point))

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        return self.body.estimate_seconds([self.change(point) for point in points])

    def in_use(self, point: dict[str, Any]) -> str:
        return self.body.in_use(self.change(point)) if hasattr(self.body, "in_use") else ""

    def run(self, points: Sequence[dict[str, Any]]) -> "Mapping[str, np.ndarray]":
        return self.body.run([self.change(point) for point in points])
