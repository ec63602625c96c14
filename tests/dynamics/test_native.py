"""The C code against the same steps in PyTorch, at every vector width, and when which of them is used."""

import dataclasses
import json
import shutil

import pytest
import torch

import lemmata as lm
from lemmata import compiled
from lemmata.data.patches import Shared
from lemmata.dynamics import native
from lemmata.dynamics.native import KERNELS
from tests.laws import relative, sampled

RUN = lm.Run(lm.SignalNoise(20, 800, 3.0), lm.TwoLayerCNN(5, v0=0.3), steps=120)
DENOISER = lm.Run(lm.TwoSignals(13, 500, 4.0), lm.TiedDenoiser(7, init=0.05), lm.Denoising(0.2), lm.GD(1e-3), steps=60)
CONTRAST = lm.Run(
    lm.PairedSignalNoise(n=13, d=500, signal=4.0, modality="multi"),
    lm.PatchEncoder(7, init=0.05),
    lm.InfoNCE(tau=0.7),
    lm.GD(2e-3),
    steps=60,
)
PAIRS = lm.Run(
    lm.SignalNoisePairs(pairs=13, d=500, signal=4.0, correlation=0.3),
    lm.LinearEncoder(7, init=0.05),
    lm.SimCLR(temperature=0.7),
    lm.GD(c=0.2),
    steps=60,
)
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")


@pytest.fixture
def width(request, monkeypatch):
    monkeypatch.setenv("LEMMATA_VECTOR_BYTES", str(request.param))
    for kernel in KERNELS:
        assert kernel.library(request.param) is not None, f"{kernel.source} does not compile"
    return request.param


def slowly(monkeypatch, run, seeds, **given):
    with monkeypatch.context() as patched:
        patched.setattr(native, "kernel", lambda run, sample: None)
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
    assert_same(monkeypatch, run, 1e-11 if dtype == "float64" else 1e-3)


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"power": 3},
        {"power": 4, "n": 5},
        {"power": 6, "n": 5, "m": 2},
        {"n": 1, "m": 1, "d": 3},
        {"n": 30, "m": 17},
        {"n": 5, "m": 33, "steps": 20},
        {"stop_loss": 499.9},
        {"step_size": 1e3},
        {"record": (0, 7, 60)},
        {"t": torch.tensor([0.1, 0.5, 1.0, 2.0, 3.0]), "step_size": torch.tensor([1e-4, 2e-4, 3e-4, 4e-4, 5e-4])},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_denoising_is_the_gram_engine(monkeypatch, width, changes, dtype):
    record, power = changes.get("record"), changes.get("power", 2)
    run = DENOISER.at({key: value for key, value in changes.items() if key not in ("record", "power")})
    net = dataclasses.replace(run.net, activation=lm.Power(power))
    run = dataclasses.replace(run, net=net, dtype=dtype, record=record)
    assert_same(monkeypatch, run, 1e-11 if dtype == "float64" else 1e-3)


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("modality", ["multi", "single"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"negatives": "all", "n": 16},
        {"negatives_count": 2, "divide_by_m": True},
        {"n": 2, "m": 1, "d": 3},
        {"n": 33, "m": 18, "steps": 20},
        {"stop_loss": 0.6},
        {"step_size": 1e3},
        {"record": (0, 7, 60)},
        {"tau": torch.tensor([0.3, 0.5, 1.0, 2.0, 3.0])},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_contrast_is_the_gram_engine(monkeypatch, width, changes, modality, dtype):
    record = changes.get("record")
    run = CONTRAST.at({"modality": modality, **{key: value for key, value in changes.items() if key != "record"}})
    assert_same(
        monkeypatch, dataclasses.replace(run, dtype=dtype, record=record), 1e-11 if dtype == "float64" else 1e-3
    )


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("stop_gradient", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pairs": 2, "m": 1, "d": 3},
        {"pairs": 16, "m": 8, "noise": "isotropic", "balanced": False},
        {"pairs": 33, "m": 9, "steps": 20},
        {"stop_loss": 0.3},
        {"c": 1e4},
        {"record": (0, 7, 60)},
        {"temperature": torch.tensor([0.3, 0.5, 1.0, 2.0, 3.0])},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_simclr_is_the_gram_engine(monkeypatch, width, changes, stop_gradient, dtype):
    record = changes.get("record")
    changes = {key: value for key, value in changes.items() if key != "record"}
    run = dataclasses.replace(PAIRS.at({"stop_gradient": stop_gradient, **changes}), dtype=dtype, record=record)
    assert_same(monkeypatch, run, 1e-11 if dtype == "float64" else 1e-3)


def assert_same(monkeypatch, run, tolerance):
    assert native.kernel(run, sampled(run, 5)) is not None
    fast, slow = lm.train(run, range(5)), slowly(monkeypatch, run, range(5))
    assert torch.equal(fast.status, slow.status)
    assert torch.equal(fast.status_step, slow.status_step)
    ended = fast.status == lm.Status.DIVERGED  # where it blew up, only the verdict counts
    for name, values in fast.records.items():
        torch.testing.assert_close(values[~ended], slow.records[name][~ended], rtol=tolerance, atol=tolerance)
    a, b = fast.final.products, slow.final.products
    assert relative(a.A[~ended], b.A[~ended]) < tolerance or bool(ended.all())
    assert relative(a.Q[~ended], b.Q[~ended]) < tolerance or bool(ended.all())
    for name, values in a.head.items():
        assert relative(values[~ended], b.head[name][~ended]) < tolerance or bool(ended.all())


@needs_compiler
@pytest.mark.parametrize("width", [64, 32, 16], indirect=True)
@pytest.mark.parametrize("what", ["vectors", "labels", "filters"])
@pytest.mark.parametrize("run", [RUN, DENOISER, CONTRAST, PAIRS], ids=["relu", "denoiser", "contrast", "simclr"])
def test_a_cell_that_is_not_a_number_stays_home(monkeypatch, width, run, what):
    if what == "labels" and run is not RUN:
        pytest.skip("labels act through which vector a patch reads alone")
    sample = sampled(run, 4)
    broken = getattr(sample, what).clone()
    broken[2].view(-1)[3] = torch.nan
    sample = dataclasses.replace(sample, **{what: broken})
    fast = lm.train(run, range(4), sample=sample)
    slow = slowly(monkeypatch, run, range(4), sample=sample)
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
    assert native.kernel(RUN, sampled(RUN, 1)) is None
    assert native.in_use(RUN) == f"gram engine in PyTorch {torch.__version__}"
    assert torch.isfinite(lm.train(RUN).final.loss).all()
    assert not list(tmp_path.iterdir())


@needs_compiler
@pytest.mark.parametrize("run", [RUN, DENOISER, CONTRAST, PAIRS], ids=["relu", "denoiser", "contrast", "simclr"])
def test_what_is_used_was_measured_to_be_the_fastest(monkeypatch, tmp_path, run):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LEMMATA_VECTOR_BYTES", raising=False)
    line = native.in_use(run)
    (kept,) = tmp_path.rglob("*.json")
    seconds = json.loads(kept.read_text())["seconds"]
    assert set(seconds) == {*(f"{width}-byte vectors" for width in compiled.widths()), "PyTorch"}
    fastest = min(seconds.values()) / 0.97
    assert [way in line for way in seconds] == [way == json.loads(kept.read_text())["way"] for way in seconds]
    assert seconds[json.loads(kept.read_text())["way"]] <= fastest


@needs_compiler
def test_where_pytorch_was_faster_it_is_used(monkeypatch):
    monkeypatch.setattr(compiled, "fastest", lambda *_: compiled.Choice("PyTorch"))
    assert native.kernel(RUN, sampled(RUN, 1)) is None
    assert "PyTorch" in native.in_use(RUN)


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": "compressed"},
        {"momentum": 0.5},
        {"net": lm.TwoLayerCNN(5, activation=lm.Power(2))},
        {"until": lm.Until("norm_hidden", 5.0)},
        {"net": lm.TwoLayerCNN(5, divide_by_m=True)},
    ],
    ids=str,
)
def test_other_runs_say_what_they_use(changes):
    parts = {name: changes[name] for name in ("until", "objective", "net") if name in changes}
    run = dataclasses.replace(RUN.at({name: changes[name] for name in changes if name not in parts}), **parts)
    assert native.in_use(run) == f"{run.engine_used} engine in PyTorch {torch.__version__}"


@pytest.mark.parametrize("factor", [0.5, -2.0])
def test_a_patch_that_reads_the_signal_with_a_factor_goes_to_pytorch(factor):
    """A user's data may do so; the C code would take the factor for a sign."""

    class Faded(lm.SignalNoise):
        def sample(self, seeds, init, **given):
            drawn = super().sample(seeds, init, **given)
            sign = torch.where(drawn.labels > 0, 1.0, factor * drawn.labels)
            return dataclasses.replace(drawn, signal=Shared(0, sign))

    faded = dataclasses.replace(RUN, data=Faded(20, 800, 3.0))
    ours, slow = (lm.train(faded.at({"engine": engine}), range(2)).final for engine in ("gram", "compressed"))
    assert relative(ours.loss, slow.loss) < 1e-9
    assert relative(ours.products.A, slow.products.A) < 1e-9
