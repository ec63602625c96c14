"""The parts of a block as functions of parameters with the cells first, every token through every layer.

Rows are ``(c, b * n, E)`` throughout: c cells, b prompts of n tokens, so that a linear layer is one batched product for
any number of cells. Only ``bmm`` multiplies: a product that broadcasts folds a single cell otherwise, and a cell would
know its tile in the last bit. Reference for what is computed: :mod:`lemmata.modules.attention.network`.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.modules.attention.network import Block, Kind

Weights = dict[str, Tensor]


@dataclass
class Trace:
    """What a network computed on the way, by layer.

    Args:
        hidden: ``(c, b, n, E)`` each: the tokens as they enter the first block, then after each block.
        attention: ``(c, b, heads, n, n)`` each, row i the weights with which token i reads the others; empty tensors
            for blocks without attention.
    """

    hidden: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)


def linear(weights: Weights, name: str, rows: Tensor) -> Tensor:
    """``rows (c, r, in) @ name.w (c, in, out) + name.b (c, out)``."""
    matrix, bias = weights[f"{name}.w"], weights[f"{name}.b"].unsqueeze(1)
    if matrix.shape[2] == 1:  # libraries sum a single column otherwise for one cell than for many
        return bias + (rows * matrix.transpose(1, 2)).sum(-1, keepdim=True)
    return torch.baddbmm(bias, rows, matrix)


def norm(weights: Weights, name: str, rows: Tensor) -> Tensor:
    """Layer normalisation of each row, with the cell's gain and shift."""
    whole = F.layer_norm(rows, rows.shape[-1:])
    return torch.addcmul(weights[f"{name}.b"].unsqueeze(1), whole, weights[f"{name}.w"].unsqueeze(1))


def block(
    kind: Block,
    weights: Weights,
    layer: int,
    rows: Tensor,
    n: int,
    times: Tensor | None,
    causal: bool,
    trace: Trace | None,
) -> Tensor:
    """One layer, ``(c, b * n, E)`` → the same.

    Args:
        times: ``(c, b, n)`` how often each token occurs (0: not there), or None for once.
        trace: gets the attention weights.
    """
    if kind.heads:
        read = norm(weights, f"{layer}.n1", rows) if kind.norm == "pre" else rows
        attend = attend_merged if kind.key_query == "merged" else attend_factored
        rows = rows + attend(kind, weights, layer, read, n, times, causal, trace)
    elif trace is not None:
        trace.attention.append(rows.new_zeros(0))
    return after_attention(kind, weights, layer, rows)


def after_attention(kind: Block, weights: Weights, layer: int, rows: Tensor) -> Tensor:
    """The rest of a block, token by token: unit lengths and feed-forward network."""
    if kind.norm == "unit":
        mark = weights[f"{layer}.unit"].unsqueeze(1)
        length = torch.linalg.vector_norm(rows * mark, dim=-1, keepdim=True)
        # Where no row is marked the length is 0 and nothing is divided.
        rows = torch.where(mark > 0, rows / torch.where(length > 0, length, torch.ones_like(length)), rows)
    if kind.hidden:
        read = norm(weights, f"{layer}.n2", rows) if kind.norm == "pre" else rows
        up = linear(weights, f"{layer}.up", read)
        rows = rows + linear(weights, f"{layer}.down", F.gelu(up) if kind.activation == "gelu" else torch.relu(up))
    return rows


def attend_factored(
    kind: Block,
    weights: Weights,
    layer: int,
    rows: Tensor,
    n: int,
    times: Tensor | None,
    causal: bool,
    trace: Trace | None,
) -> Tensor:
    """Heads of width E / heads with biases; ``(c, b * n, E)`` normed → the same."""
    c, r, E = rows.shape
    prompts, width = c * (r // n), E // kind.heads
    qkv = linear(weights, f"{layer}.qkv", rows).view(prompts, n, 3, kind.heads, width).permute(2, 0, 3, 1, 4)
    q, k, v = qkv  # (c b, heads, n, width)
    if kind.kind == "softmax" and trace is None:
        bias = None if times is None else times.log().view(prompts, 1, 1, n)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=_with_causal(bias, n, causal, q))
    else:
        scores = (q.flatten(0, 1) @ k.flatten(0, 1).transpose(1, 2)).view(prompts, kind.heads, n, n)
        a = attention_weights(kind.kind, scores, times, causal, width**-0.5)
        if trace is not None:
            trace.attention.append(a.view(c, -1, kind.heads, n, n))
        out = torch.bmm(a.flatten(0, 1), v.flatten(0, 1)).view(prompts, kind.heads, n, width)
    return linear(weights, f"{layer}.out", out.transpose(1, 2).reshape(c, r, E))


def attend_merged(
    kind: Block,
    weights: Weights,
    layer: int,
    rows: Tensor,
    n: int,
    times: Tensor | None,
    causal: bool,
    trace: Trace | None,
) -> Tensor:
    """Heads with scores h_j^T kq h_i and outputs value h_j; ``(c, b * n, E)`` → the same."""
    c, r, E = rows.shape
    prompts, heads = c * (r // n), kind.heads
    tokens = rows.view(prompts, n, E)
    turned = torch.bmm(rows, side_by_side(weights[f"{layer}.kq"])).view(prompts, n * heads, E)  # kq h_i for each head
    scores = torch.bmm(turned, tokens.transpose(1, 2)).view(prompts, n, heads, n).transpose(1, 2)
    a = attention_weights(kind.kind, scores, times, causal)
    if trace is not None:
        trace.attention.append(a.view(c, -1, heads, n, n))
    read = torch.bmm(a.transpose(1, 2).reshape(prompts, n * heads, n), tokens).view(c, r, heads * E)
    return torch.bmm(read, on_top(weights[f"{layer}.value"]))


def attention_weights(kind: Kind, scores: Tensor, times: Tensor | None, causal: bool, scale: float = 1.0) -> Tensor:
    """What scores ``(c b, heads, i, n)`` of queries i against keys become; every query is one of the last i tokens.

    Softmax counts a token ``times`` times by adding the logarithm; the others multiply by it and divide by the number
    of tokens that a query may read. Scores are multiplied by ``scale``, which passes through a ReLU.
    """
    queries, n = scores.shape[-2:]
    bias = None if times is None else times.log().view(-1, 1, 1, n)
    if kind == "softmax":
        scores, bias = scores if scale == 1 else scores * scale, _with_causal(bias, n, causal, scores)
        return (scores if bias is None else scores + bias[..., -queries:, :] if causal else scores + bias).softmax(-1)
    a = torch.relu(scores) if kind == "relu" else scores
    if times is None and not causal:
        return a * (scale / n)
    weight = scores.new_ones(1, 1, 1, n) if times is None else times.view(-1, 1, 1, n)
    if causal:
        weight = weight * torch.ones(n, n, dtype=scores.dtype, device=scores.device).tril()[-queries:]
    return a * (scale * weight / weight.sum(-1, keepdim=True))


def side_by_side(matrices: Tensor) -> Tensor:
    """``(c, heads, E, E)`` so that rows times it are all heads' ``matrix @ row``: ``(c, E, heads * E)``."""
    c, heads, E, _ = matrices.shape
    return matrices.permute(0, 3, 1, 2).reshape(c, E, heads * E)


def on_top(matrices: Tensor) -> Tensor:
    """``(c, heads, E, E)`` so that the heads' rows side by side times it are the sum of ``matrix @ row``."""
    c, heads, E, _ = matrices.shape
    return matrices.transpose(2, 3).reshape(c, heads * E, E)


def _with_causal(bias: Tensor | None, n: int, causal: bool, like: Tensor) -> Tensor | None:
    if not causal:
        return bias
    later = torch.full((n, n), -math.inf, dtype=like.dtype, device=like.device).triu(1)
    return later.view(1, 1, n, n) if bias is None else bias + later
