"""The first block on prompts given as counts: work on the table of tokens once, not on every token of every prompt.

A network without positions and causal mask sees a prompt as a multiset. Token kinds v = 1 .. t with counts n_v and a
query q give, for the token of kind u,

    out_u = sum_v n_v e^{S_uv} V_v / sum_v n_v e^{S_uv}     (v over the t kinds and q, n_q = 1),

and e^S and V depend on the table alone: one product of the counts of all prompts with the table (e^S V | e^S) is the
whole attention layer, whatever the prompts' length. Later blocks see t + 1 tokens with multiplicities.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.modules.attention.blocks import Weights, after_attention, block, linear, norm
from lemmata.modules.attention.network import Block
from lemmata.prompts.prompt import Multiset

_SAFE = {torch.float32: 60.0, torch.float64: 600.0}
"""Largest spread of a query's scores: beyond it a token that is absent could drown those present in e^S."""


def first_block(kind: Block, weights: Weights, table: Tensor, prompts: Multiset) -> Tensor:
    """The first block, from the table's rows to the rows of all prompts.

    Args:
        table: ``(c, t + q, E)``, the table's tokens as they enter the block.

    Returns:
        ``(c, b * (t + 1), E)``: the token of each kind, then the query.
    """
    c, b, t = prompts.counts.shape
    rows = placed(table, prompts)
    times = prompts.multiplicity
    if not kind.heads:
        return after_attention(kind, weights, 0, rows)
    if kind.kind != "softmax" or kind.key_query != "factored":
        return block(kind, weights, 0, rows, t + 1, times, False, None)
    q, k, v = _projected(kind, weights, table)
    scores = torch.bmm(q, k.transpose(1, 2))  # (c heads, table, table), once for all prompts
    low, high = scores.detach().aminmax(dim=-1)
    if scores.device.type != "cpu" or float((high - low).max()) > _SAFE[scores.dtype]:
        return block(kind, weights, 0, rows, t + 1, times, False, None)
    heads, E = kind.heads, table.shape[-1]
    grown = (scores - high.unsqueeze(-1)).exp().view(c, heads, -1, table.shape[1])
    out = torch.cat([_of_context(grown, v, prompts, heads), _of_query(grown, v, prompts, heads)], 2)  # (c, b, t + 1, E)
    rows = rows + linear(weights, "0.out", out.view(c, b * (t + 1), E))
    return after_attention(kind, weights, 0, rows)


def placed(table: Tensor, prompts: Multiset) -> Tensor:
    """Rows of the table as rows of prompts: ``(c, t + q, E)`` → ``(c, b * (t + 1), E)``."""
    c, b, t = prompts.counts.shape
    context = table[:, None, :t].expand(c, b, t, table.shape[-1])
    query = torch.bmm(_which(prompts, table), table[:, t:]).unsqueeze(2)
    return torch.cat([context, query], 2).view(c, b * (t + 1), -1)


def _which(prompts: Multiset, like: Tensor) -> Tensor:
    """The query as an indicator ``(c, b, q)``: products with it have cheap gradients, a gather has not."""
    return F.one_hot(prompts.query, prompts.table.shape[0] - prompts.kinds).to(like.dtype)


def _projected(kind: Block, weights: Weights, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scaled queries, keys and values of the table's rows, each ``(c heads, table, width)``."""
    c, size, E = table.shape
    width = E // kind.heads
    read = norm(weights, "0.n1", table) if kind.norm == "pre" else table
    q, k, v = linear(weights, "0.qkv", read).view(c, size, 3, kind.heads, width).permute(2, 0, 3, 1, 4).flatten(1, 2)
    return q / math.sqrt(width), k, v


def _of_context(grown: Tensor, v: Tensor, prompts: Multiset, heads: int) -> Tensor:
    """What the token of each kind reads, ``(c, b, t, E)``; ``grown (c, heads, table, table)``."""
    c, b, t = prompts.counts.shape
    size, width = v.shape[1:]
    E = heads * width
    times = torch.cat([prompts.counts, _which(prompts, grown)], -1)  # (c, b, table)
    share = grown[:, :, :t].permute(0, 2, 3, 1)  # (c, t, table, heads)
    values = v.view(c, 1, heads, size, width).transpose(2, 3)
    above = (share.unsqueeze(-1) * values).reshape(c, t, size, E)
    both = torch.cat([above, share], -1).transpose(1, 2).reshape(c, size, t * (E + heads))
    both = torch.bmm(times, both).view(c, b, t, E + heads)
    return (both[..., :E].view(c, b, t, heads, width) / both[..., E:].unsqueeze(-1)).flatten(3)


def _of_query(grown: Tensor, v: Tensor, prompts: Multiset, heads: int) -> Tensor:
    """What the query reads, ``(c, b, 1, E)``."""
    c, b, t = prompts.counts.shape
    size, width = v.shape[1:]
    which = _which(prompts, grown)
    rows = grown[:, :, t:].transpose(1, 2).reshape(c, -1, heads * size)
    share = torch.bmm(which, rows).view(c, b, heads, size) * torch.cat([prompts.counts, which], -1).unsqueeze(2)
    share = (share / share.sum(-1, keepdim=True)).transpose(1, 2).reshape(c * heads, b, size)
    return torch.bmm(share, v).view(c, heads, b, width).permute(0, 2, 1, 3).reshape(c, b, 1, heads * width)
