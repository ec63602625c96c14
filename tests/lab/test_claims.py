"""Claims decide, abstain with a reason, and never average a bad cell in silence."""

import numpy as np
import pytest

from lemmata.lab.claims import Claim, Finding, NotMeasurable, at, converged, verdicts_from_json, verdicts_to_json
from tests.oracles.benign_tables import phase_diagram


def low_error(dataset):
    error = float(converged(dataset).dataset.test_error.mean())
    return Finding(holds=np.bool_(error < 0.2), measured=f"{error:.3f}", predicted="< 0.2")


CLAIM = Claim("low-error", "the mean test error is below 0.2", "derived here", low_error, sizes=("laptop",))


def test_a_claim_gives_a_verdict_that_json_keeps():
    verdict = CLAIM.check(phase_diagram(), "laptop")
    assert verdict.holds is True
    assert (verdict.claim, verdict.predicted) == ("low-error", "< 0.2")
    assert verdicts_from_json(verdicts_to_json([verdict])) == [verdict]


def test_a_claim_abstains_at_other_sizes_and_where_the_data_cannot_decide():
    assert CLAIM.check(phase_diagram(), "smoke").holds is None
    assert "laptop" in CLAIM.check(phase_diagram(), "smoke").detail
    needs_more = Claim("x", "x", "x", lambda dataset: Finding(holds=at(dataset, v0=7.0) is not None))
    verdict = needs_more.check(phase_diagram())
    assert verdict.holds is None
    assert "v0 = 7" in verdict.detail
    all_diverged = phase_diagram()
    all_diverged["status"][:] = 2
    assert "480 diverged" in CLAIM.check(all_diverged).detail


def test_diverged_and_missing_cells_are_masked_and_counted():
    dataset = phase_diagram()
    dataset["status"][0, 0, 0, 0] = 2
    dataset["status"][0, 0, 0, 1] = -1
    dataset["train_loss"][1, 2, 3, 4] = np.nan
    dataset["test_error"][0, 0, 0, 0] = 1e9
    kept = converged(dataset, loss=0.02)
    assert kept.left_out == {"not run": 1, "diverged": 1, "with train loss above 0.02": 1}
    assert kept.note == "3 of 480 cells left out: 1 not run, 1 diverged, 1 with train loss above 0.02"
    assert int(kept.dataset.test_error.isnull().sum()) == 3
    assert float(kept.dataset.test_error.max()) < 1
    assert dict(kept.dataset.sizes) == dict(dataset.sizes)
    assert converged(phase_diagram()).note == ""


def test_at_finds_values_up_to_rounding():
    assert float(at(phase_diagram(), v0=0.5 * (1 + 1e-12)).v0) == 0.5
    with pytest.raises(NotMeasurable, match="no axis 'depth'"):
        at(phase_diagram(), depth=3)
