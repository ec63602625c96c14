"""Code in C that stands in for PyTorch where a step is too small for it: built on first use, kept, used where faster.

    Unit(file, macros)                 one C source, compiled with these macros into one object
    widths()                           vector widths worth trying here, widest first; () where nothing compiles
    library(name, units, width)        the units as one loaded shared library, or None
    fastest(name, units, about, ways)  which of several ways was measured to be the fastest on this machine
    machine()                          processor, compiler and vector width, for tables

A source holds its vectors as ``typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)))`` and may read
``VECTOR_REGISTERS``, how many such vectors the processor holds at once: both are defined for it. The width is what the
compiler says the processor has: 64 bytes with AVX-512, 32 with AVX2 or with NEON (two registers), else 16.

Everything is kept in ``$XDG_CACHE_HOME/lemmata`` (else ``~/.cache/lemmata``) under a name made of sources, flags, and
every macro that the compiler predefines, which holds its version and what it knows of the processor. Variables: ``CC``
names the compiler, ``LEMMATA_NATIVE=0`` does without compiled code, ``LEMMATA_VECTOR_BYTES=32`` (or 16, 64) forces a
width, and with one narrower than the processor's also the instructions, so that one machine tests all.
"""

import contextlib
import ctypes
import functools
import hashlib
import json
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
_WIDTHS = (64, 32, 16)
_TARGETS = (("-march=native",), ("-mcpu=native",), ())  # the processor's own: the first that the compiler takes
_X86 = {32: ("-march=x86-64-v3", "-mtune=native"), 16: ("-march=x86-64", "-mtune=native")}
_TIED = 0.97  # a later way must be faster than this times an earlier one: a draw is not decided by noise
_BUDGET = 0.5  # seconds of processor time for the rounds of a measurement

_log = logging.getLogger("lemmata")


@dataclass(frozen=True)
class Unit:
    """One C source and the macros it is compiled with, as ``(name, value)`` pairs."""

    source: Path
    macros: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """All that decides what is compiled: the source, headers beside it, and the macros."""
        headers = sorted(self.source.parent.glob("*.h"))
        return repr(([path.read_text() for path in (self.source, *headers)], self.macros))


@dataclass(frozen=True)
class Machine:
    """What code is compiled for; without a compiler, or without the wish for one, ``None`` and 0 bytes."""

    processor: str
    compiler: str | None
    vector_bytes: int

    def __str__(self) -> str:
        if self.compiler is None:
            return f"{self.processor}, no compiled code"
        return f"{self.processor}, {self.vector_bytes}-byte vectors, {self.compiler}"


@dataclass(frozen=True)
class Choice:
    """The fastest of several ways, and the seconds that each took; empty where there was nothing to choose."""

    way: str
    seconds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class _Compiler:
    command: tuple[str, ...]
    native: tuple[str, ...]
    macros: str

    @property
    def name(self) -> str:
        version = re.search(r'__VERSION__ "[^"\d]*([\d.]+)', self.macros)
        return f"{'clang' if self.has('__clang__') else 'gcc'} {version[1] if version else ''}".strip()

    @property
    def width(self) -> int:
        if self.has("__AVX512F__"):
            return 64
        return 32 if self.has("__AVX2__") or self.has("__ARM_NEON") else 16

    def has(self, macro: str) -> bool:
        return f"#define {macro} " in self.macros

    def flags(self, width: int) -> tuple[str, ...]:
        x86 = self.has("__x86_64__")
        target = _X86[width] if x86 and width < self.width else self.native
        registers = 32 if width == 64 or (width == 16 and not x86) else 16  # NEON: 32 of 16 bytes, or 16 pairs
        return (*_FLAGS, *target, f"-DVECTOR_BYTES={width}", f"-DVECTOR_REGISTERS={registers}")


def machine() -> Machine:
    """This machine, as far as compiled code is concerned; raises as :func:`widths`."""
    compiler = _compiler()
    return Machine(_processor(), compiler.name if compiler else None, widths()[0] if compiler else 0)


def widths() -> tuple[int, ...]:
    """Vector widths in bytes that are worth trying, widest first: the processor's and half of it, or the forced one.

    Raises:
        ValueError: if ``LEMMATA_VECTOR_BYTES`` is set to something that is no width.
    """
    forced = os.environ.get("LEMMATA_VECTOR_BYTES")
    if forced is not None and forced not in map(str, _WIDTHS):
        raise ValueError(f"LEMMATA_VECTOR_BYTES = {forced!r} was asked for; it is 64, 32 or 16, or not set")
    compiler = _compiler()
    if compiler is None:
        return ()
    if forced is not None:
        return (int(forced),)
    return tuple(width for width in (compiler.width, compiler.width // 2) if width in _WIDTHS)


def library(name: str, units: Sequence[Unit], width: int | None = None) -> ctypes.CDLL | None:
    """``units`` compiled and loaded, once per process; None without a compiler, or if they do not compile.

    Args:
        name: what the file in the cache is called.
        units: C sources; their functions must have names of their own.
        width: vector width in bytes, by default the processor's.
    """
    compiler = _compiler()
    return _library(_folder(), name, tuple(units), compiler, width or widths()[0]) if compiler else None


def fastest(
    name: str, units: Sequence[Unit], about: str, ways: Mapping[str, Callable[[], Callable[[], object] | None]]
) -> Choice:
    """The fastest of ``ways`` on this machine: measured once, in under a second, and remembered beside the libraries.

    Args:
        name: of the kernel, as for :func:`library`.
        units: the sources in question: when they change, it is measured again.
        about: what else the times depend on, e.g. dtype and the version of PyTorch.
        ways: per label a function that prepares a trial, a call of a few milliseconds on one thread, or gives None
            where there is no such way. Of ways that are equally fast the first is taken.

    Raises:
        ValueError: if none of them can be had.

    Nothing is measured, and nothing written, where one way is left, or a width is forced: then the first is taken.
    """
    compiler, forced = _compiler(), os.environ.get("LEMMATA_VECTOR_BYTES", "")
    macros = compiler.macros if compiler else ""
    path = _folder() / f"{name}-{_key(*(unit.text for unit in units), about, *ways, forced, _processor(), macros)}.json"
    if path not in _CHOSEN:
        _CHOSEN[path] = _remembered(path, ways) or _measured(path, ways, bool(forced))
    return _CHOSEN[path]


_CHOSEN: dict[Path, Choice] = {}


def _remembered(path: Path, ways: Mapping[str, object]) -> Choice | None:
    try:
        kept = json.loads(path.read_text())
        choice = Choice(kept["way"], tuple((label, float(seconds)) for label, seconds in kept["seconds"].items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there yet, or damaged: measured anew
    return choice if choice.way in ways else None


def _measured(path: Path, ways: Mapping[str, Callable[[], Callable[[], object] | None]], forced: bool) -> Choice:
    trials = {label: trial for label, prepare in ways.items() if (trial := prepare()) is not None}
    if not trials:
        raise ValueError(f"none of {', '.join(ways)} can be had on this machine")
    if len(trials) == 1 or forced:
        return Choice(next(iter(trials)))
    seconds = _times(trials)
    best = next(iter(trials))
    for label in trials:
        best = label if seconds[label] < _TIED * seconds[best] else best
    choice = Choice(best, tuple(seconds.items()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, json.dumps({"way": best, "seconds": seconds}).encode())
    except OSError:
        _log.info("the fastest way (%s) cannot be remembered in %s", best, path.parent)
    return choice


def _times(trials: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Least processor time of each trial over rounds that take turns; the first round warms up."""
    seconds = dict.fromkeys(trials, float("inf"))
    started = time.process_time()
    for turn in range(12):
        for label, trial in trials.items():
            before = time.thread_time()  # a busy neighbour must not decide
            trial()
            if turn:
                seconds[label] = min(seconds[label], time.thread_time() - before)
        if turn and time.process_time() - started > _BUDGET:
            break
    return seconds


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lemmata"


def _key(*texts: str) -> str:
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def _compiler() -> _Compiler | None:
    if os.environ.get("LEMMATA_NATIVE", "1") == "0":
        return None
    return _asked(os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang"))


@functools.cache
def _asked(command: str | None) -> _Compiler | None:
    words = tuple(shlex.split(command or "cc"))
    for native in _TARGETS:
        try:
            macros = _call([*words, *native, "-dM", "-E", "-x", "c", os.devnull])
        except (OSError, subprocess.SubprocessError):
            continue
        if "#define" in macros:
            return _Compiler(words, native, macros)
    _log.info("%s compiles no C; training runs in PyTorch alone", words[0])
    return None


@functools.cache
def _library(folder: Path, name: str, units: tuple[Unit, ...], compiler: _Compiler, width: int) -> ctypes.CDLL | None:
    flags = compiler.flags(width)
    path = folder / f"{name}-{_key(*(unit.text for unit in units), *flags, *compiler.command, compiler.macros)}.so"
    try:
        with contextlib.suppress(OSError):  # not there yet, or damaged: built anew
            return ctypes.CDLL(str(path))
        return _built(path, units, compiler, flags)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or error
        _log.info("compiling %s for %d-byte vectors failed (%s); training does without it", name, width, said)
        return None


def _built(path: Path, units: tuple[Unit, ...], compiler: _Compiler, flags: tuple[str, ...]) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        objects = [str(Path(folder) / f"{i}.o") for i in range(len(units))]
        for unit, built in zip(units, objects):
            macros = [f"-D{name}={value}" for name, value in unit.macros]
            _call([*compiler.command, *flags, *macros, "-c", str(unit.source), "-o", built])
        whole = Path(folder) / path.name
        _call([*compiler.command, "-shared", *objects, "-o", str(whole), "-lm"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, whole.read_bytes())
        except OSError:  # a home that cannot be written: for this process alone, which keeps what it has loaded
            return ctypes.CDLL(str(whole))
        return ctypes.CDLL(str(path))


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, so that processes that build at once do not meet half a file."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _call(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
