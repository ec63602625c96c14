"""The room as a whole: it stands alone, compiles, differentiates, averages."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import lemmata.optim
from lemmata.optim import AdaGradPP, AdamPP, AveragedIterate
from lemmata.optim import stepping as stepping_module
from tests.optim.members import flat, params_of, quadratic, train


def test_importing_it_imports_nothing_else_of_the_project():
    code = (
        "import sys; from lemmata.optim import AdamPP; "
        "print([m for m in sys.modules if m.startswith('lemmata.') and not m.startswith('lemmata.optim')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_is_documented_with_its_source():
    for name in lemmata.optim.__all__:
        thing = getattr(lemmata.optim, name)
        assert "2412.19444" in thing.__doc__ or "2412.19444" in sys.modules[thing.__module__].__doc__


@pytest.mark.parametrize("cls", [AdaGradPP, AdamPP])
def test_a_compiled_step_is_the_eager_one(cls):
    params, twin = params_of(5, (3, 4)), params_of(5, (3, 4))
    optimizer, again = cls(params, capturable=True), cls(twin, capturable=True)
    compiled = torch.compile(optimizer.step, fullgraph=True, backend="aot_eager")
    train(again, twin, 1)
    train(optimizer, params, 1)
    for t in range(1, 6):
        for p, q in zip(params, twin):
            p.grad, q.grad = None, None
        quadratic(params, t, 0.1).backward()
        quadratic(twin, t, 0.1).backward()
        compiled()
        again.step()
    torch.testing.assert_close(flat(params), flat(twin), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(optimizer.eta, again.eta)


@pytest.mark.parametrize("options", [{}, {"variant": "ema_max"}, {"variant": "sum", "weight_decay": 0.1}])
def test_adampp_differentiates(options):
    _differentiates(lambda p: AdamPP(p, differentiable=True, eta0=0.1, **options))


@pytest.mark.parametrize("options", [{}, {"distance": "tensor"}, {"weight_decay": 0.1, "decoupled_weight_decay": True}])
def test_adagradpp_differentiates(options):
    _differentiates(lambda p: AdaGradPP(p, differentiable=True, eta0=0.1, **options))


def _differentiates(make):
    """Through four steps, eta and its maximum included, against finite differences."""

    def after_steps(gradient, x):
        x = x.clone()
        optimizer = make([x])
        for k in range(4):
            x.grad = gradient * (1 + k / 4)
            optimizer.step()
        return x, optimizer.eta

    start = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    gradient = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g, x: after_steps(g, x)[0], (gradient, start))


def test_the_device_branch_of_the_lists_is_the_host_branch(monkeypatch):
    """Where the host must not read eta, the rate stays a tensor; run that branch where its numbers can be seen."""
    ends = []
    for readable in (True, False):
        monkeypatch.setattr(stepping_module, "host_readable", lambda device, readable=readable: readable)
        for foreach in (True, False):
            params = params_of(5, (3, 4), dtype=torch.float64)
            train(AdamPP(params, weight_decay=0.1, decoupled_weight_decay=True, foreach=foreach), params, 40)
            ends.append(flat(params))
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-10, atol=0)


def test_lr_may_be_a_tensor():
    params, twin = params_of(5), params_of(5)
    train(AdamPP(params, lr=torch.tensor(0.5)), params, 10)
    train(AdamPP(twin, lr=0.5), twin, 10)
    assert torch.equal(flat(params), flat(twin))


def test_average_is_weighted_by_eta_and_gives_the_parameters_back():
    params = params_of(5, (3, 4), dtype=torch.float64)
    optimizer = AdamPP(params)
    average, seen, weights = AveragedIterate(optimizer), [], []
    for t in range(50):
        seen.append(flat(params))
        weights.append(float(optimizer.eta))
        average.update()
        train(optimizer, params, 1, start=t)
    expected = sum(w * x for w, x in zip(weights, seen)) / sum(weights)
    last = flat(params)
    with average.applied():
        torch.testing.assert_close(flat(params), expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(flat(params), last)

    resumed = AveragedIterate(optimizer)
    resumed.load_state_dict(average.state_dict())
    average.update()
    resumed.update()
    assert all(torch.equal(a, b) for a, b in zip(average.averages, resumed.averages))


def test_uniform_average_is_the_mean():
    params = params_of(4, dtype=torch.float64)
    optimizer = AdaGradPP(params, distance="tensor")
    average, seen = AveragedIterate(optimizer, weight="uniform"), []
    for t in range(20):
        seen.append(flat(params))
        average.update()
        train(optimizer, params, 1, start=t)
    torch.testing.assert_close(average.averages[0], torch.stack(seen).mean(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_synchronisation_and_graph_capture_on_cuda():
    for options in ({"foreach": True}, {"foreach": False}, {"fused": True}):
        params = [nn.Parameter(p.detach().cuda()) for p in params_of((1024, 1025), 7)]
        optimizer = AdamPP(params, **options)
        for p in params:
            p.grad = torch.randn_like(p)
        optimizer.step()
        torch.cuda.set_sync_debug_mode("error")
        try:
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    params = [nn.Parameter(p.detach().cuda()) for p in params_of(5, (3, 4))]
    optimizer = AdamPP(params, capturable=True)
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    graph, before = torch.cuda.CUDAGraph(), optimizer.eta
    with torch.cuda.graph(graph):
        optimizer.step()
    for _ in range(5):
        graph.replay()
    assert optimizer.eta > before
