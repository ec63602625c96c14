"""Low precision: warnings where rounding drowns the start, and training that works where it does not."""

import copy
import warnings

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from lemmata.optim import AdamPP, fused
from tests.optim.members import flat, params_of, quadratic, train


def _digits_net(dtype, eta0, steps=400):
    raw, labels = load_digits(return_X_y=True)
    features, labels = torch.tensor(raw / 16, dtype=dtype), torch.tensor(labels)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).to(dtype)
    optimizer, generator = AdamPP(net.parameters(), eta0=eta0), torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(1500, (64,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(net(features[rows]), labels[rows]).backward()
        optimizer.step()
    accuracy = (net(features[1500:]).argmax(1) == labels[1500:]).float().mean()
    return float(accuracy), float(optimizer.eta)


def test_bfloat16_parameters_with_a_small_eta0_warn_and_stall():
    with pytest.warns(UserWarning, match=r"torch\.bfloat16.*eta0 = 1\.0e-06 may round to nothing"):
        accuracy, eta = _digits_net(torch.bfloat16, 1e-6, steps=100)
    assert accuracy < 0.3
    assert eta < 1e-5


def test_bfloat16_parameters_with_eta0_1e_4_learn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accuracy, eta = _digits_net(torch.bfloat16, 1e-4)
    assert accuracy > 0.85
    assert eta > 0.01
    assert _digits_net(torch.float32, 1e-6)[0] > 0.85  # what float32 reaches: the last fifth is other writers


def test_a_rounded_origin_starts_eta_at_its_phantom_distance_and_says_so():
    params = params_of(1000)
    phantom = float((params[0] - params[0].bfloat16()).norm()) / 1000**0.5
    with pytest.warns(UserWarning, match=f"off the torch.float32 parameters by {phantom:.1e}"):
        optimizer = AdamPP(params, x0_dtype=torch.bfloat16)
    assert float(optimizer.eta) == pytest.approx(phantom, rel=1e-5)
    train(optimizer, params, 1)
    assert optimizer.state[params[0]]["origin"].dtype == torch.bfloat16
    assert float(optimizer.distance()) == pytest.approx(2**0.5 * phantom, rel=0.05)  # beside it, a step of that size


def test_a_rounded_origin_below_eta0_is_silent_and_harmless():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ends = []
        for x0_dtype in (None, torch.bfloat16):
            params = params_of(1000)
            optimizer = AdamPP(params, eta0=1e-2, x0_dtype=x0_dtype)
            train(optimizer, params, 50)
            ends.append(flat(params))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-3, atol=1e-4)


def test_a_rounded_origin_resumes_bit_for_bit():
    """torch casts what it loads to the parameter's dtype; the origin must come back in its own."""
    params = params_of(100)
    optimizer = AdamPP(params, eta0=1e-2, x0_dtype=torch.bfloat16)
    train(optimizer, params, 10)
    resumed = [nn.Parameter(p.detach().clone()) for p in params]
    again = AdamPP(resumed, eta0=1e-2, x0_dtype=torch.bfloat16)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert again.state[resumed[0]]["origin"].dtype == torch.bfloat16
    train(optimizer, params, 10, start=10)
    train(again, resumed, 10, start=10)
    assert torch.equal(flat(resumed), flat(params))
    assert torch.equal(again.eta, optimizer.eta)


def test_complex_parameters_with_an_origin_dtype_are_refused():
    with pytest.raises(ValueError, match="complex"):
        AdamPP([nn.Parameter(torch.zeros(2, dtype=torch.complex64))], x0_dtype=torch.bfloat16)


@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {"fused": True}, {"capturable": True}])
def test_kernels_agree_in_bfloat16_to_its_spacing(options, monkeypatch):
    monkeypatch.setitem(fused.COMPILED_FROM, "cpu", 64)
    wide, narrow = params_of(200, 7, dtype=torch.float32), params_of(200, 7, dtype=torch.float32)
    narrow = [nn.Parameter(p.detach().bfloat16()) for p in narrow]
    for params, extra in ((wide, {}), (narrow, options)):
        optimizer = AdamPP(params, eta0=0.05, variant="sum", **extra)
        for t in range(30):
            optimizer.zero_grad()
            quadratic([p.float() for p in params], t, 0.0).backward()
            optimizer.step()
    assert (flat(narrow).float() - flat(wide)).abs().mean() < 0.02


def test_groups_of_different_dtypes_share_one_distance():
    params = [*params_of(6), *params_of(4, dtype=torch.float64)]
    optimizer = AdamPP(params)
    train(optimizer, params, 20)
    moved = torch.cat([(p - optimizer.state[p]["origin"]).detach().double() for p in params])
    torch.testing.assert_close(optimizer.distance(), moved.norm() / 10**0.5, rtol=1e-6, atol=0)
