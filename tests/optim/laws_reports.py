"""What people do to an optimiser, from public reports: parameters replaced, cut, extended, halved, wrapped."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from lemmata.optim import fused
from tests.optim.members import flat, params_of, quadratic, train

MODES = ({"foreach": False}, {"foreach": True}, {"fused": True}, {"capturable": True})


def a_full_state_dict_with_an_empty_group_loads(make):
    """As torch.distributed.checkpoint writes it: by name, flattened, so that nothing empty survives."""

    def start():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        groups = [{"params": net[0].parameters()}, {"params": net[1].parameters(), "lr": 0.5}, {"params": []}]
        return net, make(groups)

    def steps(net, optimizer, first):
        for t in range(first, first + 5):
            optimizer.zero_grad()
            net(torch.ones(2, 3) + t).square().mean().backward()
            optimizer.step()

    options, (net, optimizer) = StateDictOptions(full_state_dict=True), start()
    steps(net, optimizer, 0)
    kept = copy.deepcopy((net.state_dict(), get_optimizer_state_dict(net, optimizer, options=options)))
    steps(net, optimizer, 5)
    resumed, again = start()
    resumed.load_state_dict(kept[0])
    set_optimizer_state_dict(resumed, again, kept[1], options=options)
    steps(resumed, again, 5)
    assert torch.equal(flat(resumed.parameters()), flat(net.parameters()))
    assert torch.equal(again.eta, optimizer.eta)


def state_follows_the_parameter_and_not_its_place(make):
    """Three tensors where two were, one of them old and at another place: the old one goes on, the new ones begin."""
    params = params_of(5, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 30)
    kept, new = params[1], params_of(6, 2)
    origin, eta = optimizer.state[kept]["origin"].clone(), optimizer.eta
    optimizer.param_groups[0]["params"] = [new[0], kept, new[1]]
    starts = [p.detach().clone() for p in new]
    train(optimizer, [new[0], kept, new[1]], 5, start=30)
    assert torch.equal(optimizer.state[kept]["origin"], origin)
    assert [optimizer.state[p]["step"] for p in (new[0], kept, new[1])] == [5, 35, 5]
    assert all(torch.equal(optimizer.state[p]["origin"], start) for p, start in zip(new, starts))
    if eta.ndim:
        return
    moved = flat([new[0], kept, new[1]]) - flat([optimizer.state[p]["origin"] for p in (new[0], kept, new[1])])
    torch.testing.assert_close(optimizer.distance().float(), moved.norm() / 20**0.5)
    optimizer.param_groups[0]["params"] = [kept]
    train(optimizer, [kept], 5, start=35)
    assert optimizer.state[kept]["step"] == 40
    torch.testing.assert_close(optimizer.distance().float(), (kept.detach() - origin).norm() / 12**0.5)


def _cut(optimizer, p, change, only=None):
    """The parameter and all that is kept for it, changed alike, as users of Adam prune and densify."""
    own = optimizer.state.pop(p)
    new = nn.Parameter(change(p.detach()))
    for key, value in own.items():
        if isinstance(value, torch.Tensor) and value.shape == p.shape and (only is None or key in only):
            own[key] = change(value)
    group = optimizer.param_groups[0]["params"]
    group[[q is p for q in group].index(True)] = new
    optimizer.state[new] = own
    return new


def a_pruned_parameter_counts_what_is_left(make):
    params = params_of(30, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 10)
    params[0] = _cut(optimizer, params[0], lambda t: t[:18].clone())
    for gradients in (params[1:], params):  # at first it has no gradient, and its norm is of what is left all the same
        optimizer.zero_grad()
        quadratic(gradients, 10).backward()
        optimizer.step()
        moved = [(p.detach() - optimizer.state[p]["origin"]).norm() for p in params]
        if optimizer.eta.ndim == 0:
            expected = torch.stack(moved).norm() / 30**0.5
            torch.testing.assert_close(optimizer.distance().float(), expected)
    train(optimizer, params, 10, start=11)
    assert flat(params).isfinite().all()


def an_extended_parameter_needs_its_origin(make):
    params = params_of(5, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 10)
    longer = lambda t: torch.cat([t, t])  # noqa: E731
    slots = {k for k, v in optimizer.state[params[0]].items() if k != "origin" and getattr(v, "shape", ()) == (5,)}
    params[0] = _cut(optimizer, params[0], longer, only=slots)
    quadratic(params).backward()
    before = flat(params)
    with pytest.raises(RuntimeError, match=r"parameter 0 of group 0 now has shape \(10,\).*'origin' of shape \(5,\)"):
        optimizer.step()
    assert torch.equal(flat(params), before)
    optimizer.state[params[0]]["origin"] = longer(optimizer.state[params[0]]["origin"])
    train(optimizer, params, 5)
    assert flat(params).isfinite().all()


def half_precision_is_finite_in_every_mode(make):
    """Gradients that are zero, that vanish when squared in float16, and the largest it has."""
    for mode in MODES:
        for dtype in (torch.float16, torch.bfloat16):
            for pattern in ([1.0, 0.0, 1.0, 0.0], [1e-4] * 4, [0.0] * 4, [6e4, 1e-7, 0.0, 1.0]):
                half = [nn.Parameter(torch.ones(4, dtype=dtype))]
                wide = [nn.Parameter(torch.ones(4))]
                both = [(params, make(params, eta0=0.01, **mode)) for params in (half, wide)]
                for _ in range(6):
                    for params, optimizer in both:
                        params[0].grad = torch.tensor(pattern, dtype=dtype).to(params[0].dtype)
                        optimizer.step()
                assert half[0].isfinite().all()
                assert both[0][1].eta.isfinite().all()
                torch.testing.assert_close(half[0].float(), wide[0].detach(), rtol=0, atol=0.04)
                torch.testing.assert_close(both[0][1].eta, both[1][1].eta, rtol=0.2, atol=0)


def a_half_precision_state_resumes_bit_for_bit(make):
    """torch casts what it loads to the parameter's dtype, where squares of small gradients are zero."""
    params = [nn.Parameter(p.detach().half()) for p in params_of(5, (3, 4))]
    optimizer = make(params, eta0=1e-3)
    train(optimizer, params, 5)
    resumed = [nn.Parameter(p.detach().clone()) for p in params]
    again = make(resumed, eta0=1e-3)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(optimizer, params, 5, start=5)
    train(again, resumed, 5, start=5)
    assert torch.equal(flat(resumed), flat(params))
    assert torch.equal(again.eta, optimizer.eta)


def adams_learning_rate_is_noticed_once(make):
    for lr, warns in ((1e-3, True), (1.0, False), (0.0, False)):
        params = params_of(5, (3, 4))
        optimizer = make(params, lr=lr)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(optimizer, params, 199)
            assert not caught
            train(optimizer, params, 61, start=199)
        said = [str(w.message) for w in caught]
        assert len(said) == warns, said
        if warns:
            assert "eta is still at its first value" in said[0]
            assert "lr = 0.001 in group 0" in said[0]
            assert "belongs at 1.0" in said[0]


def another_default_device_changes_nothing(make):
    saved = dict(fused.COMPILED_FROM)
    try:
        fused.COMPILED_FROM["cpu"] = 64
        for mode in MODES:
            ends = []
            for device in ("cpu", "meta"):
                params = params_of((20, 10), 7)
                with torch.device(device):
                    optimizer = make(params, eta0="auto", **mode)
                    for t in range(3):
                        with torch.device("cpu"):
                            optimizer.zero_grad()
                            quadratic(params, t).backward()
                        optimizer.step()
                    optimizer.load_state_dict(optimizer.state_dict())
                    optimizer.recompute_distance()
                ends.append((flat(params), optimizer.eta, optimizer.effective_lr()))
            assert all(torch.equal(here, there) for here, there in zip(*ends))
    finally:
        fused.COMPILED_FROM.update(saved)


def long_tensors_are_cut_on_any_default_device(make):
    """Longer than the cache, so that pieces of one tensor are added up."""
    ends = []
    for device in ("cpu", "meta"):
        params = [nn.Parameter(torch.ones(1 << 18)), nn.Parameter(torch.ones(3))]
        with torch.device(device):
            optimizer = make(params)
            for p in params:
                p.grad = torch.linspace(-1, 1, p.numel(), device="cpu")
            optimizer.step()
        ends.append((flat(params), optimizer.eta))
    assert all(torch.equal(here, there) for here, there in zip(*ends))


def a_group_with_lr_zero_stands_still(make):
    params = params_of(5, (3, 4))
    optimizer = make([{"params": [params[0]], "lr": 0.0}, {"params": [params[1]]}])
    before = flat(params[:1])
    train(optimizer, params, 20)
    assert torch.equal(flat(params[:1]), before)
    assert not torch.equal(flat(params[1:]), flat(params_of(5, (3, 4))[1:]))
    optimizer.param_groups[0]["lr"] = 1.0
    train(optimizer, params, 5, start=20)
    assert not torch.equal(flat(params[:1]), before)


def it_prints_as_shortly_as_adamw(make):
    params = params_of(*[3] * 400)
    optimizer = make(params)
    train(optimizer, params, 2)
    assert len(repr(optimizer)) < len(repr(torch.optim.AdamW(params))) + 500


LAWS = [
    a_full_state_dict_with_an_empty_group_loads,
    state_follows_the_parameter_and_not_its_place,
    a_pruned_parameter_counts_what_is_left,
    an_extended_parameter_needs_its_origin,
    half_precision_is_finite_in_every_mode,
    a_half_precision_state_resumes_bit_for_bit,
    adams_learning_rate_is_noticed_once,
    another_default_device_changes_nothing,
    long_tensors_are_cut_on_any_default_device,
    a_group_with_lr_zero_stands_still,
    it_prints_as_shortly_as_adamw,
]
