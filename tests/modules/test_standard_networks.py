"""The published networks: sizes, shapes, causality, and first weights that depend on the seed alone."""

import math

import pytest
import torch

from lemmata.modules.gpt2 import GPT2
from lemmata.modules.resnet import ResNet
from lemmata.modules.small_cnn import SmallCNN
from lemmata.modules.small_transformer import SmallTransformer
from lemmata.modules.vgg import VGG16

SMALL = {
    "resnet18": (lambda: ResNet("resnet18", 4), (2, 3, 32, 32)),
    "resnet50": (lambda: ResNet("resnet50", 4), (2, 3, 32, 32)),
    "vgg16": (lambda: VGG16(4), (2, 3, 32, 32)),
    "cnn": (lambda: SmallCNN(4), (2, 1, 8, 8)),
    "transformer": (lambda: SmallTransformer(8, 1, 2), (2, 1, 8, 8)),
}


@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (lambda: ResNet("resnet18"), 11.17),
        (lambda: ResNet("resnet50"), 23.52),
        (lambda: VGG16(), 14.73),
        (lambda: GPT2(50257), 124.35),  # 124.44 with the biases that nanoGPT's recipe leaves out
        (lambda: GPT2(50257, width=1024, depth=24, heads=16), 354.50),
    ],
    ids=["resnet18", "resnet50", "vgg16", "small", "medium"],
)
def test_numbers_of_weights_are_the_published_ones(make, millions):
    with torch.device("meta"):
        model = make()
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=1e-3)


@pytest.mark.parametrize("name", SMALL)
def test_scores_have_a_column_a_class_and_every_weight_a_gradient(name):
    make, shape = SMALL[name]
    model = make()
    model.reset_parameters(0)
    scores = model(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (2, 10)
    scores.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", [*SMALL, "gpt2"])
def test_first_weights_depend_on_the_seed_alone(name):
    make = SMALL[name][0] if name in SMALL else lambda: GPT2(16, 8, 8, 1, 2)
    first, again, other = make(), make(), make()
    torch.rand(3)
    for model, seed in ((first, 5), (again, 5), (other, 6)):
        model.reset_parameters(seed)
    drawn = [p for p in first.parameters() if p.ndim > 1]
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), again.parameters()))
    assert not any(torch.equal(p, q) for p, q in zip(drawn, (q for q in other.parameters() if q.ndim > 1)))


def test_gpt2_starts_with_the_laws_of_its_recipe():
    model = GPT2(512, 32, 64, 3, 4).requires_grad_(False)
    model.reset_parameters(0)
    assert float(model.embedding.weight.std()) == pytest.approx(0.02, rel=0.05)
    assert float(model.blocks[2].narrow.weight.std()) == pytest.approx(0.02 / math.sqrt(6), rel=0.05)
    loss = torch.nn.functional.cross_entropy(model(torch.arange(32)[None])[0], torch.arange(32) + 1)
    assert float(loss) == pytest.approx(math.log(512), rel=0.05)


def test_gpt2_does_not_see_the_future_and_sees_all_of_the_past():
    model = GPT2(16, 8, 16, 2, 2)
    model.reset_parameters(0)
    for parameter in model.parameters():
        parameter.data.mul_(10)
    tokens = torch.arange(8)[None]
    for place in range(8):
        changed = tokens.clone()
        changed[0, place] = 15
        moved = (model(changed) - model(tokens)).abs().amax((0, 2)) > 1e-7
        assert moved.tolist() == [at >= place for at in range(8)]
    with pytest.raises(ValueError, match="9 tokens were given; this network reads 8"):
        model(torch.zeros(1, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="width 16 cannot be split among 3 heads"):
        GPT2(16, 8, 16, 2, 3)


def test_gpt2_equals_attention_written_out():
    model = GPT2(16, 8, 8, 1, 2)
    model.reset_parameters(1)
    (block,) = model.blocks
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    h = model.embedding.weight[tokens[0]] + model.positions.weight[:5]
    q, k, v = block.attend(block.before_attention(h)).split(8, dim=-1)
    mixed = torch.zeros(5, 8)
    for head in (slice(0, 4), slice(4, 8)):
        for t in range(5):
            weight = torch.softmax(k[: t + 1, head] @ q[t, head] / 2.0, 0)
            mixed[t, head] = weight @ v[: t + 1, head]
    h = h + block.mix(mixed)
    h = h + block.narrow(torch.nn.functional.gelu(block.widen(block.before_mlp(h))))
    torch.testing.assert_close(model(tokens)[0], model.norm(h) @ model.embedding.weight.T)
