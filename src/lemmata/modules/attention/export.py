"""A cell's network as ordinary PyTorch: an ``nn.Module`` written the way people write it, and a MultiheadAttention.

The module shares no code with :mod:`lemmata.modules.attention.blocks`, so it is also what tests hold that to.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lemmata.modules.attention.network import AttentionNetwork, Block

_NAMES = {"w": "weight", "b": "bias"}


class AttentionModule(nn.Module):
    """The network of one cell; ``(b, n, inputs)`` → what :func:`~lemmata.modules.attention.apply` gives, without c."""

    def __init__(self, network: AttentionNetwork) -> None:
        super().__init__()
        self.network, E = network, network.hidden_width
        self.read = nn.Identity() if network.width is None else nn.Linear(network.inputs, E)
        self.positions = nn.Parameter(torch.zeros(network.positions, E)) if network.positions else None
        self.blocks = nn.ModuleList(_BlockModule(block, E, network.causal) for block in network.blocks)
        self.nf = nn.LayerNorm(E) if network.final_norm else nn.Identity()
        entering = E * max(1, network.tokens)
        self.head = nn.Identity() if network.outputs is None else nn.Linear(entering, network.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of this network."""
        h = self.read(x)
        if self.positions is not None:
            h = h + self.positions[: h.shape[1]]
        for block in self.blocks:
            h = block(h)
        readout = self.network.readout
        if readout in ("query", "first"):
            h = h[:, -1 if readout == "query" else 0]
        h = self.nf(h)
        if readout in ("mean", "flatten"):
            h = h.mean(1) if readout == "mean" else h.flatten(1)
        return self.head(h)


class _BlockModule(nn.Module):
    def __init__(self, kind: Block, E: int, causal: bool) -> None:
        super().__init__()
        self.kind, self.causal = kind, causal
        pre = kind.norm == "pre"
        if kind.heads:
            self.n1 = nn.LayerNorm(E) if pre else nn.Identity()
            if kind.key_query == "factored":
                self.qkv, self.out = nn.Linear(E, 3 * E), nn.Linear(E, E)
            else:
                self.kq = nn.Parameter(torch.zeros(kind.heads, E, E))
                self.value = nn.Parameter(torch.zeros(kind.heads, E, E))
        if kind.norm == "unit":
            self.unit = nn.Parameter(torch.zeros(E))
        if kind.hidden:
            self.n2 = nn.LayerNorm(E) if pre else nn.Identity()
            self.up, self.down = nn.Linear(E, kind.hidden), nn.Linear(kind.hidden, E)

    def forward(self, h: Tensor) -> Tensor:
        if self.kind.heads:
            x = self.n1(h)
            h = h + (self._factored(x) if self.kind.key_query == "factored" else self._merged(x))
        if self.kind.norm == "unit":
            marked = self.unit > 0
            length = h[..., marked].norm(dim=-1, keepdim=True)
            h = torch.where(marked, h / torch.where(length > 0, length, torch.ones_like(length)), h)
        if self.kind.hidden:
            x = self.up(self.n2(h))
            h = h + self.down(F.gelu(x) if self.kind.activation == "gelu" else F.relu(x))
        return h

    def _factored(self, x: Tensor) -> Tensor:
        b, n, E = x.shape
        heads = self.kind.heads
        q, k, v = self.qkv(x).view(b, n, 3, heads, E // heads).permute(2, 0, 3, 1, 4)
        if self.kind.kind == "softmax":
            out = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            out = self._weights(q @ k.transpose(-1, -2) / math.sqrt(E // heads)) @ v
        return self.out(out.transpose(1, 2).reshape(b, n, E))

    def _merged(self, x: Tensor) -> Tensor:
        scores = torch.einsum("bjd,hde,bie->bhij", x, self.kq, x)
        return torch.einsum("bhij,hde,bje->bid", self._weights(scores), self.value, x)

    def _weights(self, scores: Tensor) -> Tensor:
        n = scores.shape[-1]
        seen = torch.ones(n, n, dtype=torch.bool, device=scores.device)
        seen = seen.tril() if self.causal else seen
        if self.kind.kind == "softmax":
            return scores.masked_fill(~seen, -math.inf).softmax(-1)
        a = F.relu(scores) if self.kind.kind == "relu" else scores
        return a * seen / seen.sum(-1, keepdim=True)


def to_module(network: AttentionNetwork, parameters: dict[str, Tensor], cell: int = 0) -> AttentionModule:
    """An ordinary module with the parameters of one cell, copied.

    Raises:
        ValueError: parameters that are not this network's, or a cell that is not there.
    """
    cells = network.check(parameters)
    if not -cells <= cell < cells:
        raise ValueError(f"cell {cell} was asked for; there are {cells}, numbered from 0")
    dtype = next(iter(parameters.values())).dtype if parameters else torch.float32
    module = AttentionModule(network).to(dtype)
    state = {}
    for name, tensor in parameters.items():
        *path, last = name.split(".")
        if path and path[0].isdigit():
            path = ["blocks", *path]
        value = tensor[cell].detach()
        if last == "w" and value.ndim == 2:
            value = value.T
        state[".".join([*path, _NAMES.get(last, last)])] = value
    module.load_state_dict(state)
    return module


def to_multihead_attention(
    network: AttentionNetwork, parameters: dict[str, Tensor], layer: int, cell: int = 0
) -> nn.MultiheadAttention:
    """The attention of one layer of one cell as ``torch.nn.MultiheadAttention`` (``batch_first``), without the norm.

    Raises:
        ValueError: a layer that is not softmax, has no heads, or whose merged heads each see the whole width.
    """
    kind, E = network.blocks[layer], network.hidden_width
    if kind.kind != "softmax" or not kind.heads:
        raise ValueError(f"layer {layer} has {kind.heads} heads of {kind.kind} attention; PyTorch's module has softmax")
    if kind.key_query == "merged" and kind.heads > 1:
        raise ValueError(
            f"layer {layer} has {kind.heads} merged heads of width {E} each, and PyTorch's module cuts the width among "
            "its heads; export one with a single head, or use to_module"
        )
    mine = {name.removeprefix(f"{layer}."): tensor[cell].detach() for name, tensor in parameters.items()}
    module = nn.MultiheadAttention(E, kind.heads, batch_first=True, dtype=next(iter(mine.values())).dtype)
    assert module.in_proj_weight is not None  # keys and values are as wide as queries
    with torch.no_grad():
        if kind.key_query == "factored":
            module.in_proj_weight.copy_(mine["qkv.w"].T)
            module.in_proj_bias.copy_(mine["qkv.b"])
            module.out_proj.weight.copy_(mine["out.w"].T)
            module.out_proj.bias.copy_(mine["out.b"])
        else:  # the module divides scores by sqrt(E)
            eye = torch.eye(E, dtype=mine["kq"].dtype)
            module.in_proj_weight.copy_(torch.cat([mine["kq"][0] * math.sqrt(E), eye, mine["value"][0]]))
            module.in_proj_bias.zero_()
            module.out_proj.weight.copy_(eye)
            module.out_proj.bias.zero_()
    return module
