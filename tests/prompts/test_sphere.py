"""Sphere prompts and the shift suite: their law, their truth, and that a cell does not know its tile."""

import numpy as np
import pytest
import torch
from scipy.special import betainc

from lemmata.draws import cell_seeds
from lemmata.prompts.cosines import cosines
from lemmata.prompts.prompt import rows_of_step
from lemmata.prompts.shifts import Separated, Unnormalised, shift_suite
from lemmata.prompts.sphere import SpherePrompts

SEEDS = cell_seeds(0, range(3))
SUITE = shift_suite(6, 4)


def nearest_by_loops(points):
    """Index of the context point with the least Euclidean distance to the last."""
    *context, query = points
    return min(range(len(context)), key=lambda i: sum((a - b) ** 2 for a, b in zip(context[i], query)))


@pytest.mark.parametrize("name", SUITE)
def test_truth_is_the_nearest_point(name):
    drawn = SUITE[name].draw(SEEDS, "prompts/7", 5, torch.float64)
    for c in range(3):
        for b in range(5):
            best = nearest_by_loops(drawn.points[c, b].tolist())
            assert best == drawn.nearest[c, b]
            assert drawn.targets[c, b] == drawn.labels[c, b, best]


@pytest.mark.parametrize("name", SUITE)
def test_a_cell_does_not_know_its_tile(name):
    law = SUITE[name]
    together = law.draw(SEEDS, "x", 4, torch.float64)
    alone = law.draw(SEEDS[1:2], "x", 4, torch.float64)
    assert torch.equal(together.tokens[1:2], alone.tokens)
    assert torch.equal(together.cell(1).targets, alone.targets)
    assert not torch.equal(together.tokens, law.draw(SEEDS, "y", 4, torch.float64).tokens)


@pytest.mark.parametrize("name", SUITE)
def test_points_have_the_lengths_they_promise(name):
    lengths = SUITE[name].draw(SEEDS, "x", 200, torch.float64).points.norm(dim=-1)
    if name == "unnormalised":
        assert lengths.min() >= 1 - 1e-12
        assert 1.49 < lengths.max() <= 1.5
    else:
        assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-12)


def test_tokens_are_point_label_and_mark_of_the_query():
    drawn = SpherePrompts(2, 2).draw(SEEDS, "x", 1, torch.float64)
    tokens, (x, y) = drawn.tokens[0, 0], (drawn.points[0, 0], drawn.labels[0, 0])
    assert tokens.tolist() == [[*x[0], y[0], 0], [*x[1], y[1], 0], [*x[2], 0, 1]]
    assert set(drawn.labels.unique().tolist()) <= {-1.0, 1.0}
    assert torch.allclose(drawn.tokens_with_norms[..., -1], torch.ones(3, 1, 3, dtype=torch.float64))


def test_separated_keeps_all_others_away_and_delta_varies_per_cell():
    delta = torch.tensor([0.1, 0.7, 2.0], dtype=torch.float64)
    drawn = Separated(20, 3, "normal", delta=delta).draw(SEEDS, "x", 300, torch.float64)
    products = drawn.inner_products
    assert torch.allclose(products.amax(-1), torch.ones(3, 300, dtype=torch.float64))
    others = products.scatter(2, drawn.nearest.unsqueeze(2), -1.0)
    assert (others.amax((1, 2)) <= 1 - delta / 2 + 1e-12).all()
    assert others.amax((1, 2))[0] > 1 - delta[0] / 2 - 0.05  # and no farther than asked
    counts = torch.stack([(drawn.nearest == i).sum(1) for i in range(20)], 1)
    assert counts.min() > 0


def test_labels_are_balanced_and_independent_of_the_point():
    labels = SpherePrompts(10, 3).draw(SEEDS, "x", 2000, torch.float64).labels
    assert labels.mean().abs() < 4 / (60000**0.5)


@pytest.mark.parametrize("d", [2, 3, 4, 8, 64])
def test_cosines_follow_their_distribution_function(d):
    u = cosines(SEEDS, "u", (20000,), d, torch.float64).reshape(-1).sort().values.numpy()
    cdf = betainc((d - 1) / 2, (d - 1) / 2, (u + 1) / 2)
    # Kolmogorov-Smirnov: P(D sqrt(n) > 1.95) = 0.001, and these draws are the same for ever.
    gap = np.abs(cdf - (np.arange(len(u)) + 0.5) / len(u)).max()
    assert gap * len(u) ** 0.5 < 1.95


@pytest.mark.parametrize("d", [2, 3, 8, 64])
def test_cosines_invert_exactly_in_both_tails(d, monkeypatch):
    share = torch.tensor([1e-7, 1e-5, 0.01, 0.3, 0.5, 0.8, 1 - 1e-5, 1 - 1e-7], dtype=torch.float64)
    monkeypatch.setattr("lemmata.prompts.cosines.uniform", lambda seeds, name, shape: share.expand(1, 8).clone())
    u = cosines(SEEDS[:1], "u", (8,), d, torch.float64)[0].numpy()
    a = (d - 1) / 2
    low = betainc(a, a, (1 - np.abs(u)) / 2)
    wanted = np.minimum(share.numpy(), 1 - share.numpy())
    for found, expected, cosine in zip(low, wanted, u):
        digits = a * 1.2e-16 / (1 - abs(cosine))  # what rounding the cosine itself to a double costs
        assert abs(found / expected - 1) < 1e-7 + 2 * digits


def test_epochs_take_every_prompt_once():
    rows = torch.cat([rows_of_step(SEEDS, step, 3, 10) for step in range(20)], 1)
    for epoch in range(6):
        assert torch.equal(rows[:, 10 * epoch : 10 * epoch + 10].sort(1).values, torch.arange(10).expand(3, 10))
    assert not torch.equal(rows[:, :10], rows[:, 10:20])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpherePrompts(0, 3), "n = 0 was asked for"),
        (lambda: SpherePrompts(3, 1), "d = 1 was asked for"),
        (lambda: Separated(3, 3, delta=2.5), "delta = 2.5 was asked for"),
        (lambda: Separated(3, 3, delta=torch.tensor([0.5, 0.0])), "delta = 0.0 was asked for"),
        (lambda: Unnormalised(3, 3, longest=0.5), "longest = 0.5 was asked for"),
        (lambda: SpherePrompts(3, 3, "colour"), "labels = 'colour' was asked for"),
        (lambda: rows_of_step(SEEDS, 0, 11, 10), "batches of 11 out of a pool of 10"),
        (lambda: cosines(SEEDS, "u", (2,), 1), "1 dimensions were asked for"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
