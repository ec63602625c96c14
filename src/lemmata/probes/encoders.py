"""What encoders of paired data have learnt: signal and noise of either modality.

In the terms of Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837): *signal learning* is max_r |<w_r, mu>|,
*noise memorisation* the mean over training samples of max_r <w_r, xi_i>. Each function takes a snapshot of ``c`` cells
and returns ``(c,)``.
"""

from functools import partial
from typing import cast

import torch
from torch import Tensor

from lemmata.data.paired import PairedSample
from lemmata.nets.net import Encoder
from lemmata.probes.heads import FeatureLaw
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot


def signal(snapshot: Snapshot, modality: int = 0) -> Tensor:
    """max_r |<w_r, mu>| of one modality; NaN if the run has no such modality."""
    A = _of(snapshot.products.A, modality)
    return A[..., snapshot.sample(PairedSample).signal.vector].abs().amax(-1)


def signal_length(snapshot: Snapshot, modality: int = 0) -> Tensor:
    """Length of the features of a signal patch, mean over both classes; NaN if the run has no such modality."""
    a = _of(snapshot.products.A, modality)[..., snapshot.sample(PairedSample).signal.vector]
    act = cast(Encoder, snapshot.products.net).activation
    return (act(a).norm(dim=-1) + act(-a).norm(dim=-1)) / 2


def noise(snapshot: Snapshot, modality: int = 0) -> Tensor:
    """Mean over the training samples i of max_r <w_r, xi_i>, of one modality; NaN if the run has no such modality."""
    return snapshot.sample(PairedSample).noise.read(_of(snapshot.products.A, modality)).amax(-2).mean(-1)


def loss_by_direction(snapshot: Snapshot) -> Tensor:
    """The loss per direction: the training loss over the number of modalities whose queries it sums."""
    return snapshot.loss / snapshot.sample(PairedSample).modalities


def feature_law(snapshot: Snapshot, modality: int = 0) -> FeatureLaw:
    """The law of a fresh sample's features in one modality, float64; NaN if the run has no such modality."""
    p, sample = snapshot.products, snapshot.sample(PairedSample)
    A, Q = _of(p.A, modality).to(torch.float64), _of(p.Q, modality).to(torch.float64)
    at = min(modality, sample.modalities - 1)
    squared = sample.vectors[:, at].square().sum(-1).to(torch.float64)
    covariance = sample.fresh_noise(at).covariance(A, Q, squared)
    return FeatureLaw(A[..., sample.signal.vector], covariance, cast(Encoder, p.net).activation)


def _of(tensor: Tensor, modality: int) -> Tensor:
    """One modality's ``(c, ...)`` of ``(c, g, ...)``."""
    return tensor[:, modality] if modality < tensor.shape[1] else torch.full_like(tensor[:, 0], torch.nan)


PROBES = (
    Probe("encoder_signal", signal, "signal learning, max |⟨w, μ⟩|"),
    Probe("encoder_signal_length", signal_length, "length of the signal's features"),
    Probe("encoder_noise", noise, "noise memorisation, mean max ⟨w, ξ⟩"),
    Probe("encoder_signal_2", partial(signal, modality=1), "signal learning of modality 2, max |⟨w, μ̃⟩|"),
    Probe("encoder_noise_2", partial(noise, modality=1), "noise memorisation of modality 2, mean max ⟨w, ξ̃⟩"),
    Probe("contrastive_loss", loss_by_direction, "training loss per direction"),
)
