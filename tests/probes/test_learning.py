"""Probes against loops over filters and samples, and test error of trained networks against test points."""

import dataclasses

import pytest
import torch

import lemmata as lm
from lemmata.probes.generalisation import fresh_points
from tests.laws import MEMBERS
from tests.oracles.error_of_law import plain_error


def test_probes_are_what_their_names_say():
    names = tuple(name for name in lm.PROBES if not name.startswith("test_error"))[:10]
    run = dataclasses.replace(MEMBERS["isotropic noise, flips"], probes=names, steps=20, engine="compressed")
    trained = lm.train(run, range(2))
    sample, v = trained.final.products.sample, trained.final.products.head["output"]
    for cell in range(2):
        W, mu, truth = trained.filters[cell], sample.vectors[cell, 0], sample.true_labels[cell]
        noise = sample.vectors[cell, 1:]
        pairs = [(r, i) for r in range(6) for i in range(8) if (1 if r < 3 else -1) == truth[i]]
        signal = torch.stack([W[r] @ (truth[i] * mu) for r, i in pairs])
        memory = torch.stack([W[r] @ noise[i] for r, i in pairs])
        outputs = [
            sum(v[cell, r] * (torch.relu(W[r] @ (truth[i] * mu)) + torch.relu(W[r] @ noise[i])) for r in range(6))
            for i in range(8)
        ]
        margins = sample.labels[cell] * torch.stack(outputs)
        expected = {
            "train_loss": torch.log1p(torch.exp(-margins)).mean(),
            "signal_learning": signal.max(),
            "signal_learning_mean": signal.mean(),
            "noise_memorisation": memory.max(),
            "noise_memorisation_mean": memory.clamp_min(0).mean(),
            "active_fraction": (memory > 0).double().mean(),
            "margin_min": margins.min(),
            "margin_mean": margins.mean(),
            "norm_hidden": W.norm(),
            "norm_output": v[cell].norm(),
        }
        assert set(expected) == set(names)
        for name, value in expected.items():
            torch.testing.assert_close(trained.records[name][cell, 0], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["plain", "isotropic noise, flips", "leaky", "gelu", "fixed output"])
def test_error_of_a_trained_network_is_that_of_test_points(name):
    run = dataclasses.replace(MEMBERS[name], probes=("test_error", "test_error_se", "test_error_check"), steps=60)
    trained = lm.train(run, range(2))
    (law,) = fresh_points(trained.final)
    for cell in range(2):
        counted, spread = plain_error(law, cell, 200_000)
        found, own, check = (trained.records[key][cell, 0] for key in run.probes)
        assert abs(found - counted) < 5 * (own**2 + spread**2) ** 0.5
        assert abs(check - counted) < 5 * (counted / 16384 + spread**2) ** 0.5


def test_error_with_weights_per_patch_averages_both_orders():
    run = dataclasses.replace(MEMBERS["per patch"], probes=("test_error",), steps=60, engine="compressed")
    trained = lm.train(run, range(2))
    sample, head = trained.final.products.sample, trained.final.products.head["output"] / run.net.m
    generator = torch.Generator().manual_seed(0)
    for cell in range(2):
        W, mu, v = trained.filters[cell], sample.vectors[cell, 0], head[cell]
        noise = torch.randn(100_000, W.shape[1], generator=generator, dtype=torch.float64)
        noise[:, 0] = 0  # orthogonal to mu
        wrong = []
        for first, second in ((0, 1), (1, 0)):
            for y in (1, -1):
                f = torch.relu(W @ (y * mu)) @ v[:, first] + torch.relu(noise @ W.T) @ v[:, second]
                wrong.append((y * f <= 0).double().mean())
        assert abs(torch.stack(wrong).mean() - trained.records["test_error"][cell, 0]) < 0.01
