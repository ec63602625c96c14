"""The prompts: a soft nearest token, small enough for thousands of networks, and pure noise as labels.

Rows of a prompt are its n tokens: features x ~ N(0, s I), then the label ±1 of every token but the last, which asks,
then 0 for the answer; with ``ones`` a 1 comes first. The answer is read at the last token's last number:

    y = Σ_k softmax_k(κ ⟨x_k, x_n⟩) label_k,   κ = 3          "nearest"
    y ~ N(0, 0.64), whatever the prompt                       "noise": fitted only by interpolation

Derived here; it stands for the paper's bounded regression tasks (Gao et al. 2024, arXiv 2410.23610, section 2.1), whose
own experiments are on images, see ``images.py``. s = 0.7 is a variance.
"""

import torch
from torch import Tensor

from lemmata.draws import normal, uniform

SHARPNESS = 3.0
NOISE = 0.8
"""Standard deviation of pure-noise targets."""


def prompts(
    seeds: Tensor, count: int, tokens: int, features: int, variance: float, labels: str, ones: bool
) -> tuple[Tensor, Tensor]:
    """Prompts ``(c, s, n, d)`` and targets ``(c, s)``, float64; d = features + 2, and one more with ``ones``."""
    x = variance**0.5 * normal(seeds, "features", (count, tokens, features))
    own = torch.where(uniform(seeds, "labels", (count, tokens - 1)) < 0.5, -1.0, 1.0).to(x.dtype)
    shown = torch.cat([own, torch.zeros_like(own[..., :1])], -1).unsqueeze(-1)
    parts = [torch.ones_like(shown)] * ones + [x, shown, torch.zeros_like(shown)]
    if labels == "noise":
        targets = NOISE * normal(seeds, "targets", (count,))
    else:
        nearness = SHARPNESS * (x[..., :-1, :] * x[..., -1:, :]).sum(-1)
        targets = (nearness.softmax(-1) * own).sum(-1)
    return torch.cat(parts, -1), targets


def readout(tokens: int, width: int) -> Tensor:
    """The last number of the last token, ``(n, d)``, as the paper reads it."""
    weights = torch.zeros(tokens, width, dtype=torch.float64)
    weights[-1, -1] = 1.0
    return weights
