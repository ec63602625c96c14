"""The experiments on one and two modalities: claims that can fail, the paper's test law, pictures of the user's own."""

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr

import lemmata as lm
from lemmata.claims import NotMeasurable
from lemmata.lab.find import find
from lemmata.papers.multimodal import colour_parts, colours, curves, setting
from lemmata.papers.multimodal import colour_training as loop
from lemmata.papers.multimodal import coloured_digits as digits
from lemmata.papers.multimodal import map as plane
from lemmata.sweep.sweep import sweep


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The map at size smoke, with its predictions."""
    experiment = find("multimodal-map")
    body, grid = experiment.configure("smoke")
    data = sweep(body, grid, tmp_path_factory.mktemp("map") / "data.zarr", progress=False)
    return data.assign(experiment.predict(data))


def test_the_loss_is_reached_per_direction(smoke):
    for modality in ("single", "multi"):
        loss = smoke["contrastive_loss"].sel(modality=modality).values
        assert (loss <= setting.LOSS).all()
        assert (loss > 0.7 * setting.LOSS).any()


def test_signal_wins_beyond_the_thresholds(smoke):
    """n·SNR² = 1/4, 1, 4: one modality from 2 on, two at C = 4 from 1/2 on."""
    wins = (smoke.signal_over_noise.mean("seed") > 1).transpose("modality", "signal_ratio", "signal")
    assert wins.sel(modality="single").values.tolist() == [[False, False, True]] * 2
    assert wins.sel(modality="multi", signal_ratio=4.0).values.tolist() == [False, True, True]


def test_options_reach_the_objective(tmp_path):
    changes = {"divide_by_m": True, "tau": 0.1, "similarity": "summed", "steps": 20, "m": 8, "n": 20, "d": 100}
    body, grid = find("multimodal-curves").configure("smoke", changes, seeds=1)
    data = sweep(body, grid, tmp_path / "data.zarr", progress=False)
    assert bool(data.divide_by_m)
    assert float(data.tau) == 0.1
    assert data.similarity.values.tolist() == ["summed"]
    assert data.step.values.tolist() == [0, 20]


def test_the_printed_step_with_the_printed_division_learns_nothing():
    """Figure 1's η = 0.01, 200 steps, τ = 1 and similarities over m = 50: the loss stays where it began."""
    run = lm.Run(
        lm.PairedSignalNoise(n=100, d=2000, signal=5.0, modality="multi", signal_ratio=3.0, sigma_aug=0.1),
        lm.PatchEncoder(50), lm.InfoNCE(divide_by_m=True), lm.GD(0.01), 200, record=(0, 200),
    )  # fmt: skip
    loss = lm.train(run, range(2)).records["train_loss"]
    assert (loss[:, 1] > 0.99 * loss[:, 0]).all()
    scaled = lm.train(dataclasses.replace(run, objective=lm.InfoNCE(tau=1 / 50, divide_by_m=True)), range(2))
    plain = lm.train(dataclasses.replace(run, objective=lm.InfoNCE()), range(2))
    torch.testing.assert_close(scaled.records["train_loss"], plain.records["train_loss"], rtol=1e-9, atol=0)
    assert (plain.records["train_loss"][:, 1] < 0.1).all()


def table(opposite, both, summed, error_2=(0.25, 0.024)):
    """A finished run of the curves with given (single, multi) pairs of signal, noise and error at the end."""
    names, seeds = ("encoder_signal", "encoder_noise", "downstream_error"), 3
    coordinates = {
        "similarity": list(curves.SIMILARITIES), "negatives": list(curves.NEGATIVES),
        "modality": list(setting.MODALITIES), "seed": range(seeds), "step": [0, 9],
    }  # fmt: skip
    dims, shape = tuple(coordinates), (2, 2, 2, seeds, 2)
    jitter = 1 + 0.01 * np.arange(seeds)[:, None]
    data = {}
    for k, name in enumerate(names):
        pairs = np.array([[opposite[k], both[k]], [summed[k], both[k]]], dtype=float)
        data[name] = (dims, np.broadcast_to(pairs[..., None, None] * jitter, shape).copy())
    data["downstream_error_2"] = (dims, np.broadcast_to(np.array(error_2)[:, None, None] * jitter, shape).copy())
    data["train_loss"] = (dims, np.full(shape, 0.009))
    data["status"] = (dims[:-1], np.ones(shape[:-1], dtype=np.int8))
    return xr.Dataset(data, {**coordinates, "signal": 3.9686, "sigma_p": 1.0})


def verdicts(dataset):
    return {claim.name: claim.check(dataset).holds for claim in curves.CLAIMS}


GOOD = table(((0.07, 0.69), (2.0, 0.55), (0.1, 4e-5)), ((0.02, 0.13), (2.0, 2.25), (0.3, 0.1)),
             ((0.32, 0.33), (1.6, 0.8), (0.01, 0.002)))  # fmt: skip


def test_claims_hold_on_the_numbers_they_were_made_for():
    assert set(verdicts(GOOD).values()) == {True}


def test_every_claim_fails_where_the_modalities_are_exchanged():
    found = verdicts(GOOD.assign_coords(modality=["multi", "single"]))
    assert found.pop("both-fit") is True
    assert set(found.values()) == {False}


def test_claims_about_similarity_fail_where_it_makes_no_difference():
    same = table(((0.07, 0.69), (2.0, 0.55), (0.1, 4e-5)), ((0.02, 0.13), (2.0, 2.25), (0.3, 0.1)),
                 ((0.07, 0.69), (2.0, 0.55), (0.1, 4e-5)))  # fmt: skip
    assert verdicts(same)["summed-is-another-model"] is False


def test_cells_that_did_not_fit_are_left_out():
    """A stuck cell with an absurd error changes no claim but the one that counts it."""
    stuck = GOOD.copy(deep=True)
    stuck["status"][0, 0, 0, 0] = 0
    stuck["downstream_error"][0, 0, 0, 0] = 0.0
    found = verdicts(stuck)
    assert found.pop("both-fit") is False
    assert set(found.values()) == {True}
    nothing = GOOD.copy(deep=True)
    nothing["status"][:] = 0
    with pytest.raises(NotMeasurable, match="above the loss"):
        setting.reached(nothing)


def test_crossing_is_interpolated():
    n_snr2 = np.array([0.5, 1.0, 4.0])
    ratio = 0.5 * n_snr2**0.8  # crosses one at n SNR^2 = 2^1.25
    dims, shape = ("modality", "signal_ratio", "signal", "seed"), (1, 1, 3, 2)
    both = np.broadcast_to(ratio[:, None], (3, 2)).reshape(shape)
    dataset = xr.Dataset(
        {
            "signal_over_noise": (dims, both),
            "status": (dims, np.ones(shape, dtype=np.int8)),
            "n_snr2": ("signal", n_snr2),
        },
        {"modality": ["single"], "signal_ratio": [1.0], "signal": n_snr2**0.5, "seed": [0, 1]},
    )
    found = plane.crossing(dataset, modality="single", signal_ratio=1.0)
    assert abs(float(found.value) - 2**1.25) < 1e-9
    with pytest.raises(NotMeasurable, match="nowhere along signal"):
        plane.crossing(dataset.isel(signal=[0, 1]), modality="single", signal_ratio=1.0)


# -- coloured digits -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    images = lm.load_digits((0, 1, 2))
    kept = dataclasses.replace(images, x=images.x[:120], y=images.y[:120])
    return loop.ColouredDigits(kept, epochs=4, batch_size=32, hidden=16, features=8)


def test_hues_are_the_colour_wheel():
    painted = colour_parts.paint(torch.ones(6, 1), torch.arange(6), 6).squeeze(2)
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


def test_colours_of_the_papers_protocol():
    """77.5 % of the own colour, the rest spread over all others; swapped: of the paired class."""
    key, y = loop.cell_seeds(0, [0], "cpu"), torch.arange(60_000) % 10
    for law, mine in (("train", y), ("iid", y), ("swapped", y ^ 1)):
        hue = colours.hues(key, "paper", law, y, 10, 0.775)
        assert abs(float((hue == mine).double().mean()) - 0.775) < 0.01
        others = torch.bincount((hue - mine)[hue != mine] % 10, minlength=10)[1:].double()
        assert (others / others.mean() - 1).abs().max() < 0.1
    odd = colours.hues(key, "paper", "swapped", torch.full((1000,), 2), 3, 1.0)
    assert (odd == 2).all()  # the last of three classes has no pair


def test_a_tenth_of_the_labels_is_random_and_captions_say_digit_and_colour():
    key, y = loop.cell_seeds(0, [0], "cpu"), torch.arange(60_000) % 10
    kept = float((colours.labels(key, "train", y, 10, 0.1) == y).double().mean())
    assert abs(kept - 0.91) < 0.005
    said = colours.captions(key, "paper", y[:7], (y[:7] + 3) % 10, 10, 0.0)
    assert said.shape == (7, 20)
    assert torch.equal(said[:, :10].argmax(1), y[:7])
    assert torch.equal(said[:, 10:].argmax(1), (y[:7] + 3) % 10)


def test_head_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator) * torch.tensor([1.0, 3.0, 0.1, 1.0, 2.0])
    y = (x[:, :3] + torch.randn(200, 3, generator=generator)).argmax(1)
    theirs = linear_model.LogisticRegression(C=1.0, max_iter=5000, tol=1e-9).fit(x.double().numpy(), y.numpy())
    ours = colour_parts.logistic_head(x, y, 3)(x).softmax(1).numpy()
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
    body = digits.body(images=str(path)).at({"p": 0.5, "batch_size": 16, "epochs": 3})
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
        few.check(lm.Grid.of(signal=(1.0, 2.0)))
    with pytest.raises(ValueError, match="p = 2"):
        few.check(lm.Grid.of(p=(0.5, 2.0)))
