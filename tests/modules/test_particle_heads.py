"""Particles and ordinary multi-head attention are one function, both ways."""

import pytest
import torch

from lemmata.draws import cell_seeds, normal
from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particle_heads import heads_of, to_heads, to_particles
from lemmata.modules.particle_transformer import ParticleTransformer

N, D, M = 5, 4, 6
SEED = cell_seeds(0, [3])


@pytest.mark.parametrize("particle", [Attention(), Attention(causal=True), Attention(rank=3), Attention(2, True)])
def test_heads_are_the_particles(particle):
    tokens, theta = normal(SEED, "tokens", (7, N, D)), normal(SEED, "theta", (M, particle.size(D)))
    weight = 0.5 / (8 * M)
    module = to_heads(particle, theta[0], weight)
    wanted = tokens + weight * particle.act(tokens, theta)
    assert float((module(tokens[0]) - wanted[0]).abs().max()) < 1e-12
    back, found = to_particles(module, weight)
    assert float((tokens + weight * back.act(tokens, found.unsqueeze(0)) - wanted).abs().max()) < 1e-12
    if particle.rank:
        assert back == particle
        assert torch.allclose(found, theta[0], atol=1e-13)


def test_heads_of_a_whole_network():
    transformer = ParticleTransformer((Attention(), FeedForward()))
    theta, tokens = normal(SEED, "theta", (3, M, transformer.size(D))), normal(SEED, "tokens", (7, N, D))
    modules, states = heads_of(transformer, theta[0], D), transformer.trajectory(theta, tokens)
    for layer, module in enumerate(modules):
        assert float((module(states[2 * layer][0]) - states[2 * layer + 1][0]).detach().abs().max()) < 1e-12
    with pytest.raises(ValueError, match="without attention particles"):
        heads_of(ParticleTransformer((FeedForward(),)), theta[0], D)
