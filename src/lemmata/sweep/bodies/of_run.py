"""Training runs as the body of a sweep: its parameters are those of the run and of all its parts."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.dynamics import native
from lemmata.dynamics.run import Run
from lemmata.dynamics.train import Training, train
from lemmata.objectives.margin import MarginObjective
from lemmata.parameters import Parameter, parameters_of
from lemmata.probes.shipped import named
from lemmata.sweep.body import SEED, Body, Variable, endings
from lemmata.sweep.grid import Grid

_KINDS = (bool, int, float, str)
_MARGINS = ("margin_min", "margin_mean")
_PIECE = 32  # cells timed for an estimate: of fewer, what every tile costs once would weigh too much


@dataclass(frozen=True)
class TrainingBody(Body):
    """Sweeps a :class:`~lemmata.Run` over a grid whose axes are fields of its data, network, objective and rule.

    Variables: the run's probes, with dimension ``step`` if it records at several steps, and ``status`` (0 took all its
    steps, 1 reached ``stop_loss``, 2 diverged) with ``status_step``. The axis ``seed`` numbers the random draws: cells
    of one seed share them, whatever their other parameters, so comparisons along the other axes are paired.

    Raises:
        ValueError: on use, for an axis the run does not have or a value outside its range.
    """

    cell: Run

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The probes, and why each cell ended."""
        dims = () if self.cell.record is None else ("step",)
        found = {
            probe.name: Variable(dims, units=probe.units, long_name=probe.long_name)
            for probe in named(self.cell.probes)
        }
        return {**found, **endings()}

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The recorded steps, if there are several."""
        return {} if self.cell.record is None else {"step": np.asarray(self.cell.record_steps)}

    def labels(self) -> dict[str, Parameter]:
        """Of the recorded steps."""
        return {"step": Parameter("step t", int, units="steps")}

    def parameters(self) -> dict[str, Parameter]:
        """Those of the run, of its parts, of what those hold (for reading only), and ``seed``."""
        axes = self.cell.axes()
        found: dict[str, Parameter] = {}
        for holder, deep in self._holders():
            for name, says in _parameters(holder).items():
                settable = name in axes and not deep
                if name not in found or settable:
                    found[name] = says if settable == says.axis else dataclasses.replace(says, axis=settable)
        return {**found, "seed": SEED}

    def value(self, name: str) -> Any:
        """What a parameter of the run or of a part is set to."""
        if name == "seed":
            return 0
        part = self.cell.axes().get(name)
        if part is not None:
            return getattr(getattr(self.cell, part) if part else self.cell, name, None)
        for holder, _ in self._holders():
            if name in _parameters(holder):
                return getattr(holder, name)
        return None

    def at(self, changes: Mapping[str, Any]) -> "TrainingBody":
        """The run with some of its parameters changed, in whichever part they stand."""
        return dataclasses.replace(self, cell=self.cell.at(changes))

    def configuration(self) -> dict[str, Any]:
        """Every field of the run."""
        return self.cell.describe()

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """Axes that change tensor shapes; ``d`` is one of them unless coordinates are compressed in every cell."""
        self.check(grid)
        compressed = self._compressed_everywhere(grid)
        return tuple(name for name in grid.names if not self.cell.is_value(name, compressed=compressed))

    def check(self, grid: Grid) -> None:
        """Raises ``ValueError`` for an axis the run does not have, or a value outside its range."""
        for axis in grid.axes:
            for value in axis.values:
                if axis.name == "seed":
                    SEED.check("seed", value)
                else:
                    self.cell.at({axis.name: value})

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Working memory of one cell: its vectors and Gram matrices, and the probes' draws."""
        run = self.cell.at(point)
        return 8 * run.data.numbers_per_cell(run.net.filters, run.coordinates) + 2**18

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """Expected time of one tile, from some of its cells trained for a few steps and for twice as many."""
        few, piece = max(1, self.cell.steps // 20), points[:_PIECE]
        self._time(points[:1], 1)  # the first run also loads code
        once, twice = self._time(piece, few), self._time(piece, 2 * few)
        per_step = max(0.0, twice - once) / few
        return (once + per_step * (self.cell.steps - few)) * len(points) / len(piece)

    def along_steps(self, count: int) -> "TrainingBody":
        """Recorded at steps from 0 on, denser at the beginning; margins beside the probes where there are any."""
        steps = self.cell.steps
        record = tuple(sorted({round(steps * share**2) for share in np.linspace(0, 1, count).tolist()}))
        probes = self.cell.probes
        if isinstance(self.cell.objective, MarginObjective):
            there = {probe.name for probe in named(probes)}
            probes = (*probes, *(name for name in _MARGINS if name not in there))
        return dataclasses.replace(self, cell=dataclasses.replace(self.cell, record=record, probes=probes))

    def in_use(self, point: Mapping[str, Any]) -> str:
        """What takes the steps on this machine: the engine, and compiled code or PyTorch."""
        return native.in_use(self.cell.at(point))

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile."""
        batched, seeds = self.cell.batch(points)
        return self.measured(train(batched, seeds))

    def measured(self, trained: Training) -> dict[str, np.ndarray]:
        """The variables of a tile that was trained."""
        found = {
            name: (values[:, 0] if self.cell.record is None else values).cpu().numpy()
            for name, values in trained.records.items()
        }
        found["status"] = trained.status.to("cpu").numpy().astype(np.int8)
        found["status_step"] = trained.status_step.to("cpu").numpy()
        return found

    def _time(self, points: Sequence[dict[str, Any]], steps: int) -> float:
        record = None if self.cell.record is None else tuple(s for s in self.cell.record if s <= steps) or (steps,)
        short = dataclasses.replace(self, cell=dataclasses.replace(self.cell, steps=steps, record=record))
        started = time.perf_counter()
        short.run([{name: value for name, value in point.items() if name != "steps"} for point in points])
        return time.perf_counter() - started

    def _compressed_everywhere(self, grid: Grid) -> bool:
        corner = {axis.name: axis.values[0] for axis in grid.axes}
        for name, pick in (("d", min), ("n", max), ("m", max)):
            corner |= {axis.name: pick(axis.values) for axis in grid.axes if axis.name == name}
        run = self.cell.at(corner)
        return run.coordinates == "compressed" and run.data.compresses(run.net.filters)

    def _holders(self) -> Iterator[tuple[Any, bool]]:
        """The run, its parts, and what those hold, with whether it is the latter."""
        parts = [getattr(self.cell, part) for part in dict.fromkeys(self.cell.axes().values()) if part]
        yield self.cell, False
        yield from ((part, False) for part in parts)
        for part in parts:
            for field in dataclasses.fields(part):
                held = getattr(part, field.name)
                if dataclasses.is_dataclass(held) and not isinstance(held, type):
                    yield held, True


def _parameters(holder: Any) -> dict[str, Parameter]:
    """What a class says of its fields; of those it says nothing of, their name and kind."""
    found = parameters_of(holder)
    per_cell = getattr(holder, "value_fields", ())
    for field in dataclasses.fields(holder):
        value = getattr(holder, field.name)
        if field.name not in found and type(value) in _KINDS:
            found[field.name] = Parameter(field.name, type(value), per_cell=field.name in per_cell)
    return found
