"""The mean-field experiments' own parts: prompts, members beside their reference, known laws measured, theory."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from lemmata.draws import cell_seeds
from lemmata.lab.find import find
from lemmata.loops.loop import Training, company
from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.papers.mean_field import bound, clouds, images, rates, step, task, theory
from lemmata.papers.mean_field.animation import animate
from lemmata.papers.mean_field.coupled import Coupled
from lemmata.papers.mean_field.setting import Flowing
from lemmata.sweep import Grid, sweep
from lemmata.theory.transport import directions, sliced_wasserstein
from tests.oracles.toy_files import write_cifar

SMALL = Coupled(
    layers=2, particles=2, prompts=5, reference_layers=4, reference_particles=6, times=(0.0, 1.0), step=0.5, mode="path"
)


def test_prompts_ask_for_the_label_of_the_nearest_token():
    tokens, targets = task.prompts(cell_seeds(0, [1, 2]), 6, 5, 2, 0.7, "nearest", True)
    assert tokens.shape == (2, 6, 5, 5)
    for prompt, target in zip(tokens.flatten(0, 1), targets.flatten()):
        ones, x, label, answer = prompt[:, 0], prompt[:, 1:3], prompt[:, 3], prompt[:, 4]
        assert ones.tolist() == [1] * 5
        assert answer.tolist() == [0] * 5
        assert label[-1] == 0
        assert label[:-1].abs().tolist() == [1] * 4
        weights = [math.exp(3 * float(x[k] @ x[-1])) for k in range(4)]
        wanted = sum(w * float(y) for w, y in zip(weights, label)) / sum(weights)
        assert float(target) == pytest.approx(wanted, rel=1e-12)
    shown, y = task.prompts(cell_seeds(0, range(200)), 32, 6, 2, 0.7, "nearest", False)
    assert float(shown[..., :2].var()) == pytest.approx(0.7, rel=0.02)
    assert float(0.5 * y.square().mean()) == pytest.approx(0.2817, abs=0.01)
    noise = task.prompts(cell_seeds(0, range(200)), 32, 6, 2, 0.7, "noise", False)[1]
    assert float(noise.std()) == pytest.approx(0.8, rel=0.03)


def test_a_member_is_a_block_of_its_reference():
    found = SMALL.run([{"particles": 2, "block": block, "seed": 3} for block in range(3)])
    assert np.all(found["coupled_distance"][:, 0] == 0)
    assert np.all(found["coupled_distance"][:, 1] > 0)
    assert len(set(found["output_error"][:, 0])) == 3  # blocks are different particles
    whole = SMALL.at({"layers": 4, "particles": 6}).run([{"seed": 3}])
    for name in ("output_error", "risk_error", "energy_error", "coupled_distance"):
        assert np.all(whole[name] == 0)
    assert np.all(whole["movement"][:, 1] > 0)
    assert np.array_equal(found["reference_risk"], whole["reference_risk"].repeat(3, 0))


def test_a_cell_does_not_know_its_tile():
    points = [{"decay": 0.01 * k, "step": 0.1 * k, "seed": k, "block": k} for k in (1, 2)]
    together = SMALL.run(points)
    for k, point in enumerate(points):
        alone = SMALL.run([point])
        for name, values in together.items():
            assert values[k] == pytest.approx(alone[name][0], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SMALL.at({"particles": 8}).run([{"seed": 0}]), "a reference is at least as large"),
        (lambda: SMALL.at({"layers": 8}).run([{"seed": 0}]), "a reference is at least as large"),
        (lambda: SMALL.at({"layers": 3}).run([{"seed": 0}]), "take a divisor"),
        (lambda: SMALL.run([{"seed": 0, "block": 3}]), "hold blocks 0 to 2"),
        (lambda: SMALL.at({"particles": 0}), "particles = 0"),
        (lambda: SMALL.at({"layers": 0}), "layers = 0"),
        (lambda: SMALL.at({"decay": -1.0}), "decay = -1.0"),
        (lambda: SMALL.at({"step": 0.0}), "step = 0.0"),
        (lambda: Flowing(features=0), "features = 0"),
        (lambda: SMALL.check(Grid.of(step=(0.5, -0.5))), "step = -0.5"),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_energy_probes_of_a_flow():
    body = Flowing(layers=2, particles=3, prompts=8, adaptive=True, times=(0.0, 2.0, 8.0), probes=2, evaluations=500)
    found = body.run([{"seed": s, "decay": d} for s in (0, 1) for d in (0.0, 0.01)])
    assert np.all(np.diff(found["energy"], axis=1) < 0)
    assert np.allclose(found["time_reached"], [0, 2, 8])
    assert np.all(found["dissipation_residual"][:, 1:] < 0.5)
    assert np.all((found["adjoint_ratio"] > 0) & (found["adjoint_ratio"] <= 1))
    spent = replace(body, evaluations=5).run([{"seed": 0, "decay": 0.0}])
    assert spent["gradients"][0, -1] == 5
    assert spent["time_reached"][0, -1] < 8


def _grid(values, **axes):
    return xr.DataArray(values, dims=tuple(axes), coords=axes)


def test_slopes_are_fitted_in_what_the_reference_leaves():
    layers, rng = np.array([2, 4, 8, 16, 32]), np.random.default_rng(0)
    base = theory.depth_error(layers, 64.0)
    error = _grid(np.outer(base, np.exp(0.1 * rng.normal(size=6))), layers=layers, seed=range(6))
    slope = rates.slope(error, "layers", lambda values: theory.depth_error(values, 64.0))
    assert float(slope.value) == pytest.approx(-1.0, abs=1e-12)
    naive = np.polyfit(np.log(layers), np.log(error.isel(seed=0)), 1)[0]
    assert naive < -1.05  # in L itself the finite reference would steepen it
    line = rates.fitted(error, "layers", lambda values: theory.depth_error(values, 64.0))
    assert np.allclose(line / error.isel(seed=0), float(line[0] / error[0, 0]))
    assert rates.rate_finding(error, "layers", lambda v: theory.depth_error(v, 64.0), -1.1, -0.9, "−1").holds
    assert not rates.rate_finding(error**2, "layers", lambda v: theory.depth_error(v, 64.0), -1.1, -0.9, "−1").holds


def test_blocks_are_averaged_before_seeds():
    error = _grid(np.array([[[3.0, 4.0], [1.0, 7.0]]]), particles=[2], seed=[0, 1], block=[0, 1])
    assert rates.over_blocks(error).values == pytest.approx(np.array([[math.sqrt(12.5), 5.0]]))


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (1.4, True), (0.6, False)])
def test_the_bound_fails_where_the_rate_does(power, holds):
    sizes = {"layers": [1, 2, 4, 8], "particles": [1, 4, 16, 64], "time": [0.0, 5.0], "seed": range(8)}
    shape = [len(values) for values in sizes.values()]
    data = xr.Dataset(coords=sizes)
    rate = theory.approximation_rate(data.layers.astype(float), data.particles.astype(float)) ** power
    noise = _grid(np.exp(0.02 * np.random.default_rng(1).normal(size=shape)), **sizes)
    # exactly the rate would straddle one; a bound leaves room at larger sizes
    room = (data.layers * data.particles) ** -0.05
    data["output_error"] = rate * room * noise
    data["done"] = xr.ones_like(noise, dtype=bool).isel(time=0, drop=True)
    assert bound.outputs_are_bounded(data).holds is holds


def test_the_best_step_is_that_of_the_smallest_risk_and_never_of_a_divergence():
    steps = [0.1, 0.2, 0.4, 0.8]
    risk = _grid(np.array([[3.0, 1.0, 2.0, np.nan], [3.0, 2.0, 1.0, np.inf]]), seed=[0, 1], step=steps)
    assert step.best_step(risk.to_dataset(name="risk")).values.tolist() == [0.2, 0.4]


def test_clouds_are_compared_layer_by_layer():
    body = clouds.Clouds(
        layers=2, particles=3, prompts=4, reference_layers=2, reference_particles=6, times=(0.0, 1.0), step=0.5
    )
    found = body.run([{"seed": 1}])
    seeds = body.seeds([{"seed": 1}])
    small, large = (body.start(seeds, 2, m)[0].numpy() for m in (3, 6))
    along = directions(clouds.DIRECTIONS, small.shape[-1])
    wanted = np.mean([float(sliced_wasserstein(x, y, along)) for x, y in zip(small, large)])
    assert found["sliced_reference"][0, 0] == pytest.approx(wanted, rel=1e-12)


def test_theory():
    assert theory.approximation_rate(1, 4.0) == pytest.approx(1 + math.sqrt(math.log(2) / 4))
    assert theory.depth_error(8, 8) == 0
    assert theory.width_error(4, 16) == pytest.approx(math.sqrt(3 / 16))
    assert theory.start_fluctuation(4, 9, "iid") == pytest.approx(1 / 6)
    assert theory.start_fluctuation(4, 9, "path") == pytest.approx(1 / 3)
    assert theory.interpolator_bound(0.1, 20.0) == pytest.approx(1.0)
    assert theory.second_moment_bound(0.5, 2.0, 0.0, 1.0) == pytest.approx(12.0)


def test_particles_are_homogeneous_where_they_say_and_only_there():
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(1, 4, 5, 3))
    for particle in (Attention(), FeedForward()):

        def act(theta, particle=particle):
            return particle.act(torch.as_tensor(tokens), torch.as_tensor(theta)).numpy()

        theta = rng.normal(size=(1, 2, particle.size(3)))
        part = particle.homogeneous(3)
        assert theory.homogeneity_defect(act, theta, part) < 1e-13
        assert theory.homogeneity_defect(act, theta, slice(part.stop, None)) > 0.05


def test_lipschitz_estimate_is_exact_for_a_quadratic_and_grows_for_a_quartic():
    assert theory.local_lipschitz_estimate(lambda x: 3 * x, 4, 2.0) == pytest.approx(3.0)
    quartic = [theory.local_lipschitz_estimate(lambda x: x**3, 4, radius) for radius in (1.0, 2.0)]
    assert quartic[1] / quartic[0] == pytest.approx(4.0, rel=0.01)


def test_images_train_and_resume_bit_for_bit(tmp_path):
    body = images.ImagesBody(
        network="1x2",
        epochs=1,
        images=128,
        batch_size=16,
        dropout=0.2,
        records=2,
        checkpoint_every=3,
        schedule="cosine",
    )
    whole = body.run([{"seed": 1}])
    training = images_training(body, tmp_path / "checkpoint")
    for k in range(5):
        training.step(k)
        if (k + 1) % 3 == 0:
            training.save(k + 1)
        if k + 1 in training.plan.record:
            training.record()
    again = images_training(body, tmp_path / "checkpoint")
    assert again.first == 3
    history = again.run()
    assert history["train_loss"][-1] == whole["train_loss"][0, -1]


def images_training(body, path):
    return Training(body.task(1, torch.device("cpu")), body.plan(), company(), path)


def test_the_papers_run_reads_cifar(tmp_path):
    folder = write_cifar(tmp_path, train=40, test=10)
    experiment = find("mean-field-images")
    asked = {"data": str(folder), "network": ["2x3"], "epochs": 1, "images": 32, "batch_size": 16, "head_size": 8}
    body, _ = experiment.configure("paper", asked, seeds=1)
    assert (body.hidden, body.width, body.patch, body.dropout, body.rate) == (128, 128, 16, 0.1, 1e-4)
    assert (body.weight_decay, body.schedule) == (0, "cosine")
    assert len(body.task(0, torch.device("cpu")).model.positions) == 4  # patches an image
    found = body.run([{"network": "2x3", "seed": 0}])
    assert found["train_loss"].shape == (1, len(body.coordinates["step"]))
    assert np.isfinite(found["train_loss"]).all()
    whole, points = experiment.configure("paper", {"data": str(folder)})
    assert points.cells == 3 * len({*images.PAPER_HEADS, *images.PAPER_LAYERS})
    assert whole.steps == 200 * (50_000 // 512)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network": ["6"]}, "write layers x heads"),
        ({"network": ["0x4"]}, "write layers x heads"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_images_refuse_what_they_cannot_train(changes, says):
    with pytest.raises(ValueError, match=says):
        sweep(*find("mean-field-images").configure("smoke", changes), progress=False)


def test_an_animation_of_clouds(tmp_path):
    body, grid = find("mean-field-particles").configure("smoke")
    data = sweep(body, grid, progress=False)
    path = animate(data, tmp_path / "clouds.gif")
    with Image.open(path) as written:
        assert written.n_frames == len(body.times)
    assert float(data.value.isel(time=0).std()) == pytest.approx(0.5, rel=0.2)  # the start's spread 1/√d
    with pytest.raises(ValueError, match="holds no clouds"):
        animate(data.drop_vars("value"), tmp_path / "none.gif")
