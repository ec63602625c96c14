"""What a prompt is: b context windows per cell with their answers, the cells first, and the law that draws them.

A :class:`PromptLaw` is a frozen dataclass of the numbers of a distribution, some of which may be ``(c,)`` tensors; a
:class:`Prompts` is what it drew. Axis letters: c cells, b prompts, n tokens (the query is the last), d width of
a token.

    prompts = law.draw(seeds, f"prompts/{step}", 64, torch.float32)
    out = apply(network, parameters, prompts.tokens)     # (c, b, ...)

Every draw is a pure function of the cell's seed and the name, so each step has prompts of its own, a cell does not know
its tile, and a training that was killed goes on with the prompts it would have had.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor

from lemmata.draws import permutation


@dataclass(frozen=True)
class Prompts(ABC):
    """b prompts per cell and the truth about them; every tensor field is ``(c, b, ...)``."""

    @property
    @abstractmethod
    def tokens(self) -> Tensor:
        """What a network reads, ``(c, b, n, d)``, the query last."""

    @property
    @abstractmethod
    def targets(self) -> Tensor:
        """What it should say, ``(c, b, ...)``."""

    def take(self, rows: Tensor) -> Self:
        """Some prompts of each cell, with repetition if asked for.

        Args:
            rows: ``(c, b')`` int64 positions along the axis of prompts.
        """
        return self._each(lambda field: _gather(field, rows))

    def cell(self, index: int) -> Self:
        """The prompts of one cell, still with an axis of cells, of length 1."""
        return self._each(lambda field: field[index : index + 1])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return dataclasses.replace(self, **{k: change(v) for k, v in fields.items() if isinstance(v, Tensor)})


Drawn = TypeVar("Drawn", bound=Prompts, covariant=True)


class PromptLaw(ABC, Generic[Drawn]):
    """A distribution over prompts; a frozen dataclass whose fields are parameters."""

    @abstractmethod
    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> Drawn:
        """Independent prompts of every cell.

        Args:
            seeds: ``(c,)`` int64, one per cell.
            name: the stream, e.g. ``f"prompts/{step}"``; different names are independent.
            prompts: b, how many.
            dtype: of tokens and targets; values agree between dtypes but for rounding.
        """


@dataclass(frozen=True)
class Multiset:
    """Prompts given as counts: which of finitely many tokens occur how often, and which token is the query.

    A network without positions and without a causal mask is a function of this alone, so its cost need not grow with
    the length of the prompt (:mod:`lemmata.modules.attention.counts`).

    Args:
        table: ``(t + q, d)``: the t tokens that contexts consist of, then the q tokens that queries may be; shared by
            all cells.
        counts: ``(c, b, t)`` how often each occurs in the context, in the table's dtype.
        query: ``(c, b)`` int64, which of the q.
    """

    table: Tensor
    counts: Tensor
    query: Tensor

    @property
    def kinds(self) -> int:
        """t, the number of different context tokens."""
        return self.counts.shape[-1]

    @property
    def tokens(self) -> Tensor:
        """The t table rows and the query, ``(c, b, t + 1, d)``; only with :attr:`multiplicity` are they the prompt."""
        c, b, t = self.counts.shape
        context = self.table[:t].expand(c, b, t, -1)
        return torch.cat([context, self.table[t + self.query].unsqueeze(2)], 2)

    @property
    def multiplicity(self) -> Tensor:
        """How often each of :attr:`tokens` occurs, ``(c, b, t + 1)``; the query once."""
        return torch.cat([self.counts, torch.ones_like(self.counts[..., :1])], -1)


def rows_of_step(seeds: Tensor, step: int, batch: int, pool: int) -> Tensor:
    """Which of ``pool`` fixed prompts step number ``step`` takes: every epoch is a new permutation, read on end.

    Args:
        seeds: ``(c,)`` int64.
        batch: prompts of a step; at most ``pool``.

    Returns:
        ``(c, batch)`` int64. Batches that straddle two epochs take the rest of one and the beginning of the next.
    """
    if not 1 <= batch <= pool:
        raise ValueError(f"batches of {batch} out of a pool of {pool} prompts were asked for; take 1 to {pool}")
    epoch, first = divmod(step * batch, pool)
    rows = permutation(seeds, f"epoch/{epoch}", pool)[:, first : first + batch]
    missing = batch - rows.shape[1]
    if not missing:
        return rows
    return torch.cat([rows, permutation(seeds, f"epoch/{epoch + 1}", pool)[:, :missing]], 1)


def _gather(field: Tensor, rows: Tensor) -> Tensor:
    index = rows.reshape(*rows.shape, *[1] * (field.ndim - 2)).expand(*rows.shape, *field.shape[2:])
    return field.gather(1, index)
