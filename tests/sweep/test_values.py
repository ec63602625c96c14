"""Numbers as labels: what the user wrote is what selects it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemmata.parameters import Parameter
from lemmata.sweep import Axis, Grid, sweep
from lemmata.sweep.grid import parse_values
from lemmata.sweep.values import spread, tidy
from tests.sweep.bodies import Toy

SIGNAL = Parameter("signal", float, above=0, most=100)
COUNT = Parameter("samples", int, least=1)
WORD = Parameter("engine", str, choices=("auto", "log:1:2:3"))


def test_what_was_written_selects_whatever_array_it_came_in():
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        found = sweep(Toy(), Grid.of(signal=np.array([0.1, 0.2, 0.7], dtype)), progress=False)
        assert [float(found.signal.sel(signal=value)) for value in (0.1, 0.2, 0.7)] == [0.1, 0.2, 0.7]
    found = sweep(Toy(), Grid.of(signal=np.arange(0.1, 0.75, 0.1)), progress=False)
    assert found.signal.values.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_sums_of_decimals_are_decimals_and_zero_is_zero():
    assert Axis("x", np.arange(-0.3, 0.35, 0.1)).values == (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    assert Axis("x", (0.1 + 0.2, 1 / 3, 1e-17, 5e-324)).values == (0.3, 1 / 3, 1e-17, 5e-324)
    assert Axis("x", np.logspace(-16, 0, 3)).values == (1e-16, 1e-8, 1.0)
    assert Axis("n", np.arange(3, dtype=np.int16)).values == (0, 1, 2)


@given(st.floats(-1e15, 1e15).map(lambda x: float(f"{x:.12g}")), st.integers(-4, 4))
def test_twelve_digits_survive_a_few_units_in_the_last_place(value, units):
    moved = value
    for _ in range(abs(units)):
        moved = float(np.nextafter(moved, np.inf if units > 0 else -np.inf))
    assert tidy([moved])[0] == value or abs(moved - value) > 4 * np.finfo(float).eps * abs(moved)


@given(st.floats(1e-20, 1e20), st.floats(1e-20, 1e20), st.integers(2, 50))
def test_spread_has_ends_and_equal_ratios(low, high, count):
    if abs(np.log(high / low)) < 1e-6:
        return
    found = spread(low, high, count, "log")
    assert len(found) == count
    np.testing.assert_allclose([found[0], found[-1]], [low, high], rtol=1e-11)
    ratios = np.diff(np.log(found))
    np.testing.assert_allclose(ratios, np.log(high / low) / (count - 1), rtol=1e-4)
    assert all(value == float(f"{value:.12g}") for value in found)


def test_grids_are_written_in_words():
    assert Grid.log(0.5, 8, 5) == (0.5, 1.0, 2.0, 4.0, 8.0)
    assert Grid.linear(-1, 1, 5) == (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert Grid.of(signal=Grid.log(1, 100, 3)).axes[0].values == (1.0, 10.0, 100.0)
    assert parse_values(["3", "log:0.5:8:5", "0.1"], SIGNAL) == (3.0, 0.5, 1.0, 2.0, 4.0, 8.0, 0.1)
    assert parse_values(["lin:1:4:7"], SIGNAL) == (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    assert parse_values(["lin:10:40:4", "5"], COUNT) == (10, 20, 30, 40, 5)
    assert parse_values(["log:10:1000:4"], COUNT) == (10, 46, 215, 1000)
    assert [type(value) for value in parse_values(["lin:10:40:4"], COUNT)] == [int] * 4
    assert parse_values(["auto", "log:1:2:3"], WORD) == ("auto", "log:1:2:3")


@pytest.mark.parametrize(
    ("texts", "parameter", "says"),
    [
        (["log:0:8:5"], SIGNAL, "both ends must be above 0"),
        (["log:1:8"], SIGNAL, r"signal = 'log:1:8' was asked for; write log:FROM:TO:COUNT, e.g. log:1:8:4"),
        (["lin:a:b:3"], SIGNAL, "write lin:FROM:TO:COUNT"),
        (["lin:1:4:1"], SIGNAL, "1 values from 1.0 to 4.0 were asked for; give a whole number of at least 2"),
        (["lin:4:4:3"], SIGNAL, "give two different finite numbers"),
        (["lin:1:inf:3"], SIGNAL, "give two different finite numbers"),
        (["lin:1:400:3"], SIGNAL, "signal = 200.5 was asked for; signal must be"),
        (["lin:1:4:7"], COUNT, "holds 1.5; signal takes whole numbers"),
        (["x"], SIGNAL, "signal = 'x' was asked for"),
        (["3", "nan"], SIGNAL, "signal = nan was asked for"),
        (["none"], WORD, "signal = 'none' was asked for"),
        ([""], WORD, "signal = '' was asked for"),
    ],
)
def test_words_that_stand_for_no_values_are_refused_in_one_sentence(texts, parameter, says):
    with pytest.raises(ValueError, match=says) as caught:
        parse_values(texts, parameter, "signal")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Axis("n", {"a": 1}), TypeError, "was given a dict; give its values in order"),
        (lambda: Axis("n", {1, 2}), TypeError, "was given a set"),
        (lambda: Axis("n", (1,), units=3), TypeError, "units = 3 was given; give a text"),
        (lambda: Axis("class", (1,)), ValueError, "named like a parameter"),
        (lambda: Axis("n", (0.3, 0.1 + 0.2)), ValueError, "holds 0.3 twice"),
        (lambda: Grid.log(1, 8, 2.5), ValueError, "give a whole number of at least 2"),
    ],
)
def test_bad_axes_are_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()
