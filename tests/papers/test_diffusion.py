"""The experiments on denoisers: each runs small, its claims can fail, and bad requests are refused."""

import numpy as np
import pytest
import xarray as xr

from lemmata.lab.find import find
from lemmata.lab.run_folder import conclude
from lemmata.papers.diffusion import dynamics as diffusion_dynamics
from lemmata.papers.diffusion import map as diffusion_map
from lemmata.papers.diffusion import setting as diffusion_setting
from lemmata.papers.diffusion import vs_classification as diffusion_vs_classification
from lemmata.sweep import sweep


def table(ratio_denoiser, ratio_classifier, status=3):
    """A sweep as the measured ratios would fill it, all denoisers with one status."""
    n_snr2 = np.array([0.05, 0.75, 1.5, 3.0, 6.75])
    dims = ("model", "n_snr2", "seed", "step")
    ratio = np.stack([np.broadcast_to(x, 5) for x in (ratio_denoiser, ratio_classifier)])[:, :, None, None]
    ratio = np.broadcast_to(ratio, (2, 5, 2, 3)).astype(float)
    ended = np.broadcast_to(np.array([status, 1])[:, None, None], (2, 5, 2))
    found = xr.Dataset(
        {"ratio": (dims, ratio), "ratio_predicted": (dims[:2], ratio[:, :, 0, 0]), "status": (dims[:3], ended),
         "gradient_norm": (dims, np.full(ratio.shape, 1e-7)), "norm_hidden": (dims, np.ones(ratio.shape))},
        {"model": ["denoiser", "classifier"], "n_snr2": n_snr2, "seed": [0, 1], "step": [0, 10, 100]},
    )  # fmt: skip
    return found


GOOD = table([0.25, 0.78, 0.94, 1.08, 1.23], [1e-3, 0.015, 0.09, 1.4, 11.0])


def holds(claim, dataset):
    claims = {c.name: c for c in diffusion_vs_classification.CLAIMS}
    return claims[claim].check(dataset).holds


def test_claims_can_hold_and_fail():
    assert holds("classifier-learns-one", GOOD)
    assert not holds("classifier-learns-one", table(1.0, 1.0))
    assert holds("denoiser-learns-both", GOOD)
    assert not holds("denoiser-learns-both", table([0.01, 0.1, 0.9, 1.0, 1.1], 1.0))
    assert not holds("denoiser-learns-both", table([0.3, 0.9, 0.8, 1.0, 1.1], 1.0))
    assert holds("four-decades-against-one", GOOD)
    assert not holds("four-decades-against-one", table([0.01, 0.1, 0.9, 1.0, 1.1], [1e-3, 0.1, 1, 2, 11.0]))
    assert holds("denoiser-converges", GOOD)
    assert not holds("denoiser-converges", GOOD.assign(gradient_norm=GOOD["gradient_norm"] + 1e-5))
    assert holds("stationary-ratio", GOOD)
    assert not holds("stationary-ratio", GOOD.assign(ratio_predicted=1.05 * GOOD["ratio_predicted"]))


def test_unconverged_cells_decide_nothing_and_are_counted():
    verdict = {c.name: c for c in diffusion_vs_classification.CLAIMS}["denoiser-learns-both"]
    assert verdict.check(table(1.0, 1.0, status=0)).holds is None
    assert "10 not converged" in verdict.check(table(1.0, 1.0, status=0)).detail
    some = GOOD.copy(deep=True)
    some["status"][0, 0, 0], some["ratio"][0, 0, 0] = 0, 1e-9
    found = verdict.check(some)
    assert found.holds
    assert found.detail.endswith("1 of 10 cells left out: 1 not converged")


def test_early_is_the_last_step_at_which_filters_have_not_grown():
    grown = GOOD.copy(deep=True)
    grown["ratio"] = grown["ratio"] * xr.DataArray([1.0, 2.0, 3.0], dims="step")
    grown["norm_hidden"][:] = [1.0, 1.1, 5.0]
    found = diffusion_vs_classification.early(grown)
    np.testing.assert_allclose(found, 2 * GOOD["ratio"].sel(model="denoiser").isel(step=0))


def test_border_is_read_off_where_the_ratio_passes_one():
    n, snr = np.array([10.0, 40.0]), np.geomspace(0.05, 1, 20)
    control = xr.DataArray(n[:, None] * snr**2, dims=("n", "snr"), coords={"n": n, "snr": snr})
    ratio = xr.concat([control**0, (control / 2.5) ** 2], xr.DataArray(["denoiser", "classifier"], dims="model"))
    dataset = xr.Dataset({"ratio": ratio, "ratio_predicted": ratio, "control": control, "status": 1 + 0 * ratio})
    dataset = dataset.assign_coords(model=["denoiser", "classifier"]).expand_dims(seed=2)
    dataset["control"] = control
    np.testing.assert_allclose(diffusion_map.border(dataset).value, 2.5, rtol=1e-6)
    assert diffusion_map.border_is_the_race(dataset).holds
    elsewhere = dataset.assign(ratio=ratio * 10)
    assert not diffusion_map.border_is_the_race(elsewhere).holds


def test_a_line_and_an_exponential_are_told_apart():
    step = np.arange(10.0)
    line = diffusion_dynamics._straightness(step, 1 + step)
    exponential = diffusion_dynamics._straightness(step, np.exp(step / 3))
    assert line[0] < 1e-12 < line[1]
    assert exponential[1] < 1e-12 < exponential[0]


def test_points_have_the_n_snr2_asked_for():
    at = diffusion_setting.at_control
    assert at(0.75, None, n=30, d=1000, sigma_p=2.0)["signal"] == pytest.approx(10.0)
    assert at(None, 0.2, n=10, d=1000, sigma_p=2.0)["signal"] == pytest.approx(0.2 * 2 * 1000**0.5)
    assert at(None, None, n=10, d=1000, sigma_p=2.0) == {}


def test_bad_requests_are_refused(tmp_path):
    experiment = find("diffusion-vs-classification")
    with pytest.raises(ValueError, match="t = 0 "):
        experiment.configure("smoke", {"t": 0})
    with pytest.raises(ValueError, match=r"n_snr2 = -1.0 was asked for"):
        experiment.configure("smoke", {"n_snr2": (-1.0, 1.0)})
    body, _ = experiment.configure("smoke", {"n": (7,)})
    assert body.value("n") == 7
    with pytest.raises(ValueError, match="model = 'diffuser' was asked for"):
        experiment.configure("smoke", {"model": ("diffuser",)})


def test_digits_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random((24, 6, 6)) + np.repeat([0, 1], 12)[:, None, None] * np.eye(6)
    np.savez(tmp_path / "good.npz", x=x, y=np.repeat([3, 5], 12))
    np.savez(tmp_path / "one.npz", x=x, y=np.zeros(24, int))
    experiment = find("diffusion-digits")
    body, grid = experiment.configure("smoke", {"images": str(tmp_path / "good.npz"), "steps": 20})
    sweep(body, grid, tmp_path / "data.zarr", progress=False)
    dataset, _ = conclude(experiment, "smoke", tmp_path)
    assert dataset.sizes["pixel"] == 36
    assert set(experiment.figures(dataset)) == {"ratio", "filters", "pictures"}
    with pytest.raises(ValueError, match="2 classes are needed"):
        experiment.configure("smoke", {"images": str(tmp_path / "one.npz")})
