"""The attention particle: one head with merged key and query, and merged value and output.

    f(T; V, A)_q = Σ_k softmax_k(T_kᵀ A T_q) V T_k

linear in V, and nothing in A. With a rank r the matrices are products A = Kᵀ Q and V = O U, r numbers by d each, and f
is 1-homogeneous in O. Reference: Gao et al. 2024, arXiv 2410.23610, equation (2.3); their W is our A.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.modules.particles import Particle, Pullback
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class Attention(Particle):
    """Numbers of a particle in order: V ``(d, d)``, A ``(d, d)``; with a rank r: O, U, K, Q, of which O is ``(d, r)``.

    Args:
        rank: inner size of a head; None keeps whole matrices.
        causal: a token attends to itself and those before it.
    """

    rank: int | None = parameter("rank of a head's matrices", int, default=None, least=1, optional=True)
    causal: bool = parameter("causal mask", bool, default=False)

    def __post_init__(self) -> None:
        check(self)

    def size(self, width: int) -> int:
        """2d² numbers, or 4rd."""
        return 2 * width * width if self.rank is None else 4 * self.rank * width

    def homogeneous(self, width: int) -> slice:
        """V, or O."""
        return slice(0, width * (self.rank or width))

    def spread(self, width: int) -> Tensor:
        """1/√d each; the inner sides of products start at 1/√r, so that the products start as whole matrices do."""
        spread = super().spread(width)
        if self.rank is not None:
            part = width * self.rank
            spread[:part] = spread[3 * part :] = self.rank**-0.5
        return spread

    def act(self, tokens: Tensor, theta: Tensor) -> Tensor:
        """Σ_m f(T; θ_m); see :meth:`Particle.act`."""
        value, key_query = self._matrices(theta, tokens.shape[-1])
        return self._forward(tokens, value, key_query)[0]

    def pullback(self, tokens: Tensor, theta: Tensor) -> tuple[Tensor, Pullback]:
        """By hand: a batch of products and one softmax each way."""
        c, s, n, d = tokens.shape
        m = theta.shape[1]
        value, key_query = self._matrices(theta, d)
        out, (asked, weights, context) = self._forward(tokens, value, key_query)
        by_prompt, rows = tokens.reshape(c * s, n, d), tokens.reshape(c, s * n, d)

        def pull(p: Tensor) -> tuple[Tensor, Tensor]:
            p_rows = p.reshape(c, s * n, d)
            d_value = torch.bmm(context.transpose(1, 2), p_rows).view(c, m, d, d).transpose(2, 3)
            d_context = torch.bmm(p_rows, value.permute(0, 2, 1, 3).reshape(c, d, m * d)).view(c * s, n * m, d)
            d_weights = torch.bmm(d_context, by_prompt.transpose(1, 2))
            d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdim=True))
            d_asked = torch.bmm(d_scores, by_prompt).view(c, s * n, m * d)
            # tokens are read as keys twice: by the scores, and by the average
            twice = torch.cat([weights, d_scores], 1).transpose(1, 2)
            d_tokens = torch.bmm(twice, torch.cat([d_context, asked], 1)).view(c, s * n, d)
            d_tokens = torch.baddbmm(d_tokens, d_asked, key_query.reshape(c, m * d, d))
            d_key_query = torch.bmm(d_asked.transpose(1, 2), rows).view(c, m, d, d)
            return d_tokens.view_as(tokens), self._to_theta(theta, d_value, d_key_query, d)

        return out, pull

    def _forward(
        self, tokens: Tensor, value: Tensor, key_query: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        c, s, n, d = tokens.shape
        m = value.shape[1]
        by_prompt, rows = tokens.reshape(c * s, n, d), tokens.reshape(c, s * n, d)
        asked = torch.bmm(rows, key_query.reshape(c, m * d, d).transpose(1, 2)).view(c * s, n * m, d)  # A T_q
        scores = torch.bmm(asked, by_prompt.transpose(1, 2))  # (c s, n m, n)
        if self.causal:
            later = torch.ones(n, n, dtype=torch.bool, device=tokens.device).triu(1)
            scores = scores.masked_fill(later.repeat_interleave(m, 0), float("-inf"))
        weights = _softmax(scores)
        context = torch.bmm(weights, by_prompt).view(c, s * n, m * d)
        out = torch.bmm(context, value.transpose(2, 3).reshape(c, m * d, d))
        return out.view_as(tokens), (asked, weights, context)

    def _matrices(self, theta: Tensor, d: int) -> tuple[Tensor, Tensor]:
        """V and A, ``(c, m, d, d)`` each."""
        c, m, _ = theta.shape
        if self.rank is None:
            value, key_query = theta.split(d * d, -1)
            return value.reshape(c, m, d, d), key_query.reshape(c, m, d, d)
        o, u, k, q = self._factors(theta, d)
        return _product(o, u), _product(k.transpose(2, 3), q)

    def _factors(self, theta: Tensor, d: int) -> tuple[Tensor, ...]:
        c, m, _ = theta.shape
        r = self.rank or d
        shapes = (d, r), (r, d), (r, d), (r, d)
        return tuple(part.reshape(c, m, *shape) for part, shape in zip(theta.split(d * r, -1), shapes))

    def _to_theta(self, theta: Tensor, d_value: Tensor, d_key_query: Tensor, d: int) -> Tensor:
        if self.rank is None:
            parts = [d_value, d_key_query]
        else:
            o, u, k, q = self._factors(theta, d)
            parts = [_product(d_value, u.transpose(2, 3)), _product(o.transpose(2, 3), d_value)]
            parts += [_product(q, d_key_query.transpose(2, 3)), _product(k, d_key_query)]
        return torch.cat([part.flatten(2) for part in parts], -1)


def _softmax(scores: Tensor) -> Tensor:
    """Over the last axis; for axes as short as a prompt, a fifth of the time of ``torch.softmax`` (measured)."""
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Products of matrices ``(c, m, ., .)``; ``bmm`` alone, so that a cell does not know its tile."""
    c, m = a.shape[:2]
    return torch.bmm(a.flatten(0, 1), b.flatten(0, 1)).unflatten(0, (c, m))
