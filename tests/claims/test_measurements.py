"""Thresholds, exponents and collapse: against slow twins, on labs whose exponents are known."""

import numpy as np
import pytest
import xarray as xr

from lemmata.claims import NotMeasurable, at_most, collapse, drift, exponent, local_exponents, threshold, within
from lemmata.claims.claim import _NOTES
from lemmata.claims.fit import drift_columns, fit, inverse_variances
from tests.oracles.synthetic_lab import SyntheticLab

SIGNAL = np.geomspace(1.5, 60, 24)


def dataset(lab, n=(10, 20, 40, 80), d=(2000, 32000), seeds=24, signal=SIGNAL):
    """A product grid of a lab: test_error(n, d, signal, seed), with κ = n signal⁴/d."""
    axes = {"n": list(n), "d": list(d), "signal": list(signal), "seed": list(range(seeds))}
    index = np.stack(np.meshgrid(*axes.values(), indexing="ij"), -1).reshape(-1, 4)
    points = [{"n": int(row[0]), "d": int(row[1]), "signal": row[2], "seed": int(row[3])} for row in index]
    error = lab(points)["test_error"].reshape([len(values) for values in axes.values()])
    data = xr.Dataset({"test_error": (tuple(axes), error)}, axes)
    return data.assign_coords(kappa=data.n * data.signal**4 / data.d)


def test_a_crossing_is_that_of_the_straight_line_between_neighbours():
    """The slow twin: one curve, one seed, a loop."""
    data = dataset(SyntheticLab(), seeds=5)
    found = threshold(data.test_error, 0.1, along="signal", statistic="each").each
    for n in data.n.values:
        for d in data.d.values:
            for seed in data.seed.values:
                y = np.log(data.test_error.sel(n=n, d=d, seed=seed).values.clip(1e-300))
                for k in range(len(SIGNAL) - 1):
                    if y[k] > np.log(0.1) >= y[k + 1]:
                        share = (np.log(0.1) - y[k]) / (y[k + 1] - y[k])
                        expected = np.log(SIGNAL[k]) + share * np.log(SIGNAL[k + 1] / SIGNAL[k])
                assert float(found.sel(n=n, d=d, seed=seed)) == pytest.approx(expected, rel=1e-12)


def test_influence_values_have_the_error_of_the_mean_curve_s_crossing():
    """Their standard error is that of the jackknife, which leaves one seed out and starts again."""
    error = dataset(SyntheticLab(), n=(20,), d=(2000,)).test_error
    found = threshold(error, 0.1, along="signal")
    seeds = error.sizes["seed"]
    left = [
        float(np.log(threshold(error.isel(seed=[j for j in range(seeds) if j != k]), 0.1, along="signal").value[0, 0]))
        for k in range(seeds)
    ]
    jackknife = np.sqrt((seeds - 1) * np.var(left))
    assert found.each.std("seed", ddof=1).item() / seeds**0.5 == pytest.approx(jackknife, rel=0.05)
    mean = np.log(error.mean("seed").values.ravel().clip(1e-300))
    assert found.value.item() == pytest.approx(np.exp(np.interp(-np.log(0.1), -mean, np.log(SIGNAL))), rel=1e-12)


def test_thresholds_may_rise_be_linear_and_be_read_in_another_variable():
    rising = xr.DataArray([[0.0, 0.1], [0.4, 0.5]], {"sigma": [1.0, 4.0], "seed": [0, 1]})
    found = threshold(rising, 0.25, along="sigma", log=False)
    assert found.value.item() == pytest.approx(2.0)
    data = dataset(SyntheticLab())
    kappa = threshold(data.test_error, 0.1, along="signal", of=data.kappa)
    signal = threshold(data.test_error, 0.1, along="signal")
    assert kappa.value.values == pytest.approx((signal.value**4 * data.n / data.d).values)
    part = data.isel(n=slice(1, None)).test_error.drop_vars("kappa")
    assert threshold(part, 0.1, along="signal", of=data.kappa).value.values == pytest.approx(kappa.value.values[1:])


def test_what_is_not_crossed_is_missing_and_nothing_crossed_is_not_measurable():
    data = dataset(SyntheticLab(), n=(10, 20))
    error = data.test_error.where(data.n > 10, 0.4)
    found = threshold(error, 0.1, along="signal")
    assert found.value.isnull().values.tolist() == [[True, True], [False, False]]
    assert np.isfinite(found.high).sum() == 2
    with pytest.raises(NotMeasurable, match="test_error crosses 1e-05 nowhere along signal"):
        threshold(data.test_error.clip(1e-3), 1e-5, along="signal")
    with pytest.raises(NotMeasurable, match="several seeds"):
        threshold(data.test_error.isel(seed=0), 0.1, along="signal")
    with pytest.raises(NotMeasurable, match="several values of depth"):
        threshold(data.test_error, 0.1, along="depth")


def test_missing_cells_neither_move_nor_hide_a_crossing():
    data = dataset(SyntheticLab(), n=(20,), d=(2000,))
    whole = threshold(data.test_error.isel(seed=slice(2, None)), 0.1, along="signal")
    holed = threshold(data.test_error.where(data.seed >= 2), 0.1, along="signal")
    assert holed.value.item() == pytest.approx(whole.value.item(), rel=1e-12)
    assert holed.high.item() == pytest.approx(whole.high.item(), rel=1e-12)
    gap = data.test_error.where(data.signal != SIGNAL[3])
    assert np.isfinite(threshold(gap, 0.1, along="signal").value).all()


def test_a_second_crossing_is_said():
    curve = xr.DataArray(np.outer([0.5, 0.05, 0.5, 0.05], [1, 1.1]), {"x": [1.0, 2, 3, 4], "seed": [0, 1]})
    notes: list = []
    token = _NOTES.set(notes)
    threshold(curve, 0.1, along="x")
    _NOTES.reset(token)
    assert notes == ["1 of 1 curves cross 0.1 more than once along x; the first crossing counts"]


def test_exponents_of_a_known_lab():
    data = dataset(SyntheticLab(spread=0.02), n=(10, 14, 20, 28, 40, 56, 80))
    found = threshold(data.test_error, 0.1, along="signal")
    over_n, over_d = exponent(found, "n"), exponent(found, "d", least=2)
    assert within(0.02, over_n, of=-0.25).holds is True
    assert within(0.02, over_d, of=0.25).holds is True
    assert within(0.02, over_n, of=-0.3).holds is False
    assert over_n.value.dims == ("d",)
    assert bool((abs(drift(found, "n").value) < 0.05).all())
    assert local_exponents(found, "n").value.sizes == {"n": 6, "d": 2}


def test_an_exponent_is_numpy_s_fit_of_every_seed():
    values = xr.DataArray(np.random.default_rng(1).lognormal(size=(6, 5)), {"n": range(1, 7), "seed": range(5)})
    each = exponent(threshold_like(values), "n").each
    for k in range(5):
        slope = np.polyfit(np.log(range(1, 7)), np.log(values[:, k]), 1)[0]
        assert float(each[k]) == pytest.approx(slope, rel=1e-9)
    with pytest.raises(NotMeasurable, match="needs 3 or more values of n"):
        exponent(threshold_like(values.isel(n=[0, 1])), "n")
    with pytest.raises(NotMeasurable, match="several values of d"):
        exponent(threshold_like(values), "d")


def threshold_like(values):
    from lemmata.claims import Estimate

    return Estimate(np.log(values), log=True)


def test_drift_is_the_change_of_the_local_exponent():
    n = np.geomspace(10, 1000, 9)
    y = -0.25 * np.log(n) + 0.03 * np.log(n) ** 2
    bent = xr.DataArray(np.exp(y)[:, None] * np.ones(3), {"n": n, "seed": range(3)})
    assert drift(threshold_like(bent), "n").value == pytest.approx(2 * 0.03 * np.log(100))
    x = np.log(n)
    assert np.gradient(drift_columns(x), x)[[1, -2]] @ [-1, 1] == pytest.approx(x[-2] / x[0] * 0 + 6 / 8)


def test_a_law_s_form_is_judged_by_all_residuals_together():
    rng = np.random.default_rng(0)
    x = np.log([10, 20, 40, 80, 160])
    design = np.c_[np.ones(5), x]
    line = design @ [1.0, -0.25]
    noise = 0.05 * rng.standard_normal((5, 40))
    assert fit(("C", "a"), design, line[:, None] + noise).form > 0.05
    assert fit(("C", "a"), design, (line + 0.05 * (x - 3) ** 2)[:, None] + noise).form < 1e-6
    assert np.isnan(fit(("C", "a"), design, line[:, None] + noise[:, :4]).form)
    with pytest.raises(ValueError, match="do not tell C, a apart"):
        fit(("C", "a"), np.ones((3, 2)), np.ones((3, 4)))
    assert inverse_variances(noise[:, :8]) is None
    assert inverse_variances(noise * [[1], [1], [1], [1], [9]])[-1] < 0.3


@pytest.mark.parametrize(
    ("lab", "consistent"),
    [(SyntheticLab(), True), (SyntheticLab(a=-0.15), False), (SyntheticLab(steeper=0.25), False)],
    ids=["one curve", "shifted by n^0.1", "another slope"],
)
def test_curves_collapse_or_do_not(lab, consistent):
    data = dataset(lab, signal=np.geomspace(1.2, 40, 48))
    found = collapse(data.test_error, data.kappa, along="signal")
    if consistent:
        assert found.p > 0.05
        assert at_most(0.2, found).holds is True
    else:
        assert found.p < 0.005
        assert at_most(0.05, found).holds is False
    assert float(found.low) <= float(found.value) <= float(found.high)
    assert found.read == 32


def test_the_farthest_curve_is_named():
    data = dataset(SyntheticLab(spread=0.01), signal=np.geomspace(1.2, 40, 48))
    moved = data.kappa * xr.where((data.n == 40) & (data.d == 2000), 1.3, 1.0)
    found = collapse(data.test_error, moved, along="signal")
    assert found.farthest.startswith("n = 40, d = 2000 at ")
    with pytest.raises(NotMeasurable, match="no level"):
        collapse(data.test_error, moved, along="signal", levels=(0.9,))
    with pytest.raises(NotMeasurable, match="four seeds"):
        collapse(data.test_error.isel(seed=[0, 1, 2]), moved, along="signal")
