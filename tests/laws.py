"""The laws every member of a family obeys, and the members.

A member is a small problem: data, network, objective, and how it moves. tests/dynamics/test_engines.py runs every law
over every member; a new objective earns its place by joining the list.
"""

from dataclasses import dataclass
from typing import Any

import torch

import lemmata as lm
from lemmata.draws import cell_seeds
from lemmata.dynamics.train import Training, draw
from tests.members import diffusion as members_diffusion
from tests.members import multimodal as members_multimodal


@dataclass(frozen=True)
class FilterNorms(lm.Objective):
    """A loss that reads Q: the logistic loss plus how far the filters are from orthonormal."""

    reads_filter_gram = True

    def loss(self, products: Any) -> torch.Tensor:
        eye = torch.eye(products.Q.shape[-1]).to(products.Q)
        return lm.Logistic().loss(products) + 0.1 * (products.Q - eye).square().mean((1, 2))


@dataclass(frozen=True)
class Hinge(lm.MarginObjective):
    """The smoothed hinge loss, without a slope of its own."""

    def of_margin(self, margin: torch.Tensor) -> torch.Tensor:
        return torch.relu(1 - margin) ** 2


DATA = lm.SignalNoise(n=7, d=60, signal=2.0)
NET = lm.TwoLayerCNN(m=3, v0=0.3, init=0.02)
PAIRS = lm.SignalNoisePairs(pairs=7, d=60, signal=2.0, sigma_p=0.5, correlation=0.3)

MEMBERS: dict[str, lm.Run] = {
    "plain": lm.Run(DATA, NET),
    "isotropic noise, flips": lm.Run(lm.SignalNoise(8, 60, 2.0, noise="isotropic", flip=0.2, balanced=False), NET),
    "fixed output": lm.Run(DATA, lm.TwoLayerCNN(3, v0=1 / 3, init=0.02, train_output=False)),
    "per patch": lm.Run(
        lm.SignalNoise(7, 60, 2.0, shuffle_patches=True),
        lm.TwoLayerCNN(3, 0.3, 0.02, per_patch_output=True, output_init="normal", divide_by_m=True),
    ),
    "relu^3": lm.Run(DATA, lm.TwoLayerCNN(3, v0=0.3, init=0.1, activation=lm.ReLU(power=3.0)), rule=lm.GD(0.02)),
    "leaky": lm.Run(DATA, lm.TwoLayerCNN(3, v0=0.3, init=0.02, activation=lm.LeakyReLU(0.1))),
    "softplus": lm.Run(DATA, lm.TwoLayerCNN(3, v0=0.3, init=0.02, activation=lm.Softplus())),
    "gelu": lm.Run(DATA, lm.TwoLayerCNN(3, v0=0.3, init=0.02, activation=lm.GELU())),
    "momentum": lm.Run(DATA, NET, rule=lm.GD(c=0.1, momentum=0.9)),
    "nesterov": lm.Run(DATA, NET, rule=lm.GD(c=0.1, momentum=0.9, nesterov=True)),
    "decay": lm.Run(DATA, NET, rule=lm.GD(weight_decay=0.02)),
    "decay, momentum": lm.Run(DATA, NET, rule=lm.GD(c=0.1, weight_decay=0.02, momentum=0.5)),
    "batches": lm.Run(DATA, NET, rule=lm.GD(batch_size=3)),
    "label noise": lm.Run(DATA, NET, rule=lm.GD(label_noise=0.2)),
    "sam": lm.Run(DATA, NET, rule=lm.GD(sam_radius=0.05)),
    "sam, decay": lm.Run(DATA, NET, rule=lm.GD(sam_radius=0.05, weight_decay=0.02)),
    "normalised": lm.Run(DATA, NET, rule=lm.GD(step_size=0.01, normalised=True)),
    "head slower": lm.Run(DATA, NET, rule=lm.GD(head_ratio=0.1)),
    "backtracking": lm.Run(DATA, NET, rule=lm.GD(c=6.0, backtrack=True)),
    "reads Q": lm.Run(DATA, NET, objective=FilterNorms(), rule=lm.GD(c=0.2)),
    "reads Q, decay, momentum": lm.Run(
        DATA, NET, objective=FilterNorms(), rule=lm.GD(c=0.1, weight_decay=0.02, momentum=0.5)
    ),
    "reads Q, sam": lm.Run(DATA, NET, objective=FilterNorms(), rule=lm.GD(c=0.2, sam_radius=0.05)),
    "user's objective": lm.Run(DATA, NET, objective=Hinge(), rule=lm.GD(c=0.05)),
    "images": lm.Run(lm.ImageNoise(lm.load_digits((3, 8)), n=6, sigma_p=0.1, d=100), NET),
    "simclr": lm.Run(PAIRS, lm.LinearEncoder(3, init=0.05), lm.SimCLR(), lm.GD(c=0.2)),
    "simclr, all options": lm.Run(
        PAIRS,
        lm.LinearEncoder(3, init=0.05),
        lm.SimCLR(0.7, "cosine", "both", stop_gradient=True),
        lm.GD(step_size=0.002, batch_size=4, momentum=0.5),
    ),
    "simclr on images": lm.Run(
        lm.ImagePairs(lm.load_digits((3, 8)), pairs=6, sigma_p=0.1, d=100),
        lm.LinearEncoder(3),
        lm.SimCLR(),
        lm.GD(c=0.2),
    ),
}
MEMBERS |= members_diffusion.MEMBERS | members_multimodal.MEMBERS


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """|found - expected| / |expected|, over everything."""
    return float((found - expected).norm() / expected.norm().clamp_min(1e-300))


def distance(one: Training, other: Training) -> float:
    """Largest relative difference of inner products, head and loss at the end of two runs of the same cells."""
    a, b = one.final.products, other.final.products
    assert a.Q is not None
    assert b.Q is not None
    pairs = [(a.A, b.A), (a.Q, b.Q), (one.final.loss, other.final.loss)]
    pairs += [(a.head[name], b.head[name]) for name in a.head]
    return max(relative(x, y) for x, y in pairs)


def sampled(run: lm.Run, cells: int) -> Any:
    """One sample of some cells in compressed coordinates."""
    return draw(run, cell_seeds(run.seed_root, range(cells)))
