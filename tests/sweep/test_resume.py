"""Kill it any time; run it again; refuse what is not the same sweep, whole."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from lemmata.sweep import Grid, SweepError, SweepInterrupted, open_store, plan, seal, store, sweep
from lemmata.sweep.store import open_sweep
from tests.sweep import kill_again_and_again
from tests.sweep.bodies import Checkpointed, Toy, Trap

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0), seed=range(4))


def runs(folder):
    return len(list(folder.iterdir()))


def test_killed_at_any_instant_and_run_again_it_equals_the_uninterrupted_one(tmp_path):
    command = [sys.executable, "-m", "tests.sweep.kill_again_and_again", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20
    found = open_store(tmp_path / "data.zarr")
    whole = sweep(Toy(), kill_again_and_again.GRID, progress=False)
    xarray.testing.assert_identical(found.drop_attrs(), whole.drop_attrs())
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.zarr"]
    assert not list(tmp_path.rglob("*.partial"))


def test_a_finished_sweep_runs_nothing(tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    first = sweep(Toy(log=str(log)), GRID, tmp_path / "data.zarr", cells_per_tile=3, progress=False).load()
    assert runs(log) == 8  # 2 n x 2 signal x 2 pieces of 4 seeds
    again = sweep(Toy(log=str(log)), GRID, tmp_path / "data.zarr", progress=False)
    assert runs(log) == 8
    xarray.testing.assert_identical(first, again)


def test_ctrl_c_keeps_finished_tiles_and_says_how_many(tmp_path):
    log, path = tmp_path / "log", tmp_path / "data.zarr"
    log.mkdir()
    with pytest.raises(SweepInterrupted, match=rf"2 of 16 tiles are kept in {path}, run again to resume"):
        sweep(Trap(what="interrupt", log=str(log)), GRID, path, cells_per_tile=1, progress=False)
    with pytest.raises(KeyboardInterrupt, match="nothing is kept without a store"):
        sweep(Trap(what="interrupt"), GRID, cells_per_tile=1, progress=False)
    assert runs(log) == 2
    found = sweep(Toy(log=str(log)), GRID, path, progress=False)
    assert runs(log) == 16
    assert found.load().equals(sweep(Toy(), GRID, progress=False))


class Other(Toy):
    def configuration(self):
        return {**super().configuration(), "rule": {"lr": 0.2, "betas": (0.9, 0.99)}, "size": "large"}


@pytest.mark.parametrize(
    ("body", "axes", "says"),
    [
        (Toy(3.0), {}, "scale was 2.0, now 3.0"),
        (Other(), {}, "rule.lr was 0.1, now 0.2; size was absent, now 'large'"),
        (Toy(), {"signal": (0.5, 2.0)}, r"signal was \(0.5, 1.0\), now \(0.5, 2.0\)"),
        (Toy(), {"m": (1, 2)}, r"m was absent, now \(1, 2\)"),
        (Toy(), {"seed": range(1, 501)}, r"seed was \(0, 1, 2, 3\), now \(1, 2, .*500 long"),
    ],
)
def test_another_sweep_is_refused_with_the_difference_named(tmp_path, body, axes, says):
    path = tmp_path / "data.zarr"
    sweep(Toy(), GRID, path, progress=False)
    before = sorted(path.rglob("*"))
    other = Grid.of(**{axis.name: axis.values for axis in GRID.axes} | axes)
    with pytest.raises(ValueError, match=says) as caught:
        sweep(body, other, path, progress=False)
    assert "holds another sweep" in str(caught.value)
    assert "choose another folder or remove this one" in str(caught.value)
    assert sorted(path.rglob("*")) == before


def test_axes_in_another_order_and_other_tiles_are_refused(tmp_path):
    path = tmp_path / "data.zarr"
    sweep(Toy(), GRID, path, cells_per_tile=4, progress=False)
    with pytest.raises(ValueError, match=r"order was \('n', 'signal', 'seed'\), now \('n', 'seed', 'signal'\)"):
        sweep(Toy(), Grid((GRID.axes[0], GRID.axes[2], GRID.axes[1])), path, progress=False)
    with pytest.raises(ValueError, match=r"tiles of 1x1x4 cells, cells_per_tile=2 asks for 1x1x2; leave cells_per"):
        sweep(Toy(), GRID, path, cells_per_tile=2, progress=False)


def _lose_chunk(path):
    (path / "value/c/1/0/0").unlink()


def _empty_chunk(path):
    (path / "path/c/0/0/0/0").write_bytes(b"")


def _lose_variable(path):
    shutil.rmtree(path / "status")


def _cut_metadata(path):
    text = (path / "value/zarr.json").read_text()
    (path / "value/zarr.json").write_text(text[: len(text) // 2])


def _cut_marks(path):
    (path / "done/c/0/0/0").write_bytes((path / "done/c/0/0/0").read_bytes()[:5])


def _lose_coordinate(path):
    (path / "signal/c/0").unlink()


def _flip_byte(path):
    content = bytearray((path / "value/c/1/0/0").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "value/c/1/0/0").write_bytes(content)


def _cut_chunk(path):
    (path / "path/c/0/0/0/0").write_bytes((path / "path/c/0/0/0/0").read_bytes()[:20])


def _foreign_chunk(path):
    (path / "value/c/1/0/0").write_text("hello, this is not a chunk")


def _swap_chunk(path):
    (path / "value/c/1/0/0").write_bytes((path / "value/c/0/0/0").read_bytes())


def _swap_variable(path):
    (path / "value/c/1/0/0").write_bytes((path / "path/c/1/0/0/0").read_bytes())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_swap_chunk, r"value/c/1/0/0 of tile 1 \(n=20, .*\) is another chunk than was written there"),
        (_swap_variable, r"value/c/1/0/0 of tile 1 \(n=20, .*\) is another chunk than was written there"),
        (_lose_chunk, r"value/c/1/0/0 of tile 1 \(n=20, signal=0.5..1.0, seed=0..3\) is missing"),
        (_empty_chunk, r"path/c/0/0/0/0 of tile 0 \(n=10, .*\) is empty"),
        (_flip_byte, r"value/c/1/0/0 of tile 1 \(n=20, .*\) fails its checksum"),
        (_cut_chunk, r"path/c/0/0/0/0 of tile 0 \(n=10, .*\) fails its checksum"),
        (_foreign_chunk, r"value/c/1/0/0 of tile 1 .* fails its checksum"),
        (_cut_marks, r"done/c/0/0/0 of tile 0 \(n=10, .*\) fails its checksum"),
    ],
)
def test_a_chunk_that_is_not_whole_is_named_and_mended_when_asked(tmp_path, damage, says):
    path, log = tmp_path / "data.zarr", tmp_path / "log"
    log.mkdir()
    whole = sweep(Toy(log=str(log)), GRID, path, progress=False).load()
    assert runs(log) == 2
    damage(path)
    for use in (lambda: sweep(Toy(log=str(log)), GRID, path, progress=False), lambda: open_store(path)):
        with pytest.raises(ValueError, match=says) as caught:
            use()
        assert str(caught.value).startswith(f"{path} is damaged")
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith("run again with --repair (repair=True) to compute such tiles anew")
    mended = sweep(Toy(log=str(log)), GRID, path, repair=True, progress=False)
    assert runs(log) == 3
    assert mended.load().equals(whole)
    assert open_store(path).load().equals(whole)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_lose_variable, "is damaged, status is missing; remove it and run again"),
        (_cut_metadata, "value/zarr.json was changed after it was written"),
        (_lose_coordinate, "is damaged, the values of signal are not those recorded; remove it and run again"),
    ],
)
def test_a_store_that_lost_what_no_tile_mends_is_refused(tmp_path, damage, says):
    path = tmp_path / "data.zarr"
    sweep(Toy(), GRID, path, progress=False)
    damage(path)
    for use in (lambda: sweep(Toy(), GRID, path, repair=True, progress=False), lambda: open_store(path)):
        with pytest.raises(ValueError, match=says) as caught:
            use()
        assert "\n" not in str(caught.value)


def _file(path):
    path.write_text("hello")


def _folder(path):
    path.mkdir()
    (path / "notes.txt").write_text("hello")


def _truncated(path):
    sweep(Toy(), GRID, path, progress=False)
    (path / "zarr.json").write_text((path / "zarr.json").read_text()[:100])


def _foreign(path):
    xarray.Dataset({"x": 1}).to_zarr(path)


def _bare(path):
    zarr.create_group(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_file, "is a file, not the folder of a sweep"),
        (_folder, "has no zarr.json and holds notes.txt"),
        (_truncated, "truncated or unreadable"),
        (_foreign, "no sweep of this version wrote"),
        (_bare, "no sweep of this version wrote"),
    ],
)
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_what_is_not_a_sweep_is_refused_and_left_alone(tmp_path, make, says):
    path = tmp_path / "data.zarr"
    make(path)
    before = {entry: entry.read_bytes() for entry in [path, *path.rglob("*")] if entry.is_file()}
    for use in (lambda: sweep(Toy(), GRID, path, progress=False), lambda: open_store(path)):
        with pytest.raises(ValueError, match=says):
            use()
    assert {entry: entry.read_bytes() for entry in [path, *path.rglob("*")] if entry.is_file()} == before


def test_an_unwritable_folder_is_refused_before_anything_runs(tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "data.zarr", Path("/proc/none/data.zarr")):
        with pytest.raises(OSError, match=f"cannot write {path} .*; choose a folder that can be written"):
            sweep(Toy(log=str(log)), GRID, path, progress=False)
    assert not runs(log)


def test_an_empty_folder_is_a_place_to_start(tmp_path):
    (tmp_path / "data.zarr").mkdir()
    assert sweep(Toy(), GRID, tmp_path / "data.zarr", progress=False).done.all()


def test_two_processes_do_not_sweep_into_one_folder(tmp_path):
    path = tmp_path / "data.zarr"
    with open_sweep(plan(Toy(), GRID), path), pytest.raises(OSError, match=f"another process is sweeping into {path}"):
        sweep(Toy(), GRID, path, progress=False)
    assert sweep(Toy(), GRID, path, progress=False).done.all()


def test_opening_what_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the sweep first"):
        open_store(tmp_path / "data.zarr")


def test_a_body_with_checkpoints_goes_on_from_them(tmp_path):
    grid, path = Grid.of(seed=range(3)), tmp_path / "data.zarr"
    with pytest.raises(SweepError, match="out of luck"):
        sweep(Checkpointed(fail_at=2), grid, path, cells_per_tile=1, progress=False)
    assert len(list((tmp_path / "data.zarr.scratch").glob("*/checkpoint"))) == 1
    resumed = sweep(Checkpointed(), grid, path, progress=False)
    straight = sweep(Checkpointed(), grid, cells_per_tile=1, progress=False)
    np.testing.assert_array_equal(resumed.first_step, [2, 0, 0])
    np.testing.assert_array_equal(resumed.value, straight.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.zarr"]


def test_checkpoints_of_a_store_since_removed_are_not_taken_up(tmp_path):
    grid, path = Grid.of(seed=range(3)), tmp_path / "data.zarr"
    with pytest.raises(SweepError):
        sweep(Checkpointed(fail_at=2), grid, path, cells_per_tile=1, progress=False)
    shutil.rmtree(path)
    assert (sweep(Checkpointed(), grid, path, cells_per_tile=1, progress=False).first_step == 0).all()


def test_wall_time_adds_up_over_sessions(tmp_path):
    path = tmp_path / "data.zarr"
    with pytest.raises(SweepError):
        sweep(Trap(seconds=0.02), GRID, path, cells_per_tile=1, progress=False)
    first = open_store(path).attrs["wall_seconds"]
    second = sweep(Toy(seconds=0.02), GRID, path, progress=False).attrs["wall_seconds"]
    assert first >= 0.04
    assert second >= first + 14 * 0.02
    assert json.loads((path / "zarr.json").read_text())["attributes"]["wall_seconds"] == second


def no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_says_what_is_kept_and_the_next_run_goes_on(tmp_path, monkeypatch):
    path, tiles, write_part, write_json = tmp_path / "data.zarr", [], store.write_part, seal.write_json

    def part(array, tile, values):
        tiles.append(tile.index)
        return no_room() if tiles[-1] >= 3 else write_part(array, tile, values)

    monkeypatch.setattr(store, "write_part", part)
    monkeypatch.setattr(seal, "write_json", lambda *given: no_room() if tiles else write_json(*given))
    with pytest.raises(SweepError) as caught:
        sweep(Toy(), GRID, path, cells_per_tile=1, progress=False)
    monkeypatch.undo()
    assert str(caught.value) == (
        f"cannot write {path} (No space left on device); 3 of 16 tiles are kept in {path}, make room and run again to "
        "resume"
    )
    assert sweep(Toy(), GRID, path, progress=False).load().equals(sweep(Toy(), GRID, progress=False))


def test_a_disk_full_from_the_start_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(seal, "write_json", no_room)
    with pytest.raises(OSError, match=r"cannot write .*data.zarr \(No space left on device\)"):
        sweep(Toy(), GRID, tmp_path / "data.zarr", progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["s3://bucket/run", "memory://run", "gs://b/r", "file:///tmp/run", "https://x/y"])
def test_an_address_is_refused_with_the_reason_and_makes_no_folder(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    kind = address.split(":")[0]
    for place in (address, Path(address)):
        for use in (lambda: sweep(Toy(), GRID, place, progress=False), lambda: open_store(place)):  # noqa: B023
            with pytest.raises(ValueError, match=f"is an address of {kind}, and a sweep writes into a folder, as it"):
                use()
    assert not list(tmp_path.iterdir())


def test_a_kill_between_a_chunk_and_its_sum_is_no_damage(tmp_path, monkeypatch):
    """Also where other cells of that chunk are done, as after growing."""
    path, large = tmp_path / "data.zarr", Grid.of(n=(10, 20), signal=(0.5, 1.0), seed=range(6))
    sweep(Toy(), GRID, path, progress=False)
    monkeypatch.setattr(store, "note_end", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sweep(Toy(), large, path, progress=False)
    monkeypatch.undo()
    assert int(open_store(path).done.sum()) == GRID.cells
    with open(path / "sums", "a") as file:
        file.write("\n0,0,0 1234")  # a line that was cut
    assert sweep(Toy(), large, path, progress=False).load().equals(sweep(Toy(), large, progress=False))
