"""What the parts of SKG-FAT are worth on digits: two radii, clean, under two attacks, and for the worst class.

The control is the batch memory with labels of confidence 0.9 alone; FGSM-PGI's plain regulariser at the same λ stands
beside the class-wise one. Claims are thresholds of the study that chose λ, with slack, judged on its seeds and on fresh
ones. Jiang et al. 2024, arXiv 2409.17589, report CIFAR-10, CIFAR-100, Tiny-ImageNet and ImageNet-100; the small setting
is ours, and of the paper's tables none could be read.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, above, all_of, at_least, at_most, claim
from lemmata.lab import Experiment, Size
from lemmata.papers.fast_adversarial.claims_by_group import gain, of_method
from lemmata.papers.fast_adversarial.digits_training import DigitsTraining
from lemmata.papers.fast_adversarial.figures import bars_by_method
from lemmata.papers.fast_adversarial.setting import ABSTRACT, OURS, RELEASE

SEVEN = ("fgsm-rs", "skg", "bmi-ls", "pgi", "fgsm", "skg-released", "pgd-at")
GAINS = (
    ("pgd", "PGD", 0.06),
    ("union", "both", 0.05),
    ("worst_class", "worst class", 0.07),
    ("clean", "clean", -0.01),
)
"""Variable, its word, and what SKG-FAT gains over FGSM-RS at least, at ε = 0.2."""
SIZES = {
    "smoke": Size(defence=("fgsm-rs", "skg"), eps=(0.2,), seeds=2, epochs=1, attack_steps=2),
    "laptop": Size(defence=SEVEN, eps=(0.2, 0.25), seeds=6),
    "paper": Size(
        defence=(*SEVEN, "n-fgsm", "skg-relaxed", "skg-group", "fgsm-pgi", "fgsm-mep", "tdat", "trades"),
        eps=(0.1, 0.15, 0.2, 0.25, 0.3),
        seeds=12,
    ),
}


@claim("class-wise regularisation resists better than FGSM-RS, and as well on clean images", OURS)
def better_than_fgsm_rs(data: xr.Dataset) -> Finding:
    """Gains at ε = 0.2 under PGD, under both attacks and for the worst class; what it costs on clean images."""
    parts = [
        at_least(least, gain(data, name, "skg", "fgsm-rs", 0.2), format=f"{words} {{least:+.3f}} to {{most:+.3f}}")
        for name, words, least in GAINS
    ]
    return all_of(*parts, expected="+0.099, +0.087, +0.141, -0.001 in the earlier study")


@claim("it resists better at ε = 0.25 too", OURS)
def better_at_a_larger_radius(data: xr.Dataset) -> Finding:
    """The same with λ = 0.1."""
    parts = [
        at_least(least, gain(data, name, "skg", "fgsm-rs", 0.25), format=f"{words} {{least:+.3f}} to {{most:+.3f}}")
        for name, words, least in (("pgd", "PGD", 0.04), ("union", "both", 0.035))
    ]
    return all_of(*parts, expected="+0.071, +0.065 in the earlier study")


@claim("the gain is not that of the batch memory and the labels alone", OURS)
def better_than_the_control(data: xr.Dataset) -> Finding:
    """Gain under both attacks over the control at ε = 0.2."""
    return at_least(0.015, gain(data, "union", "skg", "bmi-ls", 0.2), expected="+0.041 in the earlier study")


@claim("weighing by class helps beyond FGSM-PGI's plain regulariser", ABSTRACT)
def better_than_a_plain_regulariser(data: xr.Dataset) -> Finding:
    """Gain under both attacks and for the worst class over the plain regulariser at the same λ, ε = 0.2."""
    return all_of(
        above(0, gain(data, "union", "skg", "pgi", 0.2), format="both {least:+.3f} to {most:+.3f}"),
        above(0, gain(data, "worst_class", "skg", "pgi", 0.2), format="worst class {least:+.3f} to {most:+.3f}"),
        expected="better",
    )


@claim("as released it resists PGD better than FGSM-RS", RELEASE)
def released_is_better_under_pgd(data: xr.Dataset) -> Finding:
    """Gain under PGD at ε = 0.2, λ = 1; under both attacks beside it."""
    under_both = gain(data, "union", "skg-released", "fgsm-rs", 0.2)
    detail = "under both attacks " + ", ".join(f"{float(v):+.3f}" for v in under_both)
    return at_least(0.04, gain(data, "pgd", "skg-released", "fgsm-rs", 0.2), expected="+0.081 in ours", detail=detail)


@claim("soft labels flatter the cross-entropy attack", OURS)
def labels_flatter_pgd(data: xr.Dataset) -> Finding:
    """How much more the margin attack takes from the released labels than from FGSM-RS, ε = 0.2."""
    lost = {
        name: of_method(data, "pgd", name, 0.2) - of_method(data, "union", name, 0.2)
        for name in ("skg-released", "fgsm-rs")
    }
    return above(0.01, lost["skg-released"] - lost["fgsm-rs"], expected="+0.05 in the earlier study")


@claim("FGSM breaks down at ε = 0.25", OURS)
def fgsm_breaks_down(data: xr.Dataset) -> Finding:
    """Accuracy of plain FGSM under PGD, and its worst class."""
    return all_of(
        at_most(0.36, of_method(data, "pgd", "fgsm", 0.25), format="PGD {most:.3f}"),
        at_most(0.1, of_method(data, "worst_class", "fgsm", 0.25), format="worst class {most:.3f}"),
        expected="0.305 and 0.045 in the earlier study",
    )


@claim("it costs a third of PGD-AT", OURS)
def cheaper_than_pgd_at(data: xr.Dataset) -> Finding:
    """CPU time of training over that of PGD-AT with ten steps, in the same run."""
    ratio = of_method(data, "cpu_seconds", "skg", 0.2) / of_method(data, "cpu_seconds", "pgd-at", 0.2)
    return at_most(0.4, ratio, expected="8 passes against 23: 0.35")


CLAIMS = (
    better_than_fgsm_rs,
    better_at_a_larger_radius,
    better_than_the_control,
    better_than_a_plain_regulariser,
    released_is_better_under_pgd,
    labels_flatter_pgd,
    fgsm_breaks_down,
    cheaper_than_pgd_at,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Accuracies of the methods at each radius, seeds as points; per-class accuracies."""
    from lemmata.papers.fast_adversarial.figures import class_accuracies

    radius = float(np.asarray(data.eps.values).ravel()[0])
    return {
        "methods": bars_by_method(data, ("clean", "pgd", "union", "worst_class")),
        "classes": class_accuracies(data, radius),
    }


EXPERIMENT = Experiment(DigitsTraining(), SIZES, claims=CLAIMS, figures=figures)
