"""Grid -> tiles -> one labelled dataset: cut, run anywhere, store, resume."""

from lemmata.sweep.annotate import annotate
from lemmata.sweep.body import Body, Variable
from lemmata.sweep.grid import Axis, Grid
from lemmata.sweep.plan import Plan, explain
from lemmata.sweep.store import open_store
from lemmata.sweep.sweep import SweepError, SweepInterrupted, sweep

__all__ = [
    "Axis",
    "Body",
    "Grid",
    "Plan",
    "SweepError",
    "SweepInterrupted",
    "Variable",
    "annotate",
    "explain",
    "open_store",
    "sweep",
]
