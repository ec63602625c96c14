"""Bad arguments are refused in one sentence that names the value, before anything is changed."""

import warnings

import pytest
import torch
from torch import nn

from lemmata.optim import AdaGradPP, AdamPP, AdamWPP, AveragedIterate


def _params():
    return [nn.Parameter(torch.ones(3))]


EVERY = [
    ({"lr": "x"}, r"lr must be a finite number of at least 0.*got 'x'"),
    ({"lr": -1.0}, r"lr must be a finite number.*got -1\.0"),
    ({"lr": float("nan")}, r"lr.*nan"),
    ({"eps": 0.0}, r"eps.*got 0\.0"),
    ({"weight_decay": -0.1}, r"weight_decay.*got -0\.1"),
    ({"eta0": 0.0}, r"eta0.*got 0\.0"),
    ({"eta0": -1e-6}, r"eta0.*got -1e-06"),
    ({"eta0": "large"}, r"eta0.*got 'large'"),
    ({"eta0": float("inf")}, r"eta0.*got inf"),
    ({"distance": "layer"}, r"distance must be one of global, group, tensor, got 'layer'"),
    ({"max_eta": 1e-9}, r"max_eta.*eta0 = 1e-06, got 1e-09"),
    ({"growth_rate": 1.0}, r"growth_rate.*above 1.*got 1\.0"),
    ({"x0_dtype": torch.int64}, r"x0_dtype.*torch\.int64"),
    ({"fused": True, "capturable": True}, r"fused and capturable"),
    ({"foreach": True, "fused": True}, r"foreach and fused"),
    ({"foreach": True, "differentiable": True}, r"foreach and differentiable"),
    ({"lr": float("inf")}, r"lr.*got inf"),
    ({"lr": torch.tensor(-1.0)}, r"lr.*tensor\(-1"),
    ({"lr": torch.ones(2)}, r"lr.*tensor"),
    ({"lr": True}, r"lr.*got True"),
    ({"eps": float("inf")}, r"eps.*got inf"),
    ({"eps": "small"}, r"eps.*got 'small'"),
    ({"weight_decay": float("nan")}, r"weight_decay.*got nan"),
    ({"weight_decay": None}, r"weight_decay.*got None"),
    ({"eta0": None}, r"eta0.*got None"),
    ({"eta0": torch.ones(2)}, r"eta0.*tensor"),
    ({"max_eta": float("inf")}, r"max_eta.*got inf"),
    ({"max_eta": "x"}, r"max_eta.*got 'x'"),
    ({"growth_rate": float("nan")}, r"growth_rate.*got nan"),
    ({"growth_rate": "x"}, r"growth_rate.*got 'x'"),
    ({"distance": 3}, r"distance.*got 3"),
    ({"x0_dtype": "x"}, r"x0_dtype must be None or a floating-point torch\.dtype, got 'x'"),
    ({"fused": "yes"}, r"fused must be True, False or None, got 'yes'"),
    ({"foreach": 3}, r"foreach must be True, False or None, got 3"),
    ({"maximize": 3}, r"maximize must be True or False, got 3"),
    ({"capturable": None}, r"capturable.*got None"),
    ({"decoupled_weight_decay": "no"}, r"decoupled_weight_decay.*got 'no'"),
]
ADAM = [
    ({"betas": (1.0, 0.999)}, r"betas.*\(1\.0, 0\.999\)"),
    ({"betas": (0.9, -0.1)}, r"betas.*\(0\.9, -0\.1\)"),
    ({"variant": "max"}, r"variant must be one of ema, ema_max, sum, got 'max'"),
    ({"momentum_decay": 0.0}, r"momentum_decay.*got 0\.0"),
    ({"momentum_decay": 1.1}, r"momentum_decay.*got 1\.1"),
    ({"betas": 0.9}, r"betas must be two numbers in \[0, 1\), got 0\.9"),
    ({"betas": (0.9,)}, r"betas.*got \(0\.9,\)"),
    ({"betas": (float("nan"), 0.9)}, r"betas.*nan"),
    ({"variant": ["ema"]}, r"variant.*\['ema'\]"),
    ({"momentum_decay": "x"}, r"momentum_decay.*got 'x'"),
    ({"bias_correction": 1}, r"bias_correction must be True or False, got 1"),
]


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [(cls, *case) for cls in (AdaGradPP, AdamPP, AdamWPP) for case in EVERY]
    + [(cls, *case) for cls in (AdamPP, AdamWPP) for case in ADAM],
)
def test_refused_at_construction(cls, options, message):
    with pytest.raises(ValueError, match=f"{cls.__name__}: .*{message}"):
        cls(_params(), **options)


@pytest.mark.parametrize(("options", "message"), EVERY[:3] + EVERY[5:7] + ADAM)
def test_refused_in_a_late_group_which_is_then_not_added(options, message):
    optimizer = AdamPP(_params())
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": _params(), **options})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("option", [{"eta0": 1e-3}, {"max_eta": 1.0}, {"growth_rate": 2.0}, {"distance": "tensor"}])
def test_groups_that_share_one_eta_share_its_options(option):
    optimizer = AdamPP(_params())
    with pytest.raises(ValueError, match=next(iter(option))):
        optimizer.add_param_group({"params": _params(), **option})
    if "distance" not in option:
        AdamPP(_params(), distance="group").add_param_group({"params": _params(), **option})


@pytest.mark.parametrize("cls", [AdaGradPP, AdamPP, AdamWPP])
def test_whole_numbers_alone_cannot_be_trained_but_may_stand_by(cls):
    whole = torch.ones(3, dtype=torch.int64)
    with pytest.raises(ValueError, match=rf"{cls.__name__}: .* torch\.int64, and only floating-point"):
        cls([whole])
    params = _params()
    optimizer = cls([*params, whole])  # a quantised model: its frozen weights are integers
    params[0].grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(whole, torch.ones(3, dtype=torch.int64))
    assert float(params[0].detach().max()) < 1


def test_sparse_gradients_are_refused_before_anything_moves():
    table, dense = nn.Embedding(5, 2, sparse=True), nn.Parameter(torch.ones(2))
    optimizer = AdamPP([dense, table.weight])
    (table(torch.tensor([1])) * dense).sum().backward()
    with pytest.raises(RuntimeError, match="AdamPP does not support sparse gradients, please consider AdaGradPP"):
        optimizer.step()
    assert torch.equal(dense, torch.ones(2))
    assert not optimizer.state


def test_adamwpp_with_coupled_decay_is_adampp():
    with pytest.raises(ValueError, match="use that"):
        AdamWPP(_params(), decoupled_weight_decay=False)
    assert AdamWPP(_params()).defaults["weight_decay"] == 1e-2


def test_a_state_of_another_distance_is_refused():
    params = _params()
    saved = AdamPP(_params(), distance="tensor").state_dict()
    with pytest.raises(ValueError, match=r"distance='tensor'.*'global'"):
        AdamPP(params).load_state_dict(saved)


def test_a_state_with_unequal_etas_is_refused():
    groups = [{"params": _params()}, {"params": _params()}]
    optimizer = AdamPP(groups)
    saved = optimizer.state_dict()
    saved["param_groups"][1]["eta"] = torch.tensor(3.0)
    with pytest.raises(ValueError, match="share one eta"):
        optimizer.load_state_dict(saved)


def test_a_state_of_adagradpp_is_refused_by_adampp():
    theirs, ours = _params(), _params()
    other = AdaGradPP(theirs)
    theirs[0].grad = torch.ones(3)
    other.step()
    with pytest.raises(ValueError, match=r"parameter 0 .*sum"):
        AdamPP(ours).load_state_dict(other.state_dict())


def test_loading_a_checkpoint_mid_run_keeps_its_origin():
    params = _params()
    optimizer = AdamPP(params)
    params[0].grad = torch.ones(3)
    optimizer.step()
    saved, origin = optimizer.state_dict(), torch.ones(3)
    moved = [nn.Parameter(torch.full((3,), 7.0))]
    again = AdamPP(moved)
    again.load_state_dict(saved)
    assert torch.equal(again.state[moved[0]]["origin"], origin)
    again.recompute_distance()
    assert float(again.eta) == pytest.approx(6.0)


def test_averaging_refuses():
    with pytest.raises(ValueError, match="weight must be"):
        AveragedIterate(AdamPP(_params()), weight="linear")
    with pytest.raises(ValueError, match="distance='tensor'"):
        AveragedIterate(AdamPP(_params(), distance="tensor"))
    average = AveragedIterate(AdamPP(_params()))
    with pytest.raises(RuntimeError, match="nothing has been averaged"), average.applied():
        pass
    with pytest.raises(ValueError, match="shapes"):
        average.load_state_dict({"weight": "eta", "total": torch.ones(()), "averages": [torch.ones(4)]})


def test_defaults_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdamPP(_params(), eta0="auto")
        AdamPP([nn.Parameter(torch.full((4,), 0.02, dtype=torch.bfloat16))], eta0=1e-3)
