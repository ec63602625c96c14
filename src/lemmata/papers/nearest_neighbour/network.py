"""The paper's network and its gradient by hand: one head, key and query merged in W, the value row fixed to the label.

    s_i = h_i^T W h_q  (the query among the i),   p = softmax(s),   ŷ = Σ p_i y_i,   L = ½ E (ŷ - y_*)²
    ∂L/∂W = E (ŷ - y_*) Σ_i p_i (y_i - ŷ) h_i h_q^T

Reference: Li, Cao, Gao, He, Liu, Klusowski, Fan, Wang (2024), arXiv 2411.10830, sections 2.1 to 2.3 (the ½ is the
paper's). By symmetry gradient descent from W = diag(0, .., 0, -σ) stays near W = diag(ξ1 I_d, *, -ξ2); the whole of W
is trained here all the same. As weights of :mod:`lemmata.modules.attention`: ``network(D)`` and ``as_parameters(W)``.
"""

from typing import Any

import torch
from torch import Tensor

from lemmata.modules.attention import AttentionNetwork, Block


def network(width: int) -> AttentionNetwork:
    """The same function for the common attention code: tokens of this width enter and come out as they are."""
    return AttentionNetwork(width, (Block(1, "softmax", "merged", norm="none"),), outputs=1)


def as_parameters(W: Tensor, label: int) -> dict[str, Tensor]:
    """Weights ``(c, D, D)`` for :func:`network`: the value copies coordinate ``label``, and that is read out."""
    c, D, _ = W.shape
    value = torch.zeros(c, 1, D, D, dtype=W.dtype)
    value[:, :, label, label] = 1
    head = torch.zeros(c, D, 1, dtype=W.dtype)
    head[:, label] = 1
    return {"0.kq": W.unsqueeze(1), "0.value": value, "head.w": head, "head.b": torch.zeros(c, 1, dtype=W.dtype)}


class _Loss(torch.autograd.Function):
    """L of each cell; the gradient comes with it, in four batched products."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, tokens: Tensor, targets: Tensor, label: int) -> Tensor:
        loss, slope = gradient(W, tokens, targets, label)
        ctx.save_for_backward(slope)
        return loss

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * slopes[0].view(-1, 1, 1), None, None, None


def gradient(W: Tensor, tokens: Tensor, targets: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """L ``(c,)`` and ∂L/∂W ``(c, D, D)``; arguments as for :func:`loss`."""
    c, b, n, D = tokens.shape
    p = weights(W, tokens)
    py = p * tokens[..., label]
    said = py.sum(-1, keepdim=True)
    error = said - targets.unsqueeze(-1)
    by_score = (py - p * said) * (error / b)
    pulled = torch.bmm(by_score.view(c * b, 1, n), tokens.reshape(c * b, n, D)).view(c, b, D)
    return 0.5 * error.square().mean((1, 2)), torch.bmm(pulled.transpose(1, 2), tokens[:, :, -1])


def loss(W: Tensor, tokens: Tensor, targets: Tensor, label: int) -> Tensor:
    """L of each cell ``(c,)``, differentiable in ``W``.

    Args:
        W: ``(c, D, D)``.
        tokens: ``(c, b, n + 1, D)``, the query last.
        targets: ``(c, b)`` labels of the nearest points.
        label: the coordinate of a token that holds its label.
    """
    return _Loss.apply(W, tokens, targets, label)


def weights(W: Tensor, tokens: Tensor) -> Tensor:
    """Attention weights of the query ``(c, b, n + 1)``."""
    c, b, n, D = tokens.shape
    turned = torch.bmm(tokens[:, :, -1], W.transpose(1, 2)).view(c * b, D, 1)
    return torch.bmm(tokens.reshape(c * b, n, D), turned).view(c, b, n).softmax(-1)


def errors(p: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """ŷ - y_* ``(c, b)`` as Σ p_i (y_i - y_*) - p_q y_*: where it is 1e-12, a difference of ŷ and y_* is rounding."""
    context, query = p[..., :-1], p[..., -1]
    return (context * (labels - targets.unsqueeze(-1))).sum(-1) - query * targets


def parameters_of(W: Tensor, d: int, label: int) -> dict[str, Tensor]:
    """ξ1, ξ2 and how much of W lies outside the two-parameter family, each ``(c,)``.

    The column of the label meets the query's label, which is 0, and is left out.
    """
    xi1 = W[:, :d, :d].diagonal(dim1=1, dim2=2).mean(1)
    mark = label + 1
    xi2 = -W[:, mark, mark]
    inside = torch.zeros_like(W)
    inside[:, :d, :d] = torch.eye(d, dtype=W.dtype) * xi1.view(-1, 1, 1)
    inside[:, mark, mark] = -xi2
    seen = torch.ones(W.shape[-1], dtype=W.dtype)
    seen[label] = 0
    rest, whole = ((W - inside) * seen).flatten(1), (W * seen).flatten(1)
    return {"xi1": xi1, "xi2": xi2, "off_structure": rest.norm(dim=1) / whole.norm(dim=1).clamp_min(1e-30)}
