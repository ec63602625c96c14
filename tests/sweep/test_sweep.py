"""One dataset, however it was cut and wherever it was kept."""

import json
import warnings

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.sweep import Grid, SweepError, Variable, open_store, plan, sweep
from lemmata.sweep.body import run_tile
from lemmata.sweep.store import open_sweep
from lemmata.sweep.tile import Tile
from tests.sweep.bodies import Random, Toy, Trap, Wrong

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0, 2.0), seed=range(5))


def by_loops(body, grid):
    """The slow twin: every cell on its own, into the place its labels name."""
    sizes = {**grid.dims, "step": 3}
    dataset = xarray.Dataset(coords={axis.name: list(axis.values) for axis in grid.axes} | body.coordinates)
    for name, variable in body.variables.items():
        dims = (*grid.names, *variable.dims)
        dataset[name] = dims, np.zeros([sizes[dim] for dim in dims], variable.dtype)
    for index in np.ndindex(grid.shape):
        point = grid.point(index)
        for name, value in body.cell(**point).items():
            dataset[name].loc[point] = value
    return dataset


@given(cells_per_tile=st.one_of(st.none(), st.integers(1, 30)), stored=st.booleans())
@settings(max_examples=12, deadline=None)
def test_the_dataset_does_not_depend_on_how_it_is_cut_or_kept(tmp_path_factory, cells_per_tile, stored):
    path = tmp_path_factory.mktemp("cut") / "data.zarr" if stored else None
    found = sweep(Toy(), GRID, path, cells_per_tile=cells_per_tile, progress=False)
    assert found.done.all()
    xarray.testing.assert_identical(found.drop_vars("done").drop_attrs(), by_loops(Toy(), GRID).drop_attrs())
    assert all(found[name].dtype == variable.dtype for name, variable in Toy.variables.items())


def test_cells_that_share_a_seed_draw_the_same_in_any_tile():
    grid = Grid.of(signal=(1.0, 2.0), seed=range(7))
    whole, single = (sweep(Random(), grid, cells_per_tile=k, progress=False).value for k in (14, 1))
    np.testing.assert_array_equal(whole, single)
    np.testing.assert_array_equal(2 * whole.sel(signal=1.0), whole.sel(signal=2.0))


def test_the_store_says_what_ran(tmp_path):
    sweep(Toy(), GRID, tmp_path / "data.zarr", progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xarray.open_zarr(tmp_path / "data.zarr")
    assert json.loads(found.attrs["configuration"]) == {
        "scale": 2.0,
        "device": "cpu",
        "rule": {"lr": 0.1, "betas": [0.9, 0.99]},
    }
    (versions,) = json.loads(found.attrs["versions"])
    assert set(versions) == {"lemmata", "python", "torch", "numpy", "xarray", "zarr", "cells"}
    assert versions["cells"] == GRID.cells
    assert found.attrs["device"] == "cpu"
    assert found.attrs["wall_seconds"] > 0
    assert {"lemmata", "created"} <= set(found.attrs)
    assert found.value.attrs == {"units": "m", "long_name": "the value"}
    assert found.value.dims == ("n", "signal", "seed")


def test_coordinates_carry_their_units_and_text_its_values(tmp_path):
    from lemmata.sweep import Axis

    grid = Grid((Axis("signal", (0.5, 1.0), "dB", "signal strength"), Axis("act", ("relu", "gelu"))))
    found = sweep(Toy(), grid, tmp_path / "data.zarr", progress=False)
    assert found.signal.attrs == {"units": "dB", "long_name": "signal strength"}
    assert float(found.value.sel(act="gelu", signal=1.0)) == 2.0


def test_cells_not_yet_run_read_as_missing(tmp_path):
    with pytest.raises(SweepError):
        sweep(Trap(), GRID, tmp_path / "data.zarr", cells_per_tile=1, progress=False)
    found = open_store(tmp_path / "data.zarr")
    assert int(found.done.sum()) == 2
    later = found.isel(n=0, signal=0, seed=2)
    assert np.isnan(later.value)
    assert np.isnan(later.path).all()
    assert (later.status, later.large, later.done) == (-1, False, False)


def test_a_failing_tile_is_named_and_what_was_finished_is_kept(tmp_path):
    path = tmp_path / "data.zarr"
    with pytest.raises(SweepError, match=r"tile 2 \(n=10, signal=0.5, seed=2\) failed with ArithmeticError") as caught:
        sweep(Trap(), GRID, path, cells_per_tile=1, progress=False)
    assert f"2 of 30 tiles are kept in {path}" in str(caught.value)
    assert isinstance(caught.value.__cause__, ArithmeticError)
    mended = sweep(Trap(at=99), GRID, path, progress=False)
    assert mended.load().equals(sweep(Toy(), GRID, progress=False))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("missing", "run returned value and the body names large, path, status, value"),
        ("shape", r"'path' came back as \(15, 2\), expected \(15, 3\)"),
        ("dtype", "'status' came back as float64, declared int8"),
    ],
)
def test_a_body_that_returns_something_else_is_refused(given, says):
    with pytest.raises(SweepError, match=says):
        sweep(Wrong(given=given), GRID, progress=False)


class Described(Toy):
    """A body with another description."""

    def __init__(self, **changed):
        for name, value in changed.items():
            object.__setattr__(self, name, value)


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"variables": {}}, ValueError, "names no variables"),
        ({"variables": {"n": Variable()}}, ValueError, "'n' is also an axis"),
        ({"variables": {"done": Variable()}}, ValueError, "'done' is also"),
        ({"variables": {"value": Variable(("time",))}}, ValueError, "has dimension 'time'"),
        ({"variables": {"value": Variable(dtype="complex128")}}, ValueError, "complex128"),
        ({"coordinates": {"seed": np.arange(3)}}, ValueError, "'seed' is also an axis"),
        ({"coordinates": {"step": np.zeros((2, 2))}}, ValueError, r"shape \(2, 2\)"),
        ({"coordinates": {"step": np.array([np.nan])}}, ValueError, "or NaN"),
        ({"configuration": lambda: {"f": print}}, TypeError, "not JSON"),
        ({"shape_axes": lambda grid: ("depth",)}, ValueError, "shape axis 'depth'"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, changed, error, says):
    with pytest.raises(error, match=says):
        sweep(Described(**changed), GRID, tmp_path / "data.zarr", progress=False)
    assert not list(tmp_path.iterdir())


def test_bad_arguments_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="cells_per_tile is 0"):
        sweep(Toy(), GRID, tmp_path / "data.zarr", cells_per_tile=0, progress=False)
    with pytest.raises(ValueError, match="executor 'thread' is unknown"):
        sweep(Toy(), GRID, tmp_path / "data.zarr", executor="thread", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_part_of_a_tile_is_written_beside_what_is_there(tmp_path):
    planned = plan(Toy(), GRID, cells_per_tile=5)
    with open_sweep(planned, tmp_path / "data.zarr") as store:
        first = planned.cut[0]
        odd = Tile(GRID, 0, first.sides, rest=(1, 3))
        store.write(odd, run_tile(planned.body, odd.points))
        assert store.done().ravel()[:5].tolist() == [False, True, False, True, False]
        left = store.pending()[0]
        assert left.rest == (0, 2, 4)
        assert [point["seed"] for point in left.points] == [0, 2, 4]
    found = sweep(planned, store=tmp_path / "data.zarr", progress=False)
    assert found.load().equals(sweep(Toy(), GRID, progress=False))
