"""Under which versions a store was computed, and what is said when it is finished under others."""

import json
import warnings

import pytest

import lemmata as lm
from lemmata.sweep import Grid, SweepError, open_store, plan, sweep
from lemmata.sweep.versions import begun
from tests.sweep.bodies import Toy, Trap

GRID = Grid.of(n=(10, 20), seed=range(4))


@pytest.fixture
def path(tmp_path):
    with pytest.raises(SweepError):
        sweep(Trap(at=3), GRID, tmp_path / "data.zarr", cells_per_tile=1, progress=False)
    return tmp_path / "data.zarr"


def entries(path):
    return json.loads(open_store(path).attrs["versions"])


def test_a_store_finished_under_other_versions_says_so_and_counts_the_cells(path, monkeypatch):
    assert [entry["cells"] for entry in entries(path)] == [3]
    there = lm.sweep.versions.metadata.version
    monkeypatch.setattr(lm.sweep.versions.metadata, "version", lambda name: "9.9" if name == "torch" else there(name))
    with pytest.warns(UserWarning, match=r"is finished under other versions \(torch .* then and 9.9 now\); num"):
        found = sweep(Toy(), GRID, path, progress=False)
    assert found.load().equals(sweep(Toy(), GRID, progress=False))
    first, second = entries(path)
    assert (first["cells"], second["cells"], second["torch"]) == (3, 5, "9.9")
    assert {name: first[name] for name in first if name not in ("torch", "cells")}.items() <= second.items()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(Toy(), GRID, path, progress=False)


def test_another_minor_version_of_lemmata_is_refused_unless_asked_for(path, monkeypatch):
    begun = lm.__version__
    monkeypatch.setattr(lm, "__version__", "0.7.1")
    before = (path / "zarr.json").read_text()
    with pytest.raises(
        ValueError, match=rf"begun under another version \(lemmata {begun} then and 0.7.1 now\)"
    ) as caught:
        sweep(Toy(), GRID, path, progress=False)
    assert "--mix-versions (mix_versions=True)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (path / "zarr.json").read_text() == before
    with pytest.warns(UserWarning, match="numbers may differ"):
        sweep(Toy(), GRID, path, mix_versions=True, progress=False)
    assert [(entry["lemmata"], entry["cells"]) for entry in entries(path)] == [(begun, 3), ("0.7.1", 5)]


def test_what_changes_no_numbers_is_recorded_without_a_word(path, monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(Toy(), GRID, path, progress=False)
    assert [entry["python"] for entry in entries(path)][1:] == ["3.99.0"]


def test_a_killed_session_is_counted_by_the_next():
    """The kill left the count at 0, though 7 cells were stored."""
    old, now = {"lemmata": "1.2.0", "cells": 0}, {"lemmata": "1.2.0"}
    assert begun([old], now, 7, False, "here") == [{**old, "cells": 7}]
    assert begun([{"lemmata": "1.1.0", "cells": 4}, old], now, 7, False, "here")[1]["cells"] == 3
    with pytest.warns(UserWarning, match="lemmata 1.2.0 then and 1.2.1 now"):
        found = begun([old], {"lemmata": "1.2.1"}, 7, False, "here")
    assert [entry["cells"] for entry in found] == [7, 0]
    assert begun([old], {"lemmata": "2.0.0"}, 0, False, "here") == [{"lemmata": "2.0.0", "cells": 0}]


def test_a_training_records_what_takes_its_steps():
    run = lm.Run(lm.SignalNoise(8, 100, 2.0), lm.TwoLayerCNN(2), steps=3, engine="direct")
    found = sweep(run, Grid.of(seed=(0,)), progress=False)
    assert json.loads(found.attrs["versions"])[0]["kernel"].startswith("direct engine in PyTorch")
    assert "steps   direct engine in PyTorch" in str(plan(run, Grid.of(seed=(0,))))
