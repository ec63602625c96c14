"""Attention networks whose parameters have the cells first: one code for one network, an ensemble, a construction.

AttentionNetwork, Block      what a network is: widths, heads, kinds, read-out (network.py)
network.start(seeds)         first parameters, {name: (c, ...)}; a constructed weight set is the same dictionary
apply(network, parameters, prompts)       the function, in the cheapest of three equal forms (apply.py)
traced(network, parameters, tokens)       and its hidden states and attention weights by layer
to_module, to_multihead_attention         ordinary PyTorch modules with a cell's parameters (export.py)
"""

from lemmata.modules.attention.apply import apply, form_of, traced
from lemmata.modules.attention.blocks import Trace
from lemmata.modules.attention.export import AttentionModule, to_module, to_multihead_attention
from lemmata.modules.attention.network import AttentionNetwork, Block

__all__ = [
    "AttentionModule",
    "AttentionNetwork",
    "Block",
    "Trace",
    "apply",
    "form_of",
    "to_module",
    "to_multihead_attention",
    "traced",
]
