"""The two-parameter dynamics: what gradient descent on W does, followed in (ξ1, ξ2) alone.

A loss that is invariant under rotations of all tokens and under a change of sign of all labels has a gradient at
W = diag(ξ1 I_d, *, -ξ2) that is again of this form, and the Frobenius inner product weighs ξ1 by d:

    ξ1 <- ξ1 - (η/d) ∂L/∂ξ1,      ξ2 <- ξ2 - η ∂L/∂ξ2.

Three ways: exactly (population gradient by quadrature), as the flow η → 0 over decades of time, or on sampled cosines.
The form of the steps is in the appendix of Li et al. (2024), arXiv 2411.10830; the rest is derived here.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from lemmata.papers.nearest_neighbour.population import population


def descend(n: int, d: int, rate: float, start: tuple[float, float], records: Sequence[int]) -> NDArray:
    """Gradient descent on the exact population loss.

    Args:
        rate: η, the step size on the full matrix.
        start: (ξ1, ξ2).
        records: increasing step counts.

    Returns:
        ``(t, 3)``: ξ1, ξ2 and L after each number of steps.
    """
    found, (xi1, xi2), step = [], start, 0
    for at in records:
        for _ in range(at - step):
            _, first, second = population(xi1, xi2, n, d)
            xi1, xi2 = xi1 - rate / d * float(first), xi2 - rate * float(second)
        step = at
        found.append((xi1, xi2, float(population(xi1, xi2, n, d)[0])))
    return np.array(found)


def flow(n: int, d: int, start: tuple[float, float], times: NDArray) -> NDArray:
    """The same for η → 0, at times τ = ηk; implicit steps, so that ten decades cost some hundred gradients.

    Args:
        times: increasing, from above 0.

    Returns:
        ``(t, 3)``: ξ1, ξ2 and L at each time.
    """

    def slope(log_time: float, xi: NDArray) -> list[float]:
        _, first, second = population(xi[0], xi[1], n, d)
        return [-np.exp(log_time) * float(first) / d, -np.exp(log_time) * float(second)]

    first_time = times[0] * 1e-3
    path = solve_ivp(slope, np.log([first_time, times[-1]]), start, "LSODA", np.log(times), rtol=1e-6, atol=1e-8)
    if not path.success:
        raise ArithmeticError(f"the flow from ξ = {start} could not be followed: {path.message}")
    loss = population(path.y[0], path.y[1], n, d)[0]
    return np.stack([path.y[0], path.y[1], loss], 1)


def sampled_gradient(xi: Tensor, cosines: Tensor, nearest: Tensor) -> tuple[Tensor, Tensor]:
    """Loss ``(c,)`` and its slopes ``(c, 2)`` on sampled prompts, labels integrated out.

    With e_i = p_i - 1{i = *} and r = Σ_i p_i e_i: ∂L/∂s_k = p_k (e_k - r), hence
    ∂L/∂ξ1 = E[Σ_k p_k (e_k - r) u_k - p_q r] and ∂L/∂ξ2 = E[p_q r].

    Args:
        xi: ``(c, 2)``.
        cosines: ``(c, b, n)`` of the points with the query.
        nearest: ``(c, b, 1)`` int64, where the largest is.
    """
    scores = torch.cat(
        [xi[:, :1, None] * cosines, (xi[:, 0] - xi[:, 1])[:, None, None].expand(-1, cosines.shape[1], 1)], -1
    )
    p = scores.softmax(-1)
    context, query = p[..., :-1], p[..., -1]
    e = context.scatter_add(-1, nearest, -torch.ones_like(nearest, dtype=cosines.dtype))
    r = (context * e).sum(-1)
    first = (context * (e - r.unsqueeze(-1)) * cosines).sum(-1) - query * r
    return 0.5 * e.square().sum(-1).mean(-1), torch.stack([first.mean(-1), (query * r).mean(-1)], -1)
