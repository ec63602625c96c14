"""A tolerance prints the limit that it tests, judges whole arrays and whole intervals, and says where the worst is."""

import math
import re
from decimal import Decimal

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.claims import (
    Estimate,
    NotMeasurable,
    above,
    alike,
    all_of,
    at_least,
    at_most,
    below,
    between,
    factor,
    in_order,
    within,
)
from lemmata.claims.band import shortest

ONE_SIDED = {at_most: (-1, True), below: (-1, False), at_least: (1, True), above: (1, False)}
limits = st.floats(1e-6, 1e6) | st.sampled_from([0.02, 0.05, 1.25, 1e-4, 5000.0])


def numbers(text):
    return [float(found) for found in re.findall(r"-?\d[\d.]*(?:e[+-]?\d+)?", text)]


@pytest.mark.parametrize("tolerance", ONE_SIDED)
@settings(max_examples=30, deadline=None)
@given(limit=limits)
def test_the_printed_limit_is_the_tested_one(tolerance, limit):
    """The number read back from the table is where the verdict turns, to the last bit."""
    sign, closed = ONE_SIDED[tolerance]
    (printed,) = numbers(tolerance(limit, 1.0).tolerance)
    assert printed == limit
    assert tolerance(limit, printed).holds is closed
    assert tolerance(limit, math.nextafter(printed, sign * math.inf)).holds is True
    assert tolerance(limit, math.nextafter(printed, -sign * math.inf)).holds is False


@settings(max_examples=30, deadline=None)
@given(limit=st.floats(1e-4, 0.5))
def test_printed_limits_in_per_cent_factors_and_bands_are_the_tested_ones(limit):
    per_cent = within(limit, 1.0, 1.0, relative=True).tolerance.removeprefix("± ").removesuffix(" %")
    assert float(Decimal(per_cent) / 100) == limit
    assert numbers(within(limit, 1.0, 1.0).tolerance) == [limit]
    assert numbers(between(limit, 2.0, 1.0).tolerance) == [limit, 2.0]
    assert numbers(factor(1 + limit, 1.0).tolerance) == [1 + limit]
    assert numbers(alike(1 + limit, xr.DataArray([1.0])).tolerance) == [1 + limit]


def test_texts_of_tolerances():
    assert at_most(0.02, 0.01, where="in every cell").tolerance == "≤ 0.02 in every cell"
    assert below(0.02, 0.01).tolerance == "< 0.02"
    assert within(0.05, 1.0, 1.0, relative=True).tolerance == "± 5 %"
    assert within(0.03, 0.78, 0.8).tolerance == "± 0.03"
    assert within(0.03, 0.78, 0.8).predicted == "0.8"
    assert factor(1.5, 1.2).tolerance == "×1.5 either way"
    assert between(0.3, 3, 1.0).tolerance == "0.3 to 3"
    assert alike(1.25, xr.DataArray([1.0, 2.0])).tolerance == "≤ ×1.25"
    assert shortest(0.07, 100) == "7"


def test_an_array_is_judged_by_its_worst_entry_and_missing_ones_do_not_count():
    array = xr.DataArray([[0.1, 0.4], [np.nan, 0.2]], {"n": [10, 20], "v0": [0.5, 1.0]})
    found = at_most(0.3, array, format="largest {:.2f}")
    assert found.holds is False
    assert found.measured == "largest 0.40"
    assert found.detail == "worst at n = 10, v0 = 1"
    assert at_most(0.4, array).holds is True
    assert at_least(0.1, array).detail == "worst at n = 10, v0 = 0.5"
    assert between(0.15, 1, array).holds is False
    assert between(0.15, 1, array).measured == "0.1 to 0.4"
    with pytest.raises(NotMeasurable, match="no value is left"):
        at_most(1, array * np.nan)


def test_a_limit_for_every_data_set():
    limit = xr.DataArray([0.1, 0.2], {"data": ["a", "b"]})
    gap = xr.DataArray([0.15, 0.15], {"data": ["b", "a"]})
    found = at_most(limit, gap)
    assert found.holds is False
    assert found.tolerance == "≤ 0.2 (b), ≤ 0.1 (a)"
    assert found.detail == "worst at data = a"
    assert at_most(limit, 0.05 + 0 * gap).holds is True
    assert at_most(limit, gap.sel(data=["b"])).tolerance == "≤ 0.2 (b)"


def test_relative_and_factor_compare_with_what_is_expected():
    predicted = xr.DataArray([1.0, 2.0], {"n": [1, 2]})
    assert within(0.05, predicted * [1.04, 0.96], predicted, relative=True).holds is True
    found = within(0.05, predicted * [1.04, 0.94], predicted, relative=True)
    assert (found.holds, found.measured) == (False, "off by -6.0% at most")
    assert factor(1.5, predicted * [1.4, 0.67], predicted).holds is True
    assert factor(1.5, predicted * [1.4, 0.66], predicted).holds is False
    assert factor(1.5, predicted * [1.51, 1], predicted).holds is False


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=8), st.floats(1.01, 3))
def test_factor_has_a_slow_twin(ratios, limit):
    assert factor(limit, xr.DataArray(ratios)).holds is all(1 / limit <= ratio <= limit for ratio in ratios)


def test_alike_compares_along_one_axis():
    array = xr.DataArray([[1.0, 2.0], [10.0, 24.0]], {"kappa": [1, 2], "d": [1, 2]})
    assert alike(2.4, array, over="d").holds is True
    assert alike(2.39, array, over="d").detail == "worst at kappa = 2"
    assert alike(23, array).holds is False


def interval(value, spread, seeds=16, log=False):
    pattern = np.linspace(-1, 1, seeds)
    return Estimate(xr.DataArray(np.atleast_1d(value)[:, None] + spread * pattern, dims=("n", "seed")), log=log)


def test_an_estimate_holds_only_with_its_whole_interval():
    assert at_most(1.0, interval(0.9, 0.01)).holds is True
    assert at_most(1.0, interval(0.99, 0.2)).holds is None
    assert "more seeds" in at_most(1.0, interval(0.99, 0.2)).detail
    assert at_most(1.0, interval(1.1, 0.01)).holds is False
    assert between(0.5, 1.0, interval([0.6, 0.7], 0.01)).holds is True
    assert between(0.5, 1.0, interval([0.4, 0.7], 0.01)).holds is False
    assert between(0.5, 1.0, interval([0.5, 0.7], 0.01)).holds is None
    assert re.fullmatch(r"0\.9 \[0\.89\d, 0\.90\d\]", at_most(1.0, interval(0.9, 0.01)).measured)


def test_the_estimate_alone_may_be_judged_with_its_interval_in_sight():
    found = at_most(1.0, interval(0.99, 0.2), point=True)
    assert found.holds is True
    assert found.measured.startswith("0.99 [0.9")
    assert found.detail == "the interval reaches over the limit"
    assert at_most(1.0, interval(0.9, 0.01), point=True).detail == ""
    assert at_most(1.0, interval(1.01, 0.2), point=True).holds is False


def test_one_seed_gives_no_interval_and_decides_nothing():
    assert at_most(1.0, interval(0.5, 0.0, seeds=1)).holds is None
    assert at_most(1.0, interval(0.5, 0.0, seeds=1, log=True)).holds is None


def test_estimates_in_logarithms_are_compared_by_ratios():
    large, small = interval(np.log([2.0, 3.0]), 0.01, log=True), interval(np.log([1.0, 1.5]), 0.01, log=True)
    assert factor(2.001, large.over(small)).holds is True
    assert alike(1.51, large, over="n").holds is True
    assert alike(1.49, large, over="n").holds is False
    assert within(0.01, large.over(small), xr.DataArray([2.0, 2.0], dims="n"), relative=True).holds is True
    with pytest.raises(ValueError, match="logarithms"):
        interval(1.0, 0.1).over(2.0)


def test_several_parts_must_all_hold():
    good, bad, open_ = at_most(1, 0.5), at_most(1, 2.0), at_most(1.0, interval(0.99, 0.2))
    assert all_of(good, good).holds is True
    assert all_of(good, open_).holds is None
    assert all_of(good, open_, bad).holds is False
    both = all_of(at_least(0.3, 0.5), at_most(2, 1.5), expected="order one")
    assert (both.measured, both.predicted, both.tolerance) == ("0.5; 1.5", "order one", "≥ 0.3; ≤ 2")
    with pytest.raises(NotMeasurable):
        all_of()


def test_order():
    found = in_order(oracle=0.1, two_stages=0.2, last=0.3)
    assert found.holds is True
    assert found.predicted == "oracle < two stages < last"
    assert in_order(a=0.1, b=0.1).holds is False
    with pytest.raises(NotMeasurable, match="needs a, b"):
        in_order(a=0.1, b=np.nan)


def test_details_may_be_arrays():
    detail = at_most(2.0, 1.0, detail=xr.DataArray([1.0, 1.5], {"kappa": [0.5, 1.0]})).detail
    assert detail == "1 at kappa = 0.5, 1.5 at kappa = 1"
