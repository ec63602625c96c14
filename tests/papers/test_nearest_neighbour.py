"""The paper's network by hand against the common attention code, its reduction to two parameters, and the dynamics."""

import numpy as np
import pytest
import torch
import xarray as xr

from lemmata.draws import cell_seeds
from lemmata.lab.find import find
from lemmata.lab.run_folder import conclusions
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import train
from lemmata.loops.rules import SGD
from lemmata.modules.attention import apply, to_multihead_attention, traced
from lemmata.papers.nearest_neighbour import decades, digits, network, reduced, sizes, theory
from lemmata.papers.nearest_neighbour.setting import FullMatrixBody
from lemmata.prompts.sphere import SpherePrompts
from lemmata.sweep import sweep

SEEDS = cell_seeds(0, range(3))


def drawn(dtype=torch.float64, n=6, d=4, b=50):
    prompts = SpherePrompts(n, d).draw(SEEDS, "x", b, dtype)
    W = torch.randn(3, d + 2, d + 2, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return W, prompts


def test_the_network_is_one_of_the_common_code():
    W, prompts = drawn()
    net, parameters = network.network(6), network.as_parameters(W, 4)
    out, trace = traced(net, parameters, prompts.tokens)
    p = network.weights(W, prompts.tokens)
    torch.testing.assert_close(trace.attention[0][:, :, 0, -1], p, rtol=1e-12, atol=1e-14)
    said = (p[..., :-1] * prompts.labels).sum(-1)
    torch.testing.assert_close(out.squeeze(-1), said, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(apply(net, parameters, prompts.tokens), out, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(network.errors(p, prompts.labels, prompts.targets), said - prompts.targets)
    module = to_multihead_attention(net, parameters, 0, cell=1)
    x = prompts.tokens[1]
    exported = module(x, x, x, need_weights=False)[0][:, -1, 4]
    torch.testing.assert_close(exported, said[1], rtol=1e-12, atol=1e-14)


def test_the_gradient_by_hand_is_that_of_autograd():
    W, prompts = drawn()
    W.requires_grad_()
    by_hand = torch.autograd.grad(
        (network.loss(W, prompts.tokens, prompts.targets, 4) * torch.tensor([1.0, 2.0, 3.0])).sum(), W
    )
    out = apply(network.network(6), network.as_parameters(W, 4), prompts.tokens).squeeze(-1)
    loss = 0.5 * (out - prompts.targets).square().mean(1)
    torch.testing.assert_close(network.loss(W, prompts.tokens, prompts.targets, 4), loss, rtol=1e-12, atol=0)
    slow = torch.autograd.grad((loss * torch.tensor([1.0, 2.0, 3.0])).sum(), W)
    torch.testing.assert_close(by_hand[0], slow[0], rtol=1e-11, atol=1e-14)


def test_parameters_of_a_matrix():
    W = torch.diag(torch.tensor([5.0] * 4 + [9.0, -3.0])).repeat(2, 1, 1)
    W[1, 0, 1] = 2.0
    W[:, 2, 4] = 100.0  # meets the query's label, which is 0
    W[:, 4, 4] = 7.0
    found = network.parameters_of(W, 4, 4)
    assert found["xi1"].tolist() == [5.0, 5.0]
    assert found["xi2"].tolist() == [3.0, 3.0]
    np.testing.assert_allclose(found["off_structure"], [0, 2 / (4 * 25 + 9 + 4) ** 0.5], rtol=1e-6)


def test_gradients_of_the_full_matrix_are_the_two_slopes_by_dimension():
    """tr(G_xx)/d = (∂L/∂ξ1)/d and -G_corner = ∂L/∂ξ2, and the rest of G is sampling noise."""
    n, d, xi1, xi2 = 16, 8, 8.0, 6.0
    prompts = SpherePrompts(n, d).draw(SEEDS[:1], "x", 30_000, torch.float64)
    W = torch.diag(torch.tensor([xi1] * d + [0.0, -xi2], dtype=torch.float64)).unsqueeze(0).requires_grad_()
    (G,) = torch.autograd.grad(network.loss(W, prompts.tokens, prompts.targets, d).sum(), W)
    _, first, second = theory.population(xi1, xi2, n, d)
    assert float(G[0, :d, :d].diagonal().mean()) == pytest.approx(float(first) / d, abs=7e-5)
    assert -float(G[0, -1, -1]) == pytest.approx(float(second), abs=3e-4)
    off = G[0].clone()
    off[range(d), range(d)] = 0
    off[-1, -1] = 0
    assert off.abs().max() < 8e-3
    assert off[:, d].abs().max() == 0


def test_the_sampled_gradient_is_the_mean_of_autograd_over_labels():
    u = torch.rand(2, 30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    nearest = u.argmax(-1, keepdim=True)
    xi = torch.tensor([[3.0, 1.0], [0.5, 2.0]], dtype=torch.float64, requires_grad=True)
    scores = torch.cat([xi[:, :1, None] * u, (xi[:, :1] - xi[:, 1:]).unsqueeze(2).expand(2, 30, 1)], -1)
    p = scores.softmax(-1)[..., :-1]
    loss = 0.5 * (p.square().sum(-1) - 2 * p.gather(-1, nearest).squeeze(-1) + 1).mean(-1)
    slow = torch.autograd.grad(loss.sum(), xi)[0]
    found = reduced.sampled_gradient(xi.detach(), u, nearest)
    torch.testing.assert_close(found[0], loss.detach())
    torch.testing.assert_close(found[1], slow, rtol=1e-11, atol=1e-14)


def test_descent_follows_the_reference_and_the_flow_follows_the_descent():
    """2000 steps of η/d = 10 from (0, 3) for n = 4, d = 4: the table of the derivation, measured on 10^4 prompts."""
    path = reduced.descend(4, 4, 40.0, (0.0, 3.0), (0, 100, 400))
    assert path[0, 2] == pytest.approx(0.375, abs=1e-3)
    assert path[1, 2] == pytest.approx(0.0443, rel=0.03)
    times = 0.4 * np.array([100.0, 1000.0])
    slow = reduced.descend(4, 4, 0.4, (0.0, 3.0), (0, 100, 1000))[1:]
    np.testing.assert_allclose(reduced.flow(4, 4, (0.0, 3.0), times), slow, rtol=0.01)


def test_training_the_matrix_follows_the_two_parameters():
    body = FullMatrixBody(steps=300, n=8, d=4, pool=0, batch=128, rate=1.0, records=3)
    found = body.run([{"seed": 0}, {"seed": 1}])
    expected = reduced.descend(8, 4, 1.0, (0.0, 3.0), body.record_steps)
    assert found["xi1"].shape == (2, 4)
    np.testing.assert_allclose(found["xi1"].mean(0), expected[:, 0], rtol=0.05, atol=0.02)
    np.testing.assert_allclose(found["test_loss"].mean(0), expected[:, 2], rtol=0.15)
    assert found["off_structure"][:, 1:].max() < 0.2
    assert found["shift_error"].shape == (2, 4, 3)
    assert (np.diff(found["shift_error"], axis=1)[..., 1:] < 0).all()


def test_a_fixed_pool_is_the_same_prompts_again():
    body = FullMatrixBody(steps=6, n=5, d=3, pool=12, batch=12, records=1)
    whole = body.run([{"seed": 0}])
    task = body.task([{"seed": 0}])
    task.start(cell_seeds(0, [0]))
    W = torch.zeros(1, 5, 5)
    W[:, 4, 4] = -3.0
    for _ in range(6):
        prompts = task.law.draw(cell_seeds(0, [0]), "pool", 12)
        W = W.detach().requires_grad_()
        (g,) = torch.autograd.grad(network.loss(W, prompts.tokens, prompts.targets, 3).sum(), W)
        W = W - g
    np.testing.assert_allclose(whole["xi1"][0, -1], network.parameters_of(W.detach(), 3, 3)["xi1"], rtol=1e-5)
    minibatches = FullMatrixBody(steps=6, n=5, d=3, pool=12, batch=5, records=1).run([{"seed": 0}])
    assert minibatches["xi1"][0, -1] != whole["xi1"][0, -1]


@pytest.mark.parametrize("start", ["sparse", "zero", "gaussian"])
@pytest.mark.parametrize(("tokens", "law"), [("plain", "sphere"), ("with norms", "unnormalised")])
def test_a_cell_does_not_know_its_tile(start, tokens, law):
    body = FullMatrixBody(steps=20, n=5, d=3, pool=40, batch=16, start=start, tokens=tokens, trained_on=law, records=2)
    points = [{"seed": 0, "rate": 0.5}, {"seed": 1, "rate": 1.0}, {"seed": 1, "rate": 2.0}]
    together = body.run(points)
    alone = body.run(points[1:2])
    for name, values in alone.items():
        np.testing.assert_allclose(together[name][1], values[0], rtol=2e-5, atol=1e-7)


def test_float64_cells_are_bitwise_alone_and_together():
    body = FullMatrixBody(n=16, d=8, pool=0, batch=32)
    task = body.task([{}, {}, {}])

    class Double(type(task)):
        def start(self, seeds):
            return {"W": super().start(seeds)["W"].double()}

        def loss(self, parameters, step):
            prompts = self.law.draw(self.seeds, f"prompts/{step}", 32, torch.float64)
            return network.loss(parameters["W"], self.tokens(prompts), prompts.targets, 8)

        def scores(self, parameters):
            return {}

    ones = torch.ones(3, dtype=torch.float64)
    rates = torch.tensor([0.5, 0.75, 1.0])
    together = train(Double(body, 3 * ones, ones, ()), SEEDS, Descent(100, SGD(), rate=rates))
    for i in range(3):
        alone = train(
            Double(body, 3 * ones[:1], ones[:1], ()), SEEDS[i : i + 1], Descent(100, SGD(), rate=rates[i : i + 1])
        )
        assert torch.equal(alone.parameters["W"][0], together.parameters["W"][i])


NAMES = ["", "-landscape", "-sizes", "-decades", "-steps", "-shifts", "-digits", "-sphere"]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_runs_and_draws_at_smoke(name):
    experiment = find(f"nearest-neighbour{name}")
    body, grid = experiment.configure("smoke")
    dataset, verdicts = conclusions(experiment, sweep(body, grid, progress=False), "smoke")
    assert len(verdicts) == len(experiment.claims)
    shown = {verdict.claim: verdict.holds for verdict in verdicts if verdict.holds is not None}
    assert all(shown.values()), shown
    for figure in experiment.figures(dataset).values():
        figure.canvas.draw()
        assert all(axes.has_data() for axes in figure.axes)
    # Claims that show at larger sizes can be asked here too: they answer, or say what is missing.
    assert all(claim.check(dataset, "laptop").measured is not None for claim in experiment.claims)


def paths(xi1, ratio, loss, time):
    """A dataset as the flow leaves it, for one start."""
    variables = {
        name: (("sigma", "time"), values[None]) for name, values in (("xi1", xi1), ("xi2", xi1 / ratio), ("loss", loss))
    }
    data = xr.Dataset(variables, {"sigma": [12.0], "time": time, "n": 16, "d": 8})
    return data.merge(decades.predict(data))


def test_published_statements_can_be_confirmed_as_well_as_refuted():
    time = np.geomspace(1, 1e8, 65)
    slow = paths(1 + np.log(time), 0.4, 1 / (1 + np.log(time)), time)
    assert decades.xi1_is_logarithmic(slow).holds
    assert decades.xi1_below_half_of_xi2(slow).holds
    assert not decades.xi1_is_a_cube_root(slow).holds
    fast = paths(np.cbrt(3 * theory.tie_constant(16, 8) * time / 8), 0.9, time ** (-1 / 3), time)
    assert not decades.xi1_is_logarithmic(fast).holds
    assert not decades.xi1_below_half_of_xi2(fast).holds
    assert decades.xi1_is_a_cube_root(fast).holds
    assert decades.xi1_has_the_constant(fast).holds
    assert decades.loss_is_an_inverse_cube_root(fast).holds


def test_a_path_that_does_not_follow_its_law_is_found_out():
    experiment = find("nearest-neighbour-sizes")
    body, grid = experiment.configure("smoke")
    data = sweep(body, grid, progress=False)
    late = data.assign_coords(step=data.step * 100)
    late = late.merge(sizes.predict(late))
    assert not sizes.xi1_follows_the_law(late).holds
    assert not sizes.loss_falls(late.assign(loss=1 - late.loss)).holds


def test_digits_are_unit_vectors_and_their_prompts_hold_no_picture_twice():
    prompts, truth = digits.digit_prompts(SEEDS, (3, 8), 10, 6, 5)
    torch.testing.assert_close(prompts.points.norm(dim=-1), torch.ones(3, 5, 11))
    assert set(truth.unique().tolist()) == {-1.0, 1.0}
    for c, b in np.ndindex(3, 5):
        assert len(prompts.points[c, b].unique(dim=0)) == 11
    np.testing.assert_array_equal(digits.of_scikit_learn(prompts), prompts.targets)
    with pytest.raises(ValueError, match="prompts of 400 digits were asked for"):
        digits.digit_prompts(SEEDS, (3, 8), 400, 6, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n = 0 was asked for"),
        ({"d": 1}, "d = 1 was asked for"),
        ({"start": "hot"}, "start = 'hot' was asked for"),
        ({"rule": "lion"}, "rule = 'lion' was asked for"),
        ({"rate": -1.0}, "rate = -1.0 was asked for"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(changes, message):
    with pytest.raises(ValueError, match=message):
        find("nearest-neighbour").configure("smoke", changes)


def test_a_batch_larger_than_the_pool_is_refused():
    with pytest.raises(ValueError, match="batches of 50 out of 20 prompts"):
        FullMatrixBody(pool=20, batch=50, steps=1).run([{"seed": 0}])
