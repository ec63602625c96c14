"""Test error: against test points, against closed forms down to 1e-300, and the promises of the batch axis."""

import dataclasses

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lemmata.draws import cell_seeds
from lemmata.nets.activations import GELU, LeakyReLU, ReLU, Softplus
from lemmata.probes.error_of_law import FreshPoint, TestError, test_error
from tests.oracles.error_of_law import one_dimensional_error, plain_error, trained_laws

ACTIVATIONS = [ReLU(), LeakyReLU(0.1), ReLU(2.0), Softplus(), GELU()]
EACH = pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
METHODS = ["line", "importance"]
NEVER = 1e6  # a threshold that no label passes


def law_of(filters, v, plus, minus, activation, copies=1):
    """The law of filters ``(r, d)`` under standard normal noise, as many times as there are seeds to try."""
    w, v = torch.as_tensor(filters, dtype=torch.float64), torch.as_tensor(v, dtype=torch.float64)
    thresholds = [torch.full((copies,), float(t), dtype=torch.float64) for t in (plus, minus)]
    return FreshPoint((w @ w.T).expand(copies, -1, -1), v.expand(copies, -1), *thresholds, activation)


def take(law, index):
    index = torch.as_tensor(index)
    return dataclasses.replace(
        law,
        covariance=law.covariance[index],
        output=law.output[index],
        signal_plus=law.signal_plus[index],
        signal_minus=law.signal_minus[index],
    )


def seeds_of(law, root=0):
    return cell_seeds(root, range(len(law.output)))


def within(estimate: TestError, exact: float, sigmas: float = 4.0):
    """The mean over seeds is within ``sigmas`` of its standard error of the exact value (and is not vacuous)."""
    mean, error = estimate.error.mean(), estimate.error.std() / len(estimate.error) ** 0.5
    assert error < 0.05 * exact
    assert abs(mean - exact) <= sigmas * error + 1e-12 * exact, (mean.item(), error.item(), exact)


@pytest.fixture(scope="module")
def trained():
    return {v0: trained_laws(ReLU(), [1, 2, 3, 4, 5, 6, 8], v0) for v0 in (0.5, 0.005)}


# -- against test points


@pytest.mark.parametrize(("v0", "cell"), [(0.5, 0), (0.5, 17), (0.5, 25), (0.005, 25)])
def test_equals_two_million_test_points(trained, v0, cell):
    expected, error = plain_error(trained[v0], cell, 2_000_000)
    law = take(trained[v0], [cell])
    for method in METHODS:
        found = test_error(law, seeds_of(law), method=method, draws=16384)
        assert abs(found.error.item() - expected) < 4 * (error**2 + found.standard_error.item() ** 2) ** 0.5


@EACH
def test_every_activation_equals_test_points(trained, activation):
    law = trained_laws(ReLU(), [3.0], 0.5, seeds=1)
    stretched = dataclasses.replace(law, covariance=9 * law.covariance, activation=activation)
    expected, error = plain_error(stretched, 0, 1_000_000)
    found = test_error(stretched, seeds_of(stretched), draws=16384)
    assert expected > 1e-4
    assert abs(found.error.item() - expected) < 4 * (error**2 + found.standard_error.item() ** 2) ** 0.5


def test_cross_check_agrees_and_is_absent_in_the_tail(trained):
    law = trained[0.5]
    found = test_error(law, seeds_of(law))
    large = found.error > 1e-3
    assert large.any()
    assert (~large).any()
    assert torch.equal(found.cross_check.isfinite(), large)
    z = (found.cross_check - found.error) / (found.cross_check_standard_error**2 + found.standard_error**2) ** 0.5
    assert z[found.error > 0.02].abs().max() < 5  # sixteen shifts: Student's tails; below 0.02 a few hits only
    assert test_error(law, seeds_of(law), check_draws=0).cross_check.isnan().all()


# -- against closed forms


@pytest.mark.parametrize("level", [1e-1, 1e-10, 1e-30, 1e-300])
@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(0.2)], ids=repr)
def test_one_filter_is_a_gaussian_tail(activation, level):
    threshold = norm.isf(2 * level)
    law = law_of([[3.0]], [-0.5], 1.5 * threshold, -NEVER, activation)  # -0.5 * 3 t <= -s for y = +1 only
    found = test_error(law, seeds_of(law))
    assert found.error.item() == pytest.approx(level, rel=1e-10)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_importance_sampling_is_right_in_a_deep_tail(power):
    law = law_of([[1.0]], [-1.0], norm.isf(2e-30) ** power, -NEVER, ReLU(power), copies=50)
    within(test_error(law, seeds_of(law), method="importance"), 1e-30)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.2, 1e-10, 1e-30])
def test_linear_network_is_a_gaussian_tail(method, level):
    w = torch.linspace(-1, 2, 40, dtype=torch.float64).sin().reshape(5, 8)
    v = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0], dtype=torch.float64)
    threshold = norm.isf(level) * (v @ w).norm()
    law = law_of(w, v, threshold, -threshold, LeakyReLU(slope=1.0), copies=20)
    within(test_error(law, seeds_of(law), method=method), level)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.5, 3.0, 15.0])
def test_four_failure_points(method, level):
    """h = -|x_1| - |x_2| fails outside a diamond, whose four sides are equally far: 1 - (1 - 2Q)^2 by rotation."""
    tail = norm.sf(level / 2**0.5)
    law = law_of([[1, 0], [-1, 0], [0, 1], [0, -1]], [-1] * 4, level, -NEVER, ReLU(), copies=40)
    found = test_error(law, seeds_of(law), method=method)
    within(found, 0.5 * (4 * tail - 4 * tail**2))
    assert (found.failure_points == 1).all() if level == 0.5 else (found.failure_points >= 4).all()


HUNDREDTHS = st.integers(-300, 300).map(lambda i: i / 100)


@settings(max_examples=60, deadline=None)
@given(
    a=st.lists(HUNDREDTHS, min_size=1, max_size=6),
    v=st.lists(HUNDREDTHS, min_size=6, max_size=6),
    plus=HUNDREDTHS,
    minus=HUNDREDTHS,
    slope=st.sampled_from([0.0, 0.3]),
)
@example(a=[0.01, 0.0, 0.01], v=[0.0, 0.01, 0.0, 0.0, 0.0, 0.0], plus=0.0, minus=0.0, slope=0.0)  # nothing is heard
def test_a_line_is_integrated_exactly(a, v, plus, minus, slope):
    activation = LeakyReLU(slope) if slope else ReLU()
    law = law_of([[x] for x in a], v[: len(a)], plus, minus, activation)
    found = test_error(law, seeds_of(law), draws=32, check_draws=0).error.item()
    assert found == pytest.approx(one_dimensional_error(a, v[: len(a)], plus, minus, activation), abs=1e-4)


@EACH
def test_equal_thresholds_make_one_half(activation):
    """P(h <= -s) + P(h >= -s) = 1 whatever the network."""
    law = trained_laws(ReLU(), [2.0], 0.5, seeds=8)
    half = dataclasses.replace(law, signal_minus=law.signal_plus, activation=activation)
    found = test_error(half, seeds_of(half), check_draws=0)
    assert ((found.error - 0.5) / found.standard_error).abs().max() < 5
    assert found.standard_error.max() < 0.02


# -- edges


@EACH
def test_a_network_without_noise_response(activation):
    """f = s decides alone; an output of exactly zero is wrong for both labels."""
    for zero in ("covariance", "output"):
        law = law_of(torch.eye(3), [1.0, -1.0, 0.0], 0, 0, activation, copies=4)
        law = dataclasses.replace(law, **{zero: torch.zeros_like(getattr(law, zero))})
        thresholds = {
            "signal_plus": torch.tensor([0.0, 1, 1, -1], dtype=torch.float64),
            "signal_minus": torch.tensor([0.0, 1, -1, 1], dtype=torch.float64),
        }
        found = test_error(dataclasses.replace(law, **thresholds), seeds_of(law))
        assert found.error.tolist() == pytest.approx([1.0, 0.5, 0.0, 1.0], abs=1e-12)


def test_flat_pieces_at_threshold_zero_count_as_errors():
    """All filters off on half of the line: f = 0 there, wrong for both labels."""
    law = law_of([[1.0], [2.0], [0.3]], [1.0, 0.1, 0.7], 0, 0, ReLU())
    assert test_error(law, seeds_of(law)).error.item() == pytest.approx(0.75, rel=1e-12)


def test_a_wrong_network_is_wrong_more_often_than_not(trained):
    law = take(trained[0.5], [30])
    mirrored = dataclasses.replace(law, signal_plus=-law.signal_plus, signal_minus=-law.signal_minus)
    expected, error = plain_error(mirrored, 0, 500_000)
    found = test_error(mirrored, seeds_of(law))
    assert expected > 0.9
    assert abs(found.error - expected) < 4 * (error**2 + found.standard_error**2) ** 0.5


def test_zero_only_by_underflow():
    deep = law_of([[1.0]], [-1.0], 37.5, -NEVER, ReLU())
    deeper = law_of([[1.0]], [-1.0], 40.0, -NEVER, ReLU())
    assert test_error(deep, seeds_of(deep)).error.item() == pytest.approx(0.5 * norm.sf(37.5), rel=1e-10)
    assert test_error(deeper, seeds_of(deeper)).error.item() == 0.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_units_do_not_matter(trained, method, scale):
    law = take(trained[0.005], range(0, 56, 5))
    scaled = dataclasses.replace(
        law,
        covariance=scale**2 * law.covariance,
        signal_plus=scale * law.signal_plus,
        signal_minus=scale * law.signal_minus,
    )
    expected = test_error(law, seeds_of(law), method=method).error
    torch.testing.assert_close(test_error(scaled, seeds_of(law), method=method).error, expected, rtol=1e-9, atol=0)


def test_single_precision_laws(trained):
    law = take(trained[0.5], range(0, 40, 3))
    single = dataclasses.replace(
        law, **{f: getattr(law, f).float() for f in ("covariance", "output", "signal_plus", "signal_minus")}
    )
    found = test_error(single, seeds_of(law))
    assert found.error.dtype == torch.float64
    torch.testing.assert_close(found.error, test_error(law, seeds_of(law)).error, rtol=1e-3, atol=0)


# -- the standard error, and what the batch axis promises


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cell", [8, 25, 41, 48])  # errors near 2e-1, 2e-3, 1e-10 and 1e-26
def test_standard_error_is_calibrated(trained, method, cell):
    law = take(trained[0.5], [cell] * 60)
    many = take(law, range(16))
    reference = test_error(many, seeds_of(many, root=1), draws=4096, check_draws=0).error.mean()
    found = test_error(law, seeds_of(law, root=2), method=method, check_draws=0)
    z = (found.error - reference) / found.standard_error
    assert abs(z.mean()) < 4 / 60**0.5
    assert 0.7 < z.std() < 1.45  # Student's t with 15 degrees of freedom has 1.07
    assert (found.standard_error / found.error).median() < (0.04 if method == "line" else 0.12)


@EACH
def test_a_cell_does_not_know_its_tile(trained, activation):
    law = dataclasses.replace(take(trained[0.005], range(0, 56, 4)), activation=activation)
    seeds = seeds_of(law)
    together = test_error(law, seeds)
    for index in ([0], [5, 2], [13], list(range(7, 14))):
        alone = test_error(take(law, index), seeds[index])
        for field in dataclasses.fields(TestError):
            torch.testing.assert_close(
                getattr(alone, field.name),
                getattr(together, field.name)[index],
                rtol=1e-12,
                atol=0,
                equal_nan=True,
                msg=field.name,
            )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["line", "importance", "plain"])
def test_a_nan_stays_home(trained, bad, method):
    law = take(trained[0.5], range(0, 56, 7))
    seeds, expected = seeds_of(law), test_error(law, seeds_of(law), method=method)
    broken = {f: getattr(law, f).clone() for f in ("covariance", "output", "signal_plus", "signal_minus")}
    for cell, tensor in enumerate(broken.values()):
        tensor.reshape(len(tensor), -1)[cell, 0] = bad
    found = test_error(dataclasses.replace(law, **broken), seeds, method=method)
    assert found.error[:4].isnan().all()
    assert found.standard_error[:4].isnan().all()
    torch.testing.assert_close(found.error[4:], expected.error[4:], rtol=1e-12, atol=0)


def test_the_random_state_of_torch_is_left_alone(trained):
    law = take(trained[0.5], [20])
    before = torch.get_rng_state()
    test_error(law, seeds_of(law), draws=2048)  # a net that no other test has drawn yet
    assert torch.equal(before, torch.get_rng_state())


# -- published networks


@pytest.mark.parametrize(
    ("v0", "signal", "mean"),
    [(0.5, 2, 0.16), (0.5, 3, 0.033), (0.5, 4, 1.5e-3), (0.005, 2, 0.18), (0.005, 3, 0.053), (0.005, 4, 3.9e-3)],
)
def test_levels_of_an_independent_run(trained, v0, signal, mean):
    """Mean over five seeds from another program, within the spread of our eight seeds."""
    law = take(trained[v0], range(8 * (signal - 1), 8 * signal))
    error = test_error(law, seeds_of(law)).error
    assert abs(error.mean() - mean) < 4 * error.std() * (1 / 5 + 1 / 8) ** 0.5


@pytest.mark.parametrize(
    ("v0", "signal", "level"), [(0.5, 5, 3.83e-6), (0.5, 6, 1.08e-10), (0.005, 6, 3.82e-8), (0.5, 8, 6e-26)]
)
def test_tail_levels_of_an_independent_run(trained, v0, signal, level):
    """In the tail seeds differ by orders of magnitude: compare logarithms."""
    row = {5: 4, 6: 5, 8: 6}[signal]
    law = take(trained[v0], range(8 * row, 8 * row + 8))
    exponent = test_error(law, seeds_of(law)).error.log10()
    assert abs(exponent.mean() - torch.tensor(level).log10()) < 3.5 * exponent.std()


# -- bad input


def test_bad_input_is_refused():
    law = law_of(torch.eye(2), [1.0, -1.0], 1, 1, Softplus())
    seeds = seeds_of(law)
    with pytest.raises(ValueError, match="Unknown test error method 'exact'"):
        test_error(law, seeds, method="exact")
    with pytest.raises(ValueError, match="piecewise linear"):
        test_error(law, seeds, method="line")
    with pytest.raises(ValueError, match="draws must be a power of two from 32, got 100"):
        test_error(law, seeds, draws=100)
    with pytest.raises(ValueError, match="check_draws must be a power of two"):
        test_error(law, seeds, check_draws=7)
    with pytest.raises(ValueError, match="one seed per cell"):
        test_error(law, seeds.repeat(2))
    with pytest.raises(ValueError, match=r"FreshPoint takes covariance \(c, r, r\)"):
        dataclasses.replace(law, signal_plus=torch.ones(2))
