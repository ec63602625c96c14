"""``lemmata test``: sentences of all six kinds, exit codes, resuming, checks; on an experiment file of a user."""

import sys

import pytest

from lemmata import cli
from lemmata.tester.bound import Bound
from lemmata.tester.collapse import Collapse
from lemmata.tester.invariance import Invariance
from lemmata.tester.order import Order
from lemmata.tester.scaling import Scaling
from lemmata.tester.statement import names_of, parse
from lemmata.tester.threshold import Threshold

FILE = '''
"""A lab of known exponents."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lemmata.lab import Experiment, Size
from lemmata.parameters import parameter
from lemmata.sweep import Body, Variable
from tests.oracles.synthetic_lab import SyntheticLab


@dataclass(frozen=True)
class Lab(Body):
    n: int = parameter("samples n", int, least=1, default=20, per_cell=True)
    d: int = parameter("dimension d", int, least=1, default=2000, per_cell=True)
    signal: float = parameter("signal", above=0, default=4.0, per_cell=True)
    tilt: float = parameter("error of the exponent of n", default=0.0)
    variables: ClassVar = {"test_error": Variable()}

    def run(self, points):
        whole = [{"n": self.n, "d": self.d, "signal": self.signal, **point} for point in points]
        return SyntheticLab(a=-0.25 + self.tilt)(whole)


SIZE = Size(n=(10, 20, 40, 80), d=(2000, 32000), signal=(2.0, 4.0), seeds=2)
EXPERIMENT = Experiment(Lab(), {"smoke": SIZE, "laptop": SIZE, "paper": SIZE})
'''
LAW = "test_error = 0.1 at signal = C * n**a * d**b"
EXPECT = ("--expect", "a=-1/4", "b=0.25", "--tolerance", "0.02")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    path = tmp_path / f"synthetic_{tmp_path.name.replace('-', '_')}.py"
    path.write_text(FILE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return ("--experiment", str(path))


def test_sentences_are_conjectures():
    assert parse(LAW, {"expect": {"a": 1.0}}) == Threshold("test_error", 0.1, "signal", "C * n**a * d**b", {"a": 1.0})
    assert parse("loss = C * k**a where k >= 1000", {}) == Scaling("loss", "C * k**a", where="k >= 1000")
    assert parse("e <= exp(-k / 2) where k >= 1", {"share": 0.1}) == Bound("e", "exp(-k / 2)", "k >= 1", 0.1)
    assert parse("e collapses on n*s**4/d along s", {}) == Collapse("e", "n*s**4/d", "s")
    assert parse("e does not depend on d where k <= 4", {}) == Invariance("e", "d", where="k <= 4")
    assert parse("e is lower with start = a than with b", {}) == Order("e", "a", "b", "start")
    assert parse("e is lower with v0 = 0.5 than with 2", {}) == Order("e", 0.5, 2, "v0")
    for sentence in ("nonsense", "e = ", "e falls"):
        with pytest.raises(ValueError, match="none of the forms"):
            parse(sentence, {})
    with pytest.raises(ValueError, match="--share was given; Invariance has no such option"):
        parse("e does not depend on d", {"share": 0.1})
    with pytest.raises(ValueError, match="has no range"):
        parse("e = 0.1 at s = C * n**a where n > 2", {})


def test_parameters_that_a_sentence_names():
    known = ("n", "d", "k", "s", "v0")
    assert names_of(parse("e = 0.1 at s = C * n**a * d**b", {}), known) == ("n", "d")
    assert names_of(parse("e <= exp(-k) where n >= 2", {}), known) == ("k", "n")
    assert names_of(parse("e collapses on n*s**4/d along s", {}), known) == ("n", "d")
    assert names_of(parse("e is lower with v0 = 1 than with 2 where n < 3", {}), known) == ("v0", "n")


def test_exit_codes(lab, capsys):
    assert cli.main(["test", LAW, *EXPECT, *lab, "--budget", "2500"]) == 0
    assert "CONSISTENT" in capsys.readouterr().out
    assert cli.main(["test", LAW, *EXPECT, *lab, "--tilt", "-0.1", "--budget", "2500"]) == 1
    assert "counter-example: n = 80" in capsys.readouterr().out
    assert cli.main(["test", LAW, *EXPECT[:-1], "0.001", *lab, "--budget", "400"]) == 3
    assert "UNDECIDED" in capsys.readouterr().out


def test_only_named_parameters_are_axes_and_values_given_win(lab, capsys):
    law = "test_error = 0.1 at signal = C * n**a"
    assert cli.main(["test", law, "--expect", "a=-0.25", *lab, "--n", "20", "40", "8e1", "--explain"]) == 0
    assert "each fresh seed 6" in capsys.readouterr().out
    assert cli.main(["test", law, "--expect", "a=-0.25", *lab, "--d", "100", "200", "--explain"]) == 0
    assert "each fresh seed 16" in capsys.readouterr().out


def test_a_study_is_resumed_checked_and_drawn(lab, tmp_path, capsys):
    out = str(tmp_path / "study")
    assert cli.main(["test", LAW, *EXPECT[:-1], "0.03", *lab, "--budget", "300", "--out", out]) == 3
    assert (tmp_path / "study" / "conjecture.png").exists()
    assert cli.main(["test", "--resume", out, "--budget", "9000"]) == 0
    capsys.readouterr()
    assert cli.main(["check", out]) == 0
    assert "CONSISTENT" in capsys.readouterr().out
    assert cli.main(["check", out, "--markdown"]) == 0
    assert "| holds |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([LAW], "give a conjecture and --experiment"),
        (["nonsense"], "none of the forms"),
        ([LAW, "--expect", "a"], "write --expect NAME=VALUE"),
        ([LAW, "--expect", "a=x"], "give a number"),
        ([LAW, "--expect", "z=1"], "'z' is expected"),
        ([LAW, *EXPECT, "--budget", "much"], "give cells"),
        ([LAW, *EXPECT, "--between", "1"], "the lowest and the highest"),
        ([LAW, *EXPECT, "--n", "0"], "--n 0 was asked for"),
        ([LAW, *EXPECT, "--level", "2"], "give a probability"),
        (["loss = C * n**a", "--expect", "a=1"], "does not measure 'loss'"),
        (["test_error <= exp(-n)", "--expect", "a=1"], "Bound has no such option"),
        (["--resume", "/nowhere"], "holds no study"),
        ([LAW, "--resume", "/nowhere"], "give no other"),
        ([LAW, *EXPECT, "--found-on", "/nowhere"], "no store and no study"),
        (["test_error <= __import__('os')"], "not in the grammar"),
    ],
)
def test_refusals_are_one_sentence(lab, capsys, arguments, said):
    extra = [] if arguments == [LAW] or "--resume" in arguments else lab
    assert cli.main(["test", *arguments, *extra]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
