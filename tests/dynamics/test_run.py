"""Descriptions of runs: axes, batches of points, and everything that is refused before anything runs."""

import dataclasses

import pytest
import torch

import lemmata as lm

RUN = lm.Run(lm.SignalNoise(6, 50, 2.0), lm.TwoLayerCNN(2), steps=5)


def test_axes_are_the_fields_of_the_parts():
    axes = RUN.axes()
    assert {"n", "d", "signal", "m", "v0", "init", "step_size", "momentum", "steps", "seed"} <= set(axes)
    assert RUN.at({"n": 8, "v0": 0.1, "momentum": 0.5, "steps": 9}).net.v0 == 0.1
    with pytest.raises(ValueError, match="axis 'temperature' was asked for; this run has the axes"):
        RUN.at({"temperature": 1.0})


def test_cells_of_a_batch_are_the_cells_alone():
    points = [
        {"signal": 1.0, "v0": 0.1, "momentum": 0.0, "seed": 4},
        {"signal": 3.0, "v0": 0.5, "momentum": 0.9, "seed": 1},
    ]
    batched, seeds = RUN.batch(points)
    together = lm.train(batched, seeds)
    for cell, point in enumerate(points):
        alone = lm.train(RUN.at(point), [point["seed"]])
        torch.testing.assert_close(alone.final.products.A[0], together.final.products.A[cell], rtol=1e-12, atol=0)


def test_names_of_two_parts_do_not_clash():
    """An axis must mean one field; a new part whose field shadows another's would be varied silently."""
    parts = [getattr(RUN, part) for part in ("data", "net", "objective", "rule")] + [RUN]
    names = [f.name for part in parts for f in dataclasses.fields(part)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lm.TwoLayerCNN(0), "m = 0 was asked for"),
        (lambda: lm.TwoLayerCNN(2, v0=0.0), "v0 = 0.0"),
        (lambda: lm.TwoLayerCNN(2, init=-1.0), "init = -1.0"),
        (lambda: lm.TwoLayerCNN(2, output_init="zeros"), "output_init = 'zeros'"),
        (lambda: lm.GD(0.0), "step_size = 0.0"),
        (lambda: lm.GD("adaptive"), "step_size = 'adaptive'"),
        (lambda: lm.GD(momentum=1.0), "momentum = 1.0"),
        (lambda: lm.GD(batch_size=0), "batch_size = 0"),
        (lambda: lm.GD(backtrack=True, momentum=0.5), "backtrack was asked for with momentum"),
        (lambda: lm.TorchRule("LBFGS"), "optimizer = 'LBFGS'"),
        (lambda: lm.TorchRule(lr=-1.0), "lr = -1.0"),
        (lambda: dataclasses.replace(RUN, steps=0), "steps = 0"),
        (
            lambda: dataclasses.replace(RUN, engine="fast"),
            "engine = 'fast' was asked for; engine must be one of 'auto'",
        ),
        (lambda: dataclasses.replace(RUN, dtype="float16"), "dtype = 'float16'"),
        (lambda: dataclasses.replace(RUN, stop_loss=0.0), "stop_loss = 0.0"),
        (lambda: dataclasses.replace(RUN, record=(0, 6)), "a record at step 6 was asked for; steps run from 0 to 5"),
        (lambda: dataclasses.replace(RUN, record=(3, 2)), r"record = \(3, 2\) was asked for; .* e.g. record=\(2, 3\)"),
        (lambda: dataclasses.replace(RUN, record=(1, 1)), "each once"),
        (lambda: dataclasses.replace(RUN, record=()), "increasing order"),
        (lambda: dataclasses.replace(RUN, record=(0.5,)), "a record at step 0.5"),
        (lambda: dataclasses.replace(RUN, seed_root=1.5), "seed_root = 1.5 was asked for; .* whole number"),
        (lambda: dataclasses.replace(RUN, stop_loss=float("inf")), "stop_loss = inf"),
        (lambda: lm.GD(torch.tensor([0.1, float("nan")])), "step_size = nan"),
        (lambda: dataclasses.replace(RUN, probes=("accuracy",)), "probe 'accuracy' was asked for; the probes are"),
        (lambda: dataclasses.replace(RUN, probes=("train_loss",) * 2), "asked for twice"),
        (lambda: dataclasses.replace(RUN, device="gpu"), "device 'gpu' was asked for"),
        (
            lambda: dataclasses.replace(RUN, rule=lm.TorchRule("Adam"), engine="gram"),
            "engine 'gram' was asked for with Adam, which treats coordinates one by one.*use engine='direct'",
        ),
    ],
)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match="this machine has no CUDA device; use device='cpu'"):
        dataclasses.replace(RUN, device="cuda")


def test_adam_runs_on_the_direct_engine_and_cells_stop_alone():
    run = dataclasses.replace(RUN, rule=lm.TorchRule("Adam", lr=0.02), steps=200, stop_loss=0.1)
    assert run.engine_used == "direct"
    trained = lm.train(run, range(4))
    assert (trained.status == lm.Status.REACHED_LOSS).all()
    assert len(trained.status_step.unique()) > 1
    alone = lm.train(run, [2])
    assert torch.equal(alone.final.products.A[0], trained.final.products.A[2])


def test_a_cell_stops_where_its_loss_is_reached():
    run = lm.Run(lm.SignalNoise(6, 50, 2.0), lm.TwoLayerCNN(2), steps=400, stop_loss=0.05, record=tuple(range(401)))
    trained = lm.train(run, range(3))
    for cell in range(3):
        losses, step = trained.records["train_loss"][cell], int(trained.status_step[cell])
        assert losses[step] <= 0.05 < losses[step - 1]
        assert (losses[step:] == losses[step]).all()


def test_backtracking_tames_a_step_that_diverges():
    run = lm.Run(lm.SignalNoise(12, 60, 3.0), lm.TwoLayerCNN(3, v0=0.3, init=0.01), rule=lm.GD(c=200.0), steps=300)
    assert (lm.train(run, range(6)).status == lm.Status.DIVERGED).any()
    guarded = dataclasses.replace(run, rule=lm.GD(c=200.0, backtrack=True), record=tuple(range(0, 301, 10)))
    trained = lm.train(guarded, range(6))
    assert (trained.status == lm.Status.ALL_STEPS).all()
    assert (trained.final.loss < 0.05).all()


def test_convergence_is_a_small_gradient():
    run = lm.Run(lm.SignalNoise(6, 50, 2.0), lm.TwoLayerCNN(2), rule=lm.GD(weight_decay=0.05), steps=3000)
    trained = lm.train(dataclasses.replace(run, rule=lm.GD(c=0.1), stop_gradient=1e-2), range(3))
    assert (trained.status == lm.Status.CONVERGED).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lm.train(RUN.data), "train takes a lemmata.Run"),
        (lambda: lm.train(RUN, 5), "seeds = 5 was asked for; give one seed per cell"),
        (lambda: lm.train(RUN, range(0)), "give one seed per cell"),
        (lambda: lm.Run(None, RUN.net), "data = None was given, which has no compresses, numbers_per_cell, sample"),
        (lambda: lm.Run(RUN.data, lm.PatchEncoder(3)), "Logistic was asked for with PatchEncoder, which has no output"),
        (
            lambda: lm.train(lm.Run(lm.TwoSignals(4, 10, 1.0), lm.PatchEncoder(3), lm.InfoNCE())),
            "it reads PairedSample",
        ),
        (lambda: lm.train(RUN, [-1]), "seed = -1 was asked for; seeds are whole numbers from 0"),
        (lambda: lm.train(RUN, [1.5]), "seed = 1.5"),
        (lambda: lm.train(RUN, [True]), "seed = True"),
        (lambda: lm.train(RUN, torch.tensor([0.5])), "seed = 0.5"),
        (
            lambda: lm.SignalNoise(4, 10, "strong"),
            "signal = 'strong' was asked for; signal must be a finite number above 0",
        ),
    ],
)
def test_what_is_no_run_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def one_step(objective=None, probe=None):
    run = lm.Run(RUN.data, RUN.net, objective or lm.Logistic(), steps=1)
    return lm.train(dataclasses.replace(run, probes=(lm.Probe("mine", probe),)) if probe else run, range(3))


def objective(loss, **says):
    """An objective of a user's, in a line."""
    return type("Mine", (lm.Objective,), {"loss": lambda self, p: loss(p), **says})()


@pytest.mark.parametrize("engine", ["gram", "direct"])
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda p: p.Q.sum((1, 2)), "write reads_filter_gram = True into its class"),
        (lambda p: p.A.square().sum(), r"Mine.loss gave shape \(\) for 3 cells; give one number per cell"),
        (lambda p: 0.5, "Mine.loss gave float 0.5 for 3 cells"),
        (lambda p: p.A.detach().sum((1, 2)), "does not depend on what is trained"),
    ],
)
def test_an_objective_that_cannot_be_trained_is_told_what_to_write(loss, message, engine):
    run = lm.Run(RUN.data, RUN.net, objective(loss), steps=1, engine=engine)
    with pytest.raises(TypeError, match=message):
        lm.train(run, range(3))


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (lambda s: 0.5, "probe 'mine' gave 0.5 for 3 cells; give a real tensor with one number per cell"),
        (lambda s: s.loss.numpy(), "probe 'mine' gave array"),
        (lambda s: s.loss.mean(), r"of shape \(\)"),
        (lambda s: s.loss.to(torch.complex128), "complex128"),
    ],
)
def test_a_probe_that_gives_no_number_per_cell_is_told_what_to_write(probe, message):
    with pytest.raises(TypeError, match=message):
        one_step(probe=probe)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dataclasses.replace(RUN, probes="train_loss"), r"write a tuple, e.g. probes=\('train_loss'"),
        (lambda: dataclasses.replace(RUN, probes=(one_step,)), r"write Probe\('one_step', function\)"),
        (lambda: lm.Probe("a b/c", one_step), "a probe called 'a b/c' was asked for"),
        (lambda: lm.Probe("status", one_step), "and not status"),
        (lambda: lm.Probe("mine", 3), "probe 'mine' measures 3"),
    ],
)
def test_what_is_no_probe_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_parameters_are_those_of_all_parts():
    found = RUN.parameters()
    assert {"n", "signal", "m", "v0", "step_size", "steps", "device"} <= set(found)
    assert found["signal"].label == "signal strength ‖μ‖"
    assert RUN.value("signal") == 2.0
    assert RUN.value("steps") == 5
    assert "device" not in RUN.axes()
    assert RUN.is_value("signal")
    assert not RUN.is_value("d")
    assert RUN.is_value("d", compressed=True)
    with pytest.raises(ValueError, match="axis 'temperature' was asked for"):
        RUN.value("temperature")


def test_fewer_steps_are_looked_at_less_often():
    run = dataclasses.replace(RUN, steps=50, record=(0, 10, 20, 50))
    assert run.at({"steps": 15}).record == (0, 10, 15)
    assert run.at({"steps": 60}).record == (0, 10, 20, 50)
    with pytest.raises(ValueError, match="steps = 0"):
        run.at({"steps": 0})


def test_a_dear_probe_is_taken_at_the_end_alone():
    dear = lm.Probe("dear", lambda s: s.loss, at_end=True)
    run = dataclasses.replace(RUN, probes=("train_loss", dear), record=(0, 3, 5))
    found = lm.train(run, [0, 1]).records
    assert found["dear"][:, :2].isnan().all()
    assert torch.equal(found["dear"][:, 2], found["train_loss"][:, 2])
