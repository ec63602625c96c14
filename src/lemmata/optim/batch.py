"""What one update works on: the tensors of a batch side by side, and the scalars they share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Scalar = Any  # a float, or a 0-d tensor
Row = tuple[Tensor | None, ...]  # a parameter and what goes with it, in the order of Slots


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The scalars of one step, shared by a batch; floats, or 0-d tensors where the host must not look."""

    momentum_weight: Scalar  # w1: weight of the new gradient in m
    square_decay: Scalar  # b2
    square_weight: Scalar  # w2
    rate: Scalar  # multiplies m / (sqrt(s) + eps)
    eps: Scalar
    decay: Scalar  # decoupled weight decay: the share of x taken away
    coupled_decay: float  # coupled weight decay: adds coupled_decay * x to g
    maximize: bool

    def select(self, index: int) -> "Coefficients":
        """The scalars of tensor ``index`` where they were computed as vectors ``(tensors,)``."""
        return self._each(lambda v: v[index] if v.ndim else v)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Coefficients":
        """The same with its tensors on ``device`` and in ``dtype``, as in-place operations ask for."""
        return self._each(lambda v: v.to(device, dtype))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Coefficients":
        scalars = (self.momentum_weight, self.square_decay, self.square_weight, self.rate, self.eps, self.decay)
        changed = [change(v) if isinstance(v, Tensor) else v for v in scalars]
        return Coefficients(*changed, self.coupled_decay, self.maximize)  # type: ignore[call-arg,arg-type]


@dataclass(frozen=True, slots=True)
class Slots:
    """The tensors of a batch, side by side: entry ``i`` of every list has the shape of parameter ``i``."""

    params: list[Tensor]
    grads: list[Tensor]
    exp_avgs: list[Tensor]  # empty without momentum
    squares: list[Tensor]
    max_squares: list[Tensor]  # empty without the running maximum
    origins: list[Tensor]

    def rows(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None, Tensor]]:
        none = [None] * len(self.params)
        exp_avgs, max_squares = self.exp_avgs or none, self.max_squares or none
        return zip(self.params, self.grads, exp_avgs, self.squares, max_squares, self.origins)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Slots":
        columns = [list(column) for column in zip(*rows)]
        return cls(*([] if column[0] is None else column for column in columns))


def norm(difference: Tensor) -> Tensor:
    """Euclidean norm as a 0-d tensor, accumulated in float32 at least; of a DTensor, over its whole mesh."""
    length = torch.linalg.vector_norm(difference, dtype=high_precision(difference.dtype))
    return length.full_tensor() if hasattr(length, "full_tensor") else length


def high_precision(dtype: torch.dtype) -> torch.dtype:
    """What a scalar that multiplies this dtype, or a sum of its squares, is held in."""
    return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32


def foreach_distance(slots: Slots) -> list[Tensor]:
    """``||x - x_0||`` of every row, on lists."""
    differences = torch._foreach_sub(slots.params, slots.origins)
    return list(torch._foreach_norm(differences, 2, dtype=high_precision(differences[0].dtype)))


def flatten(row: Row) -> Row | None:
    """One-dimensional views in memory order of tensors laid out alike; None where there are no such views."""
    if all_contiguous(row):
        return tuple(None if t is None else t.view(-1) for t in row)
    first = row[0]
    assert first is not None
    order = sorted(range(first.ndim), key=first.stride, reverse=True)
    row = tuple(None if t is None else t.permute(order) for t in row)
    return tuple(None if t is None else t.view(-1) for t in row) if all_contiguous(row) else None


def all_contiguous(row: Row) -> bool:
    """Whether every tensor of a row is; a plain loop, because it runs for every parameter at every step."""
    for t in row:  # noqa: SIM110
        if t is not None and not t.is_contiguous():
            return False
    return True
