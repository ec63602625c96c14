"""Each of the six kinds says consistent, refuted (and where) or undecided, on labs whose truth is known."""

from functools import partial

import numpy as np
import pytest

from lemmata.tester.bound import Bound
from lemmata.tester.collapse import Collapse
from lemmata.tester.invariance import Invariance
from lemmata.tester.order import Order
from lemmata.tester.scaling import Scaling
from lemmata.tester.threshold import Threshold
from lemmata.tester.verbs import test as study
from tests.oracles.synthetic_lab import SyntheticLab
from tests.tester import labs

N_D = {"n": (10, 20, 40, 80), "d": (2000, 8000, 32000)}
KAPPA = Threshold("test_error", 0.1, "signal", "C * n**a * d**b", {"a": -0.25, "b": 0.25}, 0.02, start=4.0)


def rows(report):
    return {row.name: row for outcome in report.outcomes for row in outcome.judgement.rows}


def test_threshold_consistent_and_refuted_with_a_counterexample():
    found = study(KAPPA, SyntheticLab(), N_D, budget=2500)
    assert found.holds is True
    assert rows(found)["a"].value == pytest.approx(-0.2524, abs=0.01)  # the mean curve's exponent, not each seed's
    assert found.dataset.log_threshold.sizes["n"] == 4
    wrong = study(KAPPA, SyntheticLab(a=-0.33), N_D, budget=2500)
    assert wrong.holds is False
    assert rows(wrong)["a"].word == "refuted"
    assert rows(wrong)["b"].word != "refuted"
    assert "signal* is" in wrong.outcomes[0].judgement.counterexamples[0]
    assert "counter-example: n = 80" in str(wrong)


def test_threshold_undecided_when_the_budget_is_small():
    close = Threshold("test_error", 0.1, "signal", KAPPA.law, KAPPA.expect, 0.005, start=4.0)
    found = study(close, SyntheticLab(), N_D, budget=500)
    assert sum(found.cells.values()) <= 500
    assert found.holds is None
    assert "UNDECIDED" in str(found)


def test_threshold_of_rising_curves_and_of_each_seed():
    lab = SyntheticLab()
    # The mean of 1/Q crosses elsewhere than that of Q where seeds spread more, at small n: its exponent is -0.236.
    law = Threshold("test_error", 0.1, "signal", KAPPA.law, {"a": -0.236, "b": 0.25}, 0.02, start=4.0)
    rising = study(law, lambda points: 0.01 / lab(points)["test_error"], N_D, budget=2500)
    assert rising.holds is True
    each = Threshold("test_error", 0.1, "signal", KAPPA.law, KAPPA.expect, 0.02, statistic="each", start=4.0)
    found = study(each, SyntheticLab(), N_D, budget=3000)
    assert found.holds is True
    assert "mean of each seed's own crossing" in str(found)
    assert rows(found)["b"].value == pytest.approx(0.25, abs=0.01)


def test_threshold_knows_its_constant_and_a_stated_correction():
    law = Threshold("test_error", 0.1, "signal", KAPPA.law, {"C": 1.0, "a": -0.25, "b": 0.25}, 0.1, start=4.0)
    assert study(law, SyntheticLab(), N_D, budget=2500).holds is True
    assert study(law, SyntheticLab(c=1.4), N_D, budget=2500).holds is False
    bent = Threshold(
        "test_error", 0.1, "signal", KAPPA.law, KAPPA.expect, 0.05, form_tolerance=0.1, correction="1/n", start=4.0
    )
    found = study(bent, SyntheticLab(correction=1.0), N_D, budget=4000)
    assert found.holds is not False
    assert "assumed correction: a term in 1/n" in str(found)


def test_a_wrong_form_is_refuted_where_exponents_are_not():
    """A bent law with the right mean slope: the residuals leave the form's tolerance."""
    lab = partial(labs.scaling, bend=0.1, spread=0.05)
    law = Scaling("q", "C * n**a * d**b", {"b": 1.0}, 0.05)
    found = study(law, lab, {"n": (5, 20, 80), "d": (10, 100)}, budget=2000)
    assert rows(found)["b"].word == "consistent"
    assert rows(found)["form"].word == "refuted"
    assert found.holds is False
    assert "drifts by" in str(found)


def test_scaling_of_a_mean_over_axes():
    axes = {"n": (5, 20, 80), "d": (10, 100)}
    law = Scaling("q", "C * n**a * d**b", {"a": -0.5, "b": 1.0}, 0.05)
    assert study(law, labs.scaling, axes, budget=3000).holds is True
    assert study(law, partial(labs.scaling, a=-0.7), axes, budget=3000).holds is False


def test_scaling_along_recorded_steps_is_one_number_per_seed():
    steps = np.unique(np.geomspace(10, 3000, 13).astype(int))
    late = Scaling("loss", "C * k**a", {"a": -1 / 3}, 0.02, where="k >= 300")
    found = study(late, partial(labs.training, steps=steps, early=3.0), budget=512, recorded={"k": steps})
    assert found.holds is True
    assert (found.dataset.k >= 300).all()
    early = Scaling("loss", "C * k**a", {"a": -1 / 3}, 0.02)
    found = study(early, partial(labs.training, steps=steps, early=3.0), budget=512, recorded={"k": steps})
    assert found.holds is False
    assert "drifts by" in str(found)


def test_collapse():
    one = Collapse("test_error", "n * signal**4 / d", "signal", tolerance=0.25, start=4.0)
    axes = {"n": (10, 20, 40), "d": (2000, 32000)}
    assert study(one, SyntheticLab(), axes, budget=6000).holds is True
    other = Collapse("test_error", "n * signal**4 / d", "signal", tolerance=0.1, start=4.0)
    found = study(other, SyntheticLab(a=-0.1), axes, budget=6000)
    assert found.holds is False
    assert "of n * signal**4 / d" in found.outcomes[0].judgement.counterexamples[0]


def test_bound_on_average_and_in_a_share_of_data_sets():
    axes = {"n": (5, 20, 80), "d": (10, 100)}
    assert study(Bound("q", "1.5 * d / sqrt(n)"), labs.scaling, axes, budget=2000).holds is True
    found = study(Bound("q", "0.9 * d / sqrt(n)"), labs.scaling, axes, budget=2000)
    assert found.holds is False
    assert "times the bound" in found.outcomes[0].judgement.counterexamples[0]
    rare = study(Bound("q", "2 * d / sqrt(n)", share=0.05), labs.scaling, axes, budget=6000)
    assert rare.holds is True
    often = study(Bound("q", "1.2 * d / sqrt(n)", share=0.05, draws=("n",)), labs.scaling, axes, budget=2000)
    assert often.holds is False
    assert "data sets" in str(often)


def test_bound_holds_only_where_it_is_said_and_is_searched_between_grid_points():
    def bump(points):
        rng = [np.random.default_rng([6, point["seed"]]).normal(1, 0.05) for point in points]
        return np.array([np.exp(-8 * np.log(point["n"] / 30) ** 2) for point in points]) * rng

    axes = {"n": (10, 20, 45, 90)}
    assert study(Bound("q", "0.5"), bump, axes, budget=2000).holds is True
    found = study(Bound("q", "0.5", search=True), bump, axes, budget=2000)
    assert found.holds is False
    assert found.outcomes[0].judgement.counterexamples[0].startswith(("n = 3", "n = 2"))
    assert study(Bound("q", "0.5", where="n >= 45", search=True), bump, axes, budget=2000).holds is True


def test_invariance():
    axes = {"n": (5, 20, 80), "d": (10, 100)}
    flat = Invariance("q", to="n", tolerance=0.2)
    assert study(flat, partial(labs.scaling, a=0.0), axes, budget=4000).holds is True
    found = study(flat, labs.scaling, axes, budget=4000)
    assert found.holds is False
    assert "between n = 5 and n = 80" in found.outcomes[0].judgement.counterexamples[0]


def test_order():
    axes = {"method": ("a", "b"), "n": (10, 20, 40, 80)}
    everywhere = Order("error", lower="a", higher="b", along="method")
    found = study(everywhere, labs.two_methods, axes, budget=2000)
    assert found.holds is False
    assert found.outcomes[0].judgement.counterexamples[0].startswith("n = 80")
    assert "a is lower at 3 of 4 points, b at 1" in str(found)
    assert study(Order("error", "a", "b", "method", "n <= 40"), labs.two_methods, axes, budget=2000).holds is True
    only = {"a": lambda points: labs.two_methods([{**p, "method": "a"} for p in points]),
            "b": lambda points: labs.two_methods([{**p, "method": "b"} for p in points])}  # fmt: skip
    runs = study(Order("error", lower="a", higher="b", where="n <= 40"), only, {"n": (10, 20, 40)}, budget=2000)
    assert runs.holds is True
