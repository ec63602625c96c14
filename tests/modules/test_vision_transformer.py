"""The vision transformer against its own formula, written with loops, and dropout that counters decide."""

import math

import pytest
import torch

from lemmata.modules.vision_transformer import VisionTransformer


def made(dropout=0.0):
    net = VisionTransformer(
        side=6, channels=2, patch=3, width=8, layers=2, heads=3, head_size=5, hidden=7, dropout=dropout
    )
    net.reset_parameters(4)
    return net.double()


def by_loops(net, image):
    patches = [image[:, a : a + 3, b : b + 3].reshape(-1) for a in (0, 3) for b in (0, 3)]
    h = [net.embed(patch) + place for patch, place in zip(patches, net.positions)]
    for block in net.blocks:
        asked = [block.attend(block.before_attention(token)).view(3, 3, 5) for token in h]  # q k v, heads, size
        heads = []
        for query in asked:
            scores = torch.stack([(query[0] * key[1]).sum(-1) / math.sqrt(5) for key in asked])  # (tokens, heads)
            weights = scores.softmax(0)
            heads.append(sum(w[:, None] * value[2] for w, value in zip(weights, asked)).reshape(-1))
        h = [token + block.mix(head) for token, head in zip(h, heads)]
        gelu = torch.nn.functional.gelu
        h = [token + block.narrow(gelu(block.widen(block.before_mlp(token)))) for token in h]
    return net.head(sum(net.norm(token) for token in h) / 4)


def test_it_is_its_formula():
    net, images = made(), torch.randn(3, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = net.eval()(images)
        for image, scores in zip(images, found):
            torch.testing.assert_close(scores, by_loops(net, image), rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="patches of 4"):
        VisionTransformer(side=6, channels=1, patch=4, width=8, layers=1, heads=1, head_size=8, hidden=8)


def test_dropout_is_a_function_of_its_key():
    net, images = made(0.3).train(), torch.ones(2, 2, 6, 6, dtype=torch.float64)
    drawn = []
    for key in (1, 1, 2):
        net.reseed(key)
        torch.rand(3)  # the global generator plays no part
        drawn.append(net(images))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(net.eval()(images), net(images))
    net.train().dropout.rate = 0.25
    net.reseed(5)
    kept = net.dropout(torch.ones(10_000, dtype=torch.float64))
    assert set(kept.unique().tolist()) == {0.0, 1 / 0.75}
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)
