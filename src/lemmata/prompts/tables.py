"""Laws of conditional probability tables: each row of a table is drawn anew for every prompt, independently.

    uniform            P(X = 0) ~ U(low, high)
    two-sided          P(X = 0) ~ U(0.15, 0.3) or U(0.7, 0.85), by a fair coin
    beta               P(X = 0) ~ Beta(concentration, concentration)
    dirichlet          the row ~ Dirichlet(concentration, ..)
    mixed-dirichlet    0.9 Dirichlet(1, ..) + 0.1 uniform

``two-sided`` is the first version's of Cao et al. (2025), arXiv 2501.02547; ``uniform`` on (0.1, 0.9), ``beta`` with
0.4 and ``dirichlet`` with 1 are those of its authors' code; ``mixed-dirichlet`` is ours. The first three are binary.
"""

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import chi_square, uniform

LAWS = ("uniform", "two-sided", "beta", "dirichlet", "mixed-dirichlet")
BINARY = ("uniform", "two-sided", "beta")


def draw_tables(
    law: str,
    seeds: Tensor,
    name: str,
    shape: tuple[int, ...],
    d: int,
    *,
    low: float | Tensor = 0.1,
    high: float | Tensor = 0.9,
    concentration: float | Tensor = 1.0,
) -> Tensor:
    """Rows that sum to 1, ``(c, *shape, d)`` float64.

    Args:
        law: one of :data:`LAWS`.
        low, high: for "uniform"; numbers or ``(c,)``.
        concentration: for "beta" and "dirichlet"; a number or ``(c,)``.

    Raises:
        ValueError: an unknown law, or a binary one for d > 2.
    """
    if law not in LAWS:
        raise ValueError(f"the law {law!r} of tables was asked for; there are {', '.join(LAWS)}")
    if law in BINARY and d > 2:
        raise ValueError(f"the law {law!r} was asked for with {d} values; it is one of two, take 'dirichlet'")
    if law in ("uniform", "two-sided"):
        u = uniform(seeds, f"{name}/rows", shape)
        if law == "uniform":
            p = per_cell(low, u) + (per_cell(high, u) - per_cell(low, u)) * u
        else:
            p = torch.where(u < 0.5, 0.15 + 0.3 * u, 0.7 + 0.3 * (u - 0.5))
        return torch.stack([p, 1 - p], -1)
    degrees = torch.full((len(seeds), *shape, d), 2.0, dtype=torch.float64, device=seeds.device)
    if law != "mixed-dirichlet":
        degrees = degrees * per_cell(concentration, degrees)
    gamma = chi_square(seeds, f"{name}/rows", degrees)
    rows = gamma / gamma.sum(-1, keepdim=True)
    return 0.9 * rows + 0.1 / d if law == "mixed-dirichlet" else rows
