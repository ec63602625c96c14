"""What encoders of paired data have learnt: signal and noise of either modality, and how well a head can read them.

In the terms of Huang, Han, Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837): *signal learning* is max_r |<w_r, mu>|,
*noise memorisation* the mean over training samples of max_r <w_r, xi_i>. Each function takes a snapshot of ``c`` cells
and returns ``(c,)``.
"""

from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor

from lemmata.data.paired import PairedSample
from lemmata.nets.net import Encoder
from lemmata.parameters import require
from lemmata.probes.heads import FeatureLaw, fit_head
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot


def signal(snapshot: Snapshot, modality: int = 0) -> Tensor:
    """max_r |<w_r, mu>| of one modality; NaN if the run has no such modality."""
    A = _of(snapshot.products.A, modality)
    return A[..., snapshot.sample(PairedSample).signal.vector].abs().amax(-1)


def noise(snapshot: Snapshot, modality: int = 0) -> Tensor:
    """Mean over the training samples i of max_r <w_r, xi_i>, of one modality; NaN if the run has no such modality."""
    return snapshot.sample(PairedSample).noise.read(_of(snapshot.products.A, modality)).amax(-2).mean(-1)


def loss_by_direction(snapshot: Snapshot) -> Tensor:
    """The loss per direction: the training loss over the number of modalities whose queries it sums."""
    return snapshot.loss / snapshot.sample(PairedSample).modalities


def downstream_error(
    snapshot: Snapshot,
    head: Literal["lda", "mean", "logistic"] = "lda",
    labels: int | None = None,
    shift: float = 1.0,
    modality: int = 0,
) -> Tensor:
    """Error of a linear head on the features of fresh samples, see :func:`lemmata.probes.heads.fit_head`.

    Args:
        head: the kind of head, fitted at the noise level of the training data.
        labels: how many labels it sees; None is the population.
        shift: sigma_test / sigma at test time, above 0.
        modality: whose features.
    """
    require("shift", shift, lambda x: x > 0, "above 0")
    law = feature_law(snapshot, modality)
    finite = law.covariance.flatten(1).isfinite().all(1) & law.signal.isfinite().all(1)
    law = FeatureLaw(
        torch.where(finite.reshape(-1, 1), law.signal, 0.0),
        torch.where(finite.reshape(-1, 1, 1), law.covariance, 0.0),
        law.activation,
    )
    found = fit_head(law, head, snapshot.seeds, labels).error(law.shifted(shift), snapshot.seeds).error
    return torch.where(finite, found, torch.nan)


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
    Probe("encoder_noise", noise, "noise memorisation, mean max ⟨w, ξ⟩"),
    Probe("encoder_signal_2", partial(signal, modality=1), "signal learning of modality 2, max |⟨w, μ̃⟩|"),
    Probe("encoder_noise_2", partial(noise, modality=1), "noise memorisation of modality 2, mean max ⟨w, ξ̃⟩"),
    Probe("contrastive_loss", loss_by_direction, "training loss per direction"),
    Probe("downstream_error", downstream_error, "test error of the best linear head"),
)
