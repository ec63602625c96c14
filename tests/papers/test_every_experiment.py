"""What holds for every experiment that ships: sizes grow, it runs small, no claim fails, its figures are drawn."""

import os

import numpy as np
import pytest

from lemmata.lab.card import SIZES
from lemmata.lab.cards import cards
from lemmata.lab.find import find
from lemmata.lab.run_folder import conclude, conclusions, drawn
from lemmata.report.style import save
from lemmata.status import Status
from lemmata.sweep import sweep
from tests.papers.mutations import SET, cannot_fail

NEED_FILES = {"parameter-free-cifar", "parameter-free-gpt2", "fast-adversarial-cifar"}
"""These read data of the user's; they run in tests of their own, on files made there."""
HOLDS_ON_MUTANTS = {
    "nearest-neighbour-landscape": {"nonconvex"},  # one of many slopes is enough for it
    "simclr-when-to-stop": {"growth-time"},  # counts steps, the same for all levels of a small run
}
"""Claims that no mutant of a smoke run refutes, and why; every other claim fails on one at least."""
NAMES = [name for name in cards() if name not in NEED_FILES]


@pytest.mark.parametrize("name", cards())
def test_sizes_grow_and_the_card_knows_them(name):
    experiment = find(name)
    assert set(experiment.card.seconds) == set(SIZES)
    assert experiment.card.sentence.endswith(".")
    assert experiment.claims
    assert len({claim.name for claim in experiment.claims}) == len(experiment.claims)
    if name not in NEED_FILES:
        cells = [experiment.configure(size)[1].cells for size in SIZES]
        assert cells == sorted(cells)
        assert cells[0] <= 200


def all_diverged(measured):
    """Every cell diverged: NaN in all that is measured, and its status says so."""
    broken = measured.copy(deep=True)
    for name, variable in broken.data_vars.items():
        if name.endswith("status"):
            broken[name] = variable * 0 + Status.DIVERGED
        elif variable.dtype.kind == "f" and name not in SET:
            broken[name] = variable * np.nan
    return broken


def all_zero(measured):
    """Every number measured is 0, which no logarithm likes."""
    zeros = {k: v * 0 for k, v in measured.data_vars.items() if v.dtype.kind == "f" and k not in SET}
    return measured.assign(zeros)


def one_cell(measured):
    """One value of every axis, kept as an axis."""
    return measured.isel({name: [0] for name in measured.dims if name in measured.coords})


def drawn_and_judged_all_the_same(experiment, measured):
    """Figures are drawn and claims judged, whatever was measured; no claim holds on what does not exist."""
    dataset, found = conclusions(experiment, measured, "laptop")
    for figure in drawn(experiment, dataset).values():
        figure.draw_without_rendering()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_at_size_smoke_and_no_claim_fails_there(name, tmp_path):
    experiment = find(name)
    body, grid = experiment.configure("smoke")
    sweep(body, grid, tmp_path / "data.zarr", progress=False)
    dataset, found = conclude(experiment, "smoke", tmp_path)
    assert bool(dataset["done"].all())
    failed = [verdict for verdict in found if verdict.holds is False]
    assert not failed, failed
    measured = dataset[list(body.variables)]
    held = {verdict.claim for verdict in found if verdict.holds}
    assert cannot_fail(experiment, measured, held) == HOLDS_ON_MUTANTS.get(name, set())
    for key, figure in drawn(experiment, dataset).items():
        assert figure.axes
        assert save(figure, tmp_path / f"{key}.png", dpi=60).stat().st_size > 3000
    for damaged in (all_diverged(measured), all_zero(measured), one_cell(measured)):
        drawn_and_judged_all_the_same(experiment, damaged)
    kept = os.environ.get("LEMMATA_KEEP_FIGURES")  # a folder, to look at them
    if kept:
        for key, figure in drawn(experiment, dataset).items():
            save(figure, f"{kept}/{name}-{key}.png", dpi=90)
