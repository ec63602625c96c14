"""Probes of feature learning, against loops over filters and samples."""

import pytest
import torch

import lemmata as lm

NAMES = ("filter_signal", "filter_noise", "filter_ratio", "class_signal", "class_noise", "class_ratio")


def snapshots(run):
    return lm.train(run, range(2)).final


def test_signal_and_noise_are_what_loops_find():
    net = lm.TwoLayerCNN(3, v0=1.0, init=0.3, activation=lm.Power(2), train_output=False, divide_by_m=True)
    final = snapshots(lm.Run(lm.TwoSignals(4, 40, 2.0), net, rule=lm.GD(step_size=0.1), steps=3))
    A, y = final.products.A, final.products.labels
    for cell in range(2):
        signal = [[abs(A[cell, r, 0 if y[cell, i] > 0 else 1]) for r in range(6)] for i in range(4)]
        noise = [[abs(A[cell, r, 2 + i]) for r in range(6)] for i in range(4)]
        own = [range(3) if y[cell, i] > 0 else range(3, 6) for i in range(4)]
        found = {name: lm.PROBES[name].measure(final)[cell] for name in NAMES}
        for kind, table in (("signal", signal), ("noise", noise)):
            mean = sum(sum(row) for row in table) / 24
            best = sum(max(row[r] for r in own[i]) for i, row in enumerate(table)) / 4
            torch.testing.assert_close(found[f"filter_{kind}"], mean)
            torch.testing.assert_close(found[f"class_{kind}"], best)
        torch.testing.assert_close(found["class_ratio"], found["class_signal"] / found["class_noise"])


def test_branch_spread_is_zero_where_filters_agree():
    run = lm.Run(lm.TwoSignals(6, 200, 6.0), lm.TiedDenoiser(5), lm.Denoising(0.2), lm.GD(c=2.0, backtrack=True), 3000)
    final = snapshots(run)
    assert lm.PROBES["branch_spread"].measure(final).max() < 1e-6
    start = snapshots(lm.Run(lm.TwoSignals(6, 200, 6.0), lm.TiedDenoiser(5), lm.Denoising(0.2), steps=1))
    assert lm.PROBES["branch_spread"].measure(start).min() > 0.1


@pytest.mark.parametrize("engine", ["gram", "compressed"])
def test_gradient_norm_is_that_of_autograd(engine):
    probe = lm.PROBES["gradient_norm"]
    run = lm.Run(lm.TwoSignals(4, 40, 2.0), lm.TiedDenoiser(3, init=0.2), lm.Denoising(0.2), lm.GD(c=0.1), 5,
                 probes=(probe,), record=(5,), engine=engine)  # fmt: skip
    trained = lm.train(run, range(2))
    W = trained.filters.clone().requires_grad_()
    p = trained.final.products
    X = p.sample.vectors
    from dataclasses import replace

    loss = lm.Denoising(0.2).loss(replace(p, A=W @ X.mT, filter_gram=W @ W.mT))
    gradient = torch.autograd.grad(loss.sum(), W)[0]
    torch.testing.assert_close(trained.records["gradient_norm"][:, 0], gradient.flatten(1).norm(dim=1))


def test_excess_and_its_refusal():
    run = lm.Run(lm.TwoSignals(4, 40, 2.0), lm.TiedDenoiser(3), lm.Denoising(0.2), steps=1)
    final = snapshots(run)
    torch.testing.assert_close(lm.PROBES["denoising_excess"].measure(final), final.loss - 40)
    # Weights of nearly zero denoise nothing, on fresh data as on the training's.
    assert lm.PROBES["denoising_excess_fresh"].measure(final).abs().max() < 1e-3
    classifier = lm.TwoLayerCNN(3, activation=lm.Power(2))
    with pytest.raises(TypeError, match="use Denoising"):
        lm.PROBES["denoising_excess_fresh"].measure(snapshots(lm.Run(lm.TwoSignals(4, 40, 2.0), classifier, steps=1)))


def test_test_error_of_a_quadratic_classifier_is_that_of_fresh_points():
    net = lm.TwoLayerCNN(2, v0=1.0, init=0.05, activation=lm.Power(2), train_output=False, divide_by_m=True)
    run = lm.Run(lm.TwoSignals(10, 60, 2.5), net, rule=lm.GD(step_size=0.1), steps=40, probes=("test_error",))
    trained = lm.train(run, [0])
    W, X = trained.filters[0], trained.final.products.sample.vectors[0]
    xi = torch.zeros(200_000, W.shape[1], dtype=torch.float64)
    xi[:, 2:] = torch.randn(200_000, W.shape[1] - 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # The coordinates hold the span of the run; what a fresh noise has outside it no filter sees.
    v = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64) / 2
    noise = ((xi @ W.T) ** 2 * v).sum(1)
    wrong = [(y * (((W @ X[j]) ** 2 * v).sum() + noise) <= 0).double().mean() for j, y in ((0, 1), (1, -1))]
    counted = sum(wrong) / 2
    found = trained.records["test_error"][0, 0]
    assert 0.01 < counted < 0.49
    assert abs(found - counted) < 0.02 * counted + 0.003
