"""Prompts of samples of a Bayesian network: what is the law of one variable, given those before it?

The graph is fixed, the conditional tables are drawn anew for every prompt. A context of n samples is followed by a
query, one more sample of which the variables before the asked one, m0, are shown. What a learner can say best from the
context alone is the in-context maximum likelihood estimate

    p(v) = #{i: x_i,m0 = v, x_i,p = x_q,p for p in P(m0)} / #{i: x_i,p = x_q,p for p in P(m0)}.

Reference: Cao, He, Wu, Chen, Fan, Liu (2025), arXiv 2501.02547. Names: M variables, d values, our n is the paper's N.
Token of a sample: one-hot blocks of its variables, then M zeros; of a query: blocks of the variables before m0, zeros
for the rest, then the one-hot of m0; width Md + M. All c cells share the graph.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.draws import uniform
from lemmata.parameters import check, parameter
from lemmata.prompts.dags import Dag
from lemmata.prompts.prompt import Multiset, PromptLaw, Prompts
from lemmata.prompts.tables import LAWS, draw_tables


@dataclass(frozen=True)
class NetworkSamples(Prompts):
    """Prompts of samples, and the network they are from.

    Args:
        samples: ``(c, b, n)`` int64, the state of each sample.
        query: ``(c, b)`` int64, the state that the query is from.
        asked: ``(c, b)`` int64, m0.
        tables: ``(c, b, rows, d)`` the conditional tables.
        dag: the graph of all of them.
    """

    samples: Tensor
    query: Tensor
    asked: Tensor
    tables: Tensor
    dag: Dag

    @property
    def counts(self) -> Tensor:
        """How often each state occurs in the context, ``(c, b, states)``."""
        c, b, n = self.samples.shape
        zeros = torch.zeros(c, b, self.dag.states, dtype=self.tables.dtype, device=self.tables.device)
        return zeros.scatter_add_(2, self.samples, torch.ones_like(zeros[..., :1]).expand(c, b, n))

    @property
    def tokens(self) -> Tensor:
        """``(c, b, n + 1, M d + M)``."""
        table, t = token_table(self.dag, self.tables.dtype), self.dag.states
        queries = table[t + self.query_kind].unsqueeze(2)
        return torch.cat([table[self.samples], queries], 2)

    @property
    def multiset(self) -> Multiset:
        """The same as counts, for networks without positions and causal mask."""
        return Multiset(token_table(self.dag, self.tables.dtype), self.counts, self.query_kind)

    @property
    def query_kind(self) -> Tensor:
        """Number of the query among the (d^M - 1)/(d - 1) that there are, ``(c, b)``."""
        d, M = self.dag.d, self.dag.M
        first = torch.tensor([(d**m - 1) // (d - 1) for m in range(M)])
        return first[self.asked] + self.query // d ** (M - self.asked)

    @property
    def targets(self) -> Tensor:
        """The value that the query itself has, ``(c, b)`` int64: the label of next-token training."""
        return self.dag.values[self.query].gather(2, self.asked.unsqueeze(2)).squeeze(2)

    @property
    def truth(self) -> Tensor:
        """The law that the value is drawn from, ``(c, b, d)``."""
        return _rows(self.tables, self.dag.row_of[self.query].gather(2, self.asked.unsqueeze(2)))

    def table_counts(self, dag: Dag | None = None) -> Tensor:
        """Counts of the query's row by value ``(c, b, d)``, given the parents in ``dag`` (the prompts' own)."""
        return (self.values_of_asked() * (self.mismatches(dag) == 0).unsqueeze(3)).sum(2)

    def mismatches(self, dag: Dag | None = None) -> Tensor:
        """h: parents of the asked variable in which each sample differs from the query, ``(c, b, n)`` int64."""
        dag = self.dag if dag is None else dag
        values = self.dag.values
        differs = values[self.samples] != values[self.query].unsqueeze(2)
        return (differs & dag.is_parent[self.asked].unsqueeze(2)).sum(3)

    def values_of_asked(self) -> Tensor:
        """The asked variable's value in each sample as one-hot, ``(c, b, n, d)``."""
        index = self.asked[..., None, None].expand(*self.samples.shape, 1)
        values = self.dag.values[self.samples].gather(3, index).squeeze(3)
        return F.one_hot(values, self.dag.d).to(self.tables.dtype)


@dataclass(frozen=True)
class NetworkPrompts(PromptLaw[NetworkSamples]):
    """Networks of one graph with tables drawn anew for each prompt.

    Args:
        dag: the graph.
        n: samples in the context.
        law: of the tables, see :mod:`lemmata.prompts.tables`.
        low, high: range of "uniform", numbers or ``(c,)``.
        concentration: of "beta" and "dirichlet".
        asked: the variable asked for; ``None`` draws one for each prompt.

    Raises:
        OutOfRange: a number outside its range.
        ValueError: a variable that the graph has not.
    """

    dag: Dag
    n: int = parameter("samples in the context n", int, units="samples", least=1, default=50)
    law: str = parameter("law of the tables", str, choices=LAWS, default="uniform")
    low: float | Tensor = parameter("smallest P(X = 0)", least=0, most=1, per_cell=True, default=0.1)
    high: float | Tensor = parameter("largest P(X = 0)", least=0, most=1, per_cell=True, default=0.9)
    concentration: float | Tensor = parameter("concentration of the law", above=0, per_cell=True, default=1.0)
    asked: int | None = None

    def __post_init__(self) -> None:
        check(self)
        if self.asked is not None and not 0 <= self.asked < self.dag.M:
            raise ValueError(f"variable {self.asked} was asked for; the graph has 0 to {self.dag.M - 1}")

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> NetworkSamples:
        """One uniform number for each sample, through the inverse of the joint distribution function; see
        :meth:`PromptLaw.draw`."""
        c, dag = len(seeds), self.dag
        tables = draw_tables(self.law, seeds, f"{name}/tables", (prompts, dag.rows), dag.d, low=self.low,
                             high=self.high, concentration=self.concentration)  # fmt: skip
        reach = joint(dag, tables).cumsum(-1)
        u = uniform(seeds, f"{name}/samples", (prompts, self.n + 1)) * reach[..., -1:]
        states = torch.searchsorted(reach, u).clamp_max(dag.states - 1)
        if self.asked is None:
            asked = (uniform(seeds, f"{name}/asked", (prompts,)) * dag.M).long()
        else:
            asked = torch.full((c, prompts), self.asked)
        return NetworkSamples(states[..., :-1], states[..., -1], asked, tables.to(dtype), dag)


def joint(dag: Dag, tables: Tensor) -> Tensor:
    """Probability of each state, ``(..., rows, d)`` → ``(..., states)``."""
    flat = tables.flatten(-2)
    index = dag.row_of * dag.d + dag.values
    law = flat[..., index[:, 0]]
    for m in range(1, dag.M):
        law = law * flat[..., index[:, m]]
    return law


def token_table(dag: Dag, dtype: torch.dtype = torch.float32) -> Tensor:
    """Tokens of all states, then of all queries: for m0 = 0, 1, .. those of every configuration before it.

    Returns:
        ``(d^M + (d^M - 1)/(d - 1), M d + M)``.
    """
    d, M = dag.d, dag.M
    blocks = [F.pad(F.one_hot(dag.values, d).flatten(1), (0, M))]
    for m in range(M):
        shown = dag.values[:: d ** (M - m), :m]  # (d^m, m)
        token = torch.zeros(d**m, M * d + M, dtype=torch.int64)
        token[:, : m * d] = F.one_hot(shown, d).flatten(1)
        token[:, M * d + m] = 1
        blocks.append(token)
    return torch.cat(blocks).to(dtype)


def _rows(tables: Tensor, row: Tensor) -> Tensor:
    """``(c, b, rows, d)`` at ``(c, b, 1)`` → ``(c, b, d)``."""
    return tables.gather(2, row.unsqueeze(3).expand(*row.shape, tables.shape[-1])).squeeze(2)
