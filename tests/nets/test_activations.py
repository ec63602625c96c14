"""Laws every activation obeys."""

import pytest
import torch

from lemmata.nets.activations import GELU, LeakyReLU, ReLU, Softplus

ALL = [ReLU(), ReLU(power=2.0), ReLU(power=3.5), LeakyReLU(), LeakyReLU(slope=0.3), Softplus(), GELU()]
EACH = pytest.mark.parametrize("activation", ALL, ids=repr)
Z = torch.linspace(-4, 4, 161, dtype=torch.float64)  # has 0 exactly


@EACH
def test_derivative_is_the_one_autograd_finds(activation):
    z = Z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(activation(z).sum(), z)
    torch.testing.assert_close(activation.derivative(Z), expected, rtol=1e-12, atol=1e-14)


@EACH
def test_degree_is_how_the_activation_scales(activation):
    ratio = activation(2 * Z) / activation(Z)
    moved = ratio[activation(Z) != 0]
    if activation.degree is None:
        assert moved.std() > 0.1
    else:
        torch.testing.assert_close(moved, torch.full_like(moved, 2.0**activation.degree))


@EACH
def test_slopes_describe_a_piecewise_linear_activation(activation):
    left, right = activation.slopes or (0.0, 1.0)
    straight = torch.allclose(activation(Z), torch.where(Z > 0, right, left) * Z)
    assert straight == (activation.slopes is not None)


@EACH
def test_dtype_is_kept(activation):
    assert activation(Z.float()).dtype == activation.derivative(Z.float()).dtype == torch.float32


@pytest.mark.parametrize("power", [0.5, float("nan"), float("inf")])
def test_power_below_one_is_refused(power):
    with pytest.raises(ValueError, match="power must be a finite number of at least 1"):
        ReLU(power=power)


def test_slope_must_be_finite():
    with pytest.raises(ValueError, match="slope must be finite"):
        LeakyReLU(slope=float("nan"))
