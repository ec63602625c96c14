"""The experiments on benign overfitting: grids, claims and figures on measured tables, then each of them run small."""

import re

import numpy as np
import pytest
import xarray as xr

from lemmata.lab.find import find
from lemmata.lab.run_folder import conclude
from lemmata.papers.benign_overfitting import digits, dimension, init
from lemmata.papers.benign_overfitting import phase_diagram as main
from lemmata.papers.benign_overfitting import theory as benign
from lemmata.report.style import save
from lemmata.sweep import sweep
from tests.oracles.benign_tables import configured, dimension_sweep, init_map, phase_diagram


def with_predictions(experiment, dataset):
    return dataset.merge(experiment.predict(dataset))


def verdicts(experiment, dataset):
    return {claim.name: claim.check(dataset) for claim in experiment.claims}


@pytest.fixture(scope="module")
def plane():
    return with_predictions(main.EXPERIMENT, configured(phase_diagram()))


# -- the phase diagram -----------------------------------------------------------------------------------------------


def test_crossings_reproduce_the_published_reduction_of_the_table(plane):
    """κ at error 0.1 read off the same table by hand: 0.57 to 0.71 for the large start, 0.75 to 0.99 for the small."""
    found = main.kappa_at_level(plane).value
    large, small = found.sel(v0=0.5), found.sel(v0=0.005)
    assert float(large.min()) > 0.5
    assert float(large.max()) < 0.8
    assert float(small.min()) > 0.65
    assert float(small.max()) < 1.1


def test_claims_hold_on_the_measured_table(plane):
    found = verdicts(main.EXPERIMENT, plane)
    # Five seeds on a coarse grid of signals: at one of five sample sizes the ratio of κ is just outside its bounds.
    ratio = found.pop("small-start-needs-more")
    assert not ratio.holds
    low, high = (float(text) for text in re.findall(r"×([\d.]+)", ratio.measured))
    assert 1.0 < low < high < 1.8, ratio
    assert found.pop("harmful-side").holds is not False  # of five seeds an interval over 12 cells is wide
    assert {name: verdict.holds for name, verdict in found.items()} == dict.fromkeys(found, True), found


def test_claims_fail_where_their_statement_is_false(plane):
    by_signal_alone = plane.copy(deep=True)
    by_signal_alone["test_error"] = plane["test_error"].isel(n=2, drop=True).broadcast_like(plane["test_error"])
    found = verdicts(main.EXPERIMENT, by_signal_alone)
    assert found["kappa-decides"].holds is False
    assert found["exponential-bound"].holds is False
    badly_fitted = plane.copy(deep=True)
    badly_fitted["train_loss"][0, 1, 2, 3] = 0.5
    fit = verdicts(main.EXPERIMENT, badly_fitted)["fits-training-data"]
    assert fit.holds is None  # one of 30 data sets: with high probability, or not?
    assert fit.measured.startswith("1 of 30 data sets")
    assert "one at n = 20, seed = 3" in fit.detail
    badly_fitted["train_loss"][0, :, 2, :3] = 0.5
    fit = verdicts(main.EXPERIMENT, badly_fitted)["fits-training-data"]
    assert fit.holds is False
    swapped = plane.copy(deep=True)
    swapped["test_error"] = (plane["test_error"].dims, plane["test_error"].values[::-1])
    assert verdicts(main.EXPERIMENT, swapped)["small-start-needs-more"].holds is False


def test_one_diverged_cell_is_said_and_not_averaged(plane):
    broken = plane.copy(deep=True)
    broken["status"][1, 2, 2, 0] = 2
    broken["test_error"][1, 2, 2, 0] = np.nan
    found = verdicts(main.EXPERIMENT, broken)
    assert found["fits-training-data"].measured.startswith("1 of 30 data sets")
    assert "1 diverged" in found["fits-training-data"].detail
    assert found["kappa-decides"].holds is True


def test_other_axes_leave_claims_undecided_not_wrong(plane):
    narrow = plane.isel(n=[2])
    assert verdicts(main.EXPERIMENT, narrow)["kappa-decides"].holds is None
    assert verdicts(main.EXPERIMENT, plane.sel(v0=[0.005]))["small-start-needs-more"].holds is None


def test_predictions_stand_on_the_axes_they_depend_on(plane):
    assert plane["kappa"].dims == ("n", "signal")
    assert set(plane["test_error_predicted"].dims) == {"v0", "n", "signal"}
    cell = {"v0": 0.5, "n": 40, "signal": 3.0}
    expected = benign.predicted_error(**cell, d=2000, m=10, init=1e-3)
    assert float(plane["test_error_predicted"].sel(cell)) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"v0": [0]},
        {"n": [1]},
        {"signal": [3]},
        {"seed": [0]},
    ],
    ids=["whole", "one v0", "one n", "one signal", "one seed"],
)
def test_figures_draw_whatever_was_run(plane, part, tmp_path):
    drawn = main.figures(plane.isel(part))
    assert set(drawn) == {"phase_diagram", "collapse"}
    for name, figure in drawn.items():
        assert save(figure, tmp_path / f"{name}.png", dpi=60).stat().st_size > 5000


def test_a_further_axis_is_named_in_the_figure(plane):
    wider = plane.expand_dims(m=[5, 10])
    title = main.figures(wider)["phase_diagram"].get_suptitle()
    assert "(m = 5)" in title


# -- the others ------------------------------------------------------------------------------------------------------


def test_init_claims_on_the_measured_table():
    dataset = with_predictions(init.EXPERIMENT, configured(init_map()))
    found = verdicts(init.EXPERIMENT, dataset)
    assert found["growth-predicted"].holds is True, found["growth-predicted"]
    assert found["loud-start-harms"].holds is True, found["loud-start-harms"]
    assert found["harm-predicted"].holds is True, found["harm-predicted"]
    assert set(init.figures(dataset)) == {"init_map", "init_curves"}
    grown = dataset.copy(deep=True)
    grown["norm_output"] *= 1.2
    assert verdicts(init.EXPERIMENT, grown)["growth-predicted"].holds is False


def test_dimension_claim_measures_the_drift_of_the_table():
    """That table was taken at fixed σ0σp√d, where the start drowns the signal at large d: a drift beyond ×1.25."""
    found = verdicts(dimension.EXPERIMENT, with_predictions(dimension.EXPERIMENT, dimension_sweep()))
    assert found["dimension-drops-out"].holds is False
    assert "kappa = 4" in found["dimension-drops-out"].detail


def test_points_at_fixed_kappa_have_that_kappa_and_a_quiet_start():
    for d in (10**3, 10**9):
        for relative in (0.05, 5.0):
            point = dimension.at_fixed_kappa(3.0, relative, n=40, d=d, m=10, sigma_p=1.5)
            assert set(point) == {"signal", "v0", "init"}
            assert benign.kappa(40, point["signal"], d, 1.5) == pytest.approx(3.0)
            output = max(point["v0"], benign.v0c(40, point["signal"], d, 10, 1.5, margin=5.0))
            rho = benign.margin_split(40, point["signal"], d, 1.5)
            noise = benign.init_noise(output, d, 10, point["init"], 1.5)
            assert noise / (5.0 * rho / (1 + rho)) == pytest.approx(dimension.QUIET)


def test_digits_transition_is_read_off_where_the_error_crosses():
    noise = np.geomspace(0.1, 3.2, 11)
    n = np.array([10, 40, 160])
    critical = 0.3 * n**0.25
    error = 0.4 / (1 + (critical[:, None] / noise) ** 2)
    dataset = xr.Dataset(
        {
            "test_error": (("v0", "n", "sigma_p", "seed"), np.tile(error[None, :, :, None], (2, 1, 1, 3))),
            "status": (("v0", "n", "sigma_p", "seed"), np.zeros((2, 3, 11, 3), int)),
        },
        {"v0": [0.005, 0.5], "n": n, "sigma_p": noise, "seed": [0, 1, 2]},
    )
    np.testing.assert_allclose(digits.transition(dataset).value.isel(v0=0), critical, rtol=0.02)
    assert digits.transition_moves_with_n(dataset).holds
    flat = dataset.assign(test_error=dataset["test_error"].isel(n=0, drop=True).expand_dims(n=n))
    assert not digits.transition_moves_with_n(flat).holds


def test_a_short_run_leaves_the_late_ratio_undecided(tmp_path):
    experiment = find("benign-overfitting-dynamics")
    body, grid = experiment.configure("smoke", {"steps": 30})
    sweep(body, grid, tmp_path / "data.zarr", progress=False)
    _, found = conclude(experiment, "smoke", tmp_path)
    assert {verdict.claim: verdict.holds for verdict in found}["small-start-keeps-ratio"] is None
