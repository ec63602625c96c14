"""Laws of the ensemble: equal to ordinary modules and optimisers, blind to its tile, a NaN stays home, resumable."""

import dataclasses
import math
from typing import ClassVar

import pytest
import torch

from lemmata.draws import cell_seeds, normal
from lemmata.loops import checkpoint
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import Level, train
from lemmata.loops.rules import SGD, Adam, AdamPP, AdamW
from lemmata.loops.task import Task
from lemmata.modules.attention import AttentionNetwork, Block, apply, to_module
from lemmata.optim import AdamPP as HouseAdamPP
from lemmata.prompts.prompt import Multiset
from lemmata.prompts.sphere import SpherePrompts
from lemmata.status import Status

SEEDS = cell_seeds(1, range(3))
RATES = torch.tensor([1e-2, 3e-2, 1e-3], dtype=torch.float64)
DECAYS = torch.tensor([0.0, 0.1, 0.01], dtype=torch.float64)
NET = AttentionNetwork.uniform(5, 1, layers=2, width=8, heads=2)
# Without key biases: their gradient is exactly 0 in a softmax, and Adam makes whole steps of rounding errors.
PLAIN = AttentionNetwork(5, (Block(2, key_query="merged", hidden=8),), outputs=1, final_norm=True)
RULES = {
    "sgd": SGD(),
    "momentum": SGD(momentum=0.9),
    "adam": Adam(),
    "adamw": AdamW(),
    "adam++": AdamPP(),
    "adam++ max": AdamPP(variant="ema_max", eta0=1e-3),
    "adam++ sum": AdamPP(variant="sum", eta0=1e-3),
}


class Nearest(Task):
    """Attention networks on sphere prompts, float64; ``spoil`` turns the loss of one cell into NaN at one step."""

    scores_of: ClassVar = {"error": "mean squared error on prompts of its own"}

    def __init__(self, spoil=None, form="auto", net=NET):
        self.spoil, self.form, self.net = spoil, form, net

    def start(self, seeds):
        self.seeds = seeds
        return self.net.start(seeds, torch.float64)

    def prompts(self, name):
        return SpherePrompts(4, 3).draw(self.seeds, name, 3, torch.float64)

    def error(self, parameters, name):
        prompts = self.prompts(name)
        out = apply(self.net, parameters, prompts.tokens, form=self.form).squeeze(-1)
        return (out - prompts.targets).square().mean(1)

    def loss(self, parameters, step):
        loss = self.error(parameters, f"prompts/{step}")
        if self.spoil is not None and step == self.spoil[1]:
            loss = loss * torch.where(torch.arange(len(loss)) == self.spoil[0], math.nan, 1.0)
        return loss

    def scores(self, parameters):
        return {"error": self.error(parameters, "test")}


class Counted(Nearest):
    """The same with prompts given as counts of tokens of a table."""

    def error(self, parameters, name):
        table = normal(cell_seeds(0, [0]), "table", (6, 5))[0]
        counts = (normal(self.seeds, f"{name}/counts", (3, 4)).abs() * 2).floor()
        query = (normal(self.seeds, f"{name}/query", (3,)) > 0).long()
        out = apply(self.net, parameters, Multiset(table, counts, query), form=self.form).squeeze(-1)
        return (out - table[4 + query].sum(-1)).square().mean(1)


def rates_of(rule):
    return torch.tensor([1.0, 0.5, 2.0]).double() if isinstance(rule, AdamPP) else RATES


def torch_optimiser(rule, module, rate, decay):
    if isinstance(rule, AdamPP):
        return HouseAdamPP(module.parameters(), lr=rate, weight_decay=decay, variant=rule.variant, eta0=rule.eta0)
    if isinstance(rule, SGD):
        return torch.optim.SGD(module.parameters(), lr=rate, momentum=rule.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if isinstance(rule, AdamW) else torch.optim.Adam
    return kind(module.parameters(), lr=rate, weight_decay=decay)


def twin(cell, rule, steps, warmup, clip):
    """One network as people train it: an ordinary module, an ordinary optimiser, one after another."""
    task = Nearest(net=PLAIN)
    module = to_module(PLAIN, task.start(SEEDS), cell)
    optimiser = torch_optimiser(rule, module, float(rates_of(rule)[cell]), float(DECAYS[cell]))

    def multiplier(step):
        t = min(max((step - warmup) / max(steps - warmup, 1), 0), 1)
        return min(1, (step + 1) / max(warmup, 1)) * (0.1 + 0.9 * (1 + math.cos(math.pi * t)) / 2)

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, multiplier)
    for step in range(steps):
        prompts = task.prompts(f"prompts/{step}").cell(cell)
        optimiser.zero_grad()
        (module(prompts.tokens[0]).squeeze(-1) - prompts.targets[0]).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimiser.step()
        scheduler.step()
    return module


@pytest.mark.parametrize("name", RULES)
def test_an_ensemble_is_its_networks_trained_one_by_one(name):
    rule, warmup, clip = RULES[name], [0, 5, 20], [math.inf, 0.5, 1.0]
    steps = 100 if name == "adamw" else 40
    descent = Descent(
        steps,
        rule,
        rate=rates_of(rule),
        weight_decay=DECAYS,
        warmup=torch.tensor(warmup),
        schedule="cosine",
        floor=0.1,
        clip=torch.tensor([1e9, 0.5, 1.0]),
    )
    trained = train(Nearest(net=PLAIN), SEEDS, descent)
    x = Nearest()
    x.start(SEEDS)
    tokens = x.prompts("probe").tokens
    out = apply(PLAIN, trained.parameters, tokens)
    assert (trained.status_step == steps).all()
    for cell in range(3):
        expected = twin(cell, rule, steps, warmup[cell], clip[cell])(tokens[cell])
        assert torch.allclose(out[cell], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("task", "form"), [(Nearest, "dense"), (Nearest, "auto"), (Counted, "auto")])
def test_a_cell_does_not_know_its_tile(task, form):
    def run(seeds, cells):
        descent = Descent(100, AdamW(), rate=RATES[cells], weight_decay=DECAYS[cells], warmup=10, schedule="cosine")
        return train(task(form=form), seeds, descent, records=(0, 50, 100))

    together = run(SEEDS, slice(None))
    for cell in range(3):
        alone = run(SEEDS[cell : cell + 1], slice(cell, cell + 1))
        for name, tensor in together.parameters.items():
            if form == "dense":
                assert torch.equal(tensor[cell], alone.parameters[name][0])
            assert torch.allclose(tensor[cell], alone.parameters[name][0], rtol=1e-10, atol=1e-10)
        assert torch.allclose(together.records["error"][cell], alone.records["error"][0], rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", ["momentum", "adamw", "adam++"])
def test_a_nan_stays_home(name):
    descent = Descent(30, RULES[name], rate=rates_of(RULES[name]))
    clean = train(Nearest(), SEEDS, descent, records=(0, 10, 30))
    spoilt = train(Nearest(spoil=(1, 17)), SEEDS, descent, records=(0, 10, 30))
    assert spoilt.status.tolist() == [Status.ALL_STEPS, Status.DIVERGED, Status.ALL_STEPS]
    assert spoilt.status_step.tolist() == [30, 17, 30]
    for key, values in spoilt.records.items():
        assert torch.equal(values[[0, 2]], clean.records[key][[0, 2]])
        assert values[1].isnan().tolist() == [False, False, True]
    before = train(Nearest(), SEEDS, dataclasses.replace(descent, steps=17))
    for key, tensor in spoilt.parameters.items():
        assert torch.equal(tensor[[0, 2]], clean.parameters[key][[0, 2]])
        assert torch.equal(tensor[1], before.parameters[key][1])  # the last finite ones


def test_every_cell_has_its_own_number_of_steps():
    descent = Descent(torch.tensor([5, 20, 0]), Adam(), rate=0.01)
    trained = train(Nearest(), SEEDS, descent, records=(0, 5, 10, 20))
    assert trained.status_step.tolist() == [5, 20, 0]
    short = train(Nearest(), SEEDS, Descent(5, Adam(), rate=0.01))
    assert torch.equal(trained.parameters["head.w"][0], short.parameters["head.w"][0])
    error = trained.records["error"]
    assert error[0, 1] == error[0, 3] != error[0, 0]
    assert (error[2] == error[2, 0]).all()
    assert error[1].unique().numel() == 4


class Valley(Task):
    """x²/2 from 1, whose loss, gradient and distance are known in closed form."""

    scores_of: ClassVar = {"x": "where it stands"}

    def start(self, seeds):
        return {"x": torch.ones(len(seeds), 1, dtype=torch.float64)}

    def loss(self, parameters, step):
        return parameters["x"].square().sum(1) / 2

    def scores(self, parameters):
        return {"x": parameters["x"].squeeze(1)}


def test_cells_stop_where_they_are_told():
    rate = torch.tensor([0.5, 0.1, 3.5]).double()
    trained = train(Valley(), SEEDS, Descent(40, SGD(), rate=rate, stop_loss=0.02, diverged_at=1e3))
    assert trained.status.tolist() == [Status.REACHED_LOSS, Status.REACHED_LOSS, Status.DIVERGED]
    assert trained.status_step.tolist() == [3, math.ceil(math.log(0.2) / math.log(0.9)), 5]  # 2.5^10 > 2000
    assert trained.parameters["x"][0].item() == 0.125
    trained = train(Valley(), SEEDS, Descent(40, SGD(), rate=rate, stop_gradient=0.2, diverged_at=1e3))
    assert trained.status.tolist() == [Status.CONVERGED, Status.CONVERGED, Status.DIVERGED]
    level = Level("x", torch.tensor([0.3, 0.5, -1.0]))
    trained = train(Valley(), SEEDS, Descent(40, SGD(), rate=0.5), records=(0, 1, 2, 3, 40), until=level)
    assert trained.status_step.tolist() == [2, 1, 40]
    assert trained.records["x"][0].tolist() == [1.0, 0.5, 0.25, 0.25, 0.25]
    assert trained.records["train_loss"][2, :3].tolist() == [0.5, 0.5, 0.125]


class Killed(Exception):
    """Stands for the end of the process."""


class Dying(Nearest):
    """Is killed at one step."""

    def __init__(self, at):
        super().__init__()
        self.at, self.taken = at, 0

    def loss(self, parameters, step):
        if step == self.at:
            raise Killed
        return super().loss(parameters, step)

    def after_step(self, parameters, step):
        self.taken += 1

    def memory(self):
        return {"taken": self.taken}

    def recall(self, memory):
        self.taken = memory["taken"]


@pytest.mark.parametrize("name", ["momentum", "adamw", "adam++"])
@pytest.mark.parametrize("at", [3, 10, 19])
def test_killed_and_resumed_is_uninterrupted(name, at, tmp_path):
    descent = Descent(25, RULES[name], rate=rates_of(RULES[name]), warmup=8, schedule="cosine")
    how = {"records": (0, 10, 20, 25), "path": tmp_path / "training.pt", "every": 4}
    whole = train(Dying(None), SEEDS, descent, records=how["records"])
    with pytest.raises(Killed):
        train(Dying(at), SEEDS, descent, **how)
    task = Dying(None)
    resumed = train(task, SEEDS, descent, **how)
    assert task.taken == 25
    for key, tensor in whole.parameters.items():
        assert torch.equal(tensor, resumed.parameters[key])
    for key, values in whole.records.items():
        assert torch.equal(values, resumed.records[key])
    with pytest.raises(ValueError, match="of a training with other seeds, numbers or parameters"):
        train(Dying(None), SEEDS, dataclasses.replace(descent, rate=0.5), **how)


def test_a_checkpoint_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "state.pt"
    assert checkpoint.load(path) is None
    checkpoint.save(path, {"x": torch.ones(2), "step": 3})
    assert checkpoint.load(path)["step"] == 3
    assert [p.name for p in path.parent.iterdir()] == ["state.pt"]


class Wrong(Nearest):
    """Starts with what it is given."""

    def __init__(self, parameters):
        super().__init__()
        self.parameters = parameters

    def start(self, seeds):
        return self.parameters


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Descent(-1), "steps = -1 was asked for"),
        (lambda: Descent(5, rate=-0.1), "rate = -0.1 was asked for"),
        (lambda: Descent(5, schedule="linear"), "schedule = 'linear' was asked for"),
        (lambda: train(Valley(), SEEDS, Descent(5, rate=torch.ones(2))), r"rate came with shape \(2,\) for 3 cells"),
        (lambda: train(Valley(), SEEDS, Descent(5), records=(6,)), "take them from 0 to 5"),
        (lambda: train(Valley(), SEEDS, Descent(5), until=Level("y", 1)), "score 'y' is waited for; the task has x"),
        (lambda: train(Wrong({}), SEEDS, Descent(5)), "starts without parameters"),
        (lambda: train(Wrong({"a": torch.ones(2, 3)}), SEEDS, Descent(5)), "put the cells first"),
        (
            lambda: train(Wrong({"a": torch.ones(3), "b": torch.ones(3).double()}), SEEDS, Descent(5)),
            "parameters came as torch.float32, torch.float64",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
