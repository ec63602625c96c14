"""What a kernel in C owes, and what all of them share: when one is used, how cells are dealt to threads, what it is
timed against.

A step of one small cell is a few microseconds of arithmetic on a few kilobytes, so a cell is trained from first to last
step while its state sits in the processor's cache, one cell after another. The source is compiled on first use
(:mod:`lemmata.compiled`) for vectors as wide as the processor has and half of it; the fastest of these and of the same
steps in PyTorch is measured once on this machine, and used from then on. Tests hold them to each other.
"""

import ctypes
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lemmata import compiled
from lemmata.data.sample import Sample, to_dtype
from lemmata.draws import cell_seeds
from lemmata.dynamics.engine import Engine, Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.dynamics.stopping import Ends
from lemmata.threads import each, one_for_torch

_NAMES = {torch.float32: "float", torch.float64: "double"}
_PYTORCH = "PyTorch"
_STEPS_PER_CALL = 1000  # between two calls Ctrl-C is heard
_MOST_PARTS = 16  # several per thread: one that a neighbour holds up leaves its cells to the others
_WORK_PER_PART = 4_000_000  # floating-point operations that are worth a thread's start
_TRIAL_CELLS, _TRIAL_STEPS = 32, 40


@dataclass(frozen=True)
class Call:
    """What a kernel is called with, after the cells, the steps and the stopping rules.

    Attributes:
        sizes: whole numbers.
        tensors: cells first, read or changed in place, all of the run's dtype; the kernel's last arguments, step sizes
            and the state of the ends, come after them.
        rows: filters; columns: vectors. A step costs about 2 · rows · columns² operations.
        hand_back: called when the steps are taken, to bring what they changed into the point; not while timing.
    """

    sizes: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    rows: int
    columns: int
    hand_back: Callable[[], None] = lambda: None


class Kernel(ABC):
    """One case of the gram engine: full-batch gradient descent on the CPU, without a stop at a gradient or a level."""

    source: Path
    """Its C code, with one function ``NAME`` that returns 0, or 1 without memory."""

    @abstractmethod
    def fits_run(self, run: Run) -> bool:
        """Whether objective, network and rule are those of the C code."""

    @abstractmethod
    def fits_sample(self, sample: Sample) -> bool:
        """Whether the data has the form that the C code reads."""

    @abstractmethod
    def call(self, engine: GramEngine, rule: GD, point: Point, eta: Tensor) -> Call:
        """Its arguments."""

    @abstractmethod
    def example(self) -> Run:
        """A usual run, by which it is timed."""

    def fits(self, run: Run, sample: Sample) -> bool:
        """Whether the C code does exactly what ``run`` describes on ``sample``."""
        return _plain(run) and self.fits_run(run) and self.fits_sample(sample)

    def way(self, dtype: torch.dtype) -> str:
        """The fastest way on this machine, ``"64-byte vectors"`` or ``"PyTorch"``."""
        return self._choice(dtype).way

    def is_fastest(self, dtype: torch.dtype) -> bool:
        """Whether C was measured to be faster than PyTorch here; no without a compiler."""
        return self.way(dtype) != _PYTORCH

    def advance(self, engine: Engine, rule: GD, point: Point, eta: Tensor, ends: Ends, steps: tuple[int, int]) -> None:
        """Takes the steps ``steps[0] .. steps[1] - 1`` of every cell, changing ``point`` and ``ends`` in place.

        Args:
            point: coordinates of the gram engine.
            eta: step sizes ``(c,)``.
            ends: when and why cells stop.
        """
        library = self.library(int(self.way(eta.dtype).partition("-")[0]))
        assert library is not None  # is_fastest() said so
        assert isinstance(engine, GramEngine)
        call = self.call(engine, rule, point, eta)
        work = 2 * len(eta) * call.rows * call.columns**2 * min(steps[1] - steps[0], _STEPS_PER_CALL)
        parts = min(len(eta), 1 + work // _WORK_PER_PART, _MOST_PARTS)
        self._train(library, call, eta, ends, steps, parts)
        call.hand_back()

    def library(self, width: int) -> ctypes.CDLL | None:
        """The C code for vectors of ``width`` bytes; None if it does not compile."""
        return compiled.library(self.source.stem, self._units, width)

    @property
    def _units(self) -> tuple[compiled.Unit, ...]:
        return tuple(
            compiled.Unit(
                self.source,
                (("REAL", name), ("REAL_IS_FLOAT", str(int(name == "float"))), ("NAME", f"train_{name}")),
            )
            for name in _NAMES.values()
        )

    def _train(
        self, library: ctypes.CDLL, call: Call, eta: Tensor, ends: Ends, steps: tuple[int, int], parts: int
    ) -> None:
        held = [*call.tensors, eta, ends.limit, ends.status, ends.status_step]
        arrays = [item.contiguous() for item in held]
        function = getattr(library, f"train_{_NAMES[eta.dtype]}")
        function.restype = ctypes.c_int
        pointers = [ctypes.c_void_p(item.data_ptr()) for item in arrays]
        sizes = [ctypes.c_long(size) for size in call.sizes]
        stops = ctypes.c_double(ends.stop_loss or 0.0), ctypes.c_double(ends.diverged_at)

        def run_part(first: int, count: int, part: int) -> int:
            span = (ctypes.c_long(len(eta) * part // parts), ctypes.c_long(len(eta) * (part + 1) // parts))
            return function(*span, ctypes.c_long(count), ctypes.c_long(first), *stops, *sizes, *pointers)

        for first in range(*steps, _STEPS_PER_CALL):
            if any(each(partial(run_part, first, min(_STEPS_PER_CALL, steps[1] - first)), range(parts))):
                raise MemoryError(
                    f"{len(eta)} cells of {call.rows} filters and {call.columns} vectors were asked for; "
                    "take smaller tiles"
                )
        for item, array in zip(held, arrays, strict=True):
            if array is not item:
                item.copy_(array)

    def _choice(self, dtype: torch.dtype) -> compiled.Choice:
        ways = {f"{width}-byte vectors": partial(self._native_trial, width, dtype) for width in compiled.widths()}
        about = f"{dtype}, PyTorch {torch.__version__}"
        pytorch = partial(self._pytorch_trial, dtype)
        return compiled.fastest(self.source.stem, self._units, about, {**ways, _PYTORCH: pytorch})

    def _native_trial(self, width: int, dtype: torch.dtype) -> Callable[[], object] | None:
        library = self.library(width)
        if library is None:
            return None
        engine, rule, point, eta = self._begin(dtype)
        call, steps = self.call(engine, rule, point, eta), (0, _TRIAL_STEPS)
        return lambda: self._train(library, call, eta, Ends.begin(eta, _TRIAL_STEPS, None, None), steps, 1)

    def _pytorch_trial(self, dtype: torch.dtype) -> Callable[[], object]:
        engine, rule, start, eta = self._begin(dtype)

        def trial() -> None:
            point, memory, ends = start, rule.start(start, eta), Ends.begin(eta, _TRIAL_STEPS, None, None)
            with torch.no_grad(), one_for_torch(True):
                for step in range(_TRIAL_STEPS):
                    view = rule.view(torch.zeros(0), step, engine.sample.labels)
                    loss, gradient = engine.gradient(point, *view)
                    ends.judge(loss, step)
                    point, memory = rule.move(engine, point, gradient, memory, view, eta * ends.running)

        return trial

    def _begin(self, dtype: torch.dtype) -> tuple[GramEngine, GD, Point, Tensor]:
        run = dataclasses.replace(self.example(), dtype=str(dtype).removeprefix("torch."))
        keys = cell_seeds(0, range(_TRIAL_CELLS))
        sample = to_dtype(run.data.sample(keys, run.net.initial_scale(keys)), dtype)
        engine, rule = GramEngine(sample, run.net, run.objective, decays=False), run.rule
        assert isinstance(rule, GD)
        head = {name: value.to(dtype) for name, value in run.net.initial_head(keys).items()}
        point = engine.start(head, run.net.moving_head)
        return engine, rule, point, rule.step_sizes(engine).to(dtype)


def _plain(run: Run) -> bool:
    return (
        run.engine_used == "gram"
        and torch.device(run.device).type == "cpu"
        and type(run.rule) is GD
        and run.rule.plain
        and run.stop_gradient is None
        and run.until is None
    )


def are_signs(*values: Tensor) -> bool:
    """Whether these are all ±1; the C code takes them for that."""
    return all(bool((value.abs() == 1).all()) for value in values)
