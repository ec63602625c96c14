"""A study: looks with α divided beforehand, seeds of their own, killed and resumed the same, refused with a reason."""

import json

import numpy as np
import pytest
import xarray as xr

from lemmata.tester.conjecture import Judgement, Row
from lemmata.tester.given import seeds_of
from lemmata.tester.invariance import Invariance
from lemmata.tester.journal import NAME, Journal
from lemmata.tester.looks import Budget, holm, lay_out
from lemmata.tester.order import Order
from lemmata.tester.report import Report
from lemmata.tester.scaling import Scaling
from lemmata.tester.threshold import Threshold
from lemmata.tester.verbs import explain
from lemmata.tester.verbs import test as study
from tests.oracles.synthetic_lab import SyntheticLab
from tests.tester import labs

N_D = {"n": (10, 20, 40, 80), "d": (2000, 32000)}


def kappa(**changes):
    fields = {"of": "test_error", "at": 0.1, "along": "signal", "law": "C * n**a * d**b", "start": 4.0}
    fields["expect"] = {"a": -0.25, "b": 0.25}
    return Threshold(**{**fields, **changes})


class Counting:
    """A lab that remembers what it was asked, and can be killed after some batches."""

    def __init__(self, lab, dies_after=None):
        self.lab, self.left, self.asked = lab, dies_after, []

    def __call__(self, points):
        if self.left is not None:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
        self.asked += points
        return self.lab(points)


# -- looks and α


def test_looks_double_and_alpha_is_divided_beforehand():
    layout = lay_out(2500, 24, 0.05, spent=144)
    assert layout.looks == (8, 16, 32, 64, 128, 256)
    assert layout.alpha_of_a_look == pytest.approx(0.05 / 6)
    assert lay_out(2500, 24, 0.05, looks=2).looks == (8, 16)
    assert lay_out(250, 50, 0.05).looks[0] == 5
    with pytest.raises(ValueError, match="give 240 cells or more"):
        lay_out(200, 24, 0.05, spent=144)


@pytest.mark.parametrize(
    ("given", "cells", "seconds"),
    [
        (2000, 2000, None),
        ("2000 cells", 2000, None),
        ("60 s", None, 60.0),
        ("5 min", None, 300.0),
        ("1h", None, 3600.0),
    ],
)
def test_budgets(given, cells, seconds):
    assert (Budget.parse(given).cells, Budget.parse(given).seconds) == (cells, seconds)


@pytest.mark.parametrize("given", ["", "many", "-3", 0, "60 parsecs", True, None, "1e309 s x"])
def test_what_is_no_budget_is_refused(given):
    with pytest.raises(ValueError, match="budget"):
        Budget.parse(given)


def judged(p_true, p_false):
    """A conjecture that is refuted at α above p_true, called consistent at α above p_false."""

    def judge(alpha):
        holds = False if alpha > p_true else True if alpha > p_false else None
        return Judgement((Row("x", 0, 0, 0, holds=holds),))

    return judge


def test_holm_refutes_step_by_step():
    found = holm([judged(0.01, 1), judged(0.02, 1), judged(0.04, 1)], 0.05)
    assert [one.holds for one in found] == [False, False, False]
    found = holm([judged(0.02, 1), judged(0.02, 1), judged(0.04, 1)], 0.05)
    assert [one.holds for one in found] == [None, None, None]
    # what was called consistent does not make refuting easier
    found = holm([judged(1, 0.001), judged(0.03, 1)], 0.05)
    assert [one.holds for one in found] == [True, None]
    assert [one.holds for one in holm([judged(0.03, 1)], 0.05, refuted=1)] == [False]
    assert [one.holds for one in holm([judged(0.03, 1)], 0.05, consistent=1)] == [None]


# -- seeds


def test_exploring_seeds_never_enter_an_estimate():
    """A lab that lies on exploring seeds misplaces the cells, and moves no estimate."""
    honest, spread = SyntheticLab(), Counting(SyntheticLab())

    def lying(points):
        near = [{**p, "signal": p["signal"] * (1.01 if p["seed"] < 100 else 1.0)} for p in points]
        return honest(near)

    true = study(kappa(), spread, N_D, budget=2500, looks=1).outcomes[0].judgement.rows
    lied = study(kappa(), lying, N_D, budget=2500, looks=1).outcomes[0].judgement.rows
    for one, other in zip(true, lied):  # the constant is far outside the range, where 0.1 % of slope is 1 %
        assert one.value == pytest.approx(other.value, abs=0.02 if one.name == "C" else 3e-3)
    assert {point["seed"] for point in spread.asked if point["seed"] < 1000} == set(range(12))
    explored = [point for point in spread.asked if point["seed"] < 1000]
    assert len(explored) + sum(point["seed"] >= 1000 for point in spread.asked) == len(spread.asked)


def test_all_stations_share_their_seeds():
    lab = Counting(SyntheticLab())
    study(kappa(), lab, N_D, budget=2500)
    fresh = [p for p in lab.asked if p["seed"] >= 1000]
    by_shape = {}
    for p in fresh:
        by_shape.setdefault((p["n"], p["d"]), set()).add(p["seed"])
    assert len({frozenset(seeds) for seeds in by_shape.values()}) == 1


def test_seeds_that_a_conjecture_was_found_on_are_not_used_again(tmp_path):
    found_on = xr.Dataset(coords={"seed": range(1000, 1020)})
    lab = Counting(SyntheticLab())
    report = study(kappa(), lab, N_D, budget=2500, found_on=found_on)
    assert min(p["seed"] for p in lab.asked if p["seed"] > 100) == 1020
    assert report.confirmatory
    again = study(kappa(), SyntheticLab(), N_D, budget=2500, found_on=found_on, reuse_seeds=True)
    assert not again.confirmatory
    assert "NOT CONFIRMATORY" in str(again)
    study(kappa(), SyntheticLab(), N_D, budget=2500, folder=tmp_path / "a")
    assert max(seeds_of(tmp_path / "a")) >= 1007
    assert seeds_of([range(3), found_on]) == {0, 1, 2, *range(1000, 1020)}
    with pytest.raises(ValueError, match="no store and no study"):
        seeds_of(tmp_path)


# -- records


@pytest.mark.parametrize("batches", [0, 2, 4, 6])
def test_killed_and_resumed_is_uninterrupted(tmp_path, batches):
    whole = study(kappa(), SyntheticLab(), N_D, budget=2500, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        study(kappa(), Counting(SyntheticLab(), batches), N_D, budget=2500, folder=tmp_path / "killed")
    path = tmp_path / "killed" / NAME
    torn = path.read_bytes() + b'{"cells": {"stage": "conf'
    path.write_bytes(torn)
    lab = Counting(SyntheticLab())
    resumed = study(kappa(), lab, N_D, budget=2500, folder=tmp_path / "killed")
    assert resumed.outcomes[0].judgement.rows == whole.outcomes[0].judgement.rows
    assert resumed.cells == whole.cells
    done = [list(point.items()) for point, _, _ in Journal(tmp_path / "killed").cells()]
    assert len(done) == len({json.dumps(point) for point in done}) == sum(whole.cells.values())
    finished = Counting(SyntheticLab())
    study(kappa(), finished, N_D, budget=2500, folder=tmp_path / "killed")
    assert finished.asked == []


def test_more_budget_later_takes_the_next_looks(tmp_path):
    first = study(kappa(), SyntheticLab(spread=0.2), N_D, budget=700, folder=tmp_path)
    assert first.holds is None
    later = study(kappa(), SyntheticLab(spread=0.2), N_D, budget=5000, folder=tmp_path)
    assert later.layout == first.layout
    assert later.outcomes[0].looks[: len(first.outcomes[0].looks)] == first.outcomes[0].looks
    assert len(later.outcomes[0].looks) > len(first.outcomes[0].looks)


def test_another_law_on_the_same_cells_is_refused_or_not_confirmatory(tmp_path):
    study(kappa(), SyntheticLab(), N_D, budget=2500, folder=tmp_path)
    other = kappa(expect={"a": -0.3, "b": 0.25})
    with pytest.raises(ValueError, match="reuse_seeds=True"):
        study(other, SyntheticLab(), N_D, budget=2500, folder=tmp_path)
    report = study(other, SyntheticLab(), N_D, budget=2500, folder=tmp_path, reuse_seeds=True)
    assert not report.confirmatory
    with pytest.raises(ValueError, match="another run"):
        study(kappa(), labs.scaling, N_D, budget=2500, folder=tmp_path)


def test_a_report_is_a_claim_and_json(tmp_path):
    report = study(kappa(), SyntheticLab(), N_D, budget=2500, folder=tmp_path)
    verdict = report.as_claim("kappa-exponents", source="Kou et al. 2023").check(xr.Dataset())
    assert (verdict.holds, verdict.source, verdict.claim) == (True, "Kou et al. 2023", "kappa-exponents")
    assert verdict.measured.startswith("a -0.2")
    assert "[-0.2" in verdict.measured
    stored = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert str(stored) == str(report)
    assert Report.from_json(Journal(tmp_path).last("report")).holds is True


# -- several conjectures, other runs


def test_several_conjectures_share_cells_and_alpha():
    lab = Counting(SyntheticLab())
    both = study([kappa(tolerance=0.05), kappa(expect={"a": -0.5, "b": 0.25})], lab, N_D, budget=4000)
    assert [outcome.holds for outcome in both.outcomes] == [True, False]
    assert both.holds is False
    assert "shared by 2 conjectures (Holm)" in str(both)
    keys = [tuple(sorted(point.items())) for point in lab.asked]
    assert len(keys) == len(set(keys))


def test_shared_cells_are_paid_once_and_planned_once():
    """Three statements about one grid cost what one of them does."""
    law = Scaling("loss", "C * n**a * d**b", {"a": -0.5})
    three = [law, Scaling("loss", "C * n**a * d**b", {"a": -0.4}), Invariance("loss", to="d")]
    over, budget = {"n": (10, 20, 40), "d": (1, 2)}, 6 * 32
    assert explain(three, labs.scaling, over, budget=budget).per_seed == 6
    one = study(law, Counting(labs.scaling), over, budget=budget, precision=-1.0)
    lab = Counting(labs.scaling)
    all_ = study(three, lab, over, budget=budget, precision=-1.0)
    for report in (one, all_):
        assert [seeds for seeds, _ in report.outcomes[0].looks] == [8, 16, 32]
    assert len(lab.asked) == budget
    # Thresholds with the same crossing share all cells; only the plan before exploring counts them twice.
    both = study([kappa(tolerance=0.0), kappa(tolerance=1e-9)], SyntheticLab(), N_D, budget=2500, precision=-1.0)
    alone = study(kappa(tolerance=0.0), SyntheticLab(), N_D, budget=2500, precision=-1.0)
    assert both.cells == alone.cells


def test_a_lab_with_diverged_cells_drops_seeds_and_says_so():
    lab = SyntheticLab()

    def sometimes(points, every):
        found = lab(points)
        bad = np.array([p["seed"] % every == 0 and p["n"] == 40 and p["seed"] > 99 for p in points])
        return {"test_error": found["test_error"], "status": np.where(bad, 2, 0)}

    few = study(kappa(tolerance=0.05), lambda points: sometimes(points, 1003), N_D, budget=2500)
    assert few.dropped == 1
    assert "1 seeds left out" in str(few)
    many = study(kappa(), lambda points: sometimes(points, 4), N_D, budget=2500)
    assert many.holds is None
    assert "of 8 seeds have a cell that diverged" in str(many) or "seeds have a cell that diverged" in str(many)


def test_a_root_that_drifts_is_measured_anew_on_fresh_seeds():
    honest = SyntheticLab()

    def far(points):
        shifted = [{**p, "signal": p["signal"] * (1.25 if p["seed"] < 100 and p["n"] == 40 else 1.0)} for p in points]
        return honest(shifted)

    found = study(kappa(tolerance=0.05), far, N_D, budget=4000)
    assert found.holds is True
    assert "had drifted" in str(found)


# -- refusals, all before a cell runs


@pytest.mark.parametrize(
    ("conjecture", "over", "said"),
    [
        (kappa(expect={"z": 1.0}), N_D, "'z' is expected and the law"),
        (kappa(expect={}), N_D, "nothing is expected"),
        (kappa(), {"n": (10, 20, 40, 80), "d": (2000,)}, "'b' of the law"),
        (kappa(at=0.0), N_D, "positive level"),
        (kappa(along="n"), N_D, "drop it"),
        (kappa(start=None), N_D, "give start="),
        (kappa(between=(5.0, 2.0)), N_D, "the smaller first"),
        (kappa(law="C * m**a"), N_D, "base is of axes"),
        (kappa(tolerance={"a": 0.1}), N_D, "no tolerance is given for 'b'"),
        (kappa(tolerance=-1.0), N_D, "number from 0"),
        (kappa(correction="1/m"), N_D, "is no axis"),
        (Scaling("q", "C * n**a", {"a": 1.0}), {"n": (10, 20)}, "2 points are too few"),
        (Invariance("q", to="m"), N_D, "needs two values"),
        (Order("q", "a", "b"), N_D, "is not among"),
        (kappa(), {**N_D, "seed": (0, 1)}, "chooses its own seeds"),
    ],
)
def test_what_cannot_be_tested_is_refused_before_a_cell_runs(conjecture, over, said, tmp_path):
    lab = Counting(SyntheticLab())
    with pytest.raises(ValueError, match=said):
        study(conjecture, lab, over, budget=2500, folder=tmp_path / "new")
    assert lab.asked == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda p: 0.5 + 0 * SyntheticLab()(p)["test_error"], "does not cross 0.1 along signal"),
        (
            lambda p: np.array([0.11 + 0.1 * np.sin(4 * np.log(x["signal"])) for x in p]),
            r"not monotone from signal",
        ),
        (
            lambda p: np.array([0.0 if x["signal"] > (x["d"] / x["n"]) ** 0.25 else 1.0 for x in p]),
            "it has no logarithm",
        ),
        (lambda p: np.ones((3,)), "returned"),
    ],
)
def test_quantities_that_do_not_do_what_is_presumed(function, said):
    with pytest.raises(ValueError, match=said):
        study(kappa(), function, N_D, budget=2500)


def test_too_few_crossings_for_the_law():
    lab = SyntheticLab()

    def only_some(points):
        error = lab(points)["test_error"]
        return np.where([p["n"] > 10 for p in points], 0.5, error)

    with pytest.raises(ValueError, match="too few for 'C"):
        study(kappa(), only_some, N_D, budget=2500)


def test_budget_too_small_names_the_least():
    with pytest.raises(ValueError, match=r"give \d+ cells or more"):
        study(kappa(), SyntheticLab(), N_D, budget=120)


def test_a_plan_says_cells_looks_and_alpha_and_runs_nothing():
    lab = Counting(SyntheticLab())
    text = str(explain(kappa(), lab, N_D, budget=2500))
    assert lab.asked == []
    for part in ("each fresh seed 16", "8 seeds", "α = 0.05 in all", "test_error crosses 0.1"):
        assert part in text
    assert "give" in str(explain(kappa(), lab, N_D, budget=10))
    assert "after exploring" in str(explain(kappa(), lab, N_D, budget="10 s"))
