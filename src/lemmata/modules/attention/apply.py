"""The function that a network and its parameters are, in three forms that agree to rounding:

    dense    every token through every layer
    query    the last layer only at the token that is read               (read-outs "query" and "first")
    counts   and the first layer on the table of possible tokens         (prompts given as counts; no positions or mask)

On a CPU a small network fills a core by itself; what makes it faster is doing less for the same function.
"""

from typing import Literal

import torch
from torch import Tensor

from lemmata.modules.attention.blocks import Trace, Weights, block, linear, norm
from lemmata.modules.attention.counts import first_block, placed
from lemmata.modules.attention.network import AttentionNetwork
from lemmata.modules.attention.query import last_block
from lemmata.prompts.prompt import Multiset

Form = Literal["auto", "dense", "query", "counts"]


def form_of(network: AttentionNetwork, prompts: Tensor | Multiset) -> Form:
    """The cheapest form there is for these prompts."""
    if isinstance(prompts, Multiset):
        return "counts"
    return "query" if _reads_one(network) is not None else "dense"


def apply(
    network: AttentionNetwork,
    parameters: Weights,
    prompts: Tensor | Multiset,
    *,
    times: Tensor | None = None,
    form: Form = "auto",
    trace: Trace | None = None,
) -> Tensor:
    """Outputs of the c networks on their prompts.

    Args:
        parameters: name → ``(c, ...)``, trained or constructed.
        prompts: tokens ``(c, b, n, inputs)``, the query last; or counts of them.
        times: ``(c, b, n)`` how often each token occurs, 0 for padding; for tokens only.
        form: one of the three, or the cheapest that applies.
        trace: if given, gets hidden states and attention weights; then the form is dense.

    Returns:
        ``(c, b, outputs)``, or ``(c, b, n, outputs)`` for the read-out "all"; without a read-out layer E instead of
        outputs.

    Raises:
        ValueError: a prompt longer than the learned positions, of another width, or a form that does not apply.
    """
    form = _checked(network, prompts, times, form, trace)
    if isinstance(prompts, Multiset):
        return _of_counts(network, parameters, prompts, form)
    c, b, n, width = prompts.shape
    rows = prompts.reshape(c, b * n, width)
    if network.width is not None:
        rows = linear(parameters, "read", rows)
    if network.positions:
        rows = (rows.view(c, b, n, -1) + parameters["positions"][:, None, :n]).view(c, b * n, -1)
    return _layers(network, parameters, rows, n, times, 0, form, trace)


def traced(network: AttentionNetwork, parameters: Weights, tokens: Tensor) -> tuple[Tensor, Trace]:
    """Outputs as :func:`apply` gives them, with hidden states and attention weights by layer."""
    trace = Trace()
    return apply(network, parameters, tokens, trace=trace), trace


def _layers(
    network: AttentionNetwork,
    parameters: Weights,
    rows: Tensor,
    n: int,
    times: Tensor | None,
    first: int,
    form: Form,
    trace: Trace | None,
) -> Tensor:
    """Blocks from number ``first`` on, and the read-out, on rows ``(c, b * n, E)``."""
    c, at = rows.shape[0], _reads_one(network)
    last = len(network.blocks) - 1
    if trace is not None:
        trace.hidden.append(rows.view(c, -1, n, rows.shape[-1]))
    for i in range(first, last + 1):
        if i == last and form != "dense" and at is not None:
            return _read_out(network, parameters, last_block(network.blocks[i], parameters, i, rows, n, times, at))
        rows = block(network.blocks[i], parameters, i, rows, n, times, network.causal, trace)
        if trace is not None:
            trace.hidden.append(rows.view(c, -1, n, rows.shape[-1]))
    if at is not None:
        return _read_out(network, parameters, rows.view(c, -1, n, rows.shape[-1])[:, :, at])
    if network.final_norm:
        rows = norm(parameters, "nf", rows)
    hidden = rows.view(c, -1, n, rows.shape[-1])
    if network.readout == "mean":
        weight = torch.ones_like(hidden[..., 0]) if times is None else times
        hidden = (hidden * (weight / weight.sum(-1, keepdim=True)).unsqueeze(-1)).sum(2)
    elif network.readout == "flatten":
        hidden = hidden.flatten(2)
    if network.outputs is None:
        return hidden
    out = linear(parameters, "head", hidden.flatten(1, -2))
    return out.view(*hidden.shape[:-1], network.outputs)


def _of_counts(network: AttentionNetwork, parameters: Weights, prompts: Multiset, form: Form) -> Tensor:
    c, _, t = prompts.counts.shape
    table = prompts.table.expand(c, -1, -1)
    if network.width is not None:
        table = linear(parameters, "read", table)
    if form == "counts" and len(network.blocks) > 1:
        rows, first = first_block(network.blocks[0], parameters, table, prompts), 1
    else:
        rows, first = placed(table, prompts), 0
    return _layers(network, parameters, rows, t + 1, prompts.multiplicity, first, form, None)


def _read_out(network: AttentionNetwork, parameters: Weights, hidden: Tensor) -> Tensor:
    """``(c, b, E)`` → ``(c, b, outputs)``."""
    if network.final_norm:
        hidden = norm(parameters, "nf", hidden)
    return hidden if network.outputs is None else linear(parameters, "head", hidden)


def _reads_one(network: AttentionNetwork) -> int | None:
    """Where the one token stands that is read out, if it is one and sees all others."""
    if network.readout == "query":
        return -1
    return 0 if network.readout == "first" and not network.causal else None


def _checked(
    network: AttentionNetwork, prompts: Tensor | Multiset, times: Tensor | None, form: Form, trace: Trace | None
) -> Form:
    counted = isinstance(prompts, Multiset)
    width = prompts.table.shape[-1] if isinstance(prompts, Multiset) else prompts.shape[-1]
    if width != network.inputs:
        raise ValueError(
            f"tokens of width {width} were given to a network that reads {network.inputs}; make them agree"
        )
    if counted and (network.positions or network.causal or network.readout not in ("query", "mean")):
        raise ValueError(
            "prompts given as counts have no order, and this network has positions, a causal mask or reads more than "
            "the query; give it tokens"
        )
    if not isinstance(prompts, Multiset):
        n = prompts.shape[2]
        if network.positions and n > network.positions:
            raise ValueError(
                f"a prompt of {n} tokens was given to a network with {network.positions} learned positions; "
                f"give at most {network.positions}"
            )
        if network.readout == "flatten" and n != network.tokens:
            raise ValueError(
                f"a prompt of {n} tokens was given to a network that reads out {network.tokens}; give those"
            )
    if form == "counts" and not counted:
        raise ValueError("the form 'counts' was asked for with tokens; give a Multiset")
    if form == "query" and _reads_one(network) is None:
        raise ValueError(f"the form 'query' was asked for with the read-out {network.readout!r}; ask for 'dense'")
    if trace is not None:
        return "dense"
    return form_of(network, prompts) if form == "auto" else form
