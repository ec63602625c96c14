"""The experiments on one and two modalities: run small, claims that can fail, resuming, pictures of the user's own."""

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr

import lemmata as lm
from lemmata.lab.claims import NotMeasurable
from lemmata.lab.old_experiment import SIZES, experiments, find
from lemmata.lab.run_folder import conclude
from lemmata.papers.multimodal import colour_training as loop
from lemmata.papers.multimodal import coloured_digits as digits
from lemmata.papers.multimodal import curves as curves
from lemmata.papers.multimodal import map as plane
from lemmata.papers.multimodal import setting as family
from lemmata.report.style import save
from lemmata.sweep.sweep import sweep

NAMES = [name for name in experiments() if name.startswith("multimodal")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Every experiment run at size smoke, as the command line does."""
    found = {}
    for name in NAMES:
        experiment = find(name)
        folder = tmp_path_factory.mktemp(name)
        body, grid = experiment.configure("smoke")
        sweep(body, grid, folder / "data.zarr", progress=False)
        found[name] = (folder, *conclude(experiment, "smoke", folder))
    return found


def test_there_are_three_and_each_has_three_growing_sizes():
    assert len(NAMES) == 3
    for name in NAMES:
        experiment = find(name)
        cells = [experiment.grid(size).cells for size in SIZES]
        assert cells == sorted(cells)
        assert set(experiment.seconds) == set(SIZES)
        assert experiment.paper.arxiv == "2411.02837"
        known = {option.name for option in experiment.options if option.axis} | {"seed"}
        assert set(experiment.grid("paper").names) <= known


@pytest.mark.parametrize("name", NAMES)
def test_runs_small_concludes_and_draws(folders, name, tmp_path):
    _, dataset, verdicts = folders[name]
    assert bool(dataset["done"].all())
    assert not [verdict for verdict in verdicts if verdict.holds is False]
    for title, figure in find(name).figures(dataset).items():
        assert figure.get_suptitle()
        assert save(figure, tmp_path / f"{title}.png", dpi=40).stat().st_size > 5000


def test_single_and_multi_start_from_the_same_encoder(folders):
    start = folders["multimodal-curves"][1].isel(step=0)
    for name in ("encoder_signal", "encoder_noise", "downstream_error"):
        single, multi = (start[name].sel(modality=m).values for m in ("single", "multi"))
        np.testing.assert_allclose(single, multi, rtol=1e-10)


def test_the_loss_is_reached_per_direction(folders):
    dataset = folders["multimodal-map"][1]
    for modality in ("single", "multi"):
        loss = dataset["contrastive_loss"].sel(modality=modality).values
        assert (loss <= family.STOP_LOSS).all()
        assert (loss > 0.7 * family.STOP_LOSS).any()


def table(opposite, both, error_2=(0.2, 0.1)):
    """A finished run of the curves with given (single, multi) pairs of signal, noise and error at the end."""
    seeds, names = 3, ("encoder_signal", "encoder_noise", "downstream_error")
    coordinates = {
        "negatives": ["opposite", "all"],
        "modality": ["single", "multi"],
        "seed": range(seeds),
        "step": [0, 9],
    }
    dims, shape = tuple(coordinates), (2, 2, seeds, 2)
    data = {}
    for k, name in enumerate(names):
        pairs = np.array([opposite[k], both[k]], dtype=float)
        data[name] = (dims, np.broadcast_to(pairs[:, :, None, None], shape).copy())
    for shift in curves.SHIFTS:
        pair = np.array(error_2, dtype=float)[None, :, None, None]
        data[f"downstream_error_{shift}"] = (dims, np.broadcast_to(pair, shape).copy())
    data["train_loss"] = (dims, np.full(shape, 0.009))
    data["status"] = (dims[:3], np.ones(shape[:3], dtype=np.int8))
    steps = np.broadcast_to(np.array([100, 50])[None, :, None], shape[:3]).copy()
    data["status_step"] = (dims[:3], steps)
    return xr.Dataset(data, coordinates)


def verdicts(experiment, dataset):
    return {claim.name: claim.check(dataset).holds for claim in experiment.claims}


GOOD = table(((0.11, 0.25), (1.9, 1.1), (0.11, 0.024)), ((0.025, 0.1), (2.1, 2.3), (0.35, 0.13)))


def test_claims_hold_on_the_numbers_they_were_made_for():
    assert set(verdicts(curves.EXPERIMENT, GOOD).values()) == {True}


def test_every_claim_fails_where_the_modalities_are_exchanged():
    exchanged = GOOD.assign_coords(modality=["multi", "single"])
    found = verdicts(curves.EXPERIMENT, exchanged)
    assert found.pop("both-fit") is True
    assert set(found.values()) == {False}


def test_cells_that_did_not_fit_are_left_out():
    """A stuck cell with an absurd error changes no claim but the one that counts it."""
    stuck = GOOD.copy(deep=True)
    stuck["status"][0, 0, 0] = 0
    stuck["downstream_error"][0, 0, 0] = 0.0
    found = verdicts(curves.EXPERIMENT, stuck)
    assert found.pop("both-fit") is False
    assert set(found.values()) == {True}
    nothing = GOOD.copy(deep=True)
    nothing["status"][:] = 0
    with pytest.raises(NotMeasurable, match="no cell reached"):
        family.reached(nothing, "negatives", "modality")


def test_claims_abstain_from_runs_with_further_axes():
    found = verdicts(curves.EXPERIMENT, xr.concat([GOOD, GOOD], xr.DataArray([0.5, 1.0], dims="tau", name="tau")))
    assert found.pop("both-fit") is True
    assert set(found.values()) == {None}


def test_crossing_is_interpolated(folders):
    n_snr2 = np.array([0.5, 1.0, 4.0])
    ratio = 0.5 * n_snr2**0.8  # crosses one at n SNR^2 = 2^1.25
    shape = (1, 1, 3, 1)
    dataset = xr.Dataset(
        {
            "signal_over_noise": (("modality", "signal_ratio", "signal", "seed"), ratio.reshape(shape)),
            "train_loss": (("modality", "signal_ratio", "signal", "seed"), np.zeros(shape)),
            "status": (("modality", "signal_ratio", "signal", "seed"), np.ones(shape, dtype=np.int8)),
            "n_snr2": ("signal", n_snr2),
        },
        {"modality": ["single"], "signal_ratio": [1.0], "signal": n_snr2**0.5, "seed": [0]},
    )
    found = plane.crossing(dataset, modality="single", signal_ratio=1.0)
    assert abs(found - 2**1.25) < 1e-9
    with pytest.raises(NotMeasurable, match="do not cross"):
        plane.crossing(dataset.isel(signal=[0, 1]), modality="single", signal_ratio=1.0)


# -- coloured digits -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    images = lm.load_digits((0, 1, 2))
    kept = dataclasses.replace(images, x=images.x[:120], y=images.y[:120])
    return loop.ColouredDigits(kept, epochs=4, batch_size=32, hidden=16, features=8)


def test_hues_are_the_colour_wheel():
    painted = loop.paint(torch.ones(6, 1), torch.arange(6), 6).squeeze(2)
    wheel = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    assert torch.allclose(painted, torch.tensor(wheel, dtype=painted.dtype), atol=1e-6)


def test_colours_follow_their_laws(few):
    cell = loop.ColourTask(dataclasses.replace(few, p=0.6), 0)
    cell.key, cell.classes = loop.cell_seeds(0, [0], "cpu"), 5
    y = torch.arange(50_000) % 5
    own = {law: float((cell.colour(law, y) == y).double().mean()) for law in loop.TESTS}
    assert abs(own["train"] - (0.6 + 0.4 / 5)) < 0.01
    assert abs(own["iid"] - (0.6 + 0.4 / 5)) < 0.01
    assert abs(own["uniform"] - 0.2) < 0.01
    assert own["permuted"] == 0
    assert not torch.equal(cell.colour("train", y), cell.colour("iid", y))


def test_head_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator) * torch.tensor([1.0, 3.0, 0.1, 1.0, 2.0])
    y = (x[:, :3] + torch.randn(200, 3, generator=generator)).argmax(1)
    theirs = linear_model.LogisticRegression(C=1.0, max_iter=5000, tol=1e-9).fit(x.double().numpy(), y.numpy())
    ours = loop.logistic_head(x, y, 3)(x).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x.double().numpy()), atol=2e-4)


def test_a_stopped_training_goes_on_where_it_was(few, tmp_path, monkeypatch):
    """Killed after every epoch in turn, resumed from the checkpoint: the same numbers as in one go."""
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY", 1)
    point = [{"p": 0.7, "pairing": "caption", "seed": 1}]
    whole = few.run(point)
    for epochs in (1, 2, 4):
        found = dataclasses.replace(few, epochs=epochs).run(point, scratch=tmp_path)
        assert (tmp_path / "0.pt").exists()
    for name, value in whole.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_cell_depends_on_its_seed_and_its_pairing(few):
    points = [{"seed": 0, "pairing": "single"}, {"seed": 1, "pairing": "single"}, {"seed": 0, "pairing": "random"}]
    together = few.run(points)["train_loss"]
    assert len(set(together.tolist())) == 3
    assert few.run(points[1:2])["train_loss"][0] == together[1]


def test_untrained_encoder_is_the_start_of_training(few):
    untrained = few.run([{"pairing": "untrained"}])
    assert np.isnan(untrained["train_loss"][0])
    assert untrained["status"][0] == 0
    assert untrained["accuracy_train"][0] > 0.5


def test_pictures_of_the_users_own(few, tmp_path):
    path = tmp_path / "mine.npz"
    generator = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = 0.1 * generator.random((60, 6, 6))
    for k in range(3):
        x[y == k, 2 * k : 2 * k + 2] += 0.9
    np.savez(path, x=x, y=y + 4)
    body = digits.body("smoke", images=str(path), p=0.5, batch_size=16)
    found = body.run([{"pairing": "caption"}])
    assert found["accuracy_iid"][0] > 0.8
    assert body.configuration()["images"]["classes"] == [4, 5, 6]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"p": 1.5}, "p = 1.5"),
        ({"pairing": "text"}, "caption"),
        ({"tau": 0.0}, "tau = 0.0"),
        ({"jitter": -1.0}, "jitter"),
        ({"batch_size": 1}, "batch_size = 1"),
        ({"epochs": 0}, "epochs = 0"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_refuses(few, changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(few, **changes)


def test_refuses_pictures_that_are_not_square_or_of_one_class(few):
    flat = dataclasses.replace(few.images, x=few.images.x[:, :60])
    with pytest.raises(ValueError, match="not square"):
        dataclasses.replace(few, images=flat)
    with pytest.raises(ValueError, match="one class 1"):
        dataclasses.replace(few, images=few.images.only((1,)))


def test_refuses_an_axis_it_does_not_have(few):
    with pytest.raises(ValueError, match="signal"):
        few.shape_axes(lm.Grid.of(signal=(1.0, 2.0)))
    with pytest.raises(ValueError, match="p = 2"):
        few.shape_axes(lm.Grid.of(p=(0.5, 2.0)))
