"""Heads on features: moments, errors and regressions against explicit samples, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import lemmata as lm
from lemmata.data.paired import PairedSignalNoise
from lemmata.draws import cell_seeds, normal
from lemmata.nets.patch_encoder import PatchEncoder
from lemmata.objectives.info_nce import InfoNCE
from lemmata.probes import encoders
from lemmata.probes.downstream import Downstream
from lemmata.probes.heads import FeatureLaw, fit_head
from lemmata.probes.probe import Probe
from tests.laws import sampled

SEEDS = cell_seeds(3, range(2))


@pytest.fixture(scope="module")
def trained():
    data = PairedSignalNoise(n=20, d=400, signal=2.2, modality="multi", signal_ratio=2.0, noise="orthogonal")
    objective = InfoNCE(similarity="summed")  # features that hold signal and noise
    return lm.train(lm.Run(data, PatchEncoder(6, init=0.01), objective, lm.GD(0.01), steps=80), range(2))


@pytest.fixture(scope="module")
def law(trained):
    return encoders.feature_law(trained.final)


def test_moments_are_those_of_samples(law):
    features, y = law.draw(SEEDS, "many", 400_000)
    plus, minus = law.class_means()
    for mean, sign in ((plus, 1), (minus, -1)):
        for cell in range(2):
            chosen = features[cell][y[cell] == sign]
            error = chosen.std(0) / math.sqrt(len(chosen))
            assert ((chosen.mean(0) - mean[cell]).abs() < 4.5 * error).all()
    centred = features[0][y[0] > 0] - features[0][y[0] > 0].mean(0)
    exact = law.class_covariance()[0]
    assert ((centred.T @ centred / len(centred) - exact).norm() / exact.norm()) < 0.015
    assert torch.allclose(plus - minus, law.signal)


@pytest.mark.parametrize(("modality", "shift"), [(0, 1.0), (1, 3.0)])
def test_law_is_that_of_explicit_samples(trained, modality, shift):
    """Fresh samples of both patches in R^d, through the encoder itself."""
    run, sample = trained.run, trained.final.products.sample
    lifted = dataclasses.replace(sample, filters=trained.filters).lift(400, SEEDS)
    W, mu = lifted.filters[:, modality], lifted.vectors[:, modality, 0]
    noise = shift * normal(SEEDS, "explicit", (20_000, 400))
    noise = noise - (noise @ mu.unsqueeze(2)) @ mu.unsqueeze(1) / mu.square().sum(1).reshape(-1, 1, 1)
    y = torch.where(torch.arange(20_000) % 2 == 0, 1.0, -1.0).to(torch.float64)
    features = run.net.features(y.unsqueeze(1) * (W @ mu.unsqueeze(2)).mT, noise @ W.mT)
    law = encoders.feature_law(trained.final, modality)
    for kind in ("lda", "mean"):
        head = fit_head(law, kind, SEEDS)
        score = (features @ head.weights.unsqueeze(2)).squeeze(2) + head.bias.unsqueeze(1)
        wrong = (score * y <= 0).double().mean(1)
        found = head.error(law.shifted(shift), SEEDS)
        assert (wrong > 0.005).all()
        spread = (wrong * (1 - wrong) / 20_000 + found.standard_error**2).sqrt()
        assert ((wrong - found.error).abs() < 4.5 * spread).all()


def test_lda_of_the_population_is_the_best_head(law):
    best = fit_head(law, "lda", SEEDS).error(law, SEEDS).error
    for kind, labels in (("mean", None), ("lda", 50), ("mean", 50), ("logistic", 200)):
        assert (best < 1.02 * fit_head(law, kind, SEEDS, labels).error(law, SEEDS).error).all()
    many = fit_head(law, "lda", SEEDS, 100_000).error(law, SEEDS).error
    assert torch.allclose(best, many, rtol=0.03)


def test_larger_test_noise_is_the_law_of_larger_noise(law):
    head = fit_head(law, "lda", SEEDS)
    features, y = law.shifted(2.0).draw(SEEDS, "shift", 100_000)
    wrong = (((features @ head.weights.unsqueeze(2)).squeeze(2) + head.bias.unsqueeze(1)) * y <= 0).double().mean(1)
    found = head.error(law.shifted(2.0), SEEDS).error
    assert torch.allclose(wrong, found, rtol=0.04)
    assert (found > 1.5 * head.error(law, SEEDS).error).all()


@pytest.mark.parametrize("labels", [12, 300])
def test_logistic_is_that_of_scikit_learn(law, labels):
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, y = law.draw(SEEDS, "probe", labels)
    head = fit_head(law, "logistic", SEEDS, labels)
    for cell in range(2):
        x = features[cell].numpy()
        scale = x.std(0, ddof=1)
        theirs = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(
            (x - x.mean(0)) / scale, y[cell].numpy()
        )
        np.testing.assert_allclose(head.weights[cell], theirs.coef_[0] / scale, rtol=1e-4, atol=1e-5 / scale.min())
        bias = theirs.intercept_[0] - (theirs.coef_[0] / scale) @ x.mean(0)
        np.testing.assert_allclose(head.bias[cell], bias, rtol=1e-3, atol=1e-4)


def test_a_cell_does_not_know_its_tile(law):
    one = FeatureLaw(law.signal[1:], law.covariance[1:], law.activation)
    for kind, labels in (("lda", None), ("mean", 30), ("logistic", 30)):
        together = fit_head(law, kind, SEEDS, labels).weights[1]
        assert torch.allclose(together, fit_head(one, kind, SEEDS[1:], labels).weights[0], rtol=1e-12)


def test_probes_are_what_their_formulas_say(trained):
    A = trained.final.products.A
    for modality in range(2):
        signal = torch.stack([max(abs(x) for x in A[c, modality, :, 0]) for c in range(2)])
        noise = torch.stack([sum(A[c, modality, :, 1 + i].max() for i in range(20)) / 20 for c in range(2)])
        assert torch.allclose(encoders.signal(trained.final, modality), signal)
        assert torch.allclose(encoders.noise(trained.final, modality), noise)
    assert torch.allclose(encoders.loss_by_direction(trained.final), trained.final.loss / 2)


def test_a_run_of_one_modality_has_no_second():
    run = lm.Run(
        PairedSignalNoise(n=6, d=50, signal=2.0), PatchEncoder(3, init=0.1), InfoNCE(), lm.GD(0.01), steps=2,
        probes=("encoder_signal_2", "encoder_noise_2", Probe("e", Downstream(modality=1))),
    )  # fmt: skip
    assert all(values.isnan().all() for values in lm.train(run, range(2)).records.values())


def test_a_diverged_cell_reads_nan_and_harms_nobody():
    run = lm.Run(PairedSignalNoise(n=6, d=50, signal=2.0), PatchEncoder(3, init=0.1), InfoNCE(), lm.GD(0.01), steps=9)
    run = dataclasses.replace(run, probes=("downstream_error",))
    sample = sampled(run, 3)
    ill = dataclasses.replace(sample, filters=sample.filters.clone())
    ill.filters[1] = torch.nan
    healthy, found = lm.train(run, range(3), sample=sample), lm.train(run, range(3), sample=ill)
    values = found.records["downstream_error"][:, 0]
    assert values[1].isnan()
    assert torch.equal(values[[0, 2]], healthy.records["downstream_error"][[0, 2], 0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("svm", None), "lda, mean, logistic"),
        (("lda", 1), "labels = 1"),
        (("logistic", None), "give one"),
        (("lda", 2.5), "whole number"),
    ],
)
def test_refuses(law, arguments, words):
    kind, labels = arguments
    with pytest.raises(ValueError, match=words):
        fit_head(law, kind, SEEDS, labels)


def test_refuses_exact_moments_of_other_activations(law):
    other = FeatureLaw(law.signal, law.covariance, lm.GELU())
    with pytest.raises(ValueError, match="ReLU"):
        fit_head(other, "lda", SEEDS)
    fit_head(other, "lda", SEEDS, labels=50)


def test_refuses_a_shift_of_nothing(trained):
    with pytest.raises(ValueError, match="shift = 0"):
        Downstream(shift=0.0)(trained.final)


def snapshot_of(cells):
    run = lm.Run(PairedSignalNoise(n=8, d=60, signal=3.0), PatchEncoder(3, init=0.3), InfoNCE(), lm.GD(0.01), 5)
    return lm.train(run, range(cells)).final


def test_a_test_signal_at_an_angle_has_its_law():
    """⟨w, ν⟩: its part along μ is exact, that across has the variance of a uniformly random direction."""
    snapshot = snapshot_of(1500)
    law = encoders.feature_law(snapshot)
    found = Downstream(test_signal=0.5, angle=60.0)._test_signal(snapshot, law)
    along = 0.5 * math.cos(math.radians(60)) * law.signal
    off = snapshot.products.Q[:, 0].diagonal(dim1=1, dim2=2) - law.signal**2 / 9.0  # of a filter's squared length
    z = (found - along) / (0.5 * 3.0 * math.sin(math.radians(60)) * (off / 59).sqrt())
    assert z.mean(0).abs().max() < 4 / 1500**0.5
    assert (z.square().mean(0) - 1).abs().max() < 4 * (2 / 1500) ** 0.5
    halved = Downstream(test_signal=2.0, power=0.5)._test_signal(snapshot, law)
    assert torch.allclose(halved, 2.0 * 60**-0.5 * law.signal)


def test_a_turned_test_signal_is_read_worse():
    snapshot = snapshot_of(40)
    errors = [float(Downstream(test_signal=2.0, angle=angle)(snapshot).mean()) for angle in (0.0, 60.0, 90.0, 180.0)]
    assert errors == sorted(errors)
    assert abs(errors[2] - 0.5) < 0.05
    assert abs(errors[0] + errors[3] - 1) < 0.02  # reversed, it is read the wrong way


@pytest.mark.parametrize("changes", [{"shift": 0.0}, {"angle": 200.0}, {"test_signal": -1.0}, {"fit_on": "noise"}])
def test_a_test_law_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))} = "):
        Downstream(**changes)
