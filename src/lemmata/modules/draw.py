"""First weights of a ``torch.nn.Module`` from counters: a pure function of the seed and of each parameter's name.

So a network starts the same on every device, in any process and after any other draw. Laws are those of the papers and
codes that the networks come from; a network's ``reset_parameters(seed)`` says which.
"""

import math

import torch
from torch import Tensor, nn

from lemmata.draws import cell_seeds, normal, uniform


@torch.no_grad()
def draw_normal(parameter: Tensor, seed: int, name: str, std: float) -> None:
    """Fill with independent normals of mean 0."""
    parameter.copy_(std * normal(cell_seeds(0, [seed]), f"weights/{name}", parameter.shape)[0])


@torch.no_grad()
def draw_uniform(parameter: Tensor, seed: int, name: str, bound: float) -> None:
    """Fill with independent uniforms in (-bound, bound)."""
    draw = uniform(cell_seeds(0, [seed]), f"weights/{name}", parameter.shape)[0]
    parameter.copy_(bound * (2 * draw - 1))


def draw_like_torch(module: nn.Module, seed: int) -> None:
    """The laws that ``nn.Linear``, ``nn.Conv2d`` and ``nn.Embedding`` have when they are made, from counters.

    Weights and biases of the first two are uniform in ±1/√fan_in, embeddings standard normal; other parameters keep
    what they have.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(part.weight[0].numel())
            draw_uniform(part.weight, seed, f"{name}.weight", bound)
            if part.bias is not None:
                draw_uniform(part.bias, seed, f"{name}.bias", bound)
        elif isinstance(part, nn.Embedding):
            draw_normal(part.weight, seed, f"{name}.weight", 1.0)
