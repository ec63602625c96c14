import io

import pytest
from rich.console import Console

from lemmata.sweep import Grid, explain
from lemmata.sweep.progress import Report, duration
from tests.sweep.bodies import Toy

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0, 2.0), seed=range(5))


def test_a_plan_counts_cells_tiles_memory_and_time():
    plan = explain(Toy(), GRID, cells_per_tile=5, workers=4)
    assert (plan.cells, plan.tiles, plan.tile_shape) == (30, 6, (1, 1, 5))
    assert plan.tile_bytes == 5 * 20_000
    assert plan.memory_bytes == 4 * plan.tile_bytes
    assert plan.dataset_bytes == 30 * (8 + 3 * 4 + 1 + 1)
    # One millisecond per cell and unit of n, fifteen cells of each n, four at once.
    assert plan.seconds == pytest.approx(0.001 * (15 * 10 + 15 * 20) / 4)


def test_more_workers_than_tiles_do_not_help():
    assert explain(Toy(), GRID, workers=100).seconds == explain(Toy(), GRID, workers=2).seconds


def test_a_plan_reads_well_plain_and_in_rich():
    plan = explain(Toy(), Grid.of(n=(10, 30), signal=(0.5, 1.0, 2.0), seed=range(5)), cells_per_tile=5)
    assert str(plan).splitlines() == [
        "cells   30 = 2 n × 3 signal × 5 seed",
        "tiles   6 of at most 5 cells = 1 n × 1 signal × 5 seed",
        "memory  150 kB at work, 660 B of results",
        "time    about 0.6 s with 1 worker",
    ]
    console = Console(file=io.StringIO(), width=100)
    console.print(plan)
    assert "30 = 2 n × 3 signal × 5 seed" in console.file.getvalue()


def test_a_plan_needs_a_worker():
    with pytest.raises(ValueError, match="workers is 0"):
        explain(Toy(), GRID, workers=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.99, "10.0 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s"), (12000, "3 h 20 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_without_a_terminal_a_plain_line_now_and_then_and_none_when_not_asked(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 40.0, 50.0])
    monkeypatch.setattr("lemmata.sweep.progress.time.monotonic", lambda: next(clock))
    with Report(100, 20) as report:
        for _ in range(3):
            report.advance(20)
    assert capsys.readouterr().err == "sweep: 60 of 100 cells, 1 cells/s, 40 s left\n"
    monkeypatch.setattr("lemmata.sweep.progress.time.monotonic", lambda: 1e9)
    with Report(100, 0, shown=False) as report:
        report.advance(20)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_a_bar_with_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with Report(40, 0) as report:
        report.advance(20)
    shown = capsys.readouterr().err
    assert "20/40" in shown
    assert "cells/s" in shown
    assert "left" in shown


def test_forced_colours_do_not_make_a_pipe_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Report(40, 0) as report:
        report.advance(20)
    assert capsys.readouterr().err == ""


def test_time_left_is_that_of_recent_tiles(capsys, monkeypatch):
    """Twenty slow tiles, then quick ones: the slow ones are forgotten."""
    moments = [0.0, *(10.0 * k for k in range(1, 21)), *(200.0 + k for k in range(1, 41))]
    clock = iter(moments)
    monkeypatch.setattr("lemmata.sweep.progress.time.monotonic", lambda: next(clock))
    with Report(1000, 0) as report:
        for _ in moments[1:]:
            report.advance(10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("1 cells/s, 16 min 00 s left")
    assert lines[-1].endswith("10 cells/s, 49 s left")
