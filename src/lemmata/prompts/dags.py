"""Directed acyclic graphs over discrete variables: parents, named examples of the field, random ones.

Variables 0 .. M - 1 stand in a topological order, P(m) ⊂ {0 .. m - 1}, and each takes the values 0 .. d - 1. A *state*
is a value of all variables, number Σ_m x_m d^(M-1-m); a *row* is a variable with a configuration of its parents, that
is one row of its conditional table, and the rows of all variables stand one below the other.

References: Cao, He, Wu, Chen, Fan, Liu (2025), arXiv 2501.02547 (chain, tree, general); Sachs et al. (2005), Science
308.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lemmata.draws import uniform

MOST_STATES = 2**18
"""Laws of more states are not held as one vector."""


@dataclass(frozen=True)
class Dag:
    """Parents of each variable.

    Args:
        parents: for each variable those it depends on, all of them before it.
        d: number of values.

    Raises:
        ValueError: no variable, fewer than two values, a parent that does not come before its child or is named twice,
            or more states than a vector may hold.
    """

    parents: tuple[tuple[int, ...], ...]
    d: int = 2

    def __post_init__(self) -> None:
        if not self.parents:
            raise ValueError("a graph without variables was asked for; give the parents of at least one")
        if self.d < 2:
            raise ValueError(f"d = {self.d} values were asked for; a variable has at least 2")
        for m, of in enumerate(self.parents):
            if len(set(of)) < len(of) or any(not 0 <= p < m for p in of):
                raise ValueError(
                    f"variable {m} came with the parents {tuple(of)}; name each once, and only variables before it "
                    "(Dag.of_edges puts an acyclic graph in order)"
                )
        if self.states > MOST_STATES:
            raise ValueError(
                f"{self.M} variables of {self.d} values have {self.states} states; take at most {MOST_STATES}"
            )

    @classmethod
    def of_edges(cls, variables: int, edges: Iterable[tuple[int, int]], d: int = 2) -> tuple["Dag", tuple[int, ...]]:
        """A graph from edges (parent, child) in any numbering, and the old number of each new variable.

        Raises:
            ValueError: the edges close a cycle.
        """
        of: dict[int, list[int]] = {m: [] for m in range(variables)}
        for parent, child in edges:
            of[child].append(parent)
        order: list[int] = []
        while len(order) < variables:
            free = [m for m in range(variables) if m not in order and all(p in order for p in of[m])]
            if not free:
                left = sorted(set(range(variables)) - set(order))
                raise ValueError(f"the edges among the variables {left} close a cycle; a Bayesian network has none")
            order += free
        place = {old: new for new, old in enumerate(order)}
        return cls(tuple(tuple(place[p] for p in of[old]) for old in order), d), tuple(order)

    @property
    def M(self) -> int:
        """Number of variables."""
        return len(self.parents)

    @property
    def states(self) -> int:
        """d^M."""
        return self.d**self.M

    @property
    def in_degree(self) -> int:
        """Most parents of one variable."""
        return max(map(len, self.parents))

    @property
    def complete(self) -> "Dag":
        """Every variable depends on all before it: what an estimate that ignores the graph conditions on."""
        return Dag(tuple(tuple(range(m)) for m in range(self.M)), self.d)

    @property
    def empty(self) -> "Dag":
        """No edges: marginals."""
        return Dag(((),) * self.M, self.d)

    @cached_property
    def first_rows(self) -> tuple[int, ...]:
        """Where the rows of each variable begin, and how many there are in all."""
        return (0, *np.cumsum([self.d ** len(of) for of in self.parents]).tolist())

    @property
    def rows(self) -> int:
        """Rows of all conditional tables."""
        return self.first_rows[-1]

    @cached_property
    def values(self) -> Tensor:
        """Value of each variable in each state, ``(states, M)`` int64."""
        powers = self.d ** torch.arange(self.M - 1, -1, -1)
        return torch.arange(self.states).unsqueeze(1) // powers % self.d

    @cached_property
    def row_of(self) -> Tensor:
        """Row that each variable reads in each state, ``(states, M)`` int64; the first parent is the fastest digit."""
        columns = []
        for m, of in enumerate(self.parents):
            powers = self.d ** torch.arange(len(of))
            columns.append(self.first_rows[m] + (self.values[:, list(of)] * powers).sum(1))
        return torch.stack(columns, 1)

    @cached_property
    def is_parent(self) -> Tensor:
        """``(M, M)`` bool: [m, p] whether p is a parent of m."""
        found = torch.zeros(self.M, self.M, dtype=torch.bool)
        for m, of in enumerate(self.parents):
            found[m, list(of)] = True
        return found


def chain(variables: int, d: int = 2) -> Dag:
    """0 → 1 → 2 → .."""
    return Dag(tuple((m - 1,) if m else () for m in range(variables)), d)


def tree(variables: int, d: int = 2) -> Dag:
    """The binary tree in the order of its levels."""
    return Dag(tuple(((m - 1) // 2,) if m else () for m in range(variables)), d)


def random_dag(seed: Tensor, variables: int, d: int = 2, edge: float = 0.5, most_parents: int | None = None) -> Dag:
    """Each edge i → j, i < j, with probability ``edge``; beyond ``most_parents`` the first in number are kept.

    Args:
        seed: ``(1,)`` int64.
    """
    drawn = uniform(seed, "dag", (variables, variables))[0] < edge
    return Dag(tuple(tuple(p for p in range(m) if drawn[m, p])[:most_parents] for m in range(variables)), d)


GRAPHS = {
    "general": Dag(((), (), (0, 1), (0, 2), (3,))),
    "tree": tree(7),
    "chain": chain(7),
    "tree5": tree(5),
    "chain5": chain(5),
    "wet-grass": Dag(((), (0,), (0,), (1, 2))),
    "sachs": Dag(((), (0,), (0, 1), (0, 1, 2), (1, 3), (), (5,), (5, 6), (1, 4, 6), (0, 1), (0, 1)), 3),
}
"""By name. ``sachs`` in the order PKC, PKA, RAF, Mek, Erk, Plcg, PIP3, PIP2, Akt, Jnk, P38; its 18 edges are those of
the authors' code."""
