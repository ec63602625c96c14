"""Particles as ordinary multi-head attention, and back: one head per particle, the average folded into the output.

    query_m = A_m,  key_m = I,  value_m = I,  output = (η/(LM)) [V_1 … V_M],  scores unscaled

A particle's head is as wide as a token: it merges key with query, and value with output, so two of four matrices are
the identity. With a rank r heads are r wide and none is. Reference: Gao et al. 2024, arXiv 2410.23610, section 2.2.
"""

import math

import torch
from torch import Tensor, nn

from lemmata.modules.attention_particle import Attention
from lemmata.modules.particle_transformer import ParticleTransformer


class AttentionOfHeads(nn.Module):
    """Multi-head attention with a residual, as models are usually written: tokens ``(s, n, d)`` → ``(s, n, d)``.

    ``query``, ``key``, ``value`` are linear maps d → heads · size, ``output`` back, all without biases; scores are
    divided by √size.
    """

    def __init__(self, width: int, heads: int, size: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value = (nn.Linear(width, heads * size, bias=False) for _ in range(3))
        self.output = nn.Linear(heads * size, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (
            part(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return tokens + self.output(attended.transpose(1, 2).flatten(2))


def to_heads(particle: Attention, theta: Tensor, weight: float) -> AttentionOfHeads:
    """The module of one layer's attention particles ``(M, P)``, whose half step weighs ``weight``, e.g. η/(LM)."""
    heads, numbers = theta.shape
    size = _size(particle, numbers)
    width = numbers // (4 * particle.rank) if particle.rank else size
    module = AttentionOfHeads(width, heads, size, particle.causal).to(theta.device, theta.dtype)
    whole = math.sqrt(size)  # takes back the module's own scale of scores
    if particle.rank is None:
        value, key_query = (part.view(heads, width, width) for part in theta.split(width * width, -1))
        eye = torch.eye(width, dtype=theta.dtype, device=theta.device).expand(heads, width, width)
        output, inner, key, query = value, eye, eye, key_query
    else:
        output, inner, key, query = (part.view(heads, -1) for part in theta.split(width * size, -1))
        output = output.view(heads, width, size)
        inner, key, query = (part.view(heads, size, width) for part in (inner, key, query))
    with torch.no_grad():
        module.query.weight.copy_(whole * query.reshape(heads * size, width))
        module.key.weight.copy_(key.reshape(heads * size, width))
        module.value.weight.copy_(inner.reshape(heads * size, width))
        module.output.weight.copy_(weight * output.permute(1, 0, 2).reshape(width, heads * size))
    return module


def to_particles(module: AttentionOfHeads, weight: float) -> tuple[Attention, Tensor]:
    """The particles ``(M, P)`` of a module's heads, of rank its heads' size, for half steps that weigh ``weight``."""
    heads = module.heads
    size, width = module.query.weight.shape[0] // heads, module.query.weight.shape[1]
    query, key, inner = (
        part.weight.detach().view(heads, size, width) for part in (module.query, module.key, module.value)
    )
    output = module.output.weight.detach().view(width, heads, size).permute(1, 0, 2) / weight
    parts = (output, inner, key, query / math.sqrt(size))
    return Attention(rank=size, causal=module.causal), torch.cat([part.flatten(1) for part in parts], 1)


def heads_of(transformer: ParticleTransformer, theta: Tensor, width: int) -> list[AttentionOfHeads]:
    """The attention of every layer of one network ``(L, M, P)``, as modules.

    Raises:
        ValueError: a transformer without an attention particle.
    """
    places = [i for i, particle in enumerate(transformer.particles) if isinstance(particle, Attention)]
    if not places:
        raise ValueError("heads were asked for of a Transformer without attention particles")
    weight = transformer.weight(*theta.shape[:2])
    made = []
    for layer in theta:
        for place in places:
            particle = transformer.particles[place]
            assert isinstance(particle, Attention)
            made.append(to_heads(particle, transformer.parts(layer, width)[place], weight))
    return made


def _size(particle: Attention, numbers: int) -> int:
    return particle.rank or math.isqrt(numbers // 2)
