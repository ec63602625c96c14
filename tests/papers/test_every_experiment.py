"""What holds for every experiment that ships: sizes grow, it runs small, no claim fails, its figures are drawn."""

import os

import pytest

from lemmata.lab.card import SIZES
from lemmata.lab.cards import cards
from lemmata.lab.find import find
from lemmata.lab.run_folder import conclude
from lemmata.report.style import save
from lemmata.sweep import sweep

NEED_FILES = {"parameter-free-cifar", "parameter-free-gpt2", "fast-adversarial-cifar"}
"""These read data of the user's; they run in tests of their own, on files made there."""
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


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_at_size_smoke_and_no_claim_fails_there(name, tmp_path):
    experiment = find(name)
    sweep(*experiment.configure("smoke"), tmp_path / "data.zarr", progress=False)
    dataset, found = conclude(experiment, "smoke", tmp_path)
    assert bool(dataset["done"].all())
    failed = [verdict for verdict in found if verdict.holds is False]
    assert not failed, failed
    for key, figure in experiment.figures(dataset).items():
        assert figure.axes
        assert save(figure, tmp_path / f"{key}.png", dpi=60).stat().st_size > 3000
    kept = os.environ.get("LEMMATA_KEEP_FIGURES")  # a folder, to look at them
    if kept:
        for key, figure in experiment.figures(dataset).items():
            save(figure, f"{kept}/{name}-{key}.png", dpi=90)
