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


def test_probe_regime_warns_where_the_paper_assumes_large_d():
    """n SNR^2 = 1/2 at d much above n^2: a head reads the class (measured error 0.003); at n much above sqrt(d) not."""
    large_d = theory.probe_regime(50, 2000, (0.5 * 2000 / 50) ** 0.5)
    assert abs(large_d.n_snr2 - 0.5) < 1e-12
    assert "n ≫ √d" in large_d.warning
    assert theory.probe_regime(1000, 2000, 1.0).warning is None
    assert "above 2" in theory.probe_regime(1000, 2000, 3.0).warning


@pytest.mark.parametrize("changes", [{"n": 0}, {"d": float("nan")}, {"signal": -1.0}, {"sigma_p": 0.0}])
def test_probe_regime_refuses(changes):
    name = next(iter(changes))
    with pytest.raises(ValueError, match=f"{name} = "):
        theory.probe_regime(**{"n": 50, "d": 2000, "signal": 3.0, **changes})


def test_threshold_refuses():
    with pytest.raises(ValueError, match="'opposite' or 'all'"):
        theory.threshold("none")
