"""The gram engine's commonest case in C: full-batch gradient descent of a two-layer ReLU network on signal-noise data.

A step of one small cell is a few microseconds of arithmetic on a few kilobytes, so a cell is trained from first to last
step while its state sits in the processor's cache, one cell after another, cells spread over threads. The source beside
this file is compiled on first use (:mod:`lemmata.compiled`) for vectors as wide as the processor has and half of it;
the fastest of these and of the same steps in PyTorch is measured once on this machine, and used from then on. Tests
hold them to each other.
"""

import ctypes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lemmata import compiled
from lemmata.data.patches import Own, Shared
from lemmata.data.sample import Sample, TwoPatchSample, to_dtype
from lemmata.data.signal_noise import SignalNoise
from lemmata.draws import cell_seeds
from lemmata.dynamics.engine import Engine, Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.dynamics.stopping import Ends
from lemmata.nets.activations import ReLU
from lemmata.nets.two_layer_cnn import TwoLayerCNN
from lemmata.objectives.margin import Logistic
from lemmata.threads import each, one_for_torch

_NAMES = {torch.float32: "float", torch.float64: "double"}
_UNITS = tuple(
    compiled.Unit(
        Path(__file__).with_suffix(".c"),
        (("REAL", name), ("REAL_IS_FLOAT", str(int(name == "float"))), ("NAME", f"train_{name}")),
    )
    for name in _NAMES.values()
)
_PYTORCH = "PyTorch"
_STEPS_PER_CALL = 1000  # between two calls Ctrl-C is heard
_MOST_PARTS = 16  # several per thread: one that a neighbour holds up leaves its cells to the others
_WORK_PER_PART = 4_000_000  # floating-point operations that are worth a thread's start
_TRIAL_CELLS, _TRIAL_STEPS = 32, 40


def applies(run: Run, sample: Sample) -> bool:
    """Whether the C code does exactly what ``run`` describes, and is the fastest way to do it on this machine."""
    return _fits(run, sample) and _library(run.torch_dtype) is not None


def in_use(run: Run) -> str:
    """What the steps of ``run`` are taken by on this machine, in a line; its value fields hold numbers, not tensors."""
    keys = cell_seeds(run.seed_root, [0], run.device)
    where = "" if torch.device(run.device).type == "cpu" else f" on {run.device}"
    if _fits_run(run) and _fits(run, run.data.sample(keys, run.net.initial_scale(keys), coordinates=run.coordinates)):
        way = _choice(run.torch_dtype).way
        if way != _PYTORCH:
            return f"{run.engine_used} engine in C, {way}, {compiled.machine().compiler}"
    return f"{run.engine_used} engine in PyTorch {torch.__version__}{where}"


def _fits(run: Run, sample: Sample) -> bool:
    return (
        _fits_run(run)
        and isinstance(sample, TwoPatchSample)
        and sample.vectors.shape[1] == 1 + sample.labels.shape[1]
        and isinstance(sample.signal, Shared)
        and sample.signal.vector == 0
        and isinstance(sample.noise, Own)
        and sample.noise.start == 1
    )


def _fits_run(run: Run) -> bool:
    net = run.net
    return (
        run.engine_used == "gram"
        and torch.device(run.device).type == "cpu"
        and type(run.objective) is Logistic
        and type(run.rule) is GD
        and run.rule.plain
        and run.stop_gradient is None
        and run.until is None
        and type(net) is TwoLayerCNN
        and net.activation == ReLU()
        and not (net.per_patch_output or net.divide_by_m)
    )


def advance(engine: Engine, rule: Any, point: Point, eta: Tensor, ends: Ends, steps: tuple[int, int]) -> None:
    """Takes the steps ``steps[0] .. steps[1] - 1`` of every cell, changing ``point`` and ``ends`` in place.

    Args:
        point: ``"coefficients"`` ``(c, r, k)`` and, if it moves, ``"output"`` ``(c, r)``.
        eta: step sizes ``(c,)``.
        ends: when and why cells stop.
    """
    library = _library(eta.dtype)
    assert library is not None  # applies() said so
    cells, r, k = point["coefficients"].shape
    worth = 1 + 2 * cells * r * k * k * min(steps[1] - steps[0], _STEPS_PER_CALL) // _WORK_PER_PART
    _train(library, engine, rule, point, eta, ends, steps, min(cells, worth, _MOST_PARTS))


def _train(
    library: ctypes.CDLL, engine: Engine, rule: Any, point: Point, eta: Tensor, ends: Ends, steps: tuple[int, int],
    parts: int,
) -> None:  # fmt: skip
    assert isinstance(engine, GramEngine)
    assert isinstance(rule, GD)
    sample, head = engine.sample, engine.head(point)
    cells, r, k = point["coefficients"].shape
    # Output weights that do not move are stepped by zero, on a copy.
    output = head["output"] if "output" in point else head["output"].clone()
    eta_head = eta * torch.as_tensor(rule.head_ratio if "output" in point else 0.0, dtype=eta.dtype)
    assert isinstance(sample, TwoPatchSample)
    assert isinstance(sample.signal, Shared)
    held = [engine.G, engine.A_start, point["coefficients"], output, sample.labels, sample.signal.sign, eta, eta_head]
    held += [ends.limit, ends.status, ends.status_step]
    arrays = [item.contiguous() for item in held]
    function = getattr(library, f"train_{_NAMES[eta.dtype]}")
    function.restype = ctypes.c_int
    pointers = [ctypes.c_void_p(item.data_ptr()) for item in arrays]
    long, double = ctypes.c_long, ctypes.c_double

    def run_part(first: int, count: int, part: int) -> int:
        span = long(cells * part // parts), long(cells * (part + 1) // parts)
        stop, limit = double(ends.stop_loss or 0.0), double(ends.diverged_at)
        return function(*span, long(k - 1), long(r), long(count), long(first), stop, limit, *pointers)

    for first in range(*steps, _STEPS_PER_CALL):
        if any(each(partial(run_part, first, min(_STEPS_PER_CALL, steps[1] - first)), range(parts))):
            raise MemoryError(f"{cells} cells of {r} filters and {k} vectors were asked for; take smaller tiles")
    for item, array in zip(held, arrays, strict=True):
        if array is not item:
            item.copy_(array)


def _library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The compiled code; None where there is no compiler, or PyTorch was measured to be faster."""
    way = _choice(dtype).way
    return None if way == _PYTORCH else _compiled(int(way.partition("-")[0]))


def _compiled(width: int) -> ctypes.CDLL | None:
    return compiled.library("relu_gd", _UNITS, width)


def _choice(dtype: torch.dtype) -> compiled.Choice:
    trials = _Trials(dtype)
    ways = {f"{width}-byte vectors": partial(trials.native, width) for width in compiled.widths()}
    about = f"{dtype}, PyTorch {torch.__version__}"
    return compiled.fastest("relu_gd", _UNITS, about, {**ways, _PYTORCH: trials.pytorch})


class _Trials:
    """A few steps of a few cells in the middle of a phase diagram, to be timed."""

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype

    def native(self, width: int) -> Callable[[], object] | None:
        """The steps in C, if it compiles."""
        library = _compiled(width)
        if library is None:
            return None
        engine, rule, point, eta = self._begin()
        steps = (0, _TRIAL_STEPS)
        return lambda: _train(library, engine, rule, point, eta, Ends.begin(eta, _TRIAL_STEPS, None, None), steps, 1)

    def pytorch(self) -> Callable[[], object]:
        """The same steps by the gram engine."""
        engine, rule, start, eta = self._begin()
        labels = engine.sample.labels

        def trial() -> None:
            point, ends, memory = start, Ends.begin(eta, _TRIAL_STEPS, None, None), rule.start(start, eta)
            with torch.no_grad(), one_for_torch(True):
                for step in range(_TRIAL_STEPS):
                    view = rule.view(torch.zeros(0), step, labels)
                    loss, gradient = engine.gradient(point, *view)
                    ends.judge(loss, step)
                    point, memory = rule.move(engine, point, gradient, memory, view, eta * ends.running)

        return trial

    def _begin(self) -> tuple[GramEngine, GD, Point, Tensor]:
        net, rule = TwoLayerCNN(10, v0=0.5), GD(0.01)
        keys = cell_seeds(0, range(_TRIAL_CELLS))
        drawn = SignalNoise(n=50, d=2000, signal=5.0).sample(keys, net.initial_scale(keys))
        engine = GramEngine(to_dtype(drawn, self.dtype), net, Logistic(), decays=False)
        head = {name: value.to(self.dtype) for name, value in net.initial_head(keys).items()}
        point = engine.start(head, net.moving_head)
        return engine, rule, point, rule.step_sizes(engine).to(self.dtype)
