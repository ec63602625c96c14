"""What denoisers and classifiers learn of two orthogonal signals, and where a denoiser stands.

Han, Huang, Cao, Zou 2024 (arXiv 2412.01021) compare |<w_r, mu_j>| with |<w_r, xi_i>|: the mean over filters for a
denoiser, whose filters serve all classes, or as in their figures the largest; for a classifier the largest of the
class. Each function takes a snapshot of ``c`` cells and returns ``(c,)``.
"""

from torch import Tensor

from lemmata.objectives.denoising import Denoising, dimension
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot


def filter_signal(snapshot: Snapshot) -> Tensor:
    """Mean over filters and samples of |<w_r, signal patch>|."""
    return snapshot.signal.abs().mean((1, 2))


def filter_noise(snapshot: Snapshot) -> Tensor:
    """Mean over filters and samples of |<w_r, noise patch>|."""
    return snapshot.noise.abs().mean((1, 2))


def filter_ratio(snapshot: Snapshot) -> Tensor:
    """:func:`filter_signal` over :func:`filter_noise`."""
    return filter_signal(snapshot) / filter_noise(snapshot)


def filter_signal_max(snapshot: Snapshot) -> Tensor:
    """Mean over samples of max_r |<w_r, signal patch>|: what the paper's figures show."""
    return snapshot.signal.abs().amax(1).mean(1)


def filter_noise_max(snapshot: Snapshot) -> Tensor:
    """Mean over samples of max_r |<w_r, noise patch>|."""
    return snapshot.noise.abs().amax(1).mean(1)


def filter_ratio_max(snapshot: Snapshot) -> Tensor:
    """:func:`filter_signal_max` over :func:`filter_noise_max`."""
    return filter_signal_max(snapshot) / filter_noise_max(snapshot)


def class_signal(snapshot: Snapshot) -> Tensor:
    """Mean over samples of max |<w_r, signal patch>| over the filters of the sample's class."""
    return _best(snapshot.signal, snapshot)


def class_noise(snapshot: Snapshot) -> Tensor:
    """Mean over samples of max |<w_r, noise patch>| over the filters of the sample's class."""
    return _best(snapshot.noise, snapshot)


def class_ratio(snapshot: Snapshot) -> Tensor:
    """:func:`class_signal` over :func:`class_noise`."""
    return class_signal(snapshot) / class_noise(snapshot)


def branch_spread(snapshot: Snapshot) -> Tensor:
    """Standard deviation over filters of their mean inner product with the signals, over its mean: 0 where they agree.

    A denoiser whose filters have specialised is on another branch of stationary points than the symmetric one.
    """
    per_filter = snapshot.signal.mean(2)
    return per_filter.std(1, correction=0) / per_filter.mean(1).abs()


def gradient_norm(snapshot: Snapshot) -> Tensor:
    """Length of the gradient of the training loss in parameter space."""
    return snapshot.gradient_norm()


def denoising_excess(snapshot: Snapshot) -> Tensor:
    """Training loss minus d, the loss of a denoiser that does nothing."""
    return snapshot.loss - dimension(snapshot.products)


def denoising_excess_fresh(snapshot: Snapshot) -> Tensor:
    """Expected loss at a fresh point minus d.

    Raises:
        TypeError: the objective is no denoising loss.
    """
    if not isinstance(snapshot.objective, Denoising):
        raise TypeError(
            f"the denoising loss was asked for in training by {type(snapshot.objective).__name__}; use Denoising"
        )
    return snapshot.objective.fresh_loss(snapshot.products) - dimension(snapshot.products)


def _best(values: Tensor, snapshot: Snapshot) -> Tensor:
    return values.abs().masked_fill(~snapshot.same_class, 0.0).amax(1).mean(1)


PROBES = (
    Probe("filter_signal", filter_signal, "signal, mean |⟨w, μ⟩|"),
    Probe("filter_noise", filter_noise, "noise, mean |⟨w, ξ⟩|"),
    Probe("filter_ratio", filter_ratio, "signal over noise"),
    Probe("filter_signal_max", filter_signal_max, "signal, max |⟨w, μ⟩|"),
    Probe("filter_noise_max", filter_noise_max, "noise, max |⟨w, ξ⟩|"),
    Probe("filter_ratio_max", filter_ratio_max, "signal over noise, largest neurons"),
    Probe("class_signal", class_signal, "signal, max |⟨w, μ⟩| in class"),
    Probe("class_noise", class_noise, "noise, max |⟨w, ξ⟩| in class"),
    Probe("class_ratio", class_ratio, "signal over noise"),
    Probe("branch_spread", branch_spread, "spread over neurons of ⟨w, μ⟩, relative"),
    Probe("gradient_norm", gradient_norm, "length of the gradient"),
    Probe("denoising_excess", denoising_excess, "denoising loss − d"),
    Probe("denoising_excess_fresh", denoising_excess_fresh, "denoising loss − d on fresh data"),
)
