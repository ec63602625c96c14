"""Clean against robust accuracy of each class along training, and what the parts of SKG-FAT change.

The abstract of Jiang et al. 2024, arXiv 2409.17589, observes under uniform fast adversarial training a *disparity* of
classes in robust accuracy and a *misalignment* of it with their clean accuracy, and names two remedies: regularisation
by class for the first and label relaxation by class for the second. Measured here on digits: disparity is the highest
minus the lowest accuracy of a class; misalignment is one minus Spearman's rank correlation, over classes, of clean with
robust accuracy. What is averaged over seeds is the number of each seed.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import rankdata

from lemmata.claims import Finding, all_of, at, at_least, at_most, below, claim, usable
from lemmata.lab import Experiment, Size
from lemmata.papers.fast_adversarial.digits_training import DigitsTraining
from lemmata.papers.fast_adversarial.figures import class_accuracies, clean_against_robust
from lemmata.papers.fast_adversarial.setting import ABSTRACT, OURS

PARTS = ("fgsm-rs", "bmi-ls", "skg", "skg-labels", "skg-relaxed", "skg-released")
SIZES = {
    "smoke": Size(defence=("fgsm-rs", "skg"), looks=1, seeds=1, epochs=1, attack_steps=2),
    "laptop": Size(defence=PARTS, looks=12, seeds=3),
    "paper": Size(defence=(*PARTS, "pgi", "skg-group", "pgd-at"), looks=30, seeds=12),
}


def misalignment(clean: xr.DataArray, robust: xr.DataArray) -> xr.DataArray:
    """One minus the rank correlation over ``class``, ties ranked by their average; NaN where all are equal."""

    def of(a: np.ndarray, b: np.ndarray) -> float:
        a, b = rankdata(a), rankdata(b)
        return float(1 - np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else np.nan

    dims = [["class"], ["class"]]
    return xr.apply_ufunc(of, clean, robust, input_core_dims=dims, vectorize=True)


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Nothing is predicted; disparity and misalignment at every look are computed once for claims and tables."""
    disparity = data.look_pgd.max("class") - data.look_pgd.min("class")
    clean = data.look_clean.max("class") - data.look_clean.min("class")
    return {
        "disparity": disparity.assign_attrs(long_name="robust disparity of classes", units="1"),
        "clean_disparity": clean.assign_attrs(long_name="clean disparity of classes", units="1"),
        "misalignment": misalignment(data.look_clean, data.look_pgd).assign_attrs(
            long_name="misalignment of clean and robust accuracy", units="1"
        ),
    }


def _last(data: xr.Dataset, name: str, defence: str) -> xr.DataArray:
    """At the end of training, mean over seeds."""
    chosen = at(usable(data), defence=defence)
    return predict(chosen)[name].isel(epoch=-1).mean("seed")


@claim("under uniform training classes differ far more in robust than in clean accuracy", ABSTRACT)
def classes_are_unequal(data: xr.Dataset) -> Finding:
    """Disparity under FGSM-RS, robust and clean."""
    return all_of(
        at_least(0.3, _last(data, "disparity", "fgsm-rs"), format="robust {:.3f}"),
        at_most(0.1, _last(data, "clean_disparity", "fgsm-rs"), format="clean {:.3f}"),
        expected="an obvious class disparity",
    )


@claim("a class's clean accuracy does not tell its robust one", ABSTRACT)
def classes_are_misaligned(data: xr.Dataset) -> Finding:
    """Misalignment under FGSM-RS."""
    return at_least(0.2, _last(data, "misalignment", "fgsm-rs"), expected="misaligned (0 would be the same order)")


@claim("regularisation by class narrows the disparity", ABSTRACT)
def regularisation_narrows(data: xr.Dataset) -> Finding:
    """Disparity with the class-wise regulariser minus that with the batch memory alone."""
    return below(0, _last(data, "disparity", "skg") - _last(data, "disparity", "bmi-ls"), expected="narrower")


@claim("label relaxation by class aligns robust with clean accuracy", ABSTRACT)
def relaxation_aligns(data: xr.Dataset) -> Finding:
    """Misalignment with labels by class minus that with the batch memory alone."""
    changed = _last(data, "misalignment", "skg-labels") - _last(data, "misalignment", "bmi-ls")
    clean = float(_last(data, "clean_disparity", "skg-labels"))
    return below(0, changed, expected="better aligned", detail=f"clean disparity with labels by class {clean:.3f}")


@claim("all of SKG-FAT narrows the disparity against uniform training", OURS)
def all_narrow(data: xr.Dataset) -> Finding:
    """Disparity of the released method minus that of FGSM-RS."""
    return below(0, _last(data, "disparity", "skg-released") - _last(data, "disparity", "fgsm-rs"), expected="narrower")


CLAIMS = (classes_are_unequal, classes_are_misaligned, regularisation_narrows, relaxation_aligns, all_narrow)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Every class's way, clean against robust; and robust accuracies of the classes at the end."""
    title = "Digits, ε = 0.2: clean against robust accuracy of each class along training"
    return {
        "alignment": clean_against_robust(data, title),
        "classes": class_accuracies(data, float(np.asarray(data.eps.values).ravel()[0]), PARTS),
    }


EXPERIMENT = Experiment(DigitsTraining(eps=0.2), SIZES, claims=CLAIMS, predict=predict, figures=figures)
