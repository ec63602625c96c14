"""Parameter-free optimisers on convex problems and small networks: slow twins, claims, figures, refusals."""

import importlib.util

import numpy as np
import pytest
import torch
import xarray as xr

from lemmata.lab.find import find
from lemmata.loops.loop import set_mode
from lemmata.papers.parameter_free import convex as convex
from lemmata.papers.parameter_free import digits_networks
from lemmata.papers.parameter_free import logistic_optimum as minimum
from lemmata.papers.parameter_free import logistic_regression as logistic
from lemmata.papers.parameter_free import networks as networks
from lemmata.papers.parameter_free import rates as rates
from lemmata.papers.parameter_free import scale as scale
from lemmata.papers.parameter_free.methods import METHODS, PEERS, knob_of
from lemmata.papers.parameter_free.theory import growth_steps
from lemmata.sweep import sweep

KNOBS = tuple((name, (1e-4, 1e-2)) for name in METHODS)


def installed(name):
    return not METHODS[name].peer or importlib.util.find_spec(METHODS[name].peer) is not None


# -- logistic regression ---------------------------------------------------------------------------------------------


def train_one(point, steps, l2=1e-3):
    """The slow twin: autograd on the written-out loss, one cell, its own order of samples."""
    from lemmata.draws import cell_seeds, permutation

    table = minimum.load_table(point["data"])
    units = np.append(np.full(table.x.shape[1] - 1, point.get("feature_scale", 1.0)), 1.0)
    x, y, units = torch.tensor(table.x * units), torch.tensor(table.y), torch.tensor(units)[:, None]
    weights = torch.nn.Parameter(torch.zeros(x.shape[1], table.classes, dtype=torch.float64))

    def loss(rows):
        penalty = 0.5 * l2 * (units * weights).square().sum()
        return torch.nn.functional.cross_entropy(x[rows] @ weights, y[rows]) + penalty

    optimiser = METHODS[point["optimiser"]]([weights], knob_of(point, KNOBS))
    set_mode(optimiser, "train")
    per_epoch = len(y) // point["batch"] if point["batch"] else 1
    for step in range(steps):
        rows = torch.arange(len(y))
        if point["batch"]:
            order = permutation(cell_seeds(0, [point["seed"]]), f"order of epoch {step // per_epoch}", len(y))[0]
            rows = order.view(-1)[point["batch"] * (step % per_epoch) :][: point["batch"]]
        optimiser.zero_grad()
        (point.get("loss_scale", 1.0) * loss(rows)).backward()
        optimiser.step()
    set_mode(optimiser, "eval")
    with torch.no_grad():
        return float(loss(torch.arange(len(y)))) - minimum.optimum(point["data"], l2).value


@pytest.mark.parametrize("name", METHODS)
def test_body_equals_its_slow_twin(name):
    if not installed(name):
        pytest.skip(f"{METHODS[name].peer} is not installed")
    points = [
        {"data": "breast_cancer", "batch": batch, "optimiser": name, "tuning": 1, "seed": seed} | extra
        for batch in (0, 100)
        for seed in (0, 1)
        for extra in ({}, {"feature_scale": 3.0, "loss_scale": 0.5})
    ]
    body = logistic.LogisticBody(knobs=KNOBS, steps=12)
    for batch in (0, 100):
        here = [point for point in points if point["batch"] == batch]
        found = body.run(here)["gap"]
        np.testing.assert_allclose(found, [train_one(point, 12) for point in here], rtol=1e-9)
        np.testing.assert_array_equal(body.run(here[1:2])["gap"].round(12), found[1:2].round(12))


def test_seeds_share_the_training_that_draws_nothing_and_no_other():
    points = [
        {"data": "breast_cancer", "batch": batch, "optimiser": "adam", "tuning": 1, "seed": seed}
        for batch in (0, 32)
        for seed in range(3)
    ]
    body = logistic.LogisticBody(knobs=KNOBS, steps=5)
    full, mini = body.run(points[:3])["gap"], body.run(points[3:])["gap"]
    assert len(set(full)) == 1
    assert len(set(mini)) == 3


@pytest.mark.parametrize("name", minimum.TABLES)
def test_minimum_is_that_of_another_solver(name):
    from sklearn.linear_model import LogisticRegression

    found, table = minimum.optimum(name, 1e-2), minimum.load_table(name)
    assert found.gradient_norm < 1e-10
    if name == "digits":
        other = LogisticRegression(C=1 / (1e-2 * len(table.y)), fit_intercept=False, tol=1e-10, max_iter=5000)
        weights = other.fit(table.x, table.y).coef_.T
        np.testing.assert_allclose(found.at, weights, atol=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(3):  # no point near it is lower
        shifted = found.at + 1e-3 * rng.standard_normal(found.at.shape)
        scores = table.x @ shifted
        losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(table.y)), table.y]
        assert losses.mean() + 0.5e-2 * (shifted**2).sum() > found.value


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("parameter-free-convex", {"optimiser": ("sgd",)}, ["'sgd'", "adam++"]),
        ("parameter-free-convex", {"tuning": (7,)}, ["tuning 7", "0 to 6"]),
        ("parameter-free-convex", {"data": ("iris",)}, ["'iris'", "digits"]),
        ("parameter-free-convex", {"batch": (9999,)}, ["9999", "569"]),
        ("parameter-free-convex", {"steps": 0}, ["steps = 0"]),
        ("parameter-free-networks", {"epochs": 0}, ["epochs = 0"]),
        ("parameter-free-scale", {"feature_scale": (-1.0,)}, ["-1", "above 0"]),
        ("parameter-free-networks", {"net": ("rnn",)}, ["'rnn'", "transformer"]),
        ("parameter-free-networks", {"schedule": ("step",)}, ["'step'", "cosine"]),
    ],
)
def test_what_cannot_run_is_refused_before_anything_does(name, changes, words, tmp_path):
    def run():
        body, grid = find(name).configure("smoke", changes)
        sweep(body, grid, tmp_path / "data.zarr", progress=False)

    with pytest.raises(ValueError, match=r"\w") as refusal:
        run()
    assert all(word in str(refusal.value) for word in words)
    assert not (tmp_path / "data.zarr").exists()


def test_a_missing_package_is_named_with_what_to_leave_out(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "prodigyopt" else real(name))
    body, grid = find("parameter-free-convex").configure("laptop")
    with pytest.raises(ValueError, match=r"prodigyopt .*lemmata\[bench\]") as refusal:
        body.check(grid)
    assert "--optimiser adagrad++ adam++" in str(refusal.value)
    assert not {"prodigy"} & set(str(refusal.value).split("--optimiser")[1].split())


# -- claims ----------------------------------------------------------------------------------------------------------


def convex_table():
    """What laptop measured to two digits: rows by optimiser, mini-batches."""
    rows = {
        "adagrad++": (0.0076, 0.0062, 0.0049, 0.0037, 0.0026, 0.0017, 0.0012),
        "adam++": (0.0061, 0.0049, 0.0038, 0.0028, 0.0019, 0.0011, 0.0006),
        "adam++sum": (0.0070, 0.0057, 0.0044, 0.0033, 0.0022, 0.0013, 0.0006),
        "adam++literal": (0.66, 1.2, 1.4, 1.3, 1.1, 0.83, 0.40),
        "adam": (0.19, 0.024, 0.0070, 0.0014, 0.0021, 0.019, 0.31),
        "adagrad": (0.26, 0.032, 0.0095, 0.0024, 0.0006, 0.0074, 0.13),
    }
    gap = np.array(list(rows.values()))[None, None, :, :, None]
    knob = np.array([dict(convex.KNOBS)[name] for name in rows])[None, None, :, :, None]
    eta = np.where(np.array(list(rows))[:, None] == "adam++literal", 40.0, 0.4) * np.ones((1, 1, 6, 7, 1))[..., 0]
    dims = ("data", "batch", "optimiser", "tuning", "seed")
    dataset = xr.Dataset(
        {
            "gap": (dims, gap),
            "knob": (dims, knob),
            "eta": (dims, eta[..., None]),
            "status": (dims, np.zeros(gap.shape, int)),
        },
        {
            "data": ["breast_cancer"],
            "batch": [32],
            "optimiser": list(rows),
            "tuning": range(7),
            "seed": [0],
            "l2": 1e-3,
        },
    )
    dataset = dataset.isel(seed=[0, 0]).assign_coords(seed=[0, 1])  # two seeds alike: intervals of no width
    return dataset.merge(convex.predict(dataset))


def test_convex_claims_hold_on_the_measured_table_and_fail_on_another():
    table = convex_table()
    found = {claim.name: claim.check(table).holds for claim in convex.CLAIMS}
    assert found == {
        "any-first-scale": True,
        "flatter-than-learning-rates": True,
        "matches-tuned-adam": False,  # 2.8 times the gap of Adam at its best, after 1000 steps
        "scale-is-the-distance": True,
        "growth-phase": None,  # needs full batches
        "uncorrected-overshoots": True,
    }
    worse = table.copy(deep=True)
    worse["gap"].loc[{"optimiser": "adam++", "tuning": 0}] = 0.1
    worse["eta"].loc[{"optimiser": "adam++literal"}] = 0.4
    failed = {claim.name for claim in convex.CLAIMS if claim.check(worse).holds is False}
    assert failed == {
        "any-first-scale",
        "flatter-than-learning-rates",
        "matches-tuned-adam",
        "uncorrected-overshoots",
    } - ({"matches-tuned-adam"} if convex.matches_tuned_adam(worse).holds else set())
    diverged = table.copy(deep=True)
    diverged["status"].loc[{"optimiser": "adam++sum", "tuning": 3}] = 2
    assert convex.any_first_scale_will_do(diverged).holds is False


def test_predicted_growth_phase_is_that_of_the_formula():
    phase = convex_table()["growth_phase"].sel(data="breast_cancer", optimiser="adam++")
    assert float(phase[0]) == growth_steps(1e-8, 0.51145)
    assert bool(convex_table()["growth_phase"].sel(optimiser="adam").isnull().all())


def test_growth_along_the_predicted_path_holds_and_a_faster_one_fails():
    table = convex_table()
    steps = np.unique(np.geomspace(1, 1000, 40).round().astype(int))
    root = np.sqrt(xr.DataArray(steps, {"step": steps}, ("step",)))
    full = table.assign_coords(batch=[0])
    for speed, expected in ((1.2, True), (2.5, False)):
        kept = full.assign(eta_path=(full["knob"] * np.exp(speed * root)).clip(max=0.5))
        assert convex.growth_is_no_faster_than_predicted(kept).holds is expected


def rates_table(slopes):
    """Gaps T^-p exactly, with p of every optimiser at five values of its knob, and seeds that scatter a little."""
    steps = np.array([1, 30, 100, 200, 400, 700, 1000])
    names, seeds = list(slopes), np.array([-0.01, 0.0, 0.01])
    p = np.array([slopes[name] for name in names])[None, :, :, None, None] + seeds[:, None]
    gap = 10.0 * steps**-p
    knob = np.array([(1e-8, 1e-7, 1e-6, 1e-5, 1e-4) if "++" in name else (1e-3, 1e-2, 0.1, 1, 10) for name in names])
    dims = ("data", "optimiser", "tuning", "seed", "step")
    return xr.Dataset(
        {
            "average_gap_path": (dims, gap),
            "knob": (dims[:-1], np.broadcast_to(knob[None, :, :, None], gap.shape[:-1])),
            "status": (dims[:-1], np.zeros(gap.shape[:-1], int)),
        },
        {"data": ["digits"], "optimiser": names, "tuning": range(5), "seed": range(3), "step": steps},
    )


def test_claims_on_rates_hold_where_exponents_match_and_fail_where_they_do_not():
    flat, tuned = (1.0, 1.0, 1.0, 1.0, 1.0), (0.2, 0.6, 1.05, 0.6, 0.1)
    table = rates_table({"adagrad++": flat, "adam++": flat, "adagrad": tuned, "adam": tuned})
    found = rates.exponents(table).mean("seed").sel(data="digits", optimiser="adam")
    np.testing.assert_allclose(found, tuned, atol=1e-12)
    assert [claim.check(table).holds for claim in rates.CLAIMS] == [True] * 4
    slow = (0.45, 0.5, 0.7, 0.4, 0.6)
    even = (0.9, 1.0, 1.05, 1.0, 0.9)
    worse = rates_table({"adagrad++": slow, "adam++": slow, "adagrad": even, "adam": even})
    assert [claim.check(worse).holds for claim in rates.CLAIMS] == [False] * 4
    edge = rates_table({"adagrad++": flat, "adam++": flat, "adagrad": tuned, "adam": (1.2, 0.6, 0.5, 0.4, 0.3)})
    assert [claim.check(edge).holds for claim in rates.CLAIMS] == [True, None, True, None]


def test_the_average_is_weighted_by_eta_and_uniform_for_the_others():
    point = {"data": "breast_cancer", "batch": 0, "tuning": 1}
    body = logistic.LogisticBody(knobs=KNOBS, steps=8, records=8, averaged=True)
    for name in ("adagrad++", "adagrad"):
        problem = logistic._Problem(body, [{**point, "feature_scale": 1.0, "loss_scale": 1.0}])
        weights = torch.nn.Parameter(torch.zeros(1, *problem.shape, dtype=torch.float64))
        optimiser, seen, shares = METHODS[name]([weights], 1e-2), [], []
        for step in range(8):
            seen.append(weights.detach().clone())
            shares.append(float(optimiser.eta) if name == "adagrad++" else 1.0)
            weights.grad = problem.gradient(weights.detach(), step)
            optimiser.step()
        average = sum(share * x for share, x in zip(shares, seen)) / sum(shares)
        found = body.run([{**point, "optimiser": name}])["average_gap_path"][0, -1]
        np.testing.assert_allclose(found, problem.gap(average)[0], rtol=1e-9)


# -- run small -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["parameter-free-convex", "parameter-free-scale", "parameter-free-networks"])
def test_the_smallest_size_needs_no_package_of_a_peer(name):
    assert not set(PEERS) & set(find(name).sizes["smoke"].axes["optimiser"])


def test_a_network_cell_does_not_know_its_neighbours():
    body = digits_networks.DigitsBody(knobs=networks.KNOBS, epochs=1)
    points = [
        {"net": "transformer", "schedule": "cosine", "optimiser": "adam++", "tuning": 3, "seed": seed}
        for seed in (0, 1)
    ]
    both, alone = body.run(points), body.run(points[1:])
    assert both["train_loss"][1, -1] == alone["train_loss"][0, -1] != both["train_loss"][0, -1]


def test_scale_moves_the_minimiser_and_not_the_minimum():
    """With W in units of 1/s the loss is the same number, so the gap after many steps of a scale-free method is too."""
    body = logistic.LogisticBody(knobs=(("adam", (1.0,)),), steps=1)
    point = {"data": "breast_cancer", "batch": 0, "optimiser": "adam", "tuning": 0, "loss_scale": 1.0}
    problem = logistic._Problem(body, [point | {"feature_scale": s} for s in (1.0, 0.01)])
    at = torch.tensor(minimum.optimum("breast_cancer", 1e-3).at)
    np.testing.assert_allclose(problem.gap(torch.stack([at, at]) / problem.units), 0, atol=1e-12)
    assert problem.gradient(torch.stack([at, at]) / problem.units, 0).abs().max() < 1e-12


def test_scale_claims_fail_where_units_matter():
    optimisers, features = ["adagrad++", "adam++", "adam++sum", "adam", "adagrad"], [0.01, 1.0, 100.0]
    dims = ("data", "batch", "optimiser", "tuning", "feature_scale", "loss_scale")
    gap = np.full((1, 1, 5, 2, 3, 2), 0.004)
    gap[0, 0, 3:, 1, 2] = 1.2
    coords = dict(zip(dims, (["breast_cancer"], [0], optimisers, [0, 1], features, [1.0, 1e6])))
    table = xr.Dataset({"gap": (dims, gap), "status": (dims, np.zeros(gap.shape, int))}, coords)
    assert [claim.check(table).holds for claim in scale.CLAIMS] == [True, True, True]
    table["gap"].loc[{"optimiser": "adam++", "feature_scale": 0.01}] = 0.4
    table["gap"].loc[{"optimiser": "adam++sum", "loss_scale": 1e6}] = 0.01
    table["gap"].loc[{"optimiser": "adam"}] = 0.001
    assert [claim.check(table).holds for claim in scale.CLAIMS] == [False, False, False]
