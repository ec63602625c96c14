"""What a network has learnt: signal, noise, margins, norms.

In the field's terms (Cao, Chen, Belkin, Gu 2022, arXiv 2202.06526): *signal learning* is <w_{j,r}, j mu>, *noise
memorisation* is <w_{j,r}, xi_i> of samples of the filter's class y_i = j. Each function takes a snapshot of ``c`` cells
and returns ``(c,)``.
"""

from typing import cast

import torch
from torch import Tensor

from lemmata.data.sample import TwoPatchSample
from lemmata.nets.net import Classifier
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot


def train_loss(snapshot: Snapshot) -> Tensor:
    """The objective on the full training set."""
    return snapshot.loss


def signal_learning(snapshot: Snapshot) -> Tensor:
    """max over filters and samples of their class of the pre-activation of the signal patch."""
    return _largest(snapshot.signal, snapshot.same_class)


def signal_learning_mean(snapshot: Snapshot) -> Tensor:
    """Mean over filters and samples of their class of the pre-activation of the signal patch."""
    return _mean(snapshot.signal, snapshot.same_class)


def noise_memorisation(snapshot: Snapshot) -> Tensor:
    """max over filters and samples of their class of the pre-activation of the noise patch."""
    return _largest(snapshot.noise, snapshot.same_class)


def noise_memorisation_mean(snapshot: Snapshot) -> Tensor:
    """Mean over filters and samples of their class of the positive part of the noise patch's pre-activation."""
    return _mean(snapshot.noise.clamp_min(0), snapshot.same_class)


def active_fraction(snapshot: Snapshot) -> Tensor:
    """Fraction p of pairs (filter, sample of its class) whose noise patch activates the filter."""
    return _mean((snapshot.noise > 0).to(snapshot.loss.dtype), snapshot.same_class)


def margin_min(snapshot: Snapshot) -> Tensor:
    """Smallest training margin y_i f(x_i)."""
    return _margins(snapshot).amin(1)


def margin_mean(snapshot: Snapshot) -> Tensor:
    """Mean training margin y_i f(x_i)."""
    return _margins(snapshot).mean(1)


def norm_hidden(snapshot: Snapshot) -> Tensor:
    """Frobenius norm of the filters, sqrt(tr Q)."""
    return snapshot.products.Q.diagonal(dim1=1, dim2=2).sum(1).clamp_min(0).sqrt()


def norm_output(snapshot: Snapshot) -> Tensor:
    """Euclidean norm of all parameters of the head."""
    parts = [value.flatten(1).square().sum(1) for value in snapshot.products.head.values()]
    return torch.stack(parts).sum(0).sqrt() if parts else torch.zeros_like(snapshot.loss)


def _margins(snapshot: Snapshot) -> Tensor:
    p, net = snapshot.products, cast(Classifier, snapshot.products.net)
    return p.labels * net.output(snapshot.signal, snapshot.noise, p.head, snapshot.sample(TwoPatchSample).position)


def _largest(values: Tensor, chosen: Tensor) -> Tensor:
    return values.masked_fill(~chosen, -torch.inf).amax((1, 2)) + 0 * values.sum((1, 2))  # NaN stays NaN


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum((1, 2)) / chosen.sum((1, 2))


PROBES = (
    Probe("train_loss", train_loss, "training loss"),
    Probe("signal_learning", signal_learning, "signal learning, max ⟨w, jμ⟩"),
    Probe("signal_learning_mean", signal_learning_mean, "signal learning, mean ⟨w, jμ⟩"),
    Probe("noise_memorisation", noise_memorisation, "noise memorisation, max ⟨w, ξ⟩"),
    Probe("noise_memorisation_mean", noise_memorisation_mean, "noise memorisation, mean ⟨w, ξ⟩₊"),
    Probe("active_fraction", active_fraction, "active fraction p"),
    Probe("margin_min", margin_min, "smallest training margin"),
    Probe("margin_mean", margin_mean, "mean training margin"),
    Probe("norm_hidden", norm_hidden, "norm of the hidden layer ‖W‖"),
    Probe("norm_output", norm_output, "norm of the output layer ‖v‖"),
)
