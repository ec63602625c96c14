"""Compiled code: widths and what forces them, what is kept and what is not, and the choice of the fastest."""

import ctypes
import json
import shutil
import time

import pytest

from lemmata import compiled

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")

SUM = """
typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
int NAME_bytes(void) { return (int)sizeof(vec); }
int NAME_registers(void) { return VECTOR_REGISTERS; }
int NAME_wide(void) {
#ifdef __AVX512F__
    return 64;
#elif defined(__AVX2__) || defined(__ARM_NEON)
    return 32;
#else
    return 16;
#endif
}
REAL NAME(const REAL *x, long n) {
    vec sum = {0};
    for (long i = 0; i < n; i += (long)(sizeof(vec) / sizeof(REAL))) {
        vec part;
        __builtin_memcpy(&part, x + i, sizeof part);
        sum += part;
    }
    REAL total = 0;
    for (unsigned long h = 0; h < sizeof(vec) / sizeof(REAL); h++) total += sum[h];
    return total;
}
"""


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CC", "LEMMATA_NATIVE", "LEMMATA_VECTOR_BYTES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "lemmata"


def units(folder, *types, text=SUM):
    made = []
    for real in types:
        source = folder / f"sum_{real}.c"
        source.write_text(text.replace("NAME", f"sum_{real}"))
        made.append(compiled.Unit(source, (("REAL", real),)))
    return made


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16])
def test_every_width_compiles_and_adds(cache, tmp_path, monkeypatch, width):
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", str(width))
    assert compiled.widths() == (width,)
    assert compiled.machine().vector_bytes == width
    library = compiled.library("sum", units(tmp_path, "float", "double"))
    for real, kind in (("float", ctypes.c_float), ("double", ctypes.c_double)):
        function = getattr(library, f"sum_{real}")
        function.restype = kind
        numbers = (kind * 64)(*range(64))
        assert function(numbers, ctypes.c_long(64)) == 2016
        assert getattr(library, f"sum_{real}_bytes")() == width
        assert getattr(library, f"sum_{real}_registers")() in (16, 32)
        # A narrow width on a wide machine is the code of a narrow machine.
        assert getattr(library, f"sum_{real}_wide")() <= max(width, 16)


@needs_compiler
def test_the_width_is_what_the_processor_has(cache, tmp_path):
    library = compiled.library("sum", units(tmp_path, "float"))
    assert library.sum_float_wide() == library.sum_float_bytes() == compiled.widths()[0]
    assert str(compiled.widths()[0]) in str(compiled.machine())


@needs_compiler
def test_a_library_is_built_once_and_anew_when_anything_changes(cache, tmp_path, monkeypatch):
    sources = units(tmp_path, "float")
    assert compiled.library("sum", sources) is compiled.library("sum", sources)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", "16")
    compiled.library("sum", sources)
    assert len(list(cache.iterdir())) == 2
    (tmp_path / "shared.h").write_text("/* a header beside it */")
    compiled.library("sum", [compiled.Unit(sources[0].source, (*sources[0].macros, ("ONE", "1")))])
    assert sorted(path.suffix for path in cache.iterdir()) == [".so"] * 3


@needs_compiler
def test_a_damaged_library_is_built_anew(cache, tmp_path):
    sources = units(tmp_path, "float")
    compiled.library("sum", sources)
    (kept,) = cache.iterdir()
    kept.unlink()
    kept.write_bytes(b"not a library")
    compiled._library.cache_clear()
    assert compiled.library("sum", sources).sum_float_registers() in (16, 32)


@needs_compiler
def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled.library("sum", units(tmp_path, "float")).sum_float_registers() in (16, 32)


@pytest.mark.parametrize(("name", "value"), [("LEMMATA_NATIVE", "0"), ("CC", "false"), ("CC", "no-such-compiler")])
def test_without_a_compiler_there_is_none_and_nothing_is_written(cache, tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert compiled.library("sum", units(tmp_path, "float")) is None
    assert compiled.widths() == ()
    assert "no compiled code" in str(compiled.machine())
    ways = {"C": lambda: None, "PyTorch": lambda: int}
    assert compiled.fastest("sum", units(tmp_path, "float"), "", ways).way == "PyTorch"
    assert not cache.exists()


@needs_compiler
def test_what_does_not_compile_is_done_without(cache, tmp_path):
    assert compiled.library("sum", units(tmp_path, "float", text="this is no C")) is None
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("value", ["", "48", "wide"])
def test_a_width_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", value)
    with pytest.raises(ValueError, match=r"LEMMATA_VECTOR_BYTES = .* was asked for; it is 64, 32 or 16, or not set"):
        compiled.widths()


def spend(seconds):
    def trial():
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    return lambda: trial


def test_the_fastest_is_measured_once_and_remembered(cache, tmp_path):
    sources, prepared = units(tmp_path, "float"), []

    def noted(seconds):
        prepared.append(seconds)
        return spend(seconds)()

    ways = {"slow": lambda: noted(0.004), "none": lambda: None, "fast": lambda: noted(0.001)}
    started = time.process_time()
    choice = compiled.fastest("sum", sources, "float32", ways)
    assert time.process_time() - started < 1
    assert choice.way == "fast"
    assert 2 < dict(choice.seconds)["slow"] / dict(choice.seconds)["fast"] < 8
    compiled._CHOSEN.clear()  # another process
    assert compiled.fastest("sum", sources, "float32", ways) == choice
    assert prepared == [0.004, 0.001]
    compiled.fastest("sum", sources, "float64", ways)
    assert len(prepared) == 4


def test_slow_trials_end_within_the_budget(cache, tmp_path):
    started = time.process_time()
    compiled.fastest("sum", units(tmp_path, "float"), "", {"a": spend(0.1), "b": spend(0.1)})
    assert time.process_time() - started < 1


def test_a_draw_goes_to_the_first(cache, tmp_path):
    trial = spend(0.002)
    assert compiled.fastest("sum", units(tmp_path, "float"), "", {"first": trial, "second": trial}).way == "first"


def test_a_forced_width_is_taken_unmeasured(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", "16")
    ways = {"gone": lambda: None, "forced": spend(0.004), "PyTorch": spend(0.001)}
    assert compiled.fastest("sum", units(tmp_path, "float"), "", ways) == compiled.Choice("forced")
    assert not cache.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"way": "gone", "seconds": {}}', '{"way": "a", "seconds": 3}'])
def test_a_damaged_memory_is_measured_anew(cache, tmp_path, content):
    sources, ways = units(tmp_path, "float"), {"a": spend(0.002), "b": spend(0.0005)}
    compiled.fastest("sum", sources, "", ways)
    (kept,) = cache.iterdir()
    kept.write_text(content)
    compiled._CHOSEN.clear()
    assert compiled.fastest("sum", sources, "", ways).way == "b"
    assert json.loads(kept.read_text())["way"] == "b"


def test_no_way_at_all_is_an_error(cache, tmp_path):
    with pytest.raises(ValueError, match="none of a, b can be had"):
        compiled.fastest("sum", units(tmp_path, "float"), "", {"a": lambda: None, "b": lambda: None})
