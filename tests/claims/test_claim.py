"""Claims decide, abstain with a reason, and say what was left out."""

import numpy as np
import pytest

from lemmata.claims import Claim, Finding, at, at_most, claim, usable, verdicts_from_json, verdicts_to_json
from tests.claims.datasets import cells


@claim("the mean test error is below 0.2", "derived here", sizes=("laptop",))
def low_error(data):
    """Mean of all cells."""
    return at_most(0.2, usable(data).test_error.mean(), expected="small")


def test_the_name_of_a_claim_is_the_function_s():
    assert (low_error.name, low_error.statement, low_error.source) == (
        "low-error",
        "the mean test error is below 0.2",
        "derived here",
    )
    assert claim("a", "b", name="other")(low_error.predicate).name == "other"
    assert low_error(cells(n=2, seed=2)).holds


def test_a_claim_gives_a_verdict_that_json_keeps():
    verdict = low_error.check(cells(n=3, seed=4), "laptop")
    assert verdict.holds is True
    assert (verdict.claim, verdict.predicted, verdict.tolerance) == ("low-error", "small", "≤ 0.2")
    assert verdicts_from_json(verdicts_to_json([verdict])) == [verdict]
    numpy_bool = Claim("x", "x", "x", lambda data: Finding(holds=np.bool_(True))).check(cells(seed=2))
    assert verdicts_from_json(verdicts_to_json([numpy_bool]))[0].holds is True


def test_a_claim_abstains_at_other_sizes_and_where_the_data_cannot_decide():
    assert low_error.check(cells(n=2, seed=2), "smoke").holds is None
    assert "laptop" in low_error.check(cells(n=2, seed=2), "smoke").detail
    needs_more = Claim("x", "x", "x", lambda data: at_most(1, at(data, n=7).test_error))
    verdict = needs_more.check(cells(n=2, seed=2))
    assert verdict.holds is None
    assert "n = 7" in verdict.detail


def test_cells_left_out_are_said_in_the_detail_without_being_asked():
    data = cells(n=3, seed=4)
    data.status[0, 0] = 2
    verdict = low_error.check(data, "laptop")
    assert verdict.holds
    assert verdict.detail == "1 of 12 cells left out: 1 diverged"


@pytest.mark.parametrize("status", [2, -1])
def test_nothing_left_ends_in_a_sentence(status):
    data = cells(n=3, seed=4)
    data.status[:] = status
    verdict = low_error.check(data, "laptop")
    assert verdict.holds is None
    assert verdict.detail == f"12 of 12 cells left out: 12 {'diverged' if status == 2 else 'not run'}"


def test_a_measurement_that_is_all_missing_is_not_measurable():
    data = cells(n=3, seed=4)
    data.test_error[:] = np.nan
    verdict = low_error.check(data, "laptop")
    assert (verdict.holds, verdict.detail) == (None, "no value is left to measure")
