"""What an attention network is: frozen descriptions, and the shapes and first values of its parameters.

A block acts on tokens h_1 .. h_n (columns of width E; rows in memory), with every sum over heads:

    h_i <- h_i + sum_heads V sum_j a_ij N(h_j),     a_ij = softmax_j s_ij | max(s_ij, 0) / n | s_ij / n
    h_i <- h_i + W2 σ(W1 N(h_i) + b1) + b2

with N a layer normalisation ("pre") or nothing, and scores

    s_ij = (K N(h_j) + b_k) . (Q N(h_i) + b_q) / sqrt(E / heads)   "factored"      N(h_j)^T KQ N(h_i)   "merged"

Softmax: Vaswani et al. (2017), arXiv 1706.03762; ReLU over the number of tokens: Bai et al.
(2023), arXiv 2306.04637; the merged key-query is how theories write it.

Parameters are a dictionary name → tensor with the cells first, here for block ``i``:

    read.w (c, inputs, E), read.b (c, E)       if ``width`` is given; otherwise tokens enter as they are, E = inputs
    positions (c, positions, E)                if ``positions``
    i.n1.w, i.n1.b, i.n2.w, i.n2.b (c, E)      gain and shift of normalisations, if ``norm="pre"``
    i.qkv.w (c, E, 3E), i.qkv.b, i.out.w (c, E, E), i.out.b            "factored": queries, keys, values side by side
    i.kq (c, heads, E, E), i.value (c, heads, E, E)                    "merged": score h_j^T kq h_i, output value h_j
    i.unit (c, E)                              1 at the rows brought to unit length after attention, if ``norm="unit"``
    i.up.w (c, E, hidden), i.up.b, i.down.w (c, hidden, E), i.down.b   if ``hidden``
    nf.w, nf.b (c, E)                          the last normalisation, if ``final_norm``
    head.w (c, E or tokens * E, outputs), head.b                       if ``outputs`` is given
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.draws import normal

Kind = Literal["softmax", "relu", "linear"]
KeyQuery = Literal["factored", "merged"]
Norm = Literal["pre", "none", "unit"]
Readout = Literal["query", "first", "mean", "flatten", "all"]


@dataclass(frozen=True)
class Block:
    """One layer: attention, then a feed-forward network on each token.

    Args:
        heads: number of heads; 0 leaves attention out.
        kind: what becomes of scores: softmax over the tokens, ReLU over their number, or nothing over their number.
        key_query: keys and queries of width E / heads with biases ("factored"), or one E x E matrix a head ("merged").
        hidden: units of the feed-forward network; 0 leaves it out.
        activation: of these units.
        norm: "pre" normalises what attention and feed-forward read; "unit" brings marked rows of each token to unit
            length between the two (constructions use it); "none".

    Raises:
        ValueError: an unknown kind, or numbers that describe no block.
    """

    heads: int = 1
    kind: Kind = "softmax"
    key_query: KeyQuery = "factored"
    hidden: int = 0
    activation: Literal["gelu", "relu"] = "gelu"
    norm: Norm = "pre"

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} was asked for; there are {', '.join(known)}")
        for name in ("heads", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} = {value!r} was asked for; it must be a whole number, 0 to leave it out")


@dataclass(frozen=True)
class AttentionNetwork:
    """A network of blocks; see the module's text for what it computes and its parameters.

    Args:
        inputs: width of a token.
        blocks: the layers.
        width: E, if tokens are read in by a linear layer.
        outputs: width of the output, if hidden states are read out by a linear layer.
        positions: length of learned positions; 0 has none.
        causal: token i attends to tokens 1 .. i only.
        readout: which hidden states are read: the last token's, the first's, their mean, all side by side, or each.
        tokens: number of tokens, for ``readout="flatten"``.
        final_norm: a normalisation before the read-out.

    Raises:
        ValueError: heads that do not divide the width, and other numbers that describe no network.
    """

    inputs: int
    blocks: tuple[Block, ...]
    width: int | None = None
    outputs: int | None = None
    positions: int = 0
    causal: bool = False
    readout: Readout = "query"
    tokens: int = 0
    final_norm: bool = False

    def __post_init__(self) -> None:
        for name in ("inputs", "width", "outputs"):
            value = getattr(self, name)
            if (value is None and name == "inputs") or (value is not None and value < 1):
                raise ValueError(f"{name} = {value!r} was asked for; it must be a whole number of at least 1")
        if self.readout not in _READOUTS:
            raise ValueError(f"readout = {self.readout!r} was asked for; there are {', '.join(_READOUTS)}")
        if (self.readout == "flatten") != (self.tokens > 0):
            raise ValueError("readout='flatten' needs the number of tokens, and only it takes one; set both or neither")
        for block in self.blocks:
            if block.key_query == "factored" and block.heads and self.hidden_width % block.heads:
                raise ValueError(
                    f"{block.heads} heads were asked for and do not divide the width {self.hidden_width}; "
                    "take a divisor of it"
                )

    @classmethod
    def uniform(
        cls,
        inputs: int,
        outputs: int,
        *,
        layers: int,
        width: int,
        heads: int,
        kind: Kind = "softmax",
        positions: int = 0,
        causal: bool = False,
        readout: Readout = "query",
        tokens: int = 0,
    ) -> "AttentionNetwork":
        """The network people train: equal pre-norm blocks with feed-forward networks of 4 * width GELU units."""
        blocks = (Block(heads, kind, hidden=4 * width),) * layers
        return cls(inputs, blocks, width, outputs, positions, causal, readout, tokens, final_norm=True)

    @property
    def hidden_width(self) -> int:
        """E."""
        return self.inputs if self.width is None else self.width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter of one cell, in the order they are kept."""
        E = self.hidden_width
        shapes: dict[str, tuple[int, ...]] = {}
        if self.width is not None:
            shapes |= {"read.w": (self.inputs, E), "read.b": (E,)}
        if self.positions:
            shapes["positions"] = (self.positions, E)
        for i, block in enumerate(self.blocks):
            shapes |= {f"{i}.{name}": shape for name, shape in _block_shapes(block, E).items()}
        if self.final_norm:
            shapes |= {"nf.w": (E,), "nf.b": (E,)}
        if self.outputs is not None:
            entering = E * (self.tokens if self.readout == "flatten" else 1)
            shapes |= {"head.w": (entering, self.outputs), "head.b": (self.outputs,)}
        return shapes

    def start(self, seeds: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """First parameters of every cell: matrices normal with variance one over their inputs, gains 1, shifts 0.

        Args:
            seeds: ``(c,)`` int64; each matrix is a stream of its own.
        """
        return {name: self._first(name, shape, seeds, dtype) for name, shape in self.shapes().items()}

    def zeros(self, cells: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """All parameters 0 but gains, which are 1: where a construction starts from."""
        seeds = torch.zeros(cells, dtype=torch.int64)
        return {
            name: self._first(name, shape, seeds, dtype)
            if name.endswith(_GAINS)
            else torch.zeros(cells, *shape).to(dtype)
            for name, shape in self.shapes().items()
        }

    def check(self, parameters: dict[str, Tensor]) -> int:
        """The number of cells of a weight set that is made for this network.

        Raises:
            ValueError: a parameter missing or too many, or of another shape.
        """
        shapes = self.shapes()
        if set(parameters) != set(shapes):
            odd = sorted(set(parameters) ^ set(shapes))[0]
            what = "is missing" if odd in shapes else "is not one of the network's"
            raise ValueError(f"parameter {odd!r} {what}; the network has {', '.join(shapes)}")
        cells = {tensor.shape[0] for tensor in parameters.values()}
        for name, tensor in parameters.items():
            if tuple(tensor.shape[1:]) != shapes[name] or len(cells) > 1:
                raise ValueError(
                    f"parameter {name!r} came as {tuple(tensor.shape)}; this network wants (cells, "
                    f"{', '.join(map(str, shapes[name]))}), with one number of cells for all"
                )
        return cells.pop()

    def _first(self, name: str, shape: tuple[int, ...], seeds: Tensor, dtype: torch.dtype) -> Tensor:
        if name.endswith((*_GAINS, *_SHIFTS)):
            value = float(name.endswith(_GAINS))
            return torch.full((seeds.shape[0], *shape), value, dtype=dtype, device=seeds.device)
        return normal(seeds, f"weights/{name}", shape, dtype) * shape[-2] ** -0.5


def _block_shapes(block: Block, E: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    if block.norm == "pre" and block.heads:
        shapes |= {"n1.w": (E,), "n1.b": (E,)}
    if block.heads and block.key_query == "factored":
        shapes |= {"qkv.w": (E, 3 * E), "qkv.b": (3 * E,), "out.w": (E, E), "out.b": (E,)}
    elif block.heads:
        shapes |= {"kq": (block.heads, E, E), "value": (block.heads, E, E)}
    if block.norm == "unit":
        shapes["unit"] = (E,)
    if block.hidden:
        if block.norm == "pre":
            shapes |= {"n2.w": (E,), "n2.b": (E,)}
        shapes |= {"up.w": (E, block.hidden), "up.b": (block.hidden,)}
        shapes |= {"down.w": (block.hidden, E), "down.b": (E,)}
    return shapes


_CHOICES = {
    "kind": ("softmax", "relu", "linear"),
    "key_query": ("factored", "merged"),
    "activation": ("gelu", "relu"),
    "norm": ("pre", "none", "unit"),
}
_READOUTS = ("query", "first", "mean", "flatten", "all")
_GAINS = ("n1.w", "n2.w", "nf.w")
_SHIFTS = (".b", ".unit")
