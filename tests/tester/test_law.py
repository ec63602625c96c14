"""Laws are read by a grammar: what is in it is a linear model in logarithms, what is not is refused with the reason."""

import math

import numpy as np
import pytest

from lemmata.tester.expression import Expression
from lemmata.tester.law import Law, check_apart

POINTS = [{"n": n, "d": d, "k": n * d} for n in (10, 20, 40) for d in (100, 1000)]
AXES = ("n", "d", "k")


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("C * n**a * d**b", {"C": 2.0, "a": -0.25, "b": 0.25}, lambda p: 2 * p["n"] ** -0.25 * p["d"] ** 0.25),
        ("C * n^a / d^b", {"C": 2.0, "a": 1.0, "b": 0.5}, lambda p: 2 * p["n"] / p["d"] ** 0.5),
        ("C * n**-a", {"C": 1.0, "a": 0.5}, lambda p: p["n"] ** -0.5),
        ("C * n**(-1/4) * d**b", {"C": 1.0, "b": 0.3}, lambda p: p["n"] ** -0.25 * p["d"] ** 0.3),
        ("C * (1/n - 1/256)**a", {"C": 1.0, "a": 1.0}, lambda p: 1 / p["n"] - 1 / 256),
        ("3 * C * sqrt(n) * d**b", {"C": 1.0, "b": 1.0}, lambda p: 3 * p["n"] ** 0.5 * p["d"]),
        ("C * exp(-b * k)", {"C": 1.0, "b": 1e-4}, lambda p: math.exp(-1e-4 * p["k"])),
        ("C * exp(b * n / d) * n**a", {"C": 1.0, "b": 2.0, "a": 1.0}, lambda p: math.exp(2 * p["n"] / p["d"]) * p["n"]),
        ("C * exp(-k / 1000) * n**a", {"C": 1.0, "a": 1.0}, lambda p: math.exp(-p["k"] / 1000) * p["n"]),
        ("C * (n * d)**a", {"C": 1.0, "a": 2.0}, lambda p: (p["n"] * p["d"]) ** 2),
    ],
)
def test_a_law_is_linear_in_logarithms(text, values, expected):
    law = Law.parse(text, AXES)
    design, offset = law.design(POINTS)
    numbers = [math.log(values[name]) if name == law.constant else values[name] for name in law.names]
    assert np.exp(design @ numbers + offset) == pytest.approx([expected(point) for point in POINTS])
    fixed, rest = law.expected({name: value for name, value in values.items() if name != "C"}).design(POINTS)
    assert np.exp(fixed @ [math.log(values["C"])] + rest) == pytest.approx([expected(point) for point in POINTS])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n**a", "exactly one constant"),
        ("C * D * n**a", "it has C, D"),
        ("C", "has no axis"),
        ("C * n**(2*a)", "one name or number"),
        ("C * x**a", "base is of axes"),
        ("C + n**a", "no power of axes"),
        ("C * (n**a + d)", "no power of axes"),
        ("C * exp(-k/b)", "exp(-b * x)"),
        ("1/C * n**a", "above the line"),
        ("C * n**a if d else 2", "no power of axes"),
        ("__import__('os').system('true')", "not in the grammar"),
        ("C * n.real**a", "not in the grammar"),
        ("C * [n for n in d]", "not in the grammar"),
        ("C * n**a *", "is no formula"),
        ("C * n**'a'", "not in the grammar"),
        ("C" * 600, "at most 500"),
    ],
)
def test_what_is_no_law_is_refused(text, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)").replace("*", r"\*")):
        Law.parse(text, AXES)


def test_points_must_tell_parameters_apart():
    with pytest.raises(ValueError, match=r"'c' of the law .* cannot be told from C, a, b"):
        check_apart(Law.parse("C * n**a * d**b * k**c", AXES), POINTS)
    with pytest.raises(ValueError, match="'a' of the law"):
        check_apart(Law.parse("C * n**a", AXES), [point for point in POINTS if point["n"] == 10])
    check_apart(Law.parse("C * n**a * d**b", AXES), POINTS)


def test_a_base_must_be_positive():
    with pytest.raises(ValueError, match="taken in logarithms"):
        Law.parse("C * (1/n - 1/20)**a", AXES).design(POINTS)


def test_expressions_and_conditions():
    assert Expression("n * signal**4 / d")({"n": 10, "signal": 2.0, "d": 100}) == pytest.approx(1.6)
    assert Expression("-sqrt(n) + log(d)")({"n": 4, "d": 1}) == -2
    assert Expression("kappa >= 1 and n < 20 or d == 5", condition=True)({"kappa": 2, "n": 10, "d": 1}) is True
    assert Expression("1 <= n <= 3", condition=True)({"n": 4}) is False
    assert Expression("n * signal + n").names == ("n", "signal")
    for text in ("open('x')", "n if n else d", "lambda: 1", "n and d", "True + n", "n @ d", "f(n)", "exp(n, d)", "exp"):
        if text != "exp":
            with pytest.raises(ValueError, match=r"grammar|no condition"):
                Expression(text)
    with pytest.raises(ValueError, match="no condition"):
        Expression("n + 1", condition=True)
    with pytest.raises(ValueError, match="'signal' has no value; there are n"):
        Expression("n * signal")({"n": 1})
    with pytest.raises(ValueError, match=r"has no value at n = 0"):
        Expression("1 / n")({"n": 0})
    with pytest.raises(ValueError, match="root of a negative"):
        Expression("(0 - n) ** 0.5")({"n": 2})
    with pytest.raises(ValueError, match="has no value"):
        Expression("9 ** 9 ** 9 ** n")({"n": 9})
