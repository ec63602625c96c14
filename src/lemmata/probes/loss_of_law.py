"""Test loss: the mean of a loss of the margin over fresh points, by Monte Carlo over what the network sees of them.

    E phi(y f(x)) = 1/2 E phi(s_+ + h(z)) + 1/2 E phi(-(s_- + h(z))),   z = (<w_r, xi>)_r ~ N(0, Sigma),

with s_+- the signal patch's part of the output and h the noise patch's (:mod:`lemmata.probes.error_of_law`). Where the
data has witnesses (real test patches), the signal part takes their values and the loss is a mean over them as well. The
draws are randomised quasi-Monte Carlo; their spread over 16 shifts, or over witnesses, is the standard error.
"""

from typing import cast

import torch
from torch import Tensor

from lemmata.data.sample import TwoPatchSample
from lemmata.draws import split
from lemmata.nets.net import Classifier
from lemmata.objectives.margin import MarginObjective
from lemmata.probes.failure_point import symmetric_root
from lemmata.probes.failure_probability import SHIFTS, sobol_uniform
from lemmata.probes.generalisation import fresh_points
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot

_DRAWS = 2048


def loss(snapshot: Snapshot) -> Tensor:
    """Mean loss ``(c,)`` of a fresh point.

    Raises:
        ValueError: if the objective is no loss of the margin.
    """
    return _estimate(snapshot)[0]


def standard_error(snapshot: Snapshot) -> Tensor:
    """Standard error ``(c,)`` of :func:`loss`."""
    return _estimate(snapshot)[1]


def _estimate(snapshot: Snapshot) -> tuple[Tensor, Tensor]:
    if "test_loss" not in snapshot.memo:
        phi = snapshot.objective
        if not isinstance(phi, MarginObjective):
            raise ValueError(f"a test loss was asked for, but {type(phi).__name__} is no loss of the margin; drop it")
        z, finite = _hidden_noise(snapshot)
        losses = []
        for signal, label, output in _signal_parts(snapshot):
            h = (z @ output.to(z).unsqueeze(2)).squeeze(2)  # (c, draws)
            by_signal = [phi.of_margin(y.unsqueeze(1) * (s.unsqueeze(1) + h)) for s, y in zip(signal.T, label.T)]
            losses.append(torch.stack(by_signal, dim=1))
        mean = torch.stack(losses).mean(0)  # (c, signals, draws)
        alike = mean.mean(1).unflatten(1, (SHIFTS, -1)).mean(2) if snapshot.witnesses is None else mean.mean(2)
        spread = alike.std(1) / alike.shape[1] ** 0.5
        found = [torch.where(finite, value, torch.nan) for value in (alike.mean(1), spread)]
        snapshot.memo["test_loss"] = tuple(found)
    return snapshot.memo["test_loss"]


def _hidden_noise(snapshot: Snapshot) -> tuple[Tensor, Tensor]:
    """Activations ``(c, draws, r)`` of fresh noise patches, and which cells are finite ``(c,)``."""
    p, sample = snapshot.products, snapshot.sample(TwoPatchSample)
    covariance = sample.fresh_noise.covariance(p.A, p.Q, sample.vectors.square().sum(2)).to(torch.float64)
    finite = covariance.flatten(1).isfinite().all(1)
    root = symmetric_root(torch.where(finite.reshape(-1, 1, 1), covariance, 0.0))
    draws = _DRAWS if snapshot.witnesses is None else _DRAWS // 8
    uniform = sobol_uniform(split(snapshot.seeds, "test loss"), "noise", draws, root.shape[1])
    return cast(Classifier, p.net).activation(torch.special.ndtri(uniform) @ root), finite


def _signal_parts(snapshot: Snapshot) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Equally likely: the signal patch's part of the output ``(c, j)``, labels ``(c, j)``, weights on the noise."""
    p, net = snapshot.products, cast(Classifier, snapshot.products.net)
    if snapshot.witnesses is not None and p.sample.witnesses is not None:
        first, second = net.patch_weights(p.head)
        signal = (first.unsqueeze(2) * net.activation(snapshot.witnesses)).sum(1).to(torch.float64)
        return [(signal, p.sample.witnesses.labels.to(signal), second)]
    parts = []
    for law in fresh_points(snapshot):
        signal = torch.stack([law.signal_plus, law.signal_minus], dim=1).to(torch.float64)
        parts.append((signal, torch.tensor([1.0, -1.0]).to(signal).expand_as(signal), law.output))
    return parts


PROBES = (
    Probe("test_loss", loss, "test loss"),
    Probe("test_loss_se", standard_error, "standard error of the test loss"),
)
