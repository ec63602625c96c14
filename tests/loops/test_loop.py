"""The loop over one large network against a plain loop: pieces, kills, divergence, whole checkpoints."""

import dataclasses
import math
import os
import signal

import pytest
import torch
from torch import nn

from lemmata.draws import cell_seeds, normal
from lemmata.loops import checkpoint
from lemmata.loops.loop import Alone, Plan, Training, company, train
from lemmata.loops.task import NetworkTask, steps_at
from lemmata.optim import AdamPP

PLAN = Plan(steps=12, record=(4, 8, 12), clip=0.5, checkpoint_every=3)


class Regression(NetworkTask):
    """Learn sin(x1 + x2 + x3); remembers the largest loss it saw, and says so as a reading."""

    scores_of = {"error": "mean squared error"}  # noqa: RUF012
    batch = 6

    def __init__(self, device):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)
        self.largest = 0.0

    def optimiser(self):
        return AdamPP(self.model.parameters(), eta0=1e-2)

    def multiplier(self, step):
        return 1 - step / 24

    def loss(self, model, step, rows):
        x = normal(cell_seeds(0, [1]), f"batch {step}", (self.batch, 3), torch.float32)[0][rows]
        loss = (model(x) - x.sum(1, keepdim=True).sin()).square().mean()
        self.largest = max(self.largest, float(loss.detach()))
        return loss

    def scores(self, model, share, of):
        x = normal(cell_seeds(0, [2]), "test", (32, 3), torch.float32)[0][share::of]
        error = (model(x) - x.sum(1, keepdim=True).sin()).square().sum()
        return torch.stack([error, torch.tensor(float(len(x)))])[None]

    def readings(self, optimiser):
        return {"largest": self.largest, "eta": float(optimiser.eta)}

    def memory(self):
        return {"largest": self.largest}

    def recall(self, memory):
        self.largest = memory["largest"]


def plain(plan):
    """The slow twin."""
    task = Regression("cpu")
    optimiser, errors = task.optimiser(), []
    for step in range(plan.steps):
        optimiser.param_groups[0]["lr"] = 1 - step / 24
        optimiser.zero_grad()
        task.loss(task.model, step, slice(0, 6)).backward()
        if plan.clip is not None:
            nn.utils.clip_grad_norm_(task.model.parameters(), plan.clip)
        optimiser.step()
        if step + 1 in plan.record:
            with torch.no_grad():
                sums = task.scores(task.model, 0, 1)[0]
            errors.append(float(sums[0] / sums[1]))
    return errors


@pytest.mark.parametrize("clip", [None, 0.5])
def test_it_is_the_plain_loop(clip):
    plan = dataclasses.replace(PLAN, clip=clip)
    found = train(Regression, plan)
    assert found["error"] == plain(plan)
    assert found["error"][-1] < found["error"][0]
    assert len(found["eta"]) == len(found["largest"]) == 3


def test_pieces_of_a_batch_add_up_to_it():
    whole, pieces = train(Regression, PLAN), train(Regression, dataclasses.replace(PLAN, micro_batch=4))
    assert pieces["error"] == pytest.approx(whole["error"], rel=1e-4)
    assert pieces["error"] != [math.nan] * 3


def test_alone_is_accelerate_with_one_process(tmp_path):
    pytest.importorskip("accelerate")
    among = company("no", 2)  # an Accelerator, of this one process
    assert not isinstance(among, Alone)
    assert Training(Regression("cpu"), PLAN, among).run() == train(Regression, PLAN)


def killed_at(step, path):
    """Train in a child that kills itself before a step; no handler, no tidying up."""
    child = os.fork()
    if child == 0:
        one = Training(Regression("cpu"), PLAN, Alone("cpu"), path)
        real = one.step
        one.step = lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == step else real(at)
        try:
            one.run()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_killed_at_every_step_in_turn_it_goes_on_bit_for_bit(tmp_path):
    path, whole = tmp_path / "checkpoint.pt", train(Regression, PLAN)
    for step in range(1, PLAN.steps):
        killed_at(step, path)
        kept = checkpoint.load(path)
        assert (0 if kept is None else kept["step"]) == step - step % 3
    assert train(Regression, PLAN, path) == whole


def test_a_score_that_is_not_finite_ends_the_training(monkeypatch):
    steps, real = [], Regression.loss
    lost = lambda self, model, step, rows: steps.append(step) or real(self, model, step, rows) * torch.nan  # noqa: E731
    monkeypatch.setattr(Regression, "loss", lost)
    found = train(Regression, PLAN)
    assert steps == [0, 1, 2, 3]
    assert all(math.isnan(value) for value in found["error"])
    assert len(found["error"]) == 3


def test_a_checkpoint_is_whole_or_not_there(tmp_path):
    path = tmp_path / "kept.pt"
    assert checkpoint.load(path) is None
    checkpoint.save(path, {"step": 1, "weights": {"w": torch.ones(1000)}})
    child = os.fork()
    if child == 0:  # killed while it writes the next one
        os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.save(path, {"step": 2, "weights": {"w": torch.zeros(1000)}})
        os._exit(1)
    os.waitpid(child, 0)
    assert checkpoint.load(path)["step"] == 1
    checkpoint.save(path, {"step": 3})
    assert checkpoint.load(path) == {"step": 3}
    assert [found.name for found in tmp_path.iterdir()] == ["kept.pt"]


def test_what_is_no_checkpoint_is_one_sentence(tmp_path):
    path = tmp_path / "kept.pt"
    for content in (b"", b"half of one", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"kept\.pt cannot be read as a checkpoint .*; remove it to begin again"):
            checkpoint.load(path)


def test_recorded_steps_are_even_and_end_at_the_last():
    assert steps_at(4, 100) == (25, 50, 75, 100)
    assert steps_at(50, 3) == (1, 2, 3)
    assert steps_at(3, 10) == (3, 7, 10)
