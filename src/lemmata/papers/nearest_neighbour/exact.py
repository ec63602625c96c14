"""Bodies of sweeps that need no sampling: the loss over its parameters, exact descent, and the flow over decades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lemmata.papers.nearest_neighbour import reduced, theory
from lemmata.parameters import Parameter, check, parameter
from lemmata.sweep import Body, Variable

_PATH = {
    "xi1": Variable(("step",), "1", "ξ1"),
    "xi2": Variable(("step",), "1", "ξ2"),
    "loss": Variable(("step",), "1", "population loss L"),
}


@dataclass(frozen=True)
class LossBody(Body):
    """The population loss and its slopes at a point."""

    xi1: float = parameter("ξ1", least=-20, most=200, per_cell=True, default=0.0)
    xi2: float = parameter("ξ2", least=-20, most=200, per_cell=True, default=0.0)
    n: int = parameter("points in the context n", int, units="points", least=1, per_cell=True, default=4)
    d: int = parameter("dimension d", int, units="dimensions", least=2, per_cell=True, default=4)

    variables: ClassVar[Mapping[str, Variable]] = {
        "loss": Variable((), "1", "population loss L"),
        "slope1": Variable((), "1", "∂L/∂ξ1"),
        "slope2": Variable((), "1", "∂L/∂ξ2"),
    }

    def __post_init__(self) -> None:
        check(self)

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile."""
        found = theory.population(*(self.column(points, name) for name in ("xi1", "xi2", "n", "d")))
        return dict(zip(self.variables, found))


@dataclass(frozen=True)
class DescentBody(Body):
    """Gradient descent on the exact loss from (0, σ)."""

    n: int = parameter("points in the context n", int, units="points", least=2, per_cell=True, default=16)
    d: int = parameter("dimension d", int, units="dimensions", least=2, per_cell=True, default=8)
    sigma: float = parameter("start of ξ2, σ", least=-10, most=100, per_cell=True, default=3.0)
    step_size: float = parameter("step size of ξ1, η/d", above=0, scale="log", per_cell=True, default=10.0)
    steps: int = parameter("steps k", int, units="steps", least=1, default=2000)

    variables: ClassVar[Mapping[str, Variable]] = _PATH

    def __post_init__(self) -> None:
        check(self)

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Step counts, 12 to a decade, and 0."""
        count = max(2, round(12 * np.log10(self.steps)) + 1)
        return {"step": np.unique([0, *np.geomspace(1, self.steps, count).round().astype(int)])}

    def labels(self) -> dict[str, Parameter]:
        """Of the steps."""
        return {"step": Parameter("steps k", int, units="steps", scale="log")}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile."""
        names, at = ("n", "d", "sigma", "step_size"), self.coordinates["step"].tolist()
        cells = zip(*(self.column(points, name) for name in names))
        paths = [reduced.descend(int(n), int(d), eta * d, (0.0, sigma), at) for n, d, sigma, eta in cells]
        return {name: np.stack([path[:, i] for path in paths]) for i, name in enumerate(_PATH)}


@dataclass(frozen=True)
class FlowBody(Body):
    """The flow of infinitely small steps from (0, σ)."""

    n: int = parameter("points in the context n", int, units="points", least=2, per_cell=True, default=16)
    d: int = parameter("dimension d", int, units="dimensions", least=2, per_cell=True, default=8)
    sigma: float = parameter("start of ξ2, σ", least=-10, most=100, per_cell=True, default=12.0)
    longest: float = parameter("last time τ = ηk", least=10, most=1e7, scale="log", default=1e7)

    variables: ClassVar[Mapping[str, Variable]] = {
        name: Variable(("time",), says.units, says.long_name) for name, says in _PATH.items()
    }

    def __post_init__(self) -> None:
        check(self)

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Times, 8 to a decade, from 1."""
        return {"time": np.geomspace(1, self.longest, round(8 * np.log10(self.longest)) + 1)}

    def labels(self) -> dict[str, Parameter]:
        """Of the times."""
        return {"time": Parameter("time τ = ηk", scale="log")}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile."""
        cells = zip(*(self.column(points, name) for name in ("n", "d", "sigma")))
        paths = [reduced.flow(int(n), int(d), (0.0, float(s)), self.coordinates["time"]) for n, d, s in cells]
        return {name: np.stack([path[:, i] for path in paths]) for i, name in enumerate(_PATH)}
