import warnings

import numpy as np
import pytest
import xarray

from lemmata.sweep import Grid, annotate, sweep
from tests.sweep.bodies import Toy

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0), seed=range(4))


@pytest.fixture
def path(tmp_path):
    sweep(Toy(), GRID, tmp_path / "data.zarr", progress=False)
    return tmp_path / "data.zarr"


def test_theory_stands_beside_the_measurement_on_its_coordinates(path):
    measured = xarray.open_zarr(path)
    kappa = measured.n * measured.signal**2
    kappa.attrs["long_name"] = "signal-to-noise"
    annotate(path, {"kappa": kappa, "holds": True, "verdict": (("claim",), ["yes", "no"])}, {"checked": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xarray.open_zarr(path)
    xarray.testing.assert_identical(found.kappa.load(), kappa.load().rename("kappa"))
    assert found.holds
    assert found.verdict.values.tolist() == ["yes", "no"]
    assert {name: found.attrs[name] for name in found.attrs if name not in ("annotated", "seal")} == {
        **{name: measured.attrs[name] for name in measured.attrs if name not in ("annotated", "seal")},
        "checked": 2,
    }
    xarray.testing.assert_identical(found.value.load(), measured.value.load())


def test_a_second_call_replaces_what_the_first_wrote(path):
    annotate(path, {"bound": (("n",), [1.0, 2.0]), "verdict": (("claim",), [1, 2])}, {"checked": 1})
    found = annotate(path, {"bound": 3.0, "verdict": (("claim",), [1, 2, 3])}, {"checked": 2})
    assert (float(found.bound), found.verdict.size, found.attrs["checked"]) == (3.0, 3, 2)


def test_an_annotated_sweep_is_still_finished(path, tmp_path):
    annotate(path, {"bound": 3.0})
    (tmp_path / "log").mkdir()
    again = sweep(Toy(log=str(tmp_path / "log")), GRID, path, progress=False)
    assert not list((tmp_path / "log").iterdir())
    assert again.bound == 3.0


def test_attributes_must_be_json(path):
    with pytest.raises(TypeError, match="'attributes' are not JSON"):
        annotate(path, {"bound": 3.0}, {"checked": object()})
    assert "bound" not in annotate(path, {}, {"checked": np.float64(0.5)})


@pytest.mark.parametrize(
    ("variables", "attributes", "says"),
    [
        ({"value": 1.0}, {}, "'value' was recorded by the sweep"),
        ({"done": 1.0}, {}, "'done' was recorded"),
        ({}, {"configuration": "{}"}, "'configuration' was recorded"),
        ({"x": (("n",), [1.0])}, {}, "'n' differs from the coordinates"),
        ({"x": xarray.DataArray([1.0, 2.0], {"n": [10, 21]})}, {}, "'n' differs from the coordinates"),
        ({"x": xarray.DataArray([1.0, 2.0], {"n": [20, 10]})}, {}, "'n' differs from the coordinates"),
        ({"x": (("claim",), np.zeros(3))}, {}, "'claim' differs"),
    ],
)
def test_what_was_measured_stays_as_it_was(path, variables, attributes, says):
    annotate(path, {"verdict": (("claim",), [1, 2])})
    before = xarray.open_zarr(path).load()
    with pytest.raises(ValueError, match=says):
        annotate(path, variables, attributes)
    xarray.testing.assert_identical(xarray.open_zarr(path).load(), before)
