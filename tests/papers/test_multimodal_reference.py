"""The paper's model against a plain simulation in R^d, within seed noise, and against another one's numbers."""

import pytest
import torch

import lemmata as lm
from tests.oracles.multimodal import plain_step, simulate

SETTINGS = {  # n, d, m, n·SNR², C, sigma_aug, tau, init, seeds of the plain simulation
    "small": (40, 900, 32, 0.7, 5.0, 0.3, 1.0, 1e-3, 6),
    "the paper's sizes": (100, 2000, 50, 1.25, 3.0, 0.1, 1.0, 1e-3, 2),
    "strong signal, warm": (20, 300, 10, 2.5, 2.0, 0.5, 2.0, 1e-2, 8),
    "equal modalities, cold": (30, 400, 16, 1.0, 1.0, 0.3, 0.3, 1e-2, 8),
}
REFERENCE = {  # an independent simulation's signal, noise and error of one modality; signal, noise and error of two
    "small": ((0.039, 2.01, 0.167), (0.692, 0.548, 0.0)),
    "the paper's sizes": ((0.117, 1.93, 0.0047), (0.735, 0.673, 0.0)),
}


def measured(setting, modality, seeds, **data):
    """Signal, noise and error of the best head, ``(3, seeds)``."""
    n, d, m, n_snr2, ratio, sigma_aug, tau, init, _ = setting
    signal = (n_snr2 * d / n) ** 0.5
    model = lm.PairedSignalNoise(n, d, signal, modality=modality, signal_ratio=ratio, sigma_aug=sigma_aug, **data)
    run = lm.Run(
        model, lm.PatchEncoder(m, init=init), lm.InfoNCE(tau=tau), lm.GD(plain_step(setting, modality)), 1500,
        stop_loss=0.02 if modality == "multi" else 0.01,
        probes=("encoder_signal", "encoder_noise", "downstream_error"),
    )  # fmt: skip
    trained = lm.train(run, range(seeds))
    kept = trained.status == lm.Status.REACHED_LOSS
    assert kept.double().mean() > 0.8
    return torch.stack([values[kept, 0] for values in trained.records.values()])


@pytest.mark.parametrize("modality", ["single", "multi"])
@pytest.mark.parametrize("name", SETTINGS)
def test_engine_is_the_plain_simulation(name, modality):
    setting = SETTINGS[name]
    ours = measured(setting, modality, 24)
    theirs = torch.tensor([simulate(setting, modality, seed) for seed in range(setting[-1])]).T
    for quantity, one, other in zip(("signal", "noise", "error"), ours, theirs):
        spread = (one.var() * (1 / len(one) + 1 / len(other))).sqrt()
        counted = 4 * (one.mean().clamp_min(1e-4) / 8000 / len(other)).sqrt() if quantity == "error" else 0.0
        assert abs(one.mean() - other.mean()) < 4 * spread + counted, (quantity, one.mean(), other.mean(), spread)


@pytest.mark.parametrize("name", REFERENCE)
def test_an_independent_simulations_numbers_are_found(name):
    """Its noise was off the signal; 32 and 6 seeds, so within a quarter (noise: a sixth), the error within a half."""
    for modality, (signal, noise, error) in zip(("single", "multi"), REFERENCE[name]):
        found = measured(SETTINGS[name], modality, 24, noise="orthogonal").mean(1)
        assert abs(found[0] / signal - 1) < 0.25
        assert abs(found[1] / noise - 1) < 1 / 6
        assert abs(found[2] - error) < 0.5 * error + 1e-4
