"""Counts: whole numbers of cells, and shares of independent draws with exact limits."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from lemmata.claims import NotMeasurable, count_at_most, share_at_most
from lemmata.claims.counts import binomial_interval


def failures(*cells):
    bad = xr.DataArray(np.zeros((2, 4, 30), bool), {"v0": [0.5, 5.0], "n": [10, 20, 40, 80], "seed": range(30)})
    for cell in cells:
        bad[cell] = True
    return bad


def test_a_count_says_how_many_of_how_many_and_where():
    assert count_at_most(0, failures()).holds
    found = count_at_most(0, failures((0, 1, 7)), of="networks")
    assert (found.holds, found.measured, found.tolerance) == (False, "1 of 240 networks", "no network")
    assert found.detail == "one at v0 = 0.5, n = 20, seed = 7"
    assert count_at_most(1, failures((0, 1, 7))).holds


def test_cells_that_share_a_data_set_fail_together():
    both = failures((0, 1, 7), (1, 1, 7))
    found = share_at_most(0.05, both, per=("n", "seed"))
    assert found.holds is True
    assert found.measured == "1 of 120 data sets: 0.8% [0.02%, 4.6%]; 2 of 240 cells"
    assert found.tolerance == "≤ 5 % of data sets"
    assert share_at_most(0.01, both, per=("n", "seed")).holds is None
    assert share_at_most(0.001, failures((0, 0, slice(None))), per=("n", "seed")).holds is False
    with pytest.raises(NotMeasurable, match="'d'"):
        share_at_most(0.05, both, per=("d", "seed"))


@pytest.mark.parametrize(("count", "size"), [(0, 12), (1, 120), (7, 20), (20, 20)])
def test_the_interval_is_clopper_and_pearson_s(count, size):
    exact = stats.binomtest(count, size).proportion_ci(0.95, "exact")
    assert binomial_interval(count, size) == pytest.approx((exact.low, exact.high), abs=1e-12)
