"""Two silent failures of single-step training, and the monitor that tells of them.

At ε = 0.25 plain FGSM learns its own attack: accuracy under FGSM stays high while that under PGD falls. And a
class-wise regulariser of λ = 4, summed over ten classes, makes the network constant, because equal logits cost it
nothing, or ends in numbers that are not finite. Wong, Rice, Kolter 2020, arXiv 2001.03994, describe the first; the
second was found here. PGD-AT is the sound reference.
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, all_of, at, at_least, at_most, claim, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.fast_adversarial.digits_training import DigitsTraining
from lemmata.papers.fast_adversarial.figures import attacks_along_training
from lemmata.papers.fast_adversarial.setting import OURS

WATCHED = ("fgsm", "fgsm-rs", "skg", "skg-strong", "pgd-at")
SIZES = {
    "smoke": Size(defence=("fgsm", "fgsm-rs"), eps=0.25, looks=1, seeds=2, epochs=1, attack_steps=2),
    "laptop": Size(defence=WATCHED, eps=0.25, looks=15, seeds=3),
    "paper": Size(defence=(*WATCHED, "bmi-ls", "pgi", "n-fgsm"), eps=0.25, looks=30, seeds=12),
}


def _fires(data: xr.Dataset, variable: str, defence: str) -> xr.DataArray:
    """Share of seeds at which the monitor warned."""
    return (at(data, defence=defence)[variable] >= 0).mean()


@claim("FGSM fails while its own training accuracy stays high, and the monitor warns", "Wong et al. 2020; derived here")
def overfitting_is_seen(data: xr.Dataset) -> Finding:
    """Training accuracy under FGSM, test accuracy under PGD-10, and the share of seeds warned of."""
    found = at(usable(data), defence="fgsm").isel(epoch=-1)
    return all_of(
        at_least(0.9, found.train_robust, format="training accuracy {least:.3f}"),
        at_most(0.45, found.look_pgd.mean("class"), format="PGD-10 {most:.3f}"),
        at_least(1.0, _fires(data, "warned_overfitting", "fgsm"), format="warned at {:.0%} of the seeds"),
        expected="0.95 to 0.97, 0.32 to 0.41 in the earlier study",
    )


@claim("the monitor is silent on PGD-AT", OURS)
def silent_on_the_reference(data: xr.Dataset) -> Finding:
    """Share of seeds with any warning."""
    warned = [_fires(data, f"warned_{what}", "pgd-at") for what in ("overfitting", "constant")]
    return all_of(*(at_most(0.0, share, format="warned at {:.0%}") for share in warned), expected="never")


@claim("a strong class-wise regulariser makes the network constant, and the monitor warns", OURS)
def constancy_is_seen(data: xr.Dataset) -> Finding:
    """Clean accuracy at λ = 4, and the share of seeds warned of."""
    clean = at(usable(data), defence="skg-strong").clean
    return all_of(
        at_most(0.2, clean, format="clean {most:.3f}"),
        at_least(1.0, _fires(data, "warned_constant", "skg-strong"), format="warned at {:.0%} of the seeds"),
        expected="0.1, one class for all",
    )


CLAIMS = (overfitting_is_seen, silent_on_the_reference, constancy_is_seen)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Accuracies along training."""
    return {"collapse": attacks_along_training(data, "Digits, ε = 0.25: what training accuracy does not show")}


EXPERIMENT = Experiment(DigitsTraining(eps=0.25), SIZES, claims=CLAIMS, figures=figures)
