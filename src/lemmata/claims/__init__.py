"""Claims and the measurements they are made of, on any labelled dataset with a seed axis."""

from lemmata.claims.claim import (
    Claim,
    Finding,
    NotMeasurable,
    Verdict,
    claim,
    not_run,
    note,
    verdicts_from_json,
    verdicts_to_json,
)
from lemmata.claims.collapse import Misfit, collapse
from lemmata.claims.counts import count_at_most, share_at_most
from lemmata.claims.estimate import Estimate, Interval, mean
from lemmata.claims.exponent import drift, exponent, local_exponents
from lemmata.claims.slices import among, at, extremes, need, one_of_each, worst
from lemmata.claims.threshold import threshold
from lemmata.claims.tolerance import (
    above,
    alike,
    all_of,
    at_least,
    at_most,
    below,
    between,
    factor,
    in_order,
    within,
)
from lemmata.claims.usable import left_out, unusable, usable

__all__ = [
    "Claim",
    "Estimate",
    "Finding",
    "Interval",
    "Misfit",
    "NotMeasurable",
    "Verdict",
    "above",
    "alike",
    "all_of",
    "among",
    "at",
    "at_least",
    "at_most",
    "below",
    "between",
    "claim",
    "collapse",
    "count_at_most",
    "drift",
    "exponent",
    "extremes",
    "factor",
    "in_order",
    "left_out",
    "local_exponents",
    "mean",
    "need",
    "not_run",
    "note",
    "one_of_each",
    "share_at_most",
    "threshold",
    "unusable",
    "usable",
    "verdicts_from_json",
    "verdicts_to_json",
    "within",
    "worst",
]
