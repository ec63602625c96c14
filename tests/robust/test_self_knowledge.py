"""SKG-FAT against the released algorithm, step by step, and its parts against loops."""

import math

import pytest
import torch

from lemmata.robust import SelfKnowledge, relaxed_cross_entropy, relaxed_labels
from lemmata.robust.methods.class_stats import groups
from lemmata.robust.methods.penalties import by_class, by_group, classes_present, groups_present
from tests.oracles import robust as slow
from tests.robust.members import K, network, samples


@pytest.mark.parametrize("reg", ["class", "group", "pgi", "none"])
@pytest.mark.parametrize("relaxation", ["released", "class", "fixed"])
def test_training_is_the_released_one(reg, relaxation):
    """Three epochs of four batches from one start: every loss and every epoch's accuracies."""
    x, y, _ = samples(48, dtype=torch.float64)
    epochs = [[(x[rows], y[rows]) for rows in _order(e).split(12)] for e in range(3)]
    eps, lam = 0.1, 0.5
    ours = SelfKnowledge(K, eps=eps, lam=lam, reg=reg, relaxation=relaxation, warm_reg="pgi", label_min=0.4)
    model, twin = network(dtype=torch.float64), network(dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    ours.start.draw(x[:12], None, torch.Generator().manual_seed(7))
    memory = ours.start.memory.clone()
    losses, stats = [], []
    for batches in epochs:
        for images, labels in batches:
            step = ours.loss(model, images, labels)
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
            losses.append(float(step.loss.detach()))
        stats.append(ours.epoch_end())
    other = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9)
    expected, history = slow.skg_fat(twin, other, epochs, memory, eps, lam, reg, relaxation, low=0.4)
    assert losses == pytest.approx(expected, rel=1e-6)
    needs_clean = reg in ("class", "group") or relaxation != "fixed"
    for found, (clean, robust, group) in zip(stats, history):
        assert found.robust.tolist() == pytest.approx(robust)
        assert (found.clean is not None) == needs_clean
        if needs_clean:
            assert found.clean.tolist() == pytest.approx(clean)
            assert found.groups.tolist() == group


def _order(epoch):
    return torch.randperm(48, generator=torch.Generator().manual_seed(epoch))


def test_relaxed_labels_sum_to_one_and_give_their_cross_entropy():
    y, q = torch.tensor([0, 2, 1, 1]), torch.tensor([0.3, 0.9, 1.0, 0.0])
    labels = relaxed_labels(y, q, K)
    torch.testing.assert_close(labels, slow.smooth(y, q, K))
    torch.testing.assert_close(labels.sum(1), torch.ones(4))
    logits = torch.randn(4, K, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(relaxed_cross_entropy(logits, y, q).mean(), slow.soft_ce(logits, labels))
    torch.testing.assert_close(
        relaxed_cross_entropy(logits, y, 1.0), relaxed_cross_entropy(logits, y, torch.ones(4)), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_regularisers_equal_loops_over_classes(seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(7, (30,), generator=generator)
    y = torch.where(y == 4, 5, y)  # a class that is absent
    a, b, weight = (torch.randn(*s, generator=generator) for s in ((30, 7), (30, 7), (7,)))
    torch.testing.assert_close(by_class(a, b, y, weight), slow.class_wise(a, b, y, weight), rtol=1e-6, atol=1e-6)
    group = torch.tensor([0, 1, 2, 3, 0, -1, 1])
    torch.testing.assert_close(by_group(a, b, y, group), slow.group_wise(a, b, y, group), rtol=1e-6, atol=1e-6)
    assert int(classes_present(y, 7)) == len(set(y.tolist()))
    assert int(groups_present(y, group)) == len({int(group[c]) for c in y.tolist()} - {-1})


def test_mean_reduction_divides_by_classes_present_or_all():
    x, y, _ = samples(48)
    there = y < 2
    losses = {}
    for name, options in {
        "sum": {},
        "present": {"class_reduction": "mean"},
        "all": {"class_reduction": "mean", "mean_over": "all"},
        "none": {"lam": 0.0},
    }.items():
        method = SelfKnowledge(K, eps=0.1, **options)
        model = network()
        method.loss(model, x, y)
        method.epoch_end()
        losses[name] = float(method.loss(model, x[there], y[there]).loss.detach())
    parts = {name: value - losses["none"] for name, value in losses.items()}
    assert parts["sum"] > 1e-3
    assert parts["present"] == pytest.approx(parts["sum"] / 2, rel=1e-3)
    assert parts["all"] == pytest.approx(parts["sum"] / 3, rel=1e-3)


def test_the_ramp_grows_to_full_strength():
    x, y, _ = samples()
    model = network().eval()  # a fixed network: only the strength changes
    method = SelfKnowledge(K, eps=0.1, lam=2.0, ramp=4, reg="pgi", init="zero")
    bare = SelfKnowledge(K, eps=0.1, lam=0.0, reg="pgi", init="zero")
    both = [[float(m.loss(model, x, y).loss.detach()) for m in (method, bare)] for _ in range(6)]
    parts = [full - none for full, none in both]
    assert parts == pytest.approx([parts[-1] * share for share in (0.25, 0.5, 0.75, 1, 1, 1)], rel=1e-4)


@pytest.mark.parametrize("accuracy", [0.05, 0.2, 0.4, 0.7, 0.8, 0.95, 0.999, 0.56, 0.58])
def test_the_released_map_ends_alternating(accuracy):
    """clip(|ln phi|) again and again: hard and soft labels in turn, whatever was known of the class."""
    method, phi, seen = SelfKnowledge(2), torch.tensor([accuracy]), []
    for _ in range(11):
        phi = method.factor(phi)
        seen.append(round(float(phi), 4))
    assert {*seen[8:]} == {0.3, 0.9}


def test_the_released_map_is_slow_near_its_unstable_fixed_point():
    """From 0.567 it takes more than ten batches: the fixed point is 0.56714, with slope -1/0.567 = -1.76."""
    method, phi = SelfKnowledge(2), torch.tensor([0.567], dtype=torch.float64)
    for _ in range(10):
        phi = method.factor(phi)
    assert 0.3 < float(phi) < 0.9
    for _ in range(10):
        phi = method.factor(phi)
    assert round(float(phi), 6) in (0.3, 0.9)


def test_class_relaxation_makes_weak_classes_harder():
    method = SelfKnowledge(4, relaxation="class")
    factor = method.factor(torch.tensor([0.001, 0.5, 0.8, 1.0]))
    assert factor.tolist() == pytest.approx([0.9, math.log(2), 0.3, 0.3])


def test_groups_are_the_quarters_and_the_average_is_none():
    clean, robust = torch.tensor([0.75, 0.75, 0.25, 0.25, 0.5]), torch.tensor([0.75, 0.25, 0.75, 0.25, 0.875])
    assert groups(clean, robust).tolist() == [0, 1, 2, 3, -1]


def test_fixed_labels_may_weigh_by_the_raw_accuracy():
    x, y, _ = samples()
    losses = []
    for kind in ("factor", "accuracy"):
        method = SelfKnowledge(K, eps=0.1, fixed_weight=kind)
        model = network()
        method.loss(model, x, y)
        known = method.epoch_end()
        step = method.loss(model, x, y)
        weight = known.factor if kind == "factor" else known.clean
        fit = relaxed_cross_entropy(step.logits_adv, y, 0.9).mean()
        expected = fit + slow.class_wise(step.logits_clean, step.logits_adv, y, weight)
        assert float(step.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
        losses.append(float(step.loss.detach()))
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_batch_memory_is_by_position_and_survives_a_short_batch():
    x, y, _ = samples()
    method, model = SelfKnowledge(K, eps=0.1), network()
    first = method.loss(model, x[:16], y[:16]).delta
    assert torch.equal(method.start.memory, first)
    short = method.loss(model, x[16:22], y[16:22]).delta
    assert torch.equal(method.start.memory, torch.cat([short, first[6:]]))
    long = method.loss(model, x[:24], y[:24]).delta
    assert torch.equal(method.start.memory, long)


def test_accuracies_can_run_as_a_mean_over_epochs():
    x, y, _ = samples()
    method, model = SelfKnowledge(K, eps=0.1, stats="ema"), network()
    found = []
    for _ in range(3):
        method.loss(model, x, y)
        found.append(method.epoch_end().clean)
    expected = (found[0] / 2 + found[1] / 2) / 2 + found[2] / 2
    torch.testing.assert_close(method._clean, expected)
