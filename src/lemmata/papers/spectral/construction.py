"""Attention networks whose weights are written down: they do principal components and clustering by power iteration.

A token of width E is divided into named rows, filled from a point x by the read-in:

    x (d) | v (d) iterate | w (d) product | kept 1..k (d each) | value 1..k | one (1) | score

with ReLU attention over n tokens, every linear score s as two heads, max(s, 0) - max(-s, 0) = s:

    centre      x_i <- x_i - mean                                          score 1
    product     w <- w + (1/n) Σ_i x_i <x_i, v> = S v                      queries v, keys x, values x
    normalise   marked rows w to unit length (a norm), or by attention  v <- (1/n) Σ_i w_i f(<w_i, w>), v = 0 before
    shift       v <- w, w <- 0                                             feed-forward, exact
    deflate     x_i <- x_i - (1/n) Σ_j v_j <v_j, x_i>,  value <- <v, w>

No covariance is ever stored: E grows as k d. All tokens hold one iterate, and averaging over them keeps that true: if
each added a correction to its own w instead, rounding differences of tokens would grow as λ_1^τ. Reference: He, Cao,
Chen, Wu, Fan, Liu (2025), arXiv 2501.01312, whose layers form the covariance and normalise by sums of ReLUs; this
layout is ours. It computes :func:`lemmata.papers.spectral.theory.power_iteration` to rounding.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.modules.attention import AttentionNetwork, Block, apply
from lemmata.papers.spectral.theory import Hinges
from lemmata.parameters import check, parameter

Weights = dict[str, Tensor]


class Rows:
    """Which rows of a token hold what; ``rows["v"]`` is a range of indices."""

    def __init__(self, d: int, k: int) -> None:
        sizes = {"x": d, "v": d, "w": d, **{f"kept{j}": d for j in range(k)}, "value": k, "one": 1, "score": 1}
        self.at: dict[str, range] = {}
        self.width = 0
        for name, size in sizes.items():
            self.at[name] = range(self.width, self.width + size)
            self.width += size

    def __getitem__(self, name: str) -> range:
        return self.at[name]

    def copy(self, to: str | range, source: str | range, factor: float = 1.0) -> Tensor:
        """``(E, E)``, the matrix that writes factor * source into the rows ``to``."""
        matrix = torch.zeros(self.width, self.width, dtype=torch.float64)
        rows, columns = (part if isinstance(part, range) else self[part] for part in (to, source))
        matrix[list(rows), list(columns)] = factor
        return matrix

    @property
    def nothing(self) -> Tensor:
        """``(E, E)`` zeros."""
        return torch.zeros(self.width, self.width, dtype=torch.float64)


@dataclass
class _Layers:
    """Blocks and their weights, appended one by one; a feed-forward network goes to the block before it."""

    rows: Rows
    blocks: list[Block] = field(default_factory=list)
    weights: Weights = field(default_factory=dict)

    def attend(self, heads: list[tuple[Tensor, Tensor]], unit: bool = False, then: Tensor | None = None) -> None:
        """A layer of heads (score h_j^T KQ h_i, output value h_j), unit length of w, then h <- h + ``then`` h."""
        i, rows = len(self.blocks), self.rows
        self.weights[f"{i}.kq"] = torch.stack([kq for kq, _ in heads])
        self.weights[f"{i}.value"] = torch.stack([value for _, value in heads])
        if unit:
            self.weights[f"{i}.unit"] = torch.zeros(rows.width, dtype=torch.float64)
            self.weights[f"{i}.unit"][list(rows["w"])] = 1
        hidden = 0
        if then is not None:  # z = max(z, 0) - max(-z, 0), for the rows that are read
            read = then.abs().sum(0).nonzero().squeeze(1)
            one = torch.eye(rows.width, dtype=torch.float64)[:, read]
            hidden = self._feed_forward(i, torch.cat([one, -one], 1), torch.cat([then.T[read], -then.T[read]]))
        self.blocks.append(Block(len(heads), "relu", "merged", hidden, "relu", "unit" if unit else "none"))

    def soften(self, sharpness: float) -> None:
        """After the last block: score <- clip(sharpness * score, -1, 1)."""
        i, (at,) = len(self.blocks) - 1, self.rows["score"]
        up = torch.zeros(self.rows.width, 4, dtype=torch.float64)
        up[at] = torch.tensor([sharpness, sharpness, 1, -1], dtype=torch.float64)
        down = torch.zeros(4, self.rows.width, dtype=torch.float64)
        down[:, at] = torch.tensor([1, -1, -1, 1], dtype=torch.float64)
        hidden = self._feed_forward(i, up, down)
        self.weights[f"{i}.up.b"][:2] = torch.tensor([1.0, -1.0], dtype=torch.float64)
        self.weights[f"{i}.down.b"][at] = -1
        self.blocks[i] = Block(self.blocks[i].heads, "relu", "merged", hidden, "relu", self.blocks[i].norm)

    def _feed_forward(self, i: int, up: Tensor, down: Tensor) -> int:
        self.weights |= {f"{i}.up.w": up, f"{i}.up.b": torch.zeros(up.shape[1], dtype=up.dtype)}
        self.weights |= {f"{i}.down.w": down, f"{i}.down.b": torch.zeros(self.rows.width, dtype=up.dtype)}
        return int(up.shape[1])


def _linear(kq: Tensor, value: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(kq, value), (-kq, -value)]


def _power(layers: _Layers, steps: int, hinges: Hinges | None, polish: int) -> None:
    """``steps`` of v <- S v with length one."""
    rows = layers.rows
    product = _linear(rows.copy("x", "v"), rows.copy("w", "x"))
    shift = rows.copy("v", "w") - rows.copy("v", "v") - rows.copy("w", "w")
    shift_back = rows.copy("w", "v") - rows.copy("v", "v") - rows.copy("w", "w")
    for step in range(steps):
        if hinges is None:
            layers.attend(product, unit=True, then=shift)
            continue
        layers.attend(product, then=-rows.copy("v", "v"))
        always, length, out = rows.copy("one", "one"), rows.copy("w", "w"), rows.copy("v", "w")
        heads = [(always, out * hinges.constant)]
        heads += [(always * t - length, out * b) for t, b in zip(hinges.knots[1:], hinges.weights.tolist())]
        for left in range(polish if step == steps - 1 else 0, -1, -1):
            layers.attend(heads, then=shift_back if left else -rows.copy("w", "w"))


@dataclass(frozen=True)
class Constructed:
    """A network with written weights.

    Args:
        network: reads points ``(c, b, n, d)``.
        parameters: float64, one cell per row of starts.
        rows: what the rows of a hidden state hold.
    """

    network: AttentionNetwork
    parameters: Weights
    rows: Rows

    def __call__(self, points: Tensor) -> Tensor:
        """Outputs of the network, in the dtype of the points."""
        own = {name: weight.to(points.dtype) for name, weight in self.parameters.items()}
        return apply(self.network, own, points)


@dataclass(frozen=True)
class PowerIteration:
    """What to construct.

    Args:
        d, k: dimension of the points and number of eigenpairs.
        steps: τ, products per eigenvector.
        hinges: normalise by ReLU attention with these; None for a norm layer.
        polish: further normalisations at the end of each eigenvector, with hinges.

    Raises:
        ValueError: k > d, or a number outside its range.
    """

    d: int = parameter("dimension d", int, units="dimensions", least=1)
    k: int = parameter("eigenpairs k", int, least=1, default=1)
    steps: int = parameter("power steps τ", int, units="steps", least=1, default=10)
    hinges: Hinges | None = None
    polish: int = parameter("polishing rounds", int, least=0, default=4)

    def __post_init__(self) -> None:
        check(self)
        if self.k > self.d:
            raise ValueError(f"{self.k} eigenpairs in R^{self.d} were asked for; take 1 to {self.d}")

    def components(self, starts: Tensor) -> Constructed:
        """Principal components; outputs ``(c, b, k (d + 1))``, see :meth:`read`.

        Args:
            starts: ``(c, k, d)`` start vectors, none orthogonal to its eigenvector.
        """
        rows = Rows(self.d, self.k)
        layers = self._centred(rows)
        for j in range(self.k):
            _power(layers, self.steps, self.hinges, self.polish)
            layers.attend(_linear(rows.copy("x", "v"), rows.copy("w", "x")))
            value = rows.copy(rows["value"][j : j + 1], "one")
            remove = _linear(rows.copy("v", "x"), rows.copy("x", "v", -1.0))
            following = rows.copy("v", f"kept{j + 1}") if j + 1 < self.k else rows.nothing
            keep = rows.copy(f"kept{j}", "v") - rows.copy(f"kept{j}", f"kept{j}")
            then = keep + following - rows.copy("v", "v") - rows.copy("w", "w")
            layers.attend([*_linear(rows.copy("v", "w"), value), *remove], then=then)
        read = [*(index for j in range(self.k) for index in rows[f"kept{j}"]), *rows["value"]]
        return self._finished(layers, starts, read, "first")

    def clusters(self, starts: Tensor, sharpness: float = 50.0) -> Constructed:
        """Two clusters by the side of the first principal axis; outputs ``(c, b, n, 1)`` in [-1, 1].

        Args:
            starts: ``(c, 1, d)``.
            sharpness: slope of the soft sign at 0.
        """
        if self.k != 1:
            raise ValueError(f"k = {self.k} was asked for; two clusters are told apart by one eigenvector, take k = 1")
        rows = Rows(self.d, 1)
        layers = self._centred(rows)
        _power(layers, self.steps, self.hinges, self.polish)
        layers.attend(_linear(rows.copy("v", "x"), rows.copy("score", "one")))
        layers.soften(sharpness)
        return self._finished(layers, starts, list(rows["score"]), "all")

    def read(self, outputs: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Vectors ``(c, b, k, d)`` and eigenvalues ``(c, b, k)`` with divisor n - 1."""
        vectors, values = outputs.split([self.k * self.d, self.k], -1)
        return vectors.unflatten(-1, (self.k, self.d)), values * (n / max(n - 1, 1))

    def _centred(self, rows: Rows) -> _Layers:
        layers = _Layers(rows)
        layers.attend([(rows.copy("one", "one"), rows.copy("x", "x", -1.0))])
        return layers

    def _finished(self, layers: _Layers, starts: Tensor, read: list[int], readout: str) -> Constructed:
        c, k, d = starts.shape
        if (k, d) != (self.k, self.d):
            raise ValueError(f"starts came as {tuple(starts.shape)}; give (cells, {self.k}, {self.d})")
        rows, E = layers.rows, layers.rows.width
        enter = torch.zeros(d, E, dtype=torch.float64)
        enter[range(d), list(rows["x"])] = 1
        constants = torch.zeros(c, E, dtype=torch.float64)
        constants[:, list(rows["one"])] = 1
        for j in range(k):  # a start waits where its eigenvector will be kept
            constants[:, list(rows["v" if j == 0 else f"kept{j}"])] = starts[:, j].double()
        leave = torch.zeros(E, len(read), dtype=torch.float64)
        leave[read, range(len(read))] = 1
        shared = {"read.w": enter, **layers.weights, "head.w": leave, "head.b": leave.new_zeros(len(read))}
        parameters = {name: weight.expand(c, *weight.shape) for name, weight in shared.items()}
        network = AttentionNetwork(d, tuple(layers.blocks), width=E, outputs=len(read), readout=readout)  # type: ignore[arg-type]
        return Constructed(network, {**parameters, "read.b": constants}, rows)
