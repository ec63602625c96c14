"""Bodies that run the written weights in float64 on fresh clouds, beside plain power iteration in numpy.

Reference: He, Cao, Chen, Wu, Fan, Liu (2025), arXiv 2501.01312; see :mod:`lemmata.papers.spectral.construction`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lemmata.draws import cell_seeds, normal
from lemmata.modules.attention import traced
from lemmata.papers.spectral import theory
from lemmata.papers.spectral.construction import PowerIteration
from lemmata.papers.spectral.theory import Hinges
from lemmata.parameters import Parameter, check, parameter
from lemmata.prompts.pca import PlantedSpectrum, PointClouds
from lemmata.sweep import Body, Variable
from lemmata.sweep.bodies.of_task import as_column

NORMALISERS = ("norm", "relu attention")


@dataclass(frozen=True)
class ConstructedBody(Body):
    """One constructed network per cell, asked about clouds with a planted spectrum."""

    power_steps: int = parameter("power steps per eigenvector τ", int, units="steps", least=1, default=10)
    ratio: float = parameter("ratio of eigenvalues λ_(j+1)/λ_j", above=0, most=1, per_cell=True, default=0.5)
    largest: float = parameter("largest eigenvalue λ_1", above=0, scale="log", per_cell=True, default=8.0)
    n: int = parameter("points n", int, units="points", least=2, default=60)
    d: int = parameter("dimension d", int, units="dimensions", least=1, default=8)
    k: int = parameter("eigenpairs k", int, least=1, default=3, axis=False)
    normaliser: str = parameter("normaliser", str, choices=NORMALISERS, default="norm")
    knots: int = parameter("geometric knots of the normaliser", int, units="knots", least=2, default=24)
    near_one: bool = parameter("five more knots near 1", bool, default=True)
    polish: int = parameter("polishing rounds", int, units="rounds", least=0, default=4)
    clouds: int = parameter("clouds asked about", int, units="clouds", least=1, default=20)
    compared: int = parameter("clouds compared with numpy", int, units="clouds", least=0, default=2, axis=False)

    def __post_init__(self) -> None:
        check(self)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """How near the eigenpairs, and how near numpy's power iteration."""
        return {
            "cosine": Variable(("j",), "1", "median |cos| with the eigenvector"),
            "tangent": Variable(("j",), "1", "tan of the angle to the eigenvector, geometric mean"),
            "start_tangent": Variable((), "1", "tan of the angle of the start, geometric mean"),
            "value_error": Variable((), "1", "largest relative error of an eigenvalue"),
            "length_error": Variable((), "1", "largest distance of a vector's length from one"),
            "disagreement": Variable((), "1", "largest difference from numpy's power iteration"),
            "layers": Variable((), "layers", "attention layers"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Indices of eigenvectors."""
        return {"j": np.arange(1, self.k + 1)}

    def labels(self) -> dict[str, Any]:
        """Of the indices."""
        return {"j": Parameter("index j", int)}

    @property
    def hinges(self) -> Hinges | None:
        """Of the normaliser, if it is one of attention."""
        return None if self.normaliser == "norm" else Hinges.geometric(self.knots, near_one=self.near_one)

    @property
    def what(self) -> PowerIteration:
        """What is constructed."""
        return PowerIteration(self.d, self.k, self.power_steps, self.hinges, self.polish)

    def asked(self, points: Sequence[dict[str, Any]]) -> tuple[Self, PointClouds, Tensor]:
        """The body set to a tile, its clouds and the starts ``(c, k, d)``."""
        shared = {name: v for name, v in points[0].items() if self.parameters()[name].per_cell is not True}
        body = self.at(shared)
        assert isinstance(body, type(self))
        seeds = cell_seeds(0, [int(point.get("seed", 0)) for point in points])
        ratio, largest = (as_column(self, points, name, torch.float64) for name in ("ratio", "largest"))
        law = PlantedSpectrum(body.n, body.d, body.k, largest=largest, ratio=ratio, exact=True)
        return body, law.draw(seeds, "clouds", body.clouds, torch.float64), normal(seeds, "starts", (body.k, body.d))

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile."""
        body, clouds, starts = self.asked(points)
        built = body.what.components(starts)
        vectors, values = body.what.read(built(clouds.points), body.n)
        length = torch.linalg.vector_norm(vectors, dim=-1)
        tangent = tangents(vectors, clouds.vectors)
        start = tangents(starts[:, None, :1].expand(-1, body.clouds, -1, -1), clouds.vectors[:, :, :1])
        found = {
            "cosine": (vectors * clouds.vectors).sum(-1).abs().div(length).median(1).values,
            "tangent": tangent.log().mean(1).exp(),
            "start_tangent": start.log().mean((1, 2)).exp(),
            "value_error": (values / clouds.values - 1).abs().amax((1, 2)),
            "length_error": (length - 1).abs().amax((1, 2)),
            "layers": torch.full((len(points),), float(len(built.network.blocks))),
        }
        by_hand = [body.by_hand(clouds, starts, vectors, values, c) for c in range(len(points))]
        return {**{name: value.numpy() for name, value in found.items()}, "disagreement": np.array(by_hand)}

    def by_hand(self, clouds: PointClouds, starts: Tensor, vectors: Tensor, values: Tensor, c: int) -> float:
        """Largest difference of vectors, and of relative eigenvalues, from the algorithm's."""
        rule, polish = (self.hinges.normalise, self.polish) if self.hinges else (theory.unit, 0)
        worst = np.nan
        for b in range(min(self.compared, self.clouds)):
            cloud = clouds.points[c, b].numpy()
            v, value = theory.power_iteration(cloud, starts[c].numpy(), self.power_steps, rule, polish)
            off = np.abs(v - vectors[c, b].numpy()).max(), np.abs(values[c, b].numpy() / value - 1).max()
            worst = np.fmax(worst, max(off))
        return float(worst)


@dataclass(frozen=True)
class LayersBody(ConstructedBody):
    """What the iterate and the points of one cloud look like after each layer."""

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Along the layers, for each eigenvector; missing beyond the last layer."""
        return {
            "overlap": Variable(("layer", "j"), "1", "|cos| of the iterate with the eigenvector"),
            "variance": Variable(("layer", "j"), "1", "variance of the points along the eigenvector over λ_1"),
            "by_hand": Variable(("layer", "j"), "1", "|cos| of numpy's iterate with the eigenvector"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Layers and indices."""
        return {**super().coordinates, "layer": np.arange(theory.depth(self.k, self.power_steps) + 1)}

    def labels(self) -> dict[str, Any]:
        """Of these."""
        return {**super().labels(), "layer": Parameter("attention layer", int, units="layers")}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile, of the first cloud of each cell."""
        body, clouds, starts = self.asked(points)
        built = body.what.components(starts)
        _, trace = traced(built.network, built.parameters, clouds.points[:, :1])
        hidden = torch.stack([h[:, 0] for h in trace.hidden], 1)  # (c, layer, n, E)
        axes = clouds.vectors[:, None, 0]  # (c, 1, k, d)
        iterate = hidden[:, :, 0, list(built.rows["v"])].unsqueeze(2)
        overlap = (iterate * axes).sum(-1).abs() / torch.linalg.vector_norm(iterate, dim=-1).clamp_min(1e-300)
        x = hidden[..., list(built.rows["x"])]
        along = ((x - x.mean(2, keepdim=True)) @ axes.mT).square().sum(2) / (body.n - 1)
        by_hand = np.stack([body.iterates(clouds, starts, c) for c in range(len(points))])
        shown = {"overlap": overlap, "variance": along / clouds.values[:, None, 0, :1]}
        return {**{name: value.numpy() for name, value in shown.items()}, "by_hand": by_hand}

    def iterates(self, clouds: PointClouds, starts: Tensor, c: int) -> np.ndarray:
        """|cos| ``(layer, j)`` of the algorithm's iterates at the layers that hold them; missing at the others."""
        trace: list[np.ndarray] = []
        theory.power_iteration(clouds.points[c, 0].numpy(), starts[c].numpy(), self.power_steps, trace=trace)
        found = np.full((theory.depth(self.k, self.power_steps) + 1, self.k), np.nan)
        for t, v in enumerate(trace):
            j, step = divmod(t, self.power_steps)
            found[2 + j * (self.power_steps + 2) + step] = np.abs(clouds.vectors[c, 0].numpy() @ v)
        return found


def tangents(vectors: Tensor, axes: Tensor) -> Tensor:
    """tan of the angles between lines, exact where they are small; ``(..., d)`` and unit ``(..., d)`` → ``(...)``."""
    along = (vectors * axes).sum(-1, keepdim=True)
    across = torch.linalg.vector_norm(vectors - along * axes, dim=-1)
    return (across / along.squeeze(-1).abs().clamp_min(1e-300)).clamp_min(1e-300)
