"""Laws of particles, over all members, and starts that are blocks of larger ones."""

import pytest
import torch

from lemmata.draws import cell_seeds, normal
from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particle_start import ParticleStart
from lemmata.modules.particle_transformer import ParticleTransformer
from lemmata.modules.particles import Normed, Particle, with_ones
from tests.members.particles import MEMBERS
from tests.oracles import particles as slow

C, S, N, D, M = 3, 5, 4, 3, 6
members = pytest.mark.parametrize("particle", MEMBERS.values(), ids=MEMBERS.keys())


def drawn(particle, c=C, m=M):
    seeds = cell_seeds(1, range(c))
    return normal(seeds, "tokens", (S, N, D)), normal(seeds, "theta", (m, particle.size(D)))


def relative(a, b):
    return float((a - b).norm() / b.norm())


@members
def test_pullback_is_autograds(particle):
    tokens, theta = drawn(particle)
    p = normal(cell_seeds(2, range(C)), "p", (S, N, D))
    at = tokens.clone().requires_grad_(), theta.clone().requires_grad_()
    out = particle.act(*at)
    wanted = torch.autograd.grad(out, at, p)
    found_out, pull = particle.pullback(tokens, theta)
    assert relative(found_out, out.detach()) < 1e-14
    for found, want in zip(pull(p), wanted):
        assert relative(found, want) < 2e-14


@members
def test_acts_as_the_sum_of_its_particles_one_prompt_and_one_cell_at_a_time(particle):
    tokens, theta = drawn(particle)
    whole = particle.act(tokens, theta)
    for c in range(C):
        for s in range(S):
            parts = [particle.act(tokens[c : c + 1, s : s + 1], theta[c : c + 1, m : m + 1]) for m in range(M)]
            assert torch.allclose(whole[c, s], sum(parts)[0, 0], rtol=1e-12, atol=1e-14)


@members
def test_a_cell_does_not_know_its_tile_and_a_nan_stays_home(particle):
    tokens, theta = drawn(particle)
    out = particle.act(tokens, theta)
    alone = particle.act(tokens[1:2], theta[1:2])
    assert torch.equal(out[1:2], alone) or relative(out[1:2], alone) < 1e-14
    theta[0] = torch.nan
    assert torch.equal(particle.act(tokens, theta)[1:], out[1:])


@members
def test_homogeneous_numbers_scale_the_output(particle):
    tokens, theta = drawn(particle)
    part = particle.homogeneous(D)
    for factor in (3.0, -0.5, 0.0):
        scaled = theta.clone()
        scaled[..., part] *= factor
        assert torch.allclose(particle.act(tokens, scaled), factor * particle.act(tokens, theta), atol=1e-12)
    assert particle.spread(D).shape == (particle.size(D),)
    assert bool((particle.spread(D) > 0).all())


def test_attention_and_neurons_are_the_papers():
    for particle, twin in (
        (Attention(), slow.attention),
        (Attention(causal=True), lambda T, w: slow.attention(T, w, True)),
        (FeedForward(), slow.neuron),
        (FeedForward("gelu"), lambda T, w: slow.neuron(T, w, torch.nn.functional.gelu)),
        (FeedForward("relu", bias=False), lambda T, w: slow.neuron(T, w, torch.relu, False)),
    ):
        tokens, theta = drawn(particle)
        found = particle.act(tokens, theta)
        wanted = torch.stack(
            [torch.stack([sum(twin(T.T, beta) for beta in theta[c]).T for T in tokens[c]]) for c in range(C)]
        )
        assert relative(found, wanted) < 1e-14


def test_low_rank_is_a_product_of_matrices():
    low = Attention(rank=2)
    tokens, theta = drawn(low)
    o, u, k, q = (x.reshape(C, M, *shape) for x, shape in zip(theta.split(2 * D, -1), [(D, 2), (2, D)] + 2 * [(2, D)]))
    whole = torch.cat([(o @ u).flatten(2), (k.transpose(2, 3) @ q).flatten(2)], -1)
    assert relative(low.act(tokens, theta), Attention().act(tokens, whole)) < 1e-13


def test_ones_carry_the_bias():
    free, own = FeedForward(bias=False), FeedForward(bias=True)
    tokens, theta = drawn(own)
    a, b, beta = theta.split([D, D, 1], -1)
    wide = torch.cat([torch.zeros_like(beta), a, beta, b], -1)
    assert relative(free.act(with_ones(tokens), wide)[..., 1:], own.act(tokens, theta)) < 1e-14
    assert float(free.act(torch.zeros(1, 1, N, D), torch.ones(1, 1, free.size(D))).abs().max()) == 0


def test_layer_norm_warns():
    with pytest.warns(UserWarning, match="outside the theory"):
        Normed(FeedForward())


@pytest.mark.parametrize("law", ["gaussian", "ball"])
@pytest.mark.parametrize("mode", ["iid", "path"])
def test_a_small_network_is_bitwise_a_block_of_the_reference(law, mode):
    transformer, seeds = ParticleTransformer(), cell_seeds(3, range(2))
    start = ParticleStart(law, mode, radius=2.0)
    whole = start.draw(transformer, seeds, D, 4, 12)
    first = torch.tensor([0, 5])
    block = start.draw(transformer, seeds, D, 4, 3, first)
    assert torch.equal(block[0], whole[0, :, :3])
    assert torch.equal(block[1], whole[1, :, 5:8])
    assert torch.equal(start.draw(transformer, seeds, D, 2, 12), whole[:, :2])
    assert torch.equal(whole[:, 0], whole[:, 3]) == (mode == "path")


def test_laws_of_the_start():
    transformer, seeds = ParticleTransformer(), cell_seeds(3, range(4))
    size = transformer.size(D)
    ball = ParticleStart("ball", radius=2.0).draw(transformer, seeds, D, 8, 500).double()
    norms = ball.norm(dim=-1).flatten()
    assert float(norms.max()) <= 2.0 + 1e-6
    assert abs(float((norms / 2).pow(size).mean()) - 0.5) < 0.01  # uniform on a ball: (r/R)^P is uniform
    drawn = ParticleStart().draw(transformer, seeds, D, 8, 500).double().flatten(0, 2)
    wanted = torch.cat([particle.spread(D) for particle in transformer.particles])
    assert float((drawn.std(0) / wanted - 1).abs().max()) < 0.03
    assert float((drawn.mean(0) / wanted).abs().max()) < 0.03
    lags = (drawn[1:] * drawn[:-1]).mean(0) / wanted**2  # neighbouring indices are independent
    assert float(lags.abs().max()) < 0.04


class TooWide(Particle):
    """Forgets a coordinate of its tokens."""

    def size(self, width):
        return 1

    def act(self, tokens, theta):
        return tokens[..., :-1]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ParticleStart().draw(ParticleTransformer(), cell_seeds(0, [0]), D, 0, 3), "0 layers of 3 particles"),
        (lambda: ParticleStart().draw(ParticleTransformer(), cell_seeds(0, [0]), D, 2, 0), "2 layers of 0 particles"),
        (lambda: ParticleTransformer(half_step=0.0), "half_step = 0.0"),
        (lambda: ParticleTransformer(particles=()), "no particles"),
        (lambda: Attention(rank=0), "rank = 0"),
        (lambda: FeedForward("softsign"), "activation = 'softsign'"),
        (lambda: ParticleStart(law="cauchy"), "law = 'cauchy'"),
        (
            lambda: ParticleTransformer((TooWide(),)).check_against(torch.zeros(1, 2, N, D), torch.zeros(1, 1, 1, 1)),
            "must have the shape of its tokens",
        ),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
