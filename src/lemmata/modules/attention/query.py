"""The last block where only one token of it is read: keys and values of the others are never formed.

With u_h = K_h^T (Q_h x_q + b_q), a key's score is u_h . x_j + b_k . (Q_h x_q + b_q), and the value read is
V_h sum_j a_j x_j + b_v sum_j a_j: two products with the tokens as they are instead of projecting all of them. It is the
same function (the key's bias cancels in a softmax), at the cost of a block on one token.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.modules.attention.blocks import (
    Weights,
    after_attention,
    attention_weights,
    linear,
    on_top,
    side_by_side,
)
from lemmata.modules.attention.network import Block


def last_block(
    kind: Block, weights: Weights, layer: int, rows: Tensor, n: int, times: Tensor | None, at: int
) -> Tensor:
    """The block's output at token ``at`` (-1: last, 0: first) of each prompt, ``(c, b * n, E)`` → ``(c, b, E)``.

    Without causal masks, or with ``at=-1``, which reads everything under one.
    """
    c, _, E = rows.shape
    here = rows.view(c, -1, n, E)[:, :, at]
    if kind.heads:
        attend = _merged if kind.key_query == "merged" else _factored
        here = here + attend(kind, weights, layer, rows, n, times, at)
    return after_attention(kind, weights, layer, here)


def _merged(kind: Block, weights: Weights, layer: int, rows: Tensor, n: int, times: Tensor | None, at: int) -> Tensor:
    c, r, E = rows.shape
    prompts = c * (r // n)
    read = _normed(kind, weights, layer, rows)
    tokens = read.view(prompts, n, E)
    query = read.view(c, -1, n, E)[:, :, at]
    turned = torch.bmm(query, side_by_side(weights[f"{layer}.kq"])).view(prompts, kind.heads, E)
    scores = torch.bmm(turned, tokens.transpose(1, 2)).unsqueeze(2)  # (c b, heads, 1, n)
    a = attention_weights(kind.kind, scores, times, causal=False).squeeze(2)
    out = torch.bmm(a, tokens).view(c, -1, kind.heads * E)
    return torch.bmm(out, on_top(weights[f"{layer}.value"]))


def _factored(kind: Block, weights: Weights, layer: int, rows: Tensor, n: int, times: Tensor | None, at: int) -> Tensor:
    """Gain and shift of the normalisation go into the query and onto the result, not onto every token."""
    c, r, E = rows.shape
    b, heads, width = r // n, kind.heads, E // kind.heads
    matrix, bias = weights[f"{layer}.qkv.w"], weights[f"{layer}.qkv.b"]
    to_query, to_key, to_value = matrix[:, :, :E], matrix[:, :, E : 2 * E], matrix[:, :, 2 * E :]
    if kind.norm == "pre":
        gain, shift = weights[f"{layer}.n1.w"].unsqueeze(1), weights[f"{layer}.n1.b"].unsqueeze(1)
        plain = F.layer_norm(rows, (E,))
    else:
        gain, shift, plain = rows.new_ones(c, 1, E), rows.new_zeros(c, 1, E), rows
    here = torch.addcmul(shift, plain.view(c, b, n, E)[:, :, at], gain)
    q = torch.baddbmm(bias[:, None, :E], here, to_query).view(c, b, heads, width) / math.sqrt(width)
    by_head = q.transpose(1, 2).reshape(c * heads, b, width)
    keys = to_key.view(c, E, heads, width).permute(0, 2, 3, 1).reshape(c * heads, width, E)
    u = torch.bmm(by_head, keys).view(c, heads, b, E).transpose(1, 2)  # (c, b, heads, E)
    tokens = plain.view(c * b, n, E)
    scores = torch.bmm((u * gain.unsqueeze(1)).reshape(c * b, heads, E), tokens.transpose(1, 2))
    if kind.kind != "softmax":  # there shift and bias of the keys cancel
        constant = (u * shift.unsqueeze(1)).sum(-1) + (q * bias[:, E : 2 * E].view(c, 1, heads, width)).sum(-1)
        scores = scores + constant.view(c * b, heads, 1)
    a = attention_weights(kind.kind, scores.unsqueeze(2), times, causal=False).squeeze(2)  # (c b, heads, n)
    total = a.sum(-1).view(c, b, heads, 1)
    read = torch.bmm(a, tokens).view(c, b, heads, E)
    read = read * gain.unsqueeze(1) + total * shift.unsqueeze(1)
    values = to_value.view(c, E, heads, width).transpose(1, 2).reshape(c * heads, E, width)
    out = torch.bmm(read.transpose(1, 2).reshape(c * heads, b, E), values).view(c, heads, b, width).transpose(1, 2)
    out = out + total * bias[:, 2 * E :].view(c, 1, heads, width)
    return linear(weights, f"{layer}.out", out.reshape(c, b, E))


def _normed(kind: Block, weights: Weights, layer: int, rows: Tensor) -> Tensor:
    if kind.norm != "pre":
        return rows
    gain, shift = weights[f"{layer}.n1.w"], weights[f"{layer}.n1.b"]
    return torch.addcmul(shift.unsqueeze(1), F.layer_norm(rows, rows.shape[-1:]), gain.unsqueeze(1))
