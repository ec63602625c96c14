"""Grid -> plan -> tiles -> one labelled dataset: cut, run anywhere, store, resume."""

from lemmata.sweep.annotate import annotate
from lemmata.sweep.around import Around
from lemmata.sweep.body import Body, Variable
from lemmata.sweep.derived import Derived, derived
from lemmata.sweep.grid import Axis, Grid
from lemmata.sweep.plan import Plan, explain, plan
from lemmata.sweep.points import Points
from lemmata.sweep.store import open_store
from lemmata.sweep.sweep import SweepError, SweepInterrupted, each_tile, sweep

__all__ = [
    "Around",
    "Axis",
    "Body",
    "Derived",
    "Grid",
    "Plan",
    "Points",
    "SweepError",
    "SweepInterrupted",
    "Variable",
    "annotate",
    "derived",
    "each_tile",
    "explain",
    "open_store",
    "plan",
    "sweep",
]
