"""The gram engine's commonest case in C: full-batch gradient descent of a two-layer ReLU network on signal-noise data.

A step of one small cell is a few microseconds of arithmetic on a few kilobytes, so a cell is trained from first to last
step while its state sits in the processor's cache, one cell after another, cells spread over threads. The source beside
this file is compiled on first use with the machine's own C compiler and kept in a cache folder; without a compiler, or
with ``LEMMATA_NATIVE=0``, the same steps run in PyTorch. Tests hold the two to each other.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lemmata.data.patches import Own, Shared
from lemmata.data.sample import Sample, TwoPatchSample
from lemmata.dynamics.engine import Engine, Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.dynamics.stopping import Ends
from lemmata.nets.activations import ReLU
from lemmata.nets.two_layer_cnn import TwoLayerCNN
from lemmata.objectives.margin import Logistic

_SOURCE = Path(__file__).with_name("gram_relu.c")
_FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-shared", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
_NAMES = {torch.float32: "float", torch.float64: "double"}
_STEPS_PER_CALL = 1000  # between two calls Ctrl-C is heard


def applies(run: Run, sample: Sample) -> bool:
    """Whether the C code does exactly what ``run`` describes, and can be had on this machine."""
    net = run.net
    fits = (
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
        and isinstance(sample, TwoPatchSample)
        and sample.vectors.shape[1] == 1 + sample.labels.shape[1]
        and isinstance(sample.signal, Shared)
        and sample.signal.vector == 0
        and isinstance(sample.noise, Own)
        and sample.noise.start == 1
    )
    return fits and _library() is not None


def advance(
    engine: Engine, rule: Any, point: Point, eta: Tensor, ends: Ends, steps: tuple[int, int], threads: int
) -> None:
    """Takes the steps ``steps[0] .. steps[1] - 1`` of every cell, changing ``point`` and ``ends`` in place.

    Args:
        point: ``"coefficients"`` ``(c, r, k)`` and, if it moves, ``"output"`` ``(c, r)``.
        eta: step sizes ``(c,)``.
        ends: when and why cells stop.
    """
    assert isinstance(engine, GramEngine)  # applies() said so
    assert isinstance(rule, GD)
    sample, head = engine.sample, engine.head(point)
    cells, r, k = point["coefficients"].shape
    dtype = point["coefficients"].dtype
    # Output weights that do not move are stepped by zero, on a copy.
    output = head["output"] if "output" in point else head["output"].clone()
    eta_head = eta * torch.as_tensor(rule.head_ratio if "output" in point else 0.0, dtype=eta.dtype)
    assert isinstance(sample, TwoPatchSample)
    assert isinstance(sample.signal, Shared)
    truth = sample.signal.sign
    held = [engine.G, engine.A_start, point["coefficients"], output, sample.labels, truth, eta, eta_head]
    held += [ends.limit, ends.status, ends.status_step]
    arrays = [item.contiguous() for item in held]
    library = _library()
    assert library is not None
    function = getattr(library, f"train_{_NAMES[dtype]}")
    pointers = [ctypes.c_void_p(item.data_ptr()) for item in arrays]
    long, double = ctypes.c_long, ctypes.c_double
    parts = min(threads, cells)

    def run_part(part: int, first: int, count: int) -> int:
        span = long(cells * part // parts), long(cells * (part + 1) // parts)
        stop, limit = double(ends.stop_loss or 0.0), double(ends.diverged_at)
        return function(*span, long(k - 1), long(r), long(count), long(first), stop, limit, *pointers)

    with ThreadPoolExecutor(parts) as pool:
        for first in range(*steps, _STEPS_PER_CALL):
            count = min(_STEPS_PER_CALL, steps[1] - first)
            if any(pool.map(lambda part, first=first, count=count: run_part(part, first, count), range(parts))):
                raise MemoryError(f"{cells} cells of {r} filters and {k} vectors were asked for; take smaller tiles")
    for item, array in zip(held, arrays, strict=True):
        if array is not item:
            item.copy_(array)


@functools.cache
def _library() -> Any:
    """The compiled code, or None where there is no compiler."""
    if os.environ.get("LEMMATA_NATIVE", "1") == "0":
        return None
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        logging.getLogger("lemmata").info("no C compiler found; training runs in PyTorch alone")
        return None
    try:
        return _load(_compiled(compiler))
    except (OSError, subprocess.SubprocessError) as error:
        logging.getLogger("lemmata").info("compiling %s failed (%s); training runs in PyTorch alone", _SOURCE, error)
        return None


def _compiled(compiler: str) -> Path:
    """Path of the shared library for this source, compiler and processor; built if it is not there yet."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lemmata"
    key = hashlib.sha256(repr((_SOURCE.read_text(), _FLAGS, compiler, _processor())).encode()).hexdigest()[:16]
    target = root / f"gram_relu-{key}.so"
    if target.exists():
        return target
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=root)
    except OSError:  # a home that cannot be written: build for this process alone
        folder = tempfile.mkdtemp()
        target = Path(folder) / target.name
    built = []
    for dtype in _NAMES.values():
        built.append(str(Path(folder) / f"{dtype}.o"))
        define = [f"-DREAL={dtype}", f"-DREAL_IS_FLOAT={int(dtype == 'float')}", f"-DNAME=train_{dtype}"]
        flags = [flag for flag in _FLAGS if flag != "-shared"]
        _call([compiler, "-march=native", *flags, *define, "-c", str(_SOURCE), "-o", built[-1]])
    whole = str(Path(folder) / "whole.so")
    _call([compiler, "-shared", *built, "-o", whole, "-lm"])
    os.replace(whole, target)  # atomic, so that processes that build at once do not meet half a file
    if target.parent == root:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _load(path: Path) -> Any:
    library = ctypes.CDLL(str(path))
    for dtype in _NAMES.values():
        getattr(library, f"train_{dtype}").restype = ctypes.c_int
    return library


def _processor() -> str:
    """What decides whether code compiled for one machine runs on another that shares the cache folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.machine() + platform.processor()
