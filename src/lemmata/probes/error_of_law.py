"""Test error without test points: the exact law of a fresh point, and the probability of an error under it.

A two-patch network f(x) = sum_r v_r [act(<w_r, y mu>) + act(<w_r, xi>)] sees a fresh label y = +-1 (equally likely)
and a fresh Gaussian noise patch xi only through z_r = <w_r, xi>, z ~ N(0, Sigma). An error is y f <= 0, so with
s_+- = sum_r v_r act(+-<w_r, mu>) and h(z) = sum_r v_r act(z_r)

    error = 1/2 P(h(z) <= -s_+) + 1/2 P(h(z) >= -s_-).

The error is that against the clean label; a network whose output is exactly zero counts as wrong. The two
probabilities come from :mod:`lemmata.probes.failure_probability`. Errors as small as 1e-300 are estimated to a few per
cent, where counting errors on test points stops at about 1e-6. Setting: Cao, Chen, Belkin, Gu (2022, arXiv 2202.06526)
and Shang, Meng, Cao, Zou (2024, arXiv 2410.19139).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.draws import split
from lemmata.nets.activations import Activation
from lemmata.probes.failure_point import LimitState, failure_points, symmetric_root
from lemmata.probes.failure_probability import importance_sampling, line_sampling, plain_sampling

_DRAWS = {"line": 256, "importance": 2048, "plain": 16384}
_CHECK_ABOVE = 1e-3


@dataclass(frozen=True)
class FreshPoint:
    """The law of a network's output at a fresh test point, for ``c`` cells.

    Args:
        covariance: ``(c, r, r)`` covariance Sigma of the pre-activations <w_r, xi> of a noise patch; may be singular.
        output: ``(c, r)`` output weights v on the noise patch.
        signal_plus: ``(c,)`` s_+, the signal patch's part of the output when y = +1.
        signal_minus: ``(c,)`` s_-, the same when y = -1.
        activation: the activation of the noise patch.

    Raises:
        ValueError: shapes that do not fit together.
    """

    covariance: Tensor
    output: Tensor
    signal_plus: Tensor
    signal_minus: Tensor
    activation: Activation

    def __post_init__(self) -> None:
        c, r = self.output.shape if self.output.ndim == 2 else (-1, -1)
        found = [tuple(t.shape) for t in (self.covariance, self.output, self.signal_plus, self.signal_minus)]
        if c < 0 or found != [(c, r, r), (c, r), (c,), (c,)]:
            raise ValueError(
                "FreshPoint takes covariance (c, r, r), output (c, r), signal_plus (c,) and signal_minus (c,), "
                f"got shapes {found}: give every tensor the cell axis first."
            )


@dataclass(frozen=True)
class TestError:
    """Estimated test error of ``c`` cells, float64 ``(c,)`` each; NaN where the law was not finite.

    Attributes:
        error: probability of an error, in [0, 1]; unbiased.
        standard_error: of ``error``, from 16 independent randomisations, so itself known to a fifth; above a tenth of
            ``error`` (many failure points) estimates are skewed and it may be too small: raise ``draws`` there.
        failure_points: int64, distinct failure points used, the larger number of the two labels: above 1 the tail has
            several sources, at 8 there may be more than were looked for and ``error`` may miss some; 0 for ``plain``.
        cross_check: plain Monte Carlo estimate where ``error`` exceeds 1e-3, else NaN.
        cross_check_standard_error: of ``cross_check``.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    error: Tensor
    standard_error: Tensor
    failure_points: Tensor
    cross_check: Tensor
    cross_check_standard_error: Tensor


def test_error(
    law: FreshPoint,
    seeds: Tensor,
    *,
    method: Literal["auto", "line", "importance", "plain"] = "auto",
    draws: int | None = None,
    check_draws: int = 1024,
) -> TestError:
    """Probability that each cell's network misclassifies a fresh point.

    Args:
        law: law of the output at a fresh point.
        seeds: ``(c,)`` int64 seeds of the cells; a cell's value depends on its own seed and law only.
        method: ``line`` samples lines along the failure points and is exact along each (piecewise linear activations
            only), ``importance`` samples around the failure points, ``plain`` samples test points; ``auto`` is ``line``
            where it can be and ``importance`` elsewhere.
        draws: lines or points per cell and label, a power of two from 32; by default 256 lines, 2048 points for
            ``importance`` and 16384 for ``plain``.
        check_draws: test points of the cross-check, a power of two from 32, or 0 for none.

    Returns:
        The estimates, on the device of ``law`` and in float64 whatever its dtype.

    Raises:
        ValueError: seeds not ``(c,)``, unknown method, ``line`` for an activation that is not piecewise linear, or
            draws not a power of two from 32.
    """
    chosen = _checked_method(law.activation, method)
    draws = _DRAWS[chosen] if draws is None else draws
    _check_draws(draws, "draws")
    if check_draws:
        _check_draws(check_draws, "check_draws")
    c = len(law.output)
    if tuple(seeds.shape) != (c,):
        raise ValueError(f"test_error takes one seed per cell, got seeds {tuple(seeds.shape)} for {c} cells.")
    finite, states = _limit_states(law)
    both = split(seeds, "test error").repeat(2)  # the two labels share their draws
    if chosen == "plain":
        used = torch.zeros(2 * c, dtype=torch.int64, device=seeds.device)
        probability = plain_sampling(states, both, draws)
    else:
        points = failure_points(states)
        used = points.used.sum(1)
        sampling = line_sampling if chosen == "line" else importance_sampling
        probability = sampling(states, points, both, draws)
    error, standard_error = _summary(probability, finite)
    check, check_standard_error = _cross_check(states, seeds, error, check_draws)
    return TestError(error, standard_error, used.reshape(2, c).amax(0), check, check_standard_error)


test_error.__test__ = False  # type: ignore[attr-defined]


def _checked_method(activation: Activation, method: str) -> str:
    if method not in ("auto", *_DRAWS):
        raise ValueError(f"Unknown test error method {method!r}: use 'auto', 'line', 'importance' or 'plain'.")
    if method == "line" and activation.slopes is None:
        raise ValueError(f"Method 'line' needs a piecewise linear activation, got {activation}: use 'importance'.")
    if method == "auto":
        return "importance" if activation.slopes is None else "line"
    return method


def _check_draws(draws: int, name: str) -> None:
    if draws < 32 or draws & (draws - 1):
        raise ValueError(f"{name} must be a power of two from 32, got {draws}: Sobol nets come in such sizes.")


def _limit_states(law: FreshPoint) -> tuple[Tensor, LimitState]:
    """Which cells are finite ``(c,)``, and 2c limit states: y = +1 fails when s_+ + h <= 0, y = -1 when -s_- - h <= 0.

    A cell that is not finite is replaced by a harmless one, because one NaN makes the batched eigensolver raise.
    """
    parts = [t.to(torch.float64) for t in (law.covariance, law.output, law.signal_plus, law.signal_minus)]
    finite = torch.stack([t.flatten(1).isfinite().all(1) if t.ndim > 1 else t.isfinite() for t in parts]).all(0)
    covariance, output, plus, minus = (torch.where(finite.reshape(-1, *[1] * (t.ndim - 1)), t, 0.0) for t in parts)
    # What no output weight hears is no noise: without it the output may be constant.
    heard = (output != 0).to(covariance)
    root = symmetric_root(covariance * heard.unsqueeze(1) * heard.unsqueeze(2))
    state = LimitState(root.repeat(2, 1, 1), torch.cat([output, -output]), torch.cat([plus, -minus]), law.activation)
    return finite, state


def _summary(probability: Tensor, finite: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard error over shifts of the error, from failure probabilities ``(2c, k)`` of the two labels."""
    per_shift = 0.5 * probability.unflatten(0, (2, -1)).sum(0)
    spread = per_shift.std(1) / per_shift.shape[1] ** 0.5
    return torch.where(finite, per_shift.mean(1), torch.nan), torch.where(finite, spread, torch.nan)


def _cross_check(states: LimitState, seeds: Tensor, error: Tensor, draws: int) -> tuple[Tensor, Tensor]:
    """Plain Monte Carlo for the cells with an error above 1e-3, NaN for the others."""
    check, spread = torch.full_like(error, torch.nan), torch.full_like(error, torch.nan)
    (large,) = (error > _CHECK_ABOVE).nonzero(as_tuple=True)
    if draws and len(large):
        both = torch.cat([large, large + len(error)])
        hits = plain_sampling(states[both], split(seeds[large], "cross-check").repeat(2), draws)
        check[large], spread[large] = _summary(hits, torch.ones_like(large, dtype=torch.bool))
    return check, spread
