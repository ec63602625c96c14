"""The tester keeps its word: coverage and false verdicts, at short length; benchmarks/tester.py has the long form."""

import numpy as np
import pytest

from benchmarks import tester as long
from lemmata.claims.counts import binomial_interval
from lemmata.tester.verbs import test as study
from tests.oracles.synthetic_lab import SyntheticLab
from tests.tester.test_study import kappa


def compatible(hits, runs, low, high):
    """Whether a share between ``low`` and ``high`` explains the count, but for one case in a thousand."""
    least, most = binomial_interval(hits, runs, 0.999)
    return least <= high and most >= low


@pytest.mark.parametrize("seeds", [8, 24])
def test_intervals_cover_what_they_say(seeds):
    """95 % intervals for both exponents hold the truth in 92 to 98 % of studies."""
    runs, hits = 40, np.zeros(2)
    truth = (-0.25242, 0.24997)  # of the mean curve, from 16,384 seeds (benchmarks)
    for run in range(runs):
        y, shapes = long.thresholds(SyntheticLab(root=run, most=1100), long.EIGHT, seeds)
        design, _ = long.Law.parse("C * n**a * d**b", ("n", "d")).design(shapes)
        fitted = long.fit(long.NAMES, design, y, long.inverse_variances(y))
        for k, name in enumerate("ab"):
            estimate = fitted.estimate(name)
            hits[k] += float(estimate.low) <= truth[k] <= float(estimate.high)
    for count in hits.astype(int):
        assert compatible(count, runs, 0.92, 0.98)


def test_a_true_law_is_rarely_refuted_though_it_stops_at_a_verdict():
    """Tolerance 0, looks until the budget is out: at most 6 %; the truth here is the mean curve's exponents."""
    runs = 15
    truth = {"a": -0.2524, "b": 0.25}
    law = kappa(tolerance=0.0, form_tolerance=0.0, expect=truth)
    verdicts = [
        study(law, SyntheticLab(root=100 + run, most=2000), long.FOUR, budget=1200).holds for run in range(runs)
    ]
    assert True not in verdicts
    assert compatible(verdicts.count(False), runs, 0.0, 0.06)


def test_a_correction_is_flagged_by_drift():
    assert compatible(round(30 * long.corrections(30)["flagged"]), 30, 0.7, 1.0)


def test_the_worked_example_keeps_its_verdicts_in_a_thousand_cells():
    """Benign overfitting: two exponents consistent from a quiet start, refuted from a loud one."""
    found = long.example(grid=False)
    assert found["cells 1e-06"] <= 1000
    assert found["cells 0.001"] <= 1000
    assert found["verdicts"] == ["consistent", "refuted"]
