"""Training on fresh noises: its law is that of training in R^d, whatever coordinates it is simulated in."""

import dataclasses
import math

import pytest
import torch
from scipy import stats

import lemmata as lm
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw
from tests.oracles import denoising as oracle

D, N, M, NOISES, STEPS, REPLICATES = 30, 4, 3, 2, 10, 8000
STEP = {2: 0.02, 3: 0.003}  # per power; heavy tails: a long step makes rare replicates diverge in any law


def described(power=2, **changes):
    net = lm.TiedDenoiser(M, init=0.15, activation=lm.Power(power))
    rule = lm.GD(step_size=STEP[power])
    run = lm.Run(lm.TwoSignals(N, D, 3.0), net, lm.FreshNoiseDenoising(0.2, NOISES), rule, steps=STEPS)
    return dataclasses.replace(run, **changes)


def one_problem(run, replicates):
    """The same data and initial filters in every replicate."""
    sample = draw(run, cell_seeds(0, [3]))
    spread = lambda x: x.expand(replicates, *x.shape[1:]).clone() if isinstance(x, torch.Tensor) else x  # noqa: E731
    parts = {f.name: getattr(sample, f.name) for f in dataclasses.fields(sample)}
    moved = {name: spread(value) for name, value in parts.items()}
    moved["signal"] = dataclasses.replace(sample.signal, label=spread(sample.signal.label))
    moved["fresh_noise"] = dataclasses.replace(sample.fresh_noise, scale=spread(sample.fresh_noise.scale))
    return type(sample)(**moved)


def largest_gap(ours, theirs):
    """sqrt(k/2) times the largest Kolmogorov-Smirnov distance, over the entries and 20 random combinations of them.

    Ranks, because the laws have heavy tails. Equal laws exceed 2.4 with probability below 1e-3 among so many.
    """
    scale = theirs.quantile(0.75, dim=0) - theirs.quantile(0.25, dim=0)
    mixes = torch.randn(ours.shape[1], 20, dtype=ours.dtype, generator=torch.Generator().manual_seed(0))
    pairs = [torch.cat([x, (x / scale) @ mixes], 1).T.numpy() for x in (ours, theirs)]
    return max(stats.ks_2samp(a, b, method="asymp").statistic for a, b in zip(*pairs)) * math.sqrt(len(ours) / 2)


@pytest.mark.parametrize(("power", "engine"), [(2, "gram"), (3, "gram"), (2, "direct")])
def test_law_is_that_of_direct_replicates(power, engine):
    run = described(power, engine="gram")
    sample = one_problem(run, REPLICATES)  # the one data set, in compressed coordinates: D = 2 + n + m of d = 30
    assert sample.vectors.shape[-1] == 2 + N + M
    lifted = sample.lift(D, torch.zeros(REPLICATES, dtype=torch.int64))  # the same in R^d, for the direct loop
    ours = lm.train(described(power, engine=engine), range(REPLICATES), sample=lifted if engine == "direct" else sample)
    X, labels = lifted.vectors[0], lifted.labels[0]
    patches = torch.stack([torch.where(labels.unsqueeze(1) > 0, X[0], X[1]), X[2:]], dim=1)
    W = oracle.fresh_noise_training(
        lifted.filters,
        patches,
        0.2,
        run.net.activation,
        NOISES,
        STEP[power],
        STEPS,
        torch.Generator().manual_seed(power),
    )
    upper = torch.triu_indices(M, M)
    found, expected = (
        torch.cat([A.flatten(1), Q[:, upper[0], upper[1]]], 1)
        for A, Q in ((ours.final.products.A, ours.final.products.Q), (W @ X.mT, W @ W.mT))
    )
    assert largest_gap(found, expected) < 2.4
    if (power, engine) == (2, "gram"):
        # The test can tell: without what noises add outside the data's coordinates the law is another one.
        narrow = dataclasses.replace(sample, dimension=torch.full_like(sample.dimension, sample.vectors.shape[-1]))
        other = lm.train(run, range(REPLICATES), sample=narrow).final.products.Q
        assert largest_gap(other[:, upper[0], upper[1]], expected[:, -upper.shape[1] :]) > 4


def test_a_step_is_the_gradient_of_the_sampled_loss_on_average():
    """The mean step of many replicates is the step on the expected loss."""
    run = described(steps=1)
    sample = one_problem(run, 20_000)
    before = sample.filters[0] @ sample.vectors[0].mT
    after = lm.train(run, range(20_000), sample=sample).final.products.A
    expected = lm.train(dataclasses.replace(run, objective=lm.Denoising(0.2)), [0], sample=one_problem(run, 1))
    step, exact = after - before, expected.final.products.A[0] - before
    score = (step.mean(0) - exact) / (step.std(0) / math.sqrt(20_000))
    assert score.abs().max() < 4
    assert (exact.abs() / (step.std(0) / math.sqrt(20_000))).max() > 8  # there is something to see


@pytest.mark.parametrize("d", [30, 12, 10**6])
def test_a_cell_does_not_know_its_tile_and_a_nan_stays_home(d):
    net = lm.TiedDenoiser(M, init=0.8 * d**-0.5)
    run = described(data=lm.TwoSignals(N, d, 3.0), net=net, rule=lm.GD(step_size=0.5 / d))
    together, alone = lm.train(run, range(4)), lm.train(run, [2])
    torch.testing.assert_close(alone.final.products.A[0], together.final.products.A[2], rtol=1e-10, atol=1e-13)
    sample = draw(run, cell_seeds(0, range(4)))
    sample.filters[1] = torch.nan
    ill = lm.train(run, range(4), sample=sample)
    assert ill.status.tolist() == [0, lm.Status.DIVERGED, 0, 0]
    torch.testing.assert_close(ill.final.products.Q[2], together.final.products.Q[2])


def test_more_noises_come_near_the_expected_step():
    run = described(rule=lm.GD(step_size=0.02, weight_decay=0.1), steps=30)
    exact = lm.train(dataclasses.replace(run, objective=lm.Denoising(0.2)), range(20)).final.products.A
    gaps = []
    for noises in (1, 100):
        found = lm.train(dataclasses.replace(run, objective=lm.FreshNoiseDenoising(0.2, noises)), range(20))
        gaps.append((found.final.products.A - exact).square().mean().sqrt())
    assert 5 < gaps[0] / gaps[1] < 20  # 1/sqrt(noises)


def test_gradient_norm_is_that_of_the_expected_loss():
    run = described(probes=(lm.Probe("g", lambda s: s.gradient_norm()),), steps=1, record=(0,))
    sampled = lm.train(run, [0]).records["g"]
    exact = lm.train(dataclasses.replace(run, objective=lm.Denoising(0.2)), [0]).records["g"]
    torch.testing.assert_close(sampled, exact)


def test_cells_of_several_dimensions():
    data = lm.TwoSignals(N, torch.tensor([1e3, 1e6], dtype=torch.float64), 3.0)
    run = described(data=data, net=lm.TiedDenoiser(M, init=1e-3), rule=lm.GD(step_size=1e-6))
    assert lm.train(run, [0, 0]).status.tolist() == [0, 0]
    few = lm.TwoSignals(N, torch.tensor([10.0, 1e6], dtype=torch.float64), 3.0)
    with pytest.raises(ValueError, match="make d a shape axis"):
        lm.train(described(data=few), [0, 0])


def test_images_are_trained_on_in_their_own_pixels():
    """Coordinates fill R^d, so noises are drawn in full: many of them come near the expected step."""
    data = lm.ImageSignals(lm.load_digits((0, 1)), n=6, snr=0.5)
    run = lm.Run(data, lm.TiedDenoiser(3, init=0.05), lm.FreshNoiseDenoising(0.2, 200), lm.GD(c=0.05), steps=10)
    sampled = lm.train(run, range(3)).final.products
    exact = lm.train(dataclasses.replace(run, objective=lm.Denoising(0.2)), range(3)).final.products
    start = draw(run, cell_seeds(0, range(3)))
    moved = (exact.A - start.filters @ start.vectors.mT).norm()
    assert (sampled.A - exact.A).norm() < 0.2 * moved
