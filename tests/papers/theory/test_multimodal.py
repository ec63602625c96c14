"""Rates against one small step of gradient descent, thresholds, and the warning about probes."""

import dataclasses

import pytest
import torch

import lemmata as lm
from lemmata.data.paired import PairedSignalNoise
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import draw
from lemmata.nets.patch_encoder import PatchEncoder
from lemmata.objectives.info_nce import InfoNCE
from lemmata.papers.multimodal import theory as theory

N, D, SIGNAL, RATIO = 60, 2000, 1.7, 3.0


def growth(modality, negatives, direction):
    """Rate at which <w, direction> grows in one step from a tiny filter along ``direction`` alone, per eta."""
    data = PairedSignalNoise(
        N, D, SIGNAL, modality=modality, signal_ratio=RATIO, sigma_aug=1e-9, negatives=negatives, sigma_p2=2.0
    )
    run = lm.Run(data, PatchEncoder(1, init=1.0), InfoNCE(), lm.GD(1.0), steps=1, engine="gram")
    sample = draw(run, cell_seeds(0, [0]))
    # Noises orthogonal to each other, so that a filter along one meets no other.
    vectors = torch.zeros(1, sample.modalities, sample.vectors.shape[2], 1 + N, dtype=torch.float64)
    for g in range(sample.modalities):
        vectors[0, g, 0, 0] = SIGNAL * (RATIO if g else 1)
        length = (2.0 if g else 1.0) * D**0.5
        for start in range(1, vectors.shape[2], N):
            vectors[0, g, start : start + N, 1:] = length * torch.eye(N)
    start = 1e-6 * vectors[:, :, direction : direction + 1]
    sample = dataclasses.replace(sample, vectors=vectors, filters=start)
    trained = lm.train(run, [0], sample=sample)
    before = (start @ vectors.mT)[0, :, 0, direction]
    after = trained.final.products.A[0, :, 0, direction]
    return (after - before).prod().abs() ** (1 / len(before)) / before.prod().abs() ** (1 / len(before))


@pytest.mark.parametrize("negatives", ["opposite", "all"])
@pytest.mark.parametrize("modality", ["single", "multi"])
def test_rates_are_those_of_one_step(modality, negatives):
    second = (SIGNAL * RATIO, D, 2.0) if modality == "multi" else None
    rates = theory.early_rates(N, SIGNAL, D, second=second, negatives=negatives)
    assert abs(growth(modality, negatives, 0) / rates.signal - 1) < 3 / N
    assert abs(growth(modality, negatives, 1) / rates.noise - 1) < 3 / N


@pytest.mark.parametrize("negatives", ["opposite", "all"])
def test_ratio_is_one_at_the_threshold(negatives):
    signal = (theory.threshold(negatives) * 2000 / 50) ** 0.5
    assert abs(theory.early_rates(50, signal, 2000, negatives=negatives).ratio - 1) < 1e-12
    ratio = theory.critical_ratio(theory.n_snr2(50, 3.0, 2000), negatives)
    assert (
        abs(theory.early_rates(50, 3.0, 2000, second=(3.0 * ratio, 2000, 1.0), negatives=negatives).ratio - 1) < 1e-12
    )


def test_the_proofs_windows_meet_in_a_sliver_and_their_rates_in_more():
    assert theory.MULTI_AT_LEAST < theory.SINGLE_AT_MOST
    low, high = theory.weak_window(3.0)
    assert low < theory.MULTI_AT_LEAST < theory.SINGLE_AT_MOST < high
    assert abs(low - 0.736) < 1e-3
    assert abs(high - 1.846) < 1e-3


def test_parts_of_the_assumption():
    """The paper's own experiment meets neither proof's window nor d ≥ n²; far above n² all but a window is met."""
    figure = theory.assumption_4_1(100, 2000, 50, 5.0, 3.0, 1e-3, 0.01)
    missed = {part.name for part in figure if not part.holds}
    assert "dimension d ≥ n²" in missed
    assert "proof for two modalities, n·SNR² ≥ 1.7" in missed
    assert "proof for one modality, n·SNR² ≤ 1.8" not in missed
    n, d = 40, 16_000_000
    large = theory.assumption_4_1(n, d, 32, (1.75 * d / n) ** 0.5, 3.0, 1.01 * n / d, 1e-9)
    assert all(part.holds for part in large), [str(part) for part in large if not part.holds]
    with pytest.raises(ValueError, match=r"signal = -1\.0 was asked for"):
        theory.assumption_4_1(40, 1e6, 32, -1.0, 3.0, 1e-4, 1e-6)


def test_the_first_stage_ends_where_growth_says():
    """The winner, grown from its start at the proofs' rate, is 20 times the unit at T1."""
    at = theory.steps(0.01, 100, 5.0, 2000, 1.0)
    assert abs(at.signal - 0.25) < 1e-12
    assert abs(at.noise - 0.2) < 1e-12
    end = theory.first_stage(at, "single", 1e-3 * 2000**0.5)
    assert abs(1e-3 * 2000**0.5 * (1 + 0.96 * at.noise) ** end - 20) < 1e-9
    end = theory.first_stage(at, "multi", 5e-3, 3.0)
    assert abs(5e-3 * (1 + 0.48 * 3 * at.signal) ** end - 20) < 1e-9
    with pytest.raises(ValueError, match="'single' or 'multi'"):
        theory.proof_growth(at, "three")


def test_saturated_similarity_gives_the_loss():
    similarity = theory.similarity_at_loss(0.01, 20, 0.7)
    logits = torch.cat([torch.tensor([float(similarity)]), torch.zeros(20)]) / 0.7
    assert abs(float(logits.logsumexp(0) - logits[0]) - 0.01) < 1e-5


def test_signal_saturates_at_its_length():
    """d far above n²: the signal carries all, and its features are as long as the loss asks."""
    n, d = 20, 4_000_000
    data = PairedSignalNoise(n, d, (3.0 * d / n) ** 0.5, modality="multi", signal_ratio=3.0, sigma_aug=0.1)
    run = lm.Run(data, PatchEncoder(16, init=n / d), InfoNCE(), lm.GD(c=0.5), 2000, stop_loss=0.02,
                 probes=("encoder_signal_length",))  # fmt: skip
    found = lm.train(run, range(6)).records["encoder_signal_length"].mean()
    assert abs(found / theory.saturated_length(0.01, n / 2, 1.0, 3.0) - 1) < 0.05


def test_noise_along_the_signal_sets_a_floor():
    """An encoder of two filters along ±μ: the error of its best head is Φ(−‖μ‖/σ)."""
    data = PairedSignalNoise(10, 400, 2.0)
    run = lm.Run(data, PatchEncoder(2), InfoNCE(), lm.GD(1e-20), 1, probes=("downstream_error",), engine="gram")
    sample = draw(run, cell_seeds(0, [0]))
    mu = sample.vectors[:, :, :1]
    sample = dataclasses.replace(sample, filters=torch.cat([mu, -mu], 2))
    found = float(lm.train(run, [0], sample=sample).records["downstream_error"])
    assert abs(found / float(theory.noise_floor(2.0, 1.0)) - 1) < 0.02


def test_threshold_refuses():
    with pytest.raises(ValueError, match="'opposite' or 'all'"):
        theory.threshold("none")
