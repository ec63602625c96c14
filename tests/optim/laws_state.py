"""What each optimiser of the room obeys about what it keeps: groups, checkpoints, copies, parameters that come late."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from tests.optim.members import flat, params_of, train


def resumes_bit_for_bit(make):
    params = params_of(5, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 20)
    file = io.BytesIO()
    torch.save(([p.detach() for p in params], optimizer.state_dict()), file)
    train(optimizer, params, 20, start=20)

    file.seek(0)
    values, state = torch.load(file, weights_only=True)
    resumed = [nn.Parameter(v.clone()) for v in values]
    again = make(resumed)
    again.load_state_dict(state)
    train(again, resumed, 20, start=20)
    assert torch.equal(flat(resumed), flat(params))
    assert torch.equal(again.eta, optimizer.eta)
    assert torch.equal(again.distance(), optimizer.distance())
    assert torch.equal(again.effective_lr(), optimizer.effective_lr())


def a_late_group_joins(make):
    params = params_of(5, (3, 4))
    optimizer = make(params[:1])
    train(optimizer, params[:1], 30)
    eta, before = optimizer.eta, params[1].detach().clone()
    optimizer.add_param_group({"params": [params[1]]})
    if eta.ndim == 0:
        assert torch.equal(optimizer.eta, eta)
        assert optimizer.param_groups[0]["eta"] is optimizer.param_groups[1]["eta"]
    else:
        assert torch.equal(optimizer.eta[0], eta[0])
    train(optimizer, params, 1, start=30)
    assert torch.equal(optimizer.state[params[1]]["origin"], before)
    if eta.ndim == 0:
        moved = flat(params) - torch.cat([optimizer.state[p]["origin"].reshape(-1) for p in params])
        torch.testing.assert_close(optimizer.distance().float(), moved.norm() / 17**0.5)


def copies_and_pickles(make):
    params = params_of(5, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 5)
    for clone in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        copied = [p for group in clone.param_groups for p in group["params"]]
        twin = [p.detach().clone().requires_grad_() for p in params]
        assert torch.equal(clone.eta, optimizer.eta)
        train(clone, copied, 5, start=5)
        again = make(twin)
        again.load_state_dict(
            copy.deepcopy(optimizer.state_dict())
        )  # as in torch, a state dict refers, and loading too
        train(again, twin, 5, start=5)
        assert torch.equal(flat(copied), flat(twin))


def editing_parameters_is_noticed_when_asked(make):
    params = params_of(5, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 5)
    torch.testing.assert_close(optimizer.recompute_distance(), optimizer.distance())
    with torch.no_grad():
        for p in params:
            p += 10
    optimizer.recompute_distance()
    assert (optimizer.eta > 9).all()


def a_foreign_state_is_refused_untouched(make):
    params = params_of(5, (3, 4))
    optimizer = make(params)
    train(optimizer, params, 3)
    before, eta = copy.deepcopy(optimizer.state_dict()), optimizer.eta
    other_shape, fewer = params_of(6, (3, 4)), params_of(5)
    adam = params_of(5, (3, 4))
    for foreign, its in (
        (make(other_shape), other_shape),
        (make(fewer), fewer),
        (torch.optim.Adam(adam), adam),
        (torch.optim.SGD(adam), adam),
    ):
        train(foreign, its, 2)
        with pytest.raises(ValueError, match=r"state|lacks"):
            optimizer.load_state_dict(foreign.state_dict())
        after = optimizer.state_dict()
        assert torch.equal(optimizer.eta, eta)
        assert after["param_groups"][0]["lr"] == 1.0
        assert all(
            torch.equal(torch.as_tensor(after["state"][0][k]), torch.as_tensor(v))
            for k, v in before["state"][0].items()
        )


def frozen_and_unused_parameters_do_not_count(make):
    params, twin = params_of(5, (3, 4), 6, 7), params_of(5, (3, 4))
    params[2].requires_grad_(False)
    optimizer, alone = make(params), make(twin)
    train(optimizer, params[:2], 30)
    train(alone, twin, 30)
    assert torch.equal(flat(params[:2]), flat(twin))
    assert torch.equal(flat(params[2:]), flat(params_of(5, (3, 4), 6, 7)[2:]))
    assert "origin" not in optimizer.state[params[3]]
    if optimizer.eta.ndim == 0:
        assert torch.equal(optimizer.distance(), alone.distance())


def groups_keep_the_ratio_of_their_lr(make):
    params = params_of(4, 4, dtype=torch.float64)
    with torch.no_grad():
        params[1].copy_(params[0])
    optimizer = make([{"params": [params[0]], "lr": 0.25}, {"params": [params[1]]}], weight_decay=0.0)
    before = [p.detach().clone() for p in params]
    train(optimizer, params, 1, noise=0.0)
    moved = [p.detach() - b for p, b in zip(params, before)]
    torch.testing.assert_close(4 * moved[0], moved[1], rtol=1e-9, atol=0)  # as far as subtracting leaves digits
    if optimizer.eta.ndim == 0:
        assert optimizer.effective_lr(0) == 0.25 * optimizer.effective_lr(1)


def a_step_without_gradients_does_nothing(make):
    params = params_of(5, (3, 4))
    optimizer, before = make(params), flat(params)
    optimizer.step()
    assert torch.equal(flat(params), before)
    train(optimizer, params, 3)
    eta, before = optimizer.eta, flat(params)
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(flat(params), before)
    assert torch.equal(optimizer.eta, eta)


LAWS = [
    resumes_bit_for_bit,
    a_late_group_joins,
    copies_and_pickles,
    editing_parameters_is_noticed_when_asked,
    a_foreign_state_is_refused_untouched,
    frozen_and_unused_parameters_do_not_count,
    groups_keep_the_ratio_of_their_lr,
    a_step_without_gradients_does_nothing,
]
