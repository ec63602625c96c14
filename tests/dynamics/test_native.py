"""The C code against the same steps in PyTorch, at every vector width, and when which of them is used."""

import dataclasses
import shutil

import pytest
import torch

import lemmata as lm
from lemmata import compiled
from lemmata.dynamics import native
from lemmata.dynamics.native import relu_gd
from tests.laws import relative, sampled

RUN = lm.Run(lm.SignalNoise(20, 800, 3.0), lm.TwoLayerCNN(5, v0=0.3), steps=120)
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")


@pytest.fixture
def width(request, monkeypatch):
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", str(request.param))
    assert relu_gd._compiled(request.param) is not None, "the C source does not compile"
    return request.param


def slowly(monkeypatch, run, seeds, **given):
    with monkeypatch.context() as patched:
        patched.setattr(native, "applies", lambda run, sample: False)
        return lm.train(run, seeds, **given)


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n": 1, "m": 1},
        {"n": 15, "m": 3, "flip": 0.3, "noise": "isotropic", "balanced": False},
        {"n": 16, "m": 8},
        {"n": 70, "m": 1},
        {"n": 600, "m": 2, "steps": 30},
        {"train_output": False},
        {"head_ratio": 0.3},
        {"stop_loss": 0.05},
        {"stop_loss": 0.69},
        {"step_size": 1e7},
        {"step_size": 3.0, "signal": 30.0, "v0": 5.0},
        {"record": (0, 7, 90)},
    ],
    ids=str,
)
def test_is_the_gram_engine(monkeypatch, width, changes, dtype):
    record = changes.get("record")
    changes = {key: value for key, value in changes.items() if key != "record"}
    run = dataclasses.replace(RUN.at(changes), probes=("train_loss", "norm_hidden"), dtype=dtype, record=record)
    assert native.applies(run, sampled(run, 5))
    fast, slow = lm.train(run, range(5)), slowly(monkeypatch, run, range(5))
    assert torch.equal(fast.status, slow.status)
    assert torch.equal(fast.status_step, slow.status_step)
    ended = fast.status == lm.Status.DIVERGED  # where it blew up, only the verdict counts
    tolerance = 1e-11 if dtype == "float64" else 1e-3
    for name, values in fast.records.items():
        torch.testing.assert_close(values[~ended], slow.records[name][~ended], rtol=tolerance, atol=tolerance)
    a, b = fast.final.products, slow.final.products
    assert relative(a.A[~ended], b.A[~ended]) < tolerance or bool(ended.all())
    assert relative(a.head["output"][~ended], b.head["output"][~ended]) < tolerance or bool(ended.all())


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("what", ["vectors", "labels", "filters"])
def test_a_cell_that_is_not_a_number_stays_home(monkeypatch, width, what):
    sample = sampled(RUN, 4)
    broken = getattr(sample, what).clone()
    broken[2].view(-1)[3] = torch.nan
    sample = dataclasses.replace(sample, **{what: broken})
    fast = lm.train(RUN, range(4), sample=sample)
    slow = slowly(monkeypatch, RUN, range(4), sample=sample)
    assert fast.status.tolist() == slow.status.tolist() == [0, 0, 2, 0]
    assert torch.equal(fast.status_step, slow.status_step)
    well = torch.tensor([0, 1, 3])
    assert relative(fast.final.products.A[well], slow.final.products.A[well]) < 1e-11


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stops_at_the_step_at_which_the_loss_is_low_enough(monkeypatch, width, dtype):
    """Bounds on the loss decide most steps in C; the step must be that of the loss itself."""
    run = dataclasses.replace(RUN, dtype=str(dtype).removeprefix("torch."), steps=400, record=tuple(range(400)))
    losses = slowly(monkeypatch, run, [0]).records["train_loss"][0]
    for level in (0.6, 0.3, 0.1, 0.03, 0.01):
        expected = int((losses <= level).nonzero()[0, 0])
        level = float(losses[expected] + losses[expected - 1]) / 2
        stopped = lm.train(dataclasses.replace(run, stop_loss=level, record=None), [0])
        assert stopped.status_step.tolist() == [expected]


@needs_compiler
def test_runs_on_threads(monkeypatch):
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", str(compiled.widths()[0]))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = lm.train(RUN, range(7))
        torch.set_num_threads(3)
        three = lm.train(RUN, range(7))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one.final.products.A, three.final.products.A)


@pytest.mark.parametrize(("name", "value"), [("LEMMATA_NATIVE", "0"), ("CC", "false")])
def test_without_a_compiler_pytorch_runs(monkeypatch, tmp_path, name, value):
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not native.applies(RUN, sampled(RUN, 1))
    assert native.in_use(RUN) == f"gram engine in PyTorch {torch.__version__}"
    assert torch.isfinite(lm.train(RUN).final.loss).all()
    assert not list(tmp_path.iterdir())


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_used_was_measured_to_be_the_fastest(monkeypatch, tmp_path, dtype):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LEMMATA_VECTOR_BYTES", raising=False)
    run = dataclasses.replace(RUN, dtype=dtype)
    line = native.in_use(run)
    choice = relu_gd._choice(run.torch_dtype)
    seconds = dict(choice.seconds)
    assert set(seconds) == {*(f"{width}-byte vectors" for width in compiled.widths()), "PyTorch"}
    assert seconds[choice.way] <= min(seconds.values()) / 0.97
    assert choice.way in line
    assert len(list(tmp_path.rglob("relu_gd-*.json"))) == 1


@needs_compiler
def test_where_pytorch_was_faster_it_is_used(monkeypatch):
    monkeypatch.setattr(compiled, "fastest", lambda *_: compiled.Choice("PyTorch"))
    assert not native.applies(RUN, sampled(RUN, 1))
    assert "PyTorch" in native.in_use(RUN)


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": "compressed"},
        {"momentum": 0.5},
        {"activation": lm.Power(2)},
        {"until": lm.Until("norm_hidden", 5.0)},
    ],
    ids=str,
)
def test_other_runs_say_what_they_use(changes):
    until = changes.pop("until", None)
    run = dataclasses.replace(RUN.at(changes), until=until)
    assert native.in_use(run) == f"{run.engine_used} engine in PyTorch {torch.__version__}"
