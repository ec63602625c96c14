"""Pre-training followed by fine-tuning, and the experiments made of it, at size smoke."""

import dataclasses

import numpy as np
import pytest

import lemmata as lm
from lemmata.draws import cell_seeds, permutation
from lemmata.lab.find import find
from lemmata.papers.simclr.fine_tuning import FineTuning
from lemmata.papers.simclr.setting import first_below, training
from lemmata.sweep import Grid
from lemmata.sweep.sweep import sweep


def body(**changes):
    pretraining = lm.Run(
        lm.SignalNoisePairs(pairs=20, d=300, signal=5.0), lm.LinearEncoder(4), lm.SimCLR(), lm.GD(c=0.2), steps=150,
        until=lm.Until("filter_signal", 0.3), probes=("train_loss", "signal_alignment"),
    )  # fmt: skip
    net = lm.TwoLayerCNN(4, v0=1.0, init=1e-3, activation=lm.ReLU(3.0), train_output=False, divide_by_m=True)
    finetuning = lm.Run(
        lm.SignalNoise(n=2, d=300, signal=5.0), net, rule=lm.GD(c=0.1), steps=100, stop_loss=0.05,
        probes=("train_loss", "test_loss"),
    )  # fmt: skip
    return FineTuning(**{"pretraining": pretraining, "finetuning": finetuning, "label_counts": (2, 8), **changes})


def equal(one, other, rtol=1e-12):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=1e-14, err_msg=name)


def test_it_is_two_trainings_in_a_row():
    found, seeds = body().run([{"seed": 0}, {"seed": 3}]), (0, 3)
    pre, tune = body().pretraining, body().finetuning
    trained, keys = lm.train(pre, seeds), cell_seeds(0, seeds)
    np.testing.assert_allclose(found["pretrained_train_loss"], trained.records["train_loss"][:, 0], rtol=1e-12)
    order = permutation(keys, "branches", 8)
    filters = trained.filters.gather(1, order.unsqueeze(2).expand_as(trained.filters))
    sample = lm.SignalNoise(n=8, d=300, signal=5.0).beside(keys, filters)
    again = lm.train(tune.at({"n": 8}), seeds, sample=sample)
    np.testing.assert_allclose(found["train_loss"][:, 1], again.final.loss, rtol=1e-12)
    np.testing.assert_allclose(found["status"][:, 1], again.status)
    direct = dataclasses.replace(tune.at({"n": 8}), engine="direct")
    in_full = lm.train(direct, seeds, sample=sample.lift(300, keys))
    np.testing.assert_allclose(found["train_loss"][:, 1], in_full.final.loss, rtol=1e-9)


def test_a_cell_does_not_know_its_tile_and_fewer_labels_are_the_first_of_more():
    points = [{"signal": s, "level": a, "seed": k} for s, a, k in ((5.0, 0.3, 0), (3.0, 0.2, 1), (5.0, 0.1, 1))]
    together = body().run(points)
    equal(body().run(points[1:2]), {name: value[1:2] for name, value in together.items()})
    alone = dataclasses.replace(body(), label_counts=(8,)).run(points)
    for name in ("train_loss", "test_loss", "status_step"):
        np.testing.assert_allclose(alone[name][:, 0], together[name][:, 1], rtol=1e-12)
    assert (together["test_loss_best"] <= together["test_loss"]).all()


def test_starts():
    found = {start: body(start=start).run([{"seed": 0}]) for start in ("simclr", "direct", "spectral", "oracle")}
    cos2 = {start: part["pretrained_signal_alignment"].item() for start, part in found.items()}
    assert cos2["oracle"] == pytest.approx(1, abs=1e-12)
    assert cos2["direct"] < 0.1 < cos2["simclr"]
    early = body().at({"level": 0.003, "init": 1e-9}).run([{"seed": 0}])["pretrained_signal_alignment"].item()
    assert early == pytest.approx(cos2["spectral"], abs=0.02)  # the power method tends to its top eigenvector
    assert found["direct"]["pretrained_status"].item() == -1
    assert found["simclr"]["pretrained_status"].item() == lm.Status.REACHED_LEVEL


def test_axes_go_where_they_belong():
    changed = body().at(
        {"signal": 2.0, "pairs": 10, "level": 0.1, "init": 1e-5, "steps": 7, "m": 3, "temperature": 2.0}
    )
    assert (changed.pretraining.data.signal, changed.finetuning.data.signal) == (2.0, 2.0)
    assert (changed.pretraining.net.init, changed.finetuning.net.init) == (1e-5, 1e-3)
    assert (changed.pretraining.steps, changed.finetuning.steps) == (150, 7)
    assert (changed.pretraining.net.m, changed.finetuning.net.m) == (3, 3)
    grid = Grid.of(start=("simclr", "direct"), signal=(1.0, 2.0), pairs=(10, 20), level=(0.1, 0.2), seed=(0, 1))
    assert body().shape_axes(grid) == ("start", "pairs")


def test_a_sweep_of_it():
    dataset = sweep(body(), Grid.of(signal=(3.0, 5.0), seed=(0, 1)))
    assert dataset["test_loss"].dims == ("signal", "seed", "labels")
    assert dataset["labels"].values.tolist() == [2, 8]
    assert bool((dataset["pretrained_status"] == lm.Status.REACHED_LEVEL).all())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_counts": (1, 4)}, "1 labels were asked for; two classes need at least 2"),
        ({"label_counts": (3,)}, "3 labels were asked for; balanced classes need an even number"),
        ({"label_counts": (8, 4)}, "increasing"),
        ({"label_counts": ()}, "one or more"),
        ({"start": "imagenet"}, "start = 'imagenet'"),
        ({"finetuning": dataclasses.replace(body().finetuning, net=lm.TwoLayerCNN(5))}, "8 filters are pre-trained"),
        ({"pretraining": dataclasses.replace(body().pretraining, until=None)}, "pre-training has no end"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        body(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 4}, "'n' was asked for"),
        ({"nonsense": 4}, "'nonsense' was asked for"),
        ({"correlation": 1.5}, "correlation = 1.5"),
        ({"temperature": 0.0}, "temperature = 0.0"),
        ({"signal": -1.0}, "signal = -1.0"),
    ],
)
def test_axes_that_cannot_be_met_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        body().at(changes)


def test_powers_up_to_two_warn():
    with pytest.warns(UserWarning, match="only for q > 2"):
        training((2,), power=2.0)


def test_first_below_is_where_it_stays():
    import xarray as xr

    falls = xr.DataArray([[3.0, 0.1, 2.0, 0.1], [0.2, 0.1, 0.1, 0.1], [3.0, 3.0, 3.0, 3.0]], dims=("k", "n"))
    found = first_below(falls.assign_coords(n=[2, 4, 8, 16]), "n", 0.5)
    np.testing.assert_array_equal(found, [16, 2, np.nan])


def test_experiments_take_images_of_the_users_own(tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat([4, 7], 40)
    np.savez(tmp_path / "two.npz", x=rng.random((80, 6, 6)) + (y == 7)[:, None, None], y=y)
    experiment = find("simclr-digits")
    changes = {"images": str(tmp_path / "two.npz"), "pairs": 40, "sigma_p": (0.2,), "steps": 50}
    dataset = sweep(*experiment.configure("smoke", changes, seeds=1))
    assert dataset["test_error"].sizes == {"start": 2, "sigma_p": 1, "seed": 1, "labels": 2}
    np.savez(tmp_path / "three.npz", x=rng.random((60, 6, 6)), y=np.repeat([4, 7, 9], 20))
    with pytest.raises(ValueError, match="4, 7, 9"):
        experiment.configure("smoke", {"images": str(tmp_path / "three.npz")})
