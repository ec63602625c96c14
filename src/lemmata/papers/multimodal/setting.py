"""What the experiments on contrastive learning of one and of two modalities share: training, which cells count.

    two-patch paired data, noise not projected off the signal; ReLU encoders of m features; InfoNCE with stop-gradient,
    similarities patch by patch and summed over features, τ = 1; full-batch gradient descent until the loss of a
    direction is 0.01

Single- and multi-modal runs of one seed start from the same filters on the same first modality. Temperature, start and
step are ours: the paper gives η = 0.01, divides similarities by m and takes 200 steps, in which with τ = 1 nothing is
learnt (z = ησ²d/(nmτ) = 0.004 there); ``divide_by_m`` runs that too.
"""

from typing import Any

import xarray as xr

from lemmata import InfoNCE, PairedSignalNoise, PatchEncoder, Probe, Run
from lemmata.claims import Estimate, Finding, NotMeasurable, at, claim, count_at_most, mean, usable
from lemmata.dynamics.rules import GD
from lemmata.lab import ALL
from lemmata.parameters import parameter
from lemmata.status import Status
from lemmata.sweep import Body, derived

ABSTRACT = "Huang et al. 2024, abstract"
FIGURE = "Huang et al. 2024, Figure 1"
SINGLE_THEOREM = "Huang et al. 2024, theorem 4.2"
MULTI_THEOREM = "Huang et al. 2024, theorem 4.3"
MODALITIES = ("single", "multi")
LOSS = 0.01
"""Training loss per direction at which a cell stops: two modalities sum two losses."""
ENCODER = ("contrastive_loss", "encoder_signal", "encoder_noise", "encoder_signal_2", "encoder_noise_2")


def stops(loss_per_direction: float | None, *, modality: str) -> dict[str, Any]:
    """The training loss at which a cell stops, of one or of two directions."""
    if loss_per_direction is None:
        return {}
    return {"stop_loss": loss_per_direction * (2 if modality == "multi" else 1)}


def training(
    data: PairedSignalNoise, m: int, init: float, rule: GD, steps: int,
    probes: tuple[str | Probe, ...], record: tuple[int, ...] | None = None, loss: float | None = LOSS,
) -> Body:  # fmt: skip
    """A run whose cells stop at a loss per direction."""
    run = Run(data, PatchEncoder(m=m, init=init), InfoNCE(), rule, steps=steps, probes=probes, record=record)
    says = parameter(
        "training loss per direction at which a cell stops", above=0, scale="log", optional=True, default=loss
    )
    return derived(run, stops, loss_per_direction=says)


def reached(data: xr.Dataset) -> xr.Dataset:
    """The cells that reached the loss asked for; the others are missing, and counted."""
    return usable(data, above_the_loss=data.status != Status.REACHED_LOSS)


@claim(
    "contrast within one modality and between two both drive the training loss down to the one asked for", ABSTRACT, ALL
)
def both_fit(data: xr.Dataset) -> Finding:
    """Every cell of either modality reaches the loss."""
    missed = data.status != Status.REACHED_LOSS
    if "modality" not in missed.dims:
        raise NotMeasurable("needs both modalities")
    share = 1 - missed.mean([dim for dim in missed.dims if dim != "modality"])
    said = ", ".join(f"{float(share.sel(modality=name)):.1%} {name}" for name in share.modality.values)
    detail = f"{said} reach it; cells that stay above are left out of all other claims"
    return count_at_most(0, missed, expected="all, with high probability", detail=detail)


def pair(data: xr.DataArray, *, log: bool = True) -> tuple[Estimate, Estimate]:
    """Means over seeds for one and for two modalities, with intervals.

    Raises:
        NotMeasurable: one of them was not run.
    """
    one, two = (mean(at(data, modality=name), log=log) for name in MODALITIES)
    return one, two
