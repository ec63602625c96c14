"""A run in which every cell diverged, or none ran, ends with its table: claims abstain or fail, and raise nothing."""

import numpy as np
import pytest

from lemmata.lab.find import find
from lemmata.sweep import sweep


@pytest.mark.parametrize("name", ["benign-overfitting", "benign-overfitting-dimension"])
@pytest.mark.parametrize("status", [2, -1])
def test_claims_of_a_run_without_a_usable_cell(name, status):
    experiment = find(name)
    body, grid = experiment.configure("smoke", {"steps": 20})
    data = sweep(body, grid, progress=False).load()
    for variable in data.data_vars:
        if data[variable].dtype.kind == "f":
            data[variable][...] = np.nan
    data["status"][...] = status
    with np.errstate(all="ignore"):
        data = data.assign(dict(experiment.predict(data)))
    for claim in experiment.claims:
        verdict = claim.check(data, "laptop")
        assert verdict.holds is not True, verdict
        assert verdict.measured or verdict.detail
