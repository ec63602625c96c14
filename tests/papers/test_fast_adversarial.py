"""The experiments on fast adversarial training, at toy size: cells, claims, figures; killed and resumed on files."""

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import spearmanr

from lemmata.claims import NotMeasurable
from lemmata.data.files import image_sets
from lemmata.lab.find import find
from lemmata.loops.loop import Training
from lemmata.modules.normed_cnn import NormedCNN
from lemmata.papers.fast_adversarial import alignment, cifar, collapse, digits
from lemmata.papers.fast_adversarial.claims_by_group import by_group
from lemmata.papers.fast_adversarial.digits_training import DigitsTraining, split
from lemmata.papers.fast_adversarial.image_training import multiplier
from lemmata.papers.fast_adversarial.setting import METHODS, method_of
from lemmata.sweep import sweep
from tests.oracles.toy_image_sets import toy_images, write_batches, write_parquet

TINY = DigitsTraining(epochs=1, attack_steps=2)


def test_a_cell_does_not_know_its_tile():
    points = [{"defence": name, "seed": seed} for name, seed in (("fgsm-rs", 0), ("skg", 1))]
    together = TINY.run(points)
    alone = TINY.run(points[1:])
    for name, values in alone.items():
        if name != "cpu_seconds":
            np.testing.assert_array_equal(values[0], together[name][1], err_msg=name)
    assert together["look_pgd"].shape == (2, 1, 10)
    assert (together["union"] <= together["pgd"]).all()
    np.testing.assert_allclose(together["worst_class"], together["class_pgd"].min(1))


@pytest.mark.parametrize("name", METHODS)
def test_every_defence_is_a_method_at_its_own_strength(name):
    """A step of each on a few digits; ``lam`` changes the loss of those that have a regulariser."""
    (x, y), _ = split(0)
    losses = []
    for lam in (None, 0.0):
        model = NormedCNN()
        model.reset_parameters(0)
        method = method_of(name, 0.2, lam, 3, 40, 0)
        method.loss(model, x[:40], y[:40], torch.arange(40))
        method.epoch_end()
        losses.append(float(method.loss(model, x[:40], y[:40], torch.arange(40)).loss.detach()))
    without = name in ("fgsm", "fgsm-rs", "n-fgsm", "bmi-ls", "skg-labels", "pgd-at")
    untrained = name == "skg-group"  # its classes are all as bad, so none is in a group yet
    assert (losses[0] == losses[1]) == (without or untrained)
    assert method.eps == 0.2


def test_a_third_of_every_class_is_for_testing_and_none_for_both():
    (x, y), (_, y_test) = split(0)
    assert len(y) + len(y_test) == 1797
    share = torch.bincount(y_test) / torch.bincount(torch.cat([y, y_test]))
    torch.testing.assert_close(share, torch.full((10,), 0.3), atol=0.005, rtol=0)
    assert float(x.min()) >= 0
    assert float(x.max()) == 1
    assert not torch.equal(y_test, split(1)[1][1])


@pytest.fixture(scope="module")
def trained():
    body, grid = find("fast-adversarial-alignment").configure("smoke")
    return sweep(dataclasses.replace(body, attack_steps=1), grid)


@pytest.mark.parametrize("name", ["digits", "collapse", "alignment"])
def test_experiments_draw_and_judge_at_smoke(trained, name):
    experiment = find(f"fast-adversarial-{name}")
    found = trained.assign(experiment.predict(trained))
    assert all(figure.axes for figure in experiment.figures(found).values())
    for claim in experiment.claims:
        assert claim.check(found, "laptop").holds in (True, False, None)
    for size in experiment.sizes:
        experiment.configure(size)


def test_claims_are_judged_on_both_groups_of_seeds():
    array = xr.DataArray([0.0, 1, 2, 3, 4, 5.0], dims="seed", coords={"seed": range(6)})
    assert by_group(array).values.tolist() == [1, 4]
    with pytest.raises(NotMeasurable, match="needs seeds 0 to 5"):
        by_group(array[:5])
    said = made_up(skg_gain=(0.07, 0.05))
    verdict = digits.better_than_fgsm_rs.check(said, "laptop")
    assert verdict.holds is False  # the second group gains less than 0.06
    assert digits.better_than_fgsm_rs.check(made_up((0.09, 0.1)), "laptop").holds is True


def made_up(skg_gain):
    """A dataset of FGSM-RS and SKG-FAT in which one gains so much in each group of seeds, but on clean images."""
    gain = np.repeat(skg_gain, 3)
    base = np.full(6, 0.5)
    robust = (("defence", "seed"), np.stack([base, base + gain]))
    clean = (("defence", "seed"), np.full((2, 6), 0.99))
    names = {"pgd": robust, "union": robust, "worst_class": robust, "clean": clean}
    names["status"] = (("defence", "seed"), np.zeros((2, 6), np.int8))
    coords = {"defence": ["fgsm-rs", "skg"], "seed": range(6), "eps": 0.2}
    return xr.Dataset(names, coords=coords)


def test_misalignment_is_one_minus_the_rank_correlation():
    draws = np.random.default_rng(0)
    clean = xr.DataArray(draws.integers(0, 5, (3, 10)) / 5.0, dims=("seed", "class"))  # with ties
    robust = xr.DataArray(draws.random((3, 10)), dims=("seed", "class"))
    expected = [1 - spearmanr(a, b).statistic for a, b in zip(clean.values, robust.values)]
    np.testing.assert_allclose(alignment.misalignment(clean, robust), expected)
    assert np.isnan(alignment.misalignment(clean * 0, robust)).all()


def test_the_strong_regulariser_claim_reads_what_the_monitor_fired():
    found = xr.Dataset(
        {
            "clean": ("seed", [0.1, 0.1]),
            "warned_constant": ("seed", np.array([40, -1], np.int32)),
            "status": ("seed", np.zeros(2, np.int8)),
        },
        coords={"seed": [0, 1], "defence": "skg-strong"},
    )
    assert collapse.constancy_is_seen.check(found, "laptop").holds is False
    found["warned_constant"] = ("seed", np.array([40, 9], np.int32))
    assert collapse.constancy_is_seen.check(found, "laptop").holds is True


# -- image sets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cifar10(tmp_path):
    image_sets.load_split.cache_clear()
    return str(write_batches(tmp_path, {"train": toy_images(80, 10, 32), "test": toy_images(20, 10, 32, 1)}))


def image_body(folder, **changes):
    small = {"width": 2, "batch_size": 16, "records": 2, "checkpoint_every": 2, "steps": 6}
    return cifar.ImageBody(**{"data": folder, **small, **changes})


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("defence", "protocol", "net"),
    [("skg-released", "benchmark", "resnet18"), ("fgsm-mep", "release", "preactresnet18")],
)
def test_a_killed_training_goes_on_as_if_nothing_had_been(cifar10, tmp_path, monkeypatch, defence, protocol, net):
    """Killed in the second epoch, between two checkpoints; everything but the clock is the same to the last bit."""
    body = image_body(cifar10, defence=defence, protocol=protocol, net=net)
    whole = body.run([{"seed": 3}])
    step, scratch = Training.step, tmp_path / "scratch"
    scratch.mkdir()

    def dies(self, number):
        if number == 5:
            raise Killed
        step(self, number)

    monkeypatch.setattr(Training, "step", dies)
    with pytest.raises(Killed):
        body.run([{"seed": 3}], scratch)
    monkeypatch.setattr(Training, "step", step)
    again = body.run([{"seed": 3}], scratch)
    assert set(whole) == set(body.variables)
    for name, values in whole.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)
    assert np.isnan(whole["pgd50"][0, 0])
    assert 0 <= whole["pgd50"][0, -1] <= 1


def test_other_sets_and_networks_run(tmp_path):
    image_sets.load_split.cache_clear()
    made = {"train": toy_images(40, 8, 64), "valid": toy_images(10, 8, 64, 1)}
    folder = str(write_parquet(tmp_path, made, image="image"))
    body = image_body(folder, dataset="tiny-imagenet", net="wrn34", width=1, steps=2, records=1, defence="fgsm-rs")
    found = body.run([{"seed": 0}])
    assert np.isfinite(found["clean"]).all()
    verdict = cifar.reaches_the_band.check(xr.Dataset(coords={"dataset": "imagenet100"}), "paper")
    assert verdict.holds is None


def test_the_rate_of_the_benchmark_is_torchs_one_cycle():
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=50)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < 50:
            schedule.step()
    assert [0.1 * multiplier("benchmark", step, 50) for step in range(50)] == pytest.approx(rates)
    assert [multiplier("release", step, 110) for step in (0, 99, 100, 104, 105)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": None}, "fast-adversarial-cifar needs CIFAR-10; download it with 'hf download uoft-cs/cifar10"),
        ({"data": "/nowhere"}, "CIFAR-10 was looked for in /nowhere, which holds no train split"),
        ({"micro_batch": 8}, "micro_batch = 8 was asked for; adversarial training takes whole batches"),
        ({"dataset": "imagenet100", "net": "wrn34"}, "at 224 x 224 there is resnet18 alone"),
        ({"processes": 3}, "3 processes cannot share batches of 16"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_does(cifar10, changes, said):
    _, grid = find("fast-adversarial-cifar").configure("smoke", {"data": cifar10})
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(image_body(cifar10), **changes).check(grid)


def test_too_few_images_are_refused(cifar10):
    with pytest.raises(ValueError, match="72 images to train on beside 8 held out; one batch takes 128"):
        image_body(cifar10, batch_size=128).run([{"seed": 0}])
