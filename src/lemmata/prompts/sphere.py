"""Labelled points on the sphere and a query: which point is nearest is all there is to learn.

    x_1 .. x_n, x_q uniform on S^(d-1),  labels y_i independent of them,  target = y of argmin_i ||x_i - x_q||.

Reference: Li, Cao, Gao, He, Liu, Klusowski, Fan, Wang (2024), arXiv 2411.10830, Assumption 1 and section 2. Names: our
n is the paper's N, a prompt has n + 1 tokens. Token: ``(x, y, 0)``, for the query ``(x_q, 0, 1)``, width d + 2.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.draws import normal, uniform
from lemmata.parameters import check, parameter
from lemmata.prompts.prompt import PromptLaw, Prompts

Labels = Literal["sign", "normal"]


@dataclass(frozen=True)
class LabelledPoints(Prompts):
    """Prompts of points with labels.

    Args:
        points: ``(c, b, n + 1, d)``, the query last.
        labels: ``(c, b, n)``.
        nearest: ``(c, b)`` int64, the context point nearest to the query.
    """

    points: Tensor
    labels: Tensor
    nearest: Tensor

    @property
    def targets(self) -> Tensor:
        """Label of the nearest point, ``(c, b)``."""
        return self.labels.gather(2, self.nearest.unsqueeze(2)).squeeze(2)

    @property
    def tokens(self) -> Tensor:
        """``(c, b, n + 1, d + 2)``: point, label (0 for the query), 1 at the query."""
        label = F.pad(self.labels, (0, 1))
        query = torch.zeros_like(label)
        query[..., -1] = 1
        return torch.cat([self.points, label.unsqueeze(-1), query.unsqueeze(-1)], -1)

    @property
    def tokens_with_norms(self) -> Tensor:
        """The same and ``||x||^2`` in a last coordinate, ``(c, b, n + 1, d + 3)``: then distances are scores too."""
        return torch.cat([self.tokens, self.points.square().sum(-1, keepdim=True)], -1)

    @property
    def inner_products(self) -> Tensor:
        """``<x_i, x_q>``, ``(c, b, n)``; cosines where points have unit length."""
        return (self.points[..., :-1, :] * self.points[..., -1:, :]).sum(-1)


def nearest_point(points: Tensor) -> Tensor:
    """The context point nearest to the query in Euclidean distance, the first of several; ``(c, b, n + 1, d)`` →
    ``(c, b)``."""
    context, query = points[..., :-1, :], points[..., -1:, :]
    return (context.square().sum(-1) - 2 * (context * query).sum(-1)).argmin(-1)


@dataclass(frozen=True)
class SpherePrompts(PromptLaw[LabelledPoints]):
    """The training law: all points and the query independent and uniform on the sphere.

    Args:
        n: context points.
        d: dimension of the space the sphere lies in.
        labels: independent fair signs, or standard normals.

    Raises:
        OutOfRange: a number outside its range.
    """

    n: int = parameter("points in the context n", int, units="points", least=1, default=16)
    d: int = parameter("dimension d", int, units="dimensions", least=2, default=8)
    labels: Labels = parameter("law of the labels", str, choices=("sign", "normal"), default="sign")

    def __post_init__(self) -> None:
        check(self)

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> LabelledPoints:
        """Prompts whose query is a point of its own; see :meth:`PromptLaw.draw`."""
        points = on_sphere(self.gaussian(seeds, name, (prompts, self.n + 1, self.d), dtype))
        return LabelledPoints(points, self.drawn_labels(seeds, name, prompts, dtype), nearest_point(points))

    def gaussian(self, seeds: Tensor, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The normals that the points are made of."""
        return normal(seeds, f"{name}/points", shape, dtype)

    def drawn_labels(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype) -> Tensor:
        """``(c, b, n)``."""
        if self.labels == "normal":
            return normal(seeds, f"{name}/labels", (prompts, self.n), dtype)
        return (uniform(seeds, f"{name}/labels", (prompts, self.n)) < 0.5).to(dtype) * 2 - 1


def on_sphere(vectors: Tensor) -> Tensor:
    """Vectors divided by their lengths."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
