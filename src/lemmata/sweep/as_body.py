"""What a user may hand to a sweep in place of a body."""

from dataclasses import dataclass
from inspect import signature
from typing import Any

from lemmata.parameters import Parameter
from lemmata.sweep.around import Around
from lemmata.sweep.body import Body
from lemmata.sweep.grid import Grid


def as_body(given: Any) -> Body:
    """A body as it is; a :class:`~lemmata.Run` becomes its training.

    Raises:
        TypeError: what is given is neither.
    """
    if isinstance(given, Body):
        return given
    if hasattr(given, "configuration"):
        return Undeclared(given)
    from lemmata.dynamics.run import Run  # torch is loaded by those alone who train
    from lemmata.sweep.bodies.of_run import TrainingBody

    if isinstance(given, Run):
        return TrainingBody(given)
    raise TypeError(f"a sweep runs a lemmata.Run or a body and was given {given!r}; see lemmata.sweep.Body")


@dataclass(frozen=True)
class Undeclared(Around):
    """A body that says what runs but not which parameters it has: it checks its axes by itself, in ``shape_axes``."""

    body: Any

    def parameters(self) -> dict[str, Parameter]:
        """None are known."""
        return {}

    def value(self, name: str) -> None:
        """Nothing is known."""
        return None

    def check(self, grid: Grid) -> None:
        """Left to the body."""

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """The body's."""
        return self.body.shape_axes(grid)

    def computed_from(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def computed(self, point: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    def in_use(self, point: Any) -> str:
        """What the body says, if it says anything."""
        return self.body.in_use(point) if hasattr(self.body, "in_use") else ""

    @property
    def wants_scratch(self) -> bool:
        """Whether its ``run`` takes a folder."""
        return "scratch" in signature(self.body.run).parameters

    def labels(self) -> dict[str, Parameter]:
        """Nothing."""
        return {}
