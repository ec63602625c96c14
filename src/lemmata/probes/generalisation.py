"""Test error as a probe: from the inner products of a snapshot to the law of a fresh point, and to its error.

A fresh point has the signal patch y mu, y = ±1 with equal chance, and a fresh noise patch, of which the network sees
Gaussian inner products with known covariance. Where the data has witnesses (real test patches), the signal part takes
their values instead and the error is a mean over them.
"""

from typing import cast

import torch
from torch import Tensor

from lemmata.data.patches import Own
from lemmata.data.sample import TwoPatchSample
from lemmata.draws import normal
from lemmata.nets.net import Classifier
from lemmata.probes.error_of_law import FreshPoint, test_error
from lemmata.probes.failure_point import symmetric_root
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot

_WITNESS_DRAWS = 4096


def error(snapshot: Snapshot) -> Tensor:
    """Probability ``(c,)`` that the network gets the label of a fresh point wrong."""
    return _estimate(snapshot)[0]


def standard_error(snapshot: Snapshot) -> Tensor:
    """Standard error ``(c,)`` of :func:`error`."""
    return _estimate(snapshot)[1]


def cross_check(snapshot: Snapshot) -> Tensor:
    """Plain Monte Carlo estimate ``(c,)`` of :func:`error`, by counting, where that is above 1e-3; NaN elsewhere."""
    if snapshot.witnesses is not None:
        return torch.full_like(snapshot.loss, torch.nan)
    found = [test_error(law, snapshot.seeds, check_draws=16384).cross_check for law in fresh_points(snapshot)]
    return torch.stack(found).mean(0)


def fresh_points(snapshot: Snapshot) -> list[FreshPoint]:
    """The law of a fresh point; two laws, equally likely, where the order of the patches matters and is random."""
    p, sample, net = snapshot.products, snapshot.sample(TwoPatchSample), cast(Classifier, snapshot.products.net)
    if isinstance(sample.signal, Own):
        raise TypeError("the law of a fresh point was asked for on images without witnesses; use ImageNoise")
    covariance = sample.fresh_noise.covariance(p.A, p.Q, sample.vectors.square().sum(2))
    first, second = net.patch_weights(p.head)
    plus, minus = sample.signal.fresh(p.A)  # (c, r)
    orders = [(first, second)]
    if first is not second and bool((sample.position != 0).any()):
        orders.append((second, first))
    act = net.activation
    return [
        FreshPoint(covariance, noise, (signal * act(plus)).sum(1), (signal * act(minus)).sum(1), act)
        for signal, noise in orders
    ]


def _estimate(snapshot: Snapshot) -> tuple[Tensor, Tensor]:
    if "test_error" not in snapshot.memo:
        if snapshot.witnesses is not None:
            snapshot.memo["test_error"] = _on_witnesses(snapshot)
        else:
            found = [test_error(law, snapshot.seeds, check_draws=0) for law in fresh_points(snapshot)]
            mean = torch.stack([estimate.error for estimate in found]).mean(0)
            spread = torch.stack([estimate.standard_error for estimate in found]).square().sum(0).sqrt() / len(found)
            snapshot.memo["test_error"] = (mean, spread)
    return snapshot.memo["test_error"]


def _on_witnesses(snapshot: Snapshot) -> tuple[Tensor, Tensor]:
    """Mean over witnesses ``j`` of P(y_j (s_j + h(z)) <= 0), with h at common draws of the noise, sorted once.

    The standard error is over witnesses, taken as a sample of the population they come from.
    """
    p, sample, net = snapshot.products, snapshot.sample(TwoPatchSample), cast(Classifier, snapshot.products.net)
    assert snapshot.witnesses is not None
    assert sample.witnesses is not None
    covariance = sample.fresh_noise.covariance(p.A, p.Q, sample.vectors.square().sum(2)).to(torch.float64)
    finite = covariance.flatten(1).isfinite().all(1)
    root = symmetric_root(torch.where(finite.reshape(-1, 1, 1), covariance, 0.0))
    first, second = (weights.to(torch.float64).unsqueeze(2) for weights in net.patch_weights(p.head))
    act = net.activation
    z = normal(snapshot.seeds, "test noise", (_WITNESS_DRAWS, root.shape[2])) @ root.mT
    h = (second * act(z.mT)).sum(1).sort(dim=1).values  # (c, draws)
    s = (first * act(snapshot.witnesses.to(torch.float64))).sum(1)  # (c, j)
    below = torch.searchsorted(h, -s, right=True) / h.shape[1]  # P(h <= -s)
    strictly_below = torch.searchsorted(h, -s, right=False) / h.shape[1]
    wrong = torch.where(sample.witnesses.labels > 0, below, 1 - strictly_below).to(torch.float64)
    wrong = torch.where(finite.unsqueeze(1), wrong, torch.nan)
    return wrong.mean(1), wrong.std(1) / wrong.shape[1] ** 0.5


PROBES = (
    Probe("test_error", error, "test error"),
    Probe("test_error_se", standard_error, "standard error of the test error"),
    Probe("test_error_check", cross_check, "test error by counting, where above 0.001"),
)
