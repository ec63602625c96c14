"""Laws of test prompts that differ from the training law on the sphere, from harmless ones to one that must fail.

    separated      the query is one of the points, and no other lies within squared distance δ of it
    anisotropic    points crowd where axes are long:  x ∝ diag(scales) g
    clustered      points crowd in a cap:             x ∝ mean e_1 + spread g
    longer/shorter n is another than in training
    unnormalised   points have lengths in [1, longest]: inner products order them otherwise than distances do

Reference for the first: Li et al. (2024), arXiv 2411.10830, Appendix B, with labels N(0, 1); the text reflects every
x_j within the distance, which can only mean every *other* one. The rest is ours.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import uniform
from lemmata.parameters import parameter
from lemmata.prompts.sphere import LabelledPoints, SpherePrompts, nearest_point, on_sphere


@dataclass(frozen=True)
class Separated(SpherePrompts):
    """x_i uniform, the query a copy of one of them, and every other x_j with ``||x_j - x_q||^2 <= delta`` turned to
    ``-x_j``; so ``<x_j, x_q> <= 1 - delta / 2`` for all others. Beyond δ = 2 a turned point could land inside."""

    delta: float | Tensor = parameter("separation δ (squared distance)", above=0, most=2, per_cell=True, default=0.1)

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> LabelledPoints:
        """See :meth:`PromptLaw.draw`."""
        context = on_sphere(self.gaussian(seeds, name, (prompts, self.n, self.d), dtype))
        chosen = (uniform(seeds, f"{name}/query", (prompts,)) * self.n).long()  # (c, b)
        index = chosen[..., None, None].expand(-1, -1, 1, self.d)
        query = context.gather(2, index)
        near = 2 - 2 * (context * query).sum(-1, keepdim=True)
        near = near <= per_cell(self.delta, near)
        context = torch.where(near, -context, context).scatter(2, index, query)
        labels = self.drawn_labels(seeds, name, prompts, dtype)
        return LabelledPoints(torch.cat([context, query], 2), labels, chosen)


@dataclass(frozen=True)
class Anisotropic(SpherePrompts):
    """Directions of normals whose standard deviations run evenly from ``thinnest`` to ``widest`` over the axes."""

    thinnest: float | Tensor = parameter("smallest axis scale", above=0, per_cell=True, default=0.3)
    widest: float | Tensor = parameter("largest axis scale", above=0, per_cell=True, default=2.0)

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> LabelledPoints:
        """See :meth:`PromptLaw.draw`."""
        g = self.gaussian(seeds, name, (prompts, self.n + 1, self.d), dtype)
        along = torch.linspace(0, 1, self.d, dtype=dtype, device=g.device).expand(g.shape)
        low, high = per_cell(self.thinnest, g), per_cell(self.widest, g)
        points = on_sphere(g * (low + (high - low) * along))
        return LabelledPoints(points, self.drawn_labels(seeds, name, prompts, dtype), nearest_point(points))


@dataclass(frozen=True)
class Clustered(SpherePrompts):
    """Directions of normals around the first axis: the smaller ``spread``, the smaller the cap they lie in."""

    spread: float | Tensor = parameter("spread around the centre", above=0, per_cell=True, default=0.5)

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> LabelledPoints:
        """See :meth:`PromptLaw.draw`."""
        g = self.gaussian(seeds, name, (prompts, self.n + 1, self.d), dtype)
        points = g * per_cell(self.spread, g)
        points[..., 0] += 1
        points = on_sphere(points)
        return LabelledPoints(points, self.drawn_labels(seeds, name, prompts, dtype), nearest_point(points))


@dataclass(frozen=True)
class Unnormalised(SpherePrompts):
    """Uniform directions, lengths uniform in [1, longest]; the nearest point is that of Euclidean distance."""

    longest: float | Tensor = parameter("largest length of a point", least=1, per_cell=True, default=1.5)

    def draw(self, seeds: Tensor, name: str, prompts: int, dtype: torch.dtype = torch.float32) -> LabelledPoints:
        """See :meth:`PromptLaw.draw`."""
        points = on_sphere(self.gaussian(seeds, name, (prompts, self.n + 1, self.d), dtype))
        share = uniform(seeds, f"{name}/lengths", (prompts, self.n + 1, 1), dtype)
        points = points * (1 + (per_cell(self.longest, share) - 1) * share)
        return LabelledPoints(points, self.drawn_labels(seeds, name, prompts, dtype), nearest_point(points))


def shift_suite(n: int, d: int, **labels: Any) -> dict[str, SpherePrompts]:
    """The laws a network trained on ``SpherePrompts(n, d)`` is tested on, by name; the first is its own."""
    return {
        "none": SpherePrompts(n, d, **labels),
        "separated": Separated(n, d, **labels),
        "anisotropic": Anisotropic(n, d, **labels),
        "clustered": Clustered(n, d, **labels),
        "longer": SpherePrompts(4 * n, d, **labels),
        "shorter": SpherePrompts(max(1, n // 4), d, **labels),
        "unnormalised": Unnormalised(n, d, **labels),
    }
