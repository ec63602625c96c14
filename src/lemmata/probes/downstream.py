"""How well a linear head reads an encoder of paired data: its error on fresh samples, which may be of another law.

A test sample is [y nu, zeta] with zeta ~ N(0, (shift sigma)^2 I) and nu of any length, at any angle to mu. An encoder
sees inner products alone, so the error is that of the features' exact law (:mod:`lemmata.probes.heads`), whatever the
dimension. Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837) ask for <nu, mu> = O(|mu|^2 d^(-1/2)) in their
theorems and take nu parallel to mu and shorter in their experiments, shift = 1 in both.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.data.paired import PairedSample
from lemmata.draws import chi_square, normal
from lemmata.parameters import check, parameter
from lemmata.probes.encoders import feature_law
from lemmata.probes.failure_point import symmetric_root
from lemmata.probes.heads import FeatureLaw, fit_head
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot


@dataclass(frozen=True)
class Downstream:
    """A probe of one modality's encoder.

    The part of nu across mu has a uniformly random direction, one per cell: <w_r, nu> is drawn from its law given Q.

    Args:
        head: the kind of head, see :func:`lemmata.probes.heads.fit_head`.
        labels: how many labels it sees; None is the population.
        shift: sigma_test / sigma, above 0.
        test_signal: |nu| / |mu|, at least 0.
        power: |nu| / |mu| is multiplied by d^-power; 1/2 with angle 0 is <nu, mu> = |mu|^2 d^(-1/2).
        angle: between nu and mu, in degrees, 0 to 180.
        fit_on: the head is fitted on features of ``"train"`` data or of the ``"test"`` law.
        modality: whose features.

    Raises:
        ValueError: for a value outside its range.
    """

    head: Literal["lda", "mean", "logistic"] = "lda"
    labels: int | None = None
    shift: float = parameter("test noise over training noise", above=0, default=1.0)
    test_signal: float = parameter("test signal over training signal ‖ν‖/‖μ‖", least=0, default=1.0)
    power: float = parameter("power of d by which the test signal falls", least=0, default=0.0)
    angle: float = parameter("angle between test and training signal", units="degrees", least=0, most=180, default=0.0)
    fit_on: Literal["train", "test"] = parameter("data of the head", str, choices=("train", "test"), default="train")
    modality: int = 0

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, snapshot: Snapshot) -> Tensor:
        """``(c,)``, in [0, 1]; NaN if the run has no such modality."""
        law = feature_law(snapshot, self.modality)
        finite = law.covariance.flatten(1).isfinite().all(1) & law.signal.isfinite().all(1)
        law = FeatureLaw(
            torch.where(finite.reshape(-1, 1), law.signal, 0.0),
            torch.where(finite.reshape(-1, 1, 1), law.covariance, 0.0),
            law.activation,
        )
        test = replace(law, signal=torch.where(finite.reshape(-1, 1), self._test_signal(snapshot, law), 0.0))
        test = test.shifted(self.shift)
        fitted = fit_head(law if self.fit_on == "train" else test, self.head, snapshot.seeds, self.labels)
        return torch.where(finite, fitted.error(test, snapshot.seeds).error, torch.nan)

    def _test_signal(self, snapshot: Snapshot, law: FeatureLaw) -> Tensor:
        """<w_r, nu>, ``(c, r)``."""
        sample = snapshot.sample(PairedSample)
        at = min(self.modality, sample.modalities - 1)
        d, length = sample.dimensions[:, at], sample.vectors[:, at, sample.signal.vector].norm(dim=-1).to(law.signal)
        scale = self.test_signal * d**-self.power
        along = per_cell(scale, law.signal) * law.signal
        if self.angle in (0, 180):
            return along if self.angle == 0 else -along
        # A random direction across mu: Gaussian inner products over the length of the Gaussian vector they come from.
        unit = law.signal / per_cell(length, law.signal)
        Q = snapshot.products.Q[:, at].to(law.signal)
        root = symmetric_root(Q - unit.unsqueeze(2) * unit.unsqueeze(1))
        r, seeds = unit.shape[1], snapshot.seeds
        drawn = normal(seeds, "test direction", (r,))
        rest = chi_square(seeds, "test direction, rest", (d - 1 - r).clamp_min(1e-6).unsqueeze(1)).squeeze(1)
        across = (root @ drawn.unsqueeze(2)).squeeze(2) / per_cell((drawn.square().sum(1) + rest).sqrt(), unit)
        angle = math.radians(self.angle)
        return math.cos(angle) * along + math.sin(angle) * per_cell(scale * length, across) * across


PROBES = (Probe("downstream_error", Downstream(), "test error of the best linear head"),)
