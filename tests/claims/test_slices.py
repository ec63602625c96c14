"""Slices: values up to rounding, what is missing named, the worst cell; and which cells count."""

import numpy as np
import pytest
import xarray as xr

from lemmata.claims import NotMeasurable, among, at, extremes, left_out, need, one_of_each, unusable, usable, worst
from tests.claims.datasets import cells


def test_at_finds_values_up_to_rounding():
    data = cells(n=3, v0=2, seed=2).assign_coords(v0=[0.5, 5.0], d=2000, model=("v0", ["a", "b"]))
    assert float(at(data, v0=0.5 * (1 + 1e-12)).v0) == 0.5
    assert at(data, d=2000).sizes == data.sizes
    assert float(at(data.test_error, n=20, v0=5.0)[0]) == float(data.test_error[1, 1, 0])
    assert float(at(data, model="b").v0) == 5.0
    with pytest.raises(NotMeasurable, match="no axis 'depth'"):
        at(data, depth=3)
    with pytest.raises(NotMeasurable, match="needs d = 1000"):
        at(data, d=1000)
    with pytest.raises(NotMeasurable, match="needs model = c"):
        at(data, model="c")


def test_what_a_claim_needs_is_said():
    data = cells(n=2, seed=1)
    need(data, n=2, seed=1)
    with pytest.raises(NotMeasurable, match="needs 3 or more values of n; there are 2"):
        need(data, n=3)
    with pytest.raises(NotMeasurable, match="needs 2 or more values of d; there are 0"):
        need(data, d=2)
    assert float(among(data.test_error, data.n <= 10, "n ≤ 10").count()) == 1
    with pytest.raises(NotMeasurable, match="no cell has n ≤ 5"):
        among(data.test_error, data.n <= 5, "n ≤ 5")


def test_the_worst_value_has_a_place():
    array = xr.DataArray([[1.0, np.nan], [3.0, -7.0]], {"n": [10, 20], "model": ["a", "b"]})
    assert (float(worst(array)), str(worst(array))) == (3.0, "n = 20, model = a")
    assert float(worst(array, largest=False)) == -7.0
    assert float(worst(array, by=abs(array))) == -7.0
    assert float(worst(xr.DataArray(2.0))) == 2.0
    with pytest.raises(NotMeasurable):
        worst(array * np.nan)


def test_one_of_each_and_extremes():
    data = cells(v0=2, n=3, seed=2).assign_coords(d=7)
    part, said = one_of_each(data, "n")
    assert (dict(part.test_error.sizes), said) == ({"n": 3, "seed": 2}, " (v0 = 1)")
    assert extremes(data, "n") == [30, 10]
    assert extremes(data, "d") == [7]
    with pytest.raises(NotMeasurable, match="does not record 'depth'"):
        extremes(data, "depth")


def test_diverged_missing_and_unfitted_cells_are_masked_and_counted():
    data = cells(v0=2, n=3, seed=4)
    data.status[0, 0, 0], data.status[0, 0, 1] = 2, -1
    data.train_loss[1, 2, 3] = np.nan
    data.train_loss[0, 0, 0] = 9.0  # diverged: counted once
    data.test_error[0, 0, 0] = 1e9
    out = left_out(data, not_fitted=~(data.train_loss <= 0.02))
    assert out.counts == {"not run": 1, "diverged": 1, "not fitted": 1}
    assert str(out) == "3 of 24 cells left out: 1 not run, 1 diverged, 1 not fitted"
    kept = usable(data, not_fitted=~(data.train_loss <= 0.02))
    assert int(kept.test_error.isnull().sum()) == 3
    assert float(kept.test_error.max()) < 1
    assert dict(kept.sizes) == dict(data.sizes)
    assert kept.test_error.dims == data.test_error.dims
    assert kept.steps.dtype == np.int64
    assert int(unusable(data).sum()) == 1
    assert str(left_out(cells(n=2, seed=2))) == ""


def test_reasons_may_have_fewer_or_more_dimensions():
    data = cells(n=3, seed=4)
    assert left_out(data, small=data.n < 15).counts == {"small": 4}
    steps = xr.DataArray([True, False], dims="step") & (data.seed == 1)
    assert left_out(data, sometime=steps).counts == {"sometime": 3}


def test_a_dataset_of_somebody_else_has_no_status():
    data = cells(n=3, seed=4).drop_vars("status")
    assert usable(data) is data
    assert int(usable(data, low=data.test_error < 0.15).test_error.isnull().sum()) > 0
