"""InfoNCE: against a loop over samples and negatives, the law of fresh augmentation, and what is refused."""

import dataclasses

import pytest
import torch

import lemmata as lm
from lemmata.data.paired import PairedSignalNoise
from lemmata.draws import cell_seeds, normal
from lemmata.nets.patch_encoder import PatchEncoder
from lemmata.objectives.info_nce import InfoNCE
from tests.laws import relative, sampled
from tests.oracles.multimodal import contrastive_training


@pytest.mark.parametrize("modality", ["single", "multi"])
@pytest.mark.parametrize("negatives", ["opposite", "all"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tau": 0.6},
        {"tau": 0.2, "divide_by_m": True},
        {"stop_gradient": False},
        {"normalise": True},
        {"similarity": "summed"},
    ],
    ids=["dot", "tau", "divided", "keys", "cosine", "summed"],
)
def test_training_is_what_anyone_would_write(modality, negatives, options):
    data = PairedSignalNoise(n=6, d=50, signal=2.0, modality=modality, negatives=negatives, signal_ratio=1.5)
    run = lm.Run(data, PatchEncoder(4, init=0.2), InfoNCE(**options), lm.GD(0.01), steps=12, record=tuple(range(12)))
    sample = sampled(run, 2)
    lifted = sample.lift(60, cell_seeds(1, range(2)))
    trained = lm.train(run, range(2), sample=sample)
    keywords = {"detach": options.get("stop_gradient", True), "cosine": options.get("normalise", False)}
    keywords["patchwise"] = options.get("similarity") != "summed"
    tau = options.get("tau", 1.0) * (4 if "divide_by_m" in options else 1)
    for cell in range(2):
        filters, losses = contrastive_training(lifted, cell, 12, 0.01, tau=tau, **keywords)
        assert relative(trained.records["train_loss"][cell], losses) < 1e-12
        assert relative(trained.final.products.A[cell], filters @ lifted.vectors[cell].mT) < 1e-11


def test_fresh_augmentation_has_the_law_of_explicit_draws():
    """<w_r, eps> from Q against eps drawn in the space of the vectors: the same covariance, off the signal."""
    data = PairedSignalNoise(n=400, d=400, signal=3.0, sigma_aug=0.7, noise="orthogonal")
    run = lm.Run(data, PatchEncoder(3, init=1.0), InfoNCE(augmentation="fresh"), engine="gram")
    sample = sampled(run, 2)
    W = sample.filters[:, 0]
    A, Q = W @ sample.vectors[:, 0].mT, W @ W.mT
    found, template = [], lm.train(dataclasses.replace(run, steps=1), range(2), sample=sample).final.products
    for step in range(40):
        keys = cell_seeds(step, range(2))
        products = dataclasses.replace(template, A=A.unsqueeze(1), filter_gram=Q.unsqueeze(1), seeds=keys)
        found.append(run.objective._fresh(products)[:, 0])
    inner = torch.cat(found, -1)  # (2, 3, 16000)
    eps = 0.7 * normal(cell_seeds(9, range(2)), "eps", (16000, W.shape[-1]))
    eps[..., 0] = 0  # off the signal
    explicit = W @ eps.mT
    exact = 0.49 * (Q - A[..., :1] @ A[..., :1].mT / 9.0)
    for draws in (inner, explicit):
        assert relative(draws @ draws.mT / draws.shape[-1], exact) < 0.04
        assert draws.mean(-1).abs().max() < 0.04 * draws.std()


def test_every_step_draws_anew_and_fixed_augmentation_does_not():
    data = PairedSignalNoise(n=8, d=100, signal=2.0, sigma_aug=2.0)
    run = lm.Run(data, PatchEncoder(4, init=0.3), InfoNCE(), lm.GD(1e-12), steps=3, record=(0, 1, 2))
    fixed = lm.train(dataclasses.replace(run, objective=InfoNCE())).records["train_loss"][0]
    fresh = lm.train(dataclasses.replace(run, objective=InfoNCE(augmentation="fresh"))).records["train_loss"][0]
    assert fixed.std() < 1e-9
    assert fresh.std() > 1e-3


def test_a_batch_contrasts_with_itself_alone():
    data = PairedSignalNoise(n=6, d=50, signal=2.0, negatives="all")
    run = lm.Run(data, PatchEncoder(4, init=0.3), InfoNCE())
    sample = sampled(run, 1)
    products = lm.train(dataclasses.replace(run, steps=1), [0], sample=sample).final.products
    weights = torch.tensor([[0.5, 0.5, 0, 0, 0, 0]], dtype=torch.float64)
    loss, gradient = run.objective.gradient(dataclasses.replace(products, weights=weights))
    h, key, _ = run.objective.views(products)
    own, other = (h * key).sum(-2)[0, 0, :2], (h[0, 0].T @ h[0, 0])[:2, :2]
    expected = [torch.log1p(torch.exp(other[i, 1 - i] - own[i])) / 2 for i in range(2)]
    assert relative(loss, sum(expected).reshape(1)) < 1e-13
    assert (gradient.A[..., 3:] == 0).all()


def test_loss_stays_finite_where_shares_underflow():
    data = PairedSignalNoise(n=6, d=50, signal=2.0)
    run = lm.Run(data, PatchEncoder(4, init=60.0), InfoNCE(), lm.GD(1e-9), steps=1)
    products = lm.train(run, [0]).final.products
    loss, gradient = run.objective.gradient(products)
    slow, expected = lm.Objective.gradient(run.objective, products)
    assert loss > 1e3  # shares below exp(-1000)
    assert relative(loss, slow) < 1e-13
    assert relative(gradient.A, expected.A) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau": 0.0}, "tau = 0.0"),
        ({"tau": -1.0}, "above 0"),
        ({"augmentation": "often"}, "fixed, fresh|'fixed' or 'fresh'|fixed"),
        ({"augmentation": "fresh", "stop_gradient": False}, "stop_gradient=True"),
    ],
)
def test_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        InfoNCE(**options)
