"""A probe: a named quantity, recorded along training. The list of those that come with Lemmata is :data:`PROBES`."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lemmata.probes import alignment, encoders, feature_learning, generalisation, learning
from lemmata.probes import loss_of_law as test_loss
from lemmata.probes.snapshot import Snapshot


@dataclass(frozen=True)
class Probe:
    """A function of a snapshot that gives one number per cell, ``(c,)``.

    Args:
        name: of the variable in the dataset.
        measure: ``Snapshot -> (c,)``; must not mix cells.
        long_name: what a figure writes on the axis.
        units: ``"1"`` for pure numbers.
    """

    name: str
    measure: Callable[[Snapshot], Tensor]
    long_name: str = ""
    units: str = "1"


_SHIPPED = (
    Probe("train_loss", learning.train_loss, "training loss"),
    Probe("signal_learning", learning.signal_learning, "signal learning, max ⟨w, jμ⟩"),
    Probe("signal_learning_mean", learning.signal_learning_mean, "signal learning, mean ⟨w, jμ⟩"),
    Probe("noise_memorisation", learning.noise_memorisation, "noise memorisation, max ⟨w, ξ⟩"),
    Probe("noise_memorisation_mean", learning.noise_memorisation_mean, "noise memorisation, mean ⟨w, ξ⟩₊"),
    Probe("active_fraction", learning.active_fraction, "active fraction p"),
    Probe("margin_min", learning.margin_min, "smallest training margin"),
    Probe("margin_mean", learning.margin_mean, "mean training margin"),
    Probe("norm_hidden", learning.norm_hidden, "norm of the hidden layer ‖W‖"),
    Probe("norm_output", learning.norm_output, "norm of the output layer ‖v‖"),
    Probe("test_error", generalisation.error, "test error"),
    Probe("test_error_se", generalisation.standard_error, "standard error of the test error"),
    Probe("encoder_signal", encoders.signal, "signal learning, max |⟨w, μ⟩|"),
    Probe("encoder_noise", encoders.noise, "noise memorisation, mean max ⟨w, ξ⟩"),
    Probe("encoder_signal_2", encoders.SECOND_SIGNAL, "signal learning of modality 2, max |⟨w, μ̃⟩|"),
    Probe("encoder_noise_2", encoders.SECOND_NOISE, "noise memorisation of modality 2, mean max ⟨w, ξ̃⟩"),
    Probe("contrastive_loss", encoders.loss_by_direction, "training loss per direction"),
    Probe("downstream_error", encoders.downstream_error, "test error of the best linear head"),
    Probe("filter_signal", feature_learning.filter_signal, "signal, mean |⟨w, μ⟩|"),
    Probe("filter_noise", feature_learning.filter_noise, "noise, mean |⟨w, ξ⟩|"),
    Probe("filter_ratio", feature_learning.filter_ratio, "signal over noise"),
    Probe("class_signal", feature_learning.class_signal, "signal, max |⟨w, μ⟩| in class"),
    Probe("class_noise", feature_learning.class_noise, "noise, max |⟨w, ξ⟩| in class"),
    Probe("class_ratio", feature_learning.class_ratio, "signal over noise"),
    Probe("branch_spread", feature_learning.branch_spread, "spread over neurons of ⟨w, μ⟩, relative"),
    Probe("gradient_norm", feature_learning.gradient_norm, "length of the gradient"),
    Probe("denoising_excess", feature_learning.denoising_excess, "denoising loss − d"),
    Probe("denoising_excess_fresh", feature_learning.denoising_excess_fresh, "denoising loss − d on fresh data"),
    Probe("test_error_check", generalisation.cross_check, "test error by counting, where above 0.001"),
    Probe("test_loss", test_loss.loss, "test loss"),
    Probe("test_loss_se", test_loss.standard_error, "standard error of the test loss"),
    Probe("signal_alignment", alignment.signal_alignment, "alignment of the filters with the signal, cos²"),
)

PROBES: dict[str, Probe] = {probe.name: probe for probe in _SHIPPED}


def named(probes: tuple[str | Probe, ...]) -> tuple[Probe, ...]:
    """Probes by their names; a probe of the user's own passes as it is.

    Raises:
        ValueError: for a name that is not in :data:`PROBES`, or a name twice.
    """
    found = []
    for probe in probes:
        if isinstance(probe, str) and probe not in PROBES:
            raise ValueError(f"probe {probe!r} was asked for; the probes are {', '.join(PROBES)}, or write a Probe")
        found.append(PROBES[probe] if isinstance(probe, str) else probe)
    names = [probe.name for probe in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"probe {name!r} was asked for twice; name each probe once")
    return tuple(found)
