"""How the patches of a sample read the data vectors: a patch of sample ``i`` is a sign times one of the K vectors."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shared:
    """A patch that every sample takes from the same vector, with its own sign: ``sign_i * x_vector``."""

    vector: int
    sign: Tensor  # (c, n)

    def read(self, A: Tensor) -> Tensor:
        """Pre-activations ``(c, r, n)`` from inner products ``A`` ``(c, r, k)``."""
        return A[..., self.vector : self.vector + 1] * self.sign.unsqueeze(-2)

    def write(self, gradient: Tensor, into: Tensor) -> None:
        """Adds a gradient ``(c, r, n)`` with respect to the pre-activations to one with respect to ``A``."""
        into[..., self.vector] += (gradient * self.sign.unsqueeze(-2)).sum(-1)

    def fresh(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """Pre-activations ``(c, r)`` of this patch of a fresh point with label +1 and with label -1."""
        return A[..., self.vector], -A[..., self.vector]


@dataclass(frozen=True)
class ByClass:
    """A patch that every sample takes from the vector of its class: ``x_plus`` or ``x_minus``."""

    plus: int
    minus: int
    label: Tensor  # (c, n), ±1

    def read(self, A: Tensor) -> Tensor:
        """Pre-activations ``(c, r, n)`` from inner products ``A`` ``(c, r, k)``."""
        plus, minus = A[..., self.plus : self.plus + 1], A[..., self.minus : self.minus + 1]
        return torch.where(self.label.unsqueeze(-2) > 0, plus, minus)

    def write(self, gradient: Tensor, into: Tensor) -> None:
        """Adds a gradient ``(c, r, n)`` with respect to the pre-activations to one with respect to ``A``."""
        positive = (self.label.unsqueeze(-2) > 0).to(gradient.dtype)
        into[..., self.plus] += (gradient * positive).sum(-1)
        into[..., self.minus] += (gradient * (1 - positive)).sum(-1)

    def fresh(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """Pre-activations ``(c, r)`` of this patch of a fresh point with label +1 and with label -1."""
        return A[..., self.plus], A[..., self.minus]


@dataclass(frozen=True)
class Own:
    """A patch that sample ``i`` takes from its own vector ``x_{start + i}``."""

    start: int
    n: int

    def read(self, A: Tensor) -> Tensor:
        """Pre-activations ``(c, r, n)``, a view of ``A`` ``(c, r, k)``."""
        return A[..., self.start : self.start + self.n]

    def write(self, gradient: Tensor, into: Tensor) -> None:
        """Adds a gradient ``(c, r, n)`` with respect to the pre-activations to one with respect to ``A``."""
        into[..., self.start : self.start + self.n] += gradient


Patch = Shared | ByClass | Own
