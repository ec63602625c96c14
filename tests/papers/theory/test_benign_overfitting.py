"""The predictions against their definitions (slow twins), against published orders, and against measured trainings."""

import time

import numpy as np
import pytest
import xarray as xr

from lemmata.papers.benign_overfitting import theory as benign
from lemmata.theory.gaussian import normal_density, normal_tail, relu_moments

SETTING = {"n": 40, "signal": 5.0, "d": 2000, "m": 10}


def test_normal_tail_is_accurate_in_both_tails():
    from scipy.special import ndtr

    x = np.random.default_rng(0).uniform(-30, 37, 4000)
    np.testing.assert_allclose(normal_tail(x), ndtr(-x), rtol=2e-7)
    assert normal_tail(40.0) == 0.0


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-1.3, 0.4), (2.0, 0.7), (-0.5, 3.0)])
def test_relu_moments_against_quadrature(mean, std):
    g = np.linspace(-12, 12, 200_001)
    weight = normal_density(g) * (g[1] - g[0])
    relu = np.maximum(mean + std * g, 0)
    first, second = weight @ relu, weight @ relu**2
    np.testing.assert_allclose(relu_moments(mean, std), (first, second - first**2), rtol=1e-6, atol=1e-12)


def test_scales_agree_with_each_other():
    n, signal, d, m, sigma_p = 30, 3.0, 5000, 8, 1.7
    ratio = benign.n_snr2(n, signal, d, sigma_p)
    assert benign.kappa(n, signal, d, sigma_p) == pytest.approx(ratio * d * benign.snr(signal, d, sigma_p) ** 2)
    assert benign.margin_split(n, signal, d, sigma_p, 0.5) == pytest.approx(ratio)
    # v0c has the order n^(1/4) m^(-1/2) σp^(-1/2) d^(-1/4) where noise dominates: doubling n multiplies it by 2^(1/4).
    weak = [benign.v0c(k, 0.01, d, m, sigma_p) / k**0.25 for k in (30, 60, 480)]
    np.testing.assert_allclose(weak, weak[0], rtol=1e-4)


def test_margin_split_and_feature_scale_by_summing_a_network():
    """Filters built as the derivation says, with orthogonal noise patches: the margin's two parts, loop by loop."""
    n, d, m, signal, v, a = 8, 9, 6, 2.0, 0.7, 0.3
    active = 0.5
    noise = np.sqrt(d) * np.eye(d)[1 : n + 1]
    mu = signal * np.eye(d)[0]
    signal_part = noise_part = 0.0
    for r in range(m):
        memorised = [(r + k) % (n // 2) for k in range(int(active * n / 2))]
        w = a * (n / 2 * mu + noise[memorised].sum(0))
        signal_part += v * max(w @ mu, 0)
        noise_part += np.mean([v * max(w @ noise[i], 0) for i in range(n // 2)])
    assert signal_part / noise_part == pytest.approx(benign.margin_split(n, signal, d, active=active))
    scale = benign.feature_scale(n, signal, d, active=active)
    assert signal_part + noise_part == pytest.approx(m * v * np.linalg.norm(w) * scale)


@pytest.mark.parametrize(
    ("v0", "measured"), [(0.003, 94), (0.01, 28), (0.03, 9.5), (0.1, 2.92), (0.3, 1.15), (1.0, 1.0)]
)
def test_output_growth_matches_trainings_within_five_percent(v0, measured):
    """n=40, ‖μ‖=5, d=2000, m=10, σ0 ≤ 0.03, 600 steps: nothing measured enters the prediction."""
    path = benign.training_path(v0, **SETTING)
    assert path.output / v0 == pytest.approx(measured, rel=0.05)
    boundary = benign.v0c(**SETTING, margin=path.margin)
    assert benign.output_growth(v0, boundary) == pytest.approx(path.output / v0, rel=0.02)


def test_layer_norms_of_both_regimes_match_trainings():
    hidden, output, _ = benign.training_path(np.array([0.5, 0.005]), **SETTING)
    np.testing.assert_allclose(np.sqrt(20) * output, [2.289, 1.258], rtol=0.01)
    # ‖W‖_F also holds the initial weights, √20·√2000·1e-3 = 0.2.
    np.testing.assert_allclose(np.hypot(np.sqrt(20) * hidden, 0.2), [0.528, 1.275], rtol=0.03)


def test_path_conserves_the_norm_gap_and_keeps_its_end():
    whole = benign.training_path(np.array([0.5, 0.005]), **SETTING, keep=True)
    end = benign.training_path(np.array([0.5, 0.005]), **SETTING)
    assert whole.output.shape == (601, 2)
    for part, last in zip(whole, end, strict=True):
        np.testing.assert_array_equal(part[-1], last)
    # Descent breaks the flow's law by a factor 1 − h² per step: half the step over the same time, half the drift.
    drifts = []
    for refine in (1, 2):
        path = benign.training_path(0.1, **SETTING, step_size=2e-3 / refine, steps=400 * refine)
        drifts.append(abs(benign.norm_gap(path.hidden, path.output) / -(0.1**2) - 1))
    assert drifts[0] < 0.05
    assert drifts[0] / drifts[1] == pytest.approx(2, rel=0.05)


def test_early_growth_rate_of_a_small_start():
    path = benign.training_path(1e-6, **SETTING, active=0.5, keep=True)
    rate = np.diff(np.log(path.output))[30:60]
    np.testing.assert_allclose(rate, np.log1p(0.5 / 4), rtol=0.02)


def test_growth_at_the_boundary_and_regimes():
    assert benign.output_growth(1.0, 1.0) == pytest.approx(((1 + 5**0.5) / 2) ** 0.5)
    assert benign.regime([0.005, 0.5], 0.1).tolist() == ["small", "large"]


# -- test error ------------------------------------------------------------------------------------------------------


def test_error_from_kappa_against_sampling():
    rng = np.random.default_rng(1)
    plus, minus = rng.standard_normal((2, 2_000_000))
    for active in (0.5, 0.67, 0.8):
        psi = [relu_moments(np.sqrt(active) * c, np.sqrt(1 - active))[0] for c in (plus, minus)]
        for kappa in (0.0, 0.3, 2.5, 10.0):
            hits = np.mean(psi[1] - psi[0] > np.sqrt(kappa / (2 * active)))
            error = benign.error_from_kappa(kappa, active)
            assert abs(hits - error) < 4 * np.sqrt(error / 2_000_000)


def test_error_from_kappa_far_in_the_tail():
    """An independent adaptive quadrature over both shared normals, where sampling sees nothing."""
    from scipy.integrate import quad
    from scipy.optimize import brentq
    from scipy.special import log_ndtr

    active = 0.67
    root, rest = active**0.5, (1 - active) ** 0.5

    def psi(c):
        z = root * c / rest
        return root * c * np.exp(log_ndtr(z)) + rest * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    for kappa in (5.0, 50.0, 200.0):
        threshold = np.sqrt(kappa / (2 * active))

        def integrand(c, threshold=threshold):
            need = brentq(lambda x: psi(x) - psi(c) - threshold, -12, 60)
            return np.exp(-c * c / 2 + log_ndtr(-need)) / np.sqrt(2 * np.pi)

        exact = quad(integrand, -9, 6, epsabs=0, epsrel=1e-7, limit=200)[0]
        assert benign.error_from_kappa(kappa, active) == pytest.approx(exact, rel=1e-4)


def test_error_from_kappa_near_trainings():
    """Measured at n=80, d=2000, m=10: within a factor 1.3 near the transition, pessimistic by at most 5 in the tail."""
    kappa = np.array([0.3, 0.6, 1.2, 2.5, 5, 10])
    large = np.array([0.186, 0.119, 0.057, 0.0152, 1.65e-3, 4.5e-5])
    small = np.array([0.199, 0.132, 0.069, 0.0216, 3.1e-3, 1.4e-4])
    for measured, active in ((large, 0.68), (small, 0.71)):
        ratio = benign.error_from_kappa(kappa, active) / measured
        assert (ratio[:3] < 1.3).all()
        assert (ratio > 0.9).all()
        assert (ratio < 5.2).all()


def test_error_from_kappa_shapes_monotonicity_speed_and_refusals():
    kappa = np.geomspace(1e-3, 600, 1000)
    start = time.perf_counter()
    error = benign.error_from_kappa(kappa)
    assert time.perf_counter() - start < 1.0
    assert (np.diff(error) < 0).all()
    assert 0 < error[-1] < 1e-120
    assert benign.error_from_kappa(0.0) == pytest.approx(0.5, abs=1e-6)
    assert benign.error_from_kappa(np.ones((3, 1)), np.array([0.5, 0.7])).shape == (3, 2)
    np.testing.assert_allclose(
        benign.error_from_kappa(benign.kappa_at_error([0.2, 0.1, 1e-6])), [0.2, 0.1, 1e-6], rtol=0.01
    )
    assert np.isnan(benign.error_from_kappa(np.nan, 0.5))
    for bad in ((-1.0, 0.5), (1.0, 1.0)):
        with pytest.raises(ValueError, match="kappa"):
            benign.error_from_kappa(*bad)


def test_predicted_error_has_both_limits():
    wide = benign.predicted_error(0.5, **{**SETTING, "m": 400, "signal": 3.0}, init=0.0, margin=5.0)
    assert wide == pytest.approx(benign.error_from_kappa(40 * 81 / 2000), rel=0.02)
    noisy = {**SETTING, "init": 0.1}
    rho = benign.margin_split(40, 5.0, 2000)
    output = 30.0 * benign.output_growth(30.0, benign.v0c(**SETTING, margin=5.0))
    simple = normal_tail(5.0 * rho / (1 + rho) / benign.init_noise(output, 2000, 10, 0.1))
    assert benign.predicted_error(30.0, **noisy, margin=5.0) == pytest.approx(simple, rel=1e-3)


def test_predicted_error_against_sampled_networks():
    """Draw filters as the derivation describes, in their overlap coordinates, and count errors."""
    rng = np.random.default_rng(3)
    m, active, threshold, initial, draws = 5, 0.67, 0.9, 0.6, 400_000
    outputs = []
    for _ in range(2):
        shared = np.sqrt(active) * rng.standard_normal((draws, 1))
        own = np.sqrt(1 - active + initial**2) * rng.standard_normal((draws, m))
        outputs.append(np.maximum(shared + own, 0).mean(1))
    hits = np.mean(outputs[1] - outputs[0] > threshold)
    assert benign._finite_width_error(threshold, active, initial, m) == pytest.approx(hits, rel=0.03)


@pytest.mark.parametrize(
    ("init", "v0", "measured"),
    [
        (1e-2, 1.0, 0.141),
        (1e-2, 3.0, 0.365),
        (3e-3, 3.0, 0.11),
        (0.03, 0.003, 0.03),
        (0.03, 0.3, 0.11),
        (0.1, 0.01, 0.26),
    ],
)
def test_harm_done_by_the_initialisation_matches_trainings(init, v0, measured):
    """κ = 12.5 would give 6e-5 without it."""
    assert benign.predicted_error(v0, **SETTING, init=init) == pytest.approx(measured, rel=0.25)
    assert benign.error_from_kappa(12.5) < 2e-3 * measured


def test_output_limit_is_where_the_start_is_as_loud_as_the_signal():
    limit = benign.output_limit(**SETTING, init=1e-3, margin=5.0)
    rho = benign.margin_split(40, 5.0, 2000)
    assert benign.init_noise(limit, 2000, 10, 1e-3) == pytest.approx(5.0 * rho / (1 + rho))


def test_formulas_keep_labelled_arrays():
    n = xr.DataArray([10, 20], dims="n", coords={"n": [10, 20]})
    signal = xr.DataArray([1.0, 2.0, 3.0], dims="signal")
    for result in (
        benign.kappa(n, signal, 2000),
        benign.v0c(n, signal, 2000, 10),
        benign.output_growth(0.1, benign.v0c(n, signal, 2000, 10)),
        benign.output_limit(n, signal, 2000, 10, 1e-3),
    ):
        assert set(result.dims) == {"n", "signal"}
    assert benign.predicted_error(0.5, np.array([[10], [20]]), np.arange(1, 4), 2000, 10, 1e-3).shape == (2, 3)
