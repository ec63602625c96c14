"""Intervals are Student's over seeds, hold together, and follow an estimate into ratios and differences."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from lemmata.claims import Estimate, NotMeasurable, mean

RNG = np.random.default_rng(3)
ARRAY = xr.DataArray(RNG.gamma(3.0, size=(3, 9)), {"n": [1, 2, 3], "seed": range(9)})


def test_the_interval_is_student_s_with_one_correction_for_all_entries():
    found = mean(ARRAY)
    for k in range(3):
        numbers = ARRAY.values[k]
        low, high = stats.t.interval(1 - 0.05 / 3, 8, numbers.mean(), stats.sem(numbers))
        assert float(found.low[k]) == pytest.approx(low, rel=1e-12)
        assert float(found.high[k]) == pytest.approx(high, rel=1e-12)


def test_missing_seeds_are_not_counted():
    holed = ARRAY.where(ARRAY.seed != 4)
    assert mean(holed).count.values.tolist() == [8, 8, 8]
    assert float(mean(holed).high[0]) == pytest.approx(float(mean(holed.dropna("seed")).high[0]))
    empty = mean(ARRAY.where(ARRAY.n > 1))
    assert np.isnan(empty.high[0])
    two = mean(ARRAY[1:])
    assert float(empty.high[1]) == pytest.approx(float(two.high[0]))  # the family is what is there


def test_the_logarithm_of_a_mean_has_the_delta_method_s_error():
    found = mean(ARRAY, log=True)
    assert found.value.values == pytest.approx(ARRAY.mean("seed").values)
    error = found.each.std("seed", ddof=1) / 3
    assert error.values == pytest.approx((ARRAY.std("seed", ddof=1) / ARRAY.mean("seed") / 3).values)


def test_ratios_are_paired_seed_by_seed():
    """Draws that are shared cancel: the interval of a constant ratio is a point."""
    double = Estimate(np.log(2 * ARRAY), log=True).over(Estimate(np.log(ARRAY), log=True))
    assert double.low.values == pytest.approx([2, 2, 2])
    assert double.high.values == pytest.approx([2, 2, 2])
    shifted = Estimate(ARRAY + 1).minus(Estimate(ARRAY))
    assert shifted.high.values == pytest.approx([1, 1, 1])


def test_pairs_compare_every_two_entries_the_larger_first():
    pairs = Estimate(np.log(xr.DataArray([1.0, 4.0, 2.0], dims="n") * ARRAY.isel(n=0, drop=True)), log=True).pairs("n")
    assert sorted(pairs.value.values.tolist()) == pytest.approx([2, 2, 4])


def test_an_interval_needs_seeds():
    with pytest.raises(NotMeasurable, match="no such axis"):
        mean(ARRAY.isel(seed=0))
