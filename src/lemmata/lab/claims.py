"""A claim is a paper's statement made measurable: a predicate on a dataset, with the numbers measured and expected.

Cells that diverged or never ran are not averaged in silence: :func:`converged` masks them and says how many.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import xarray as xr

DIVERGED = 2
"""Value of ``status`` for a cell whose training diverged (0: ran all its steps, 1: reached the loss asked for)."""


class NotMeasurable(Exception):
    """Raised by a predicate when the dataset cannot decide the claim; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a predicate found. The texts go into tables as they are."""

    holds: bool | None
    """``None``: the dataset cannot decide."""
    measured: str = ""
    predicted: str = ""
    tolerance: str = ""
    detail: str = ""
    """One sentence more: where the worst cell is, how many cells were left out."""


@dataclass(frozen=True, kw_only=True)
class Verdict(Finding):
    """A finding together with the claim it is about."""

    claim: str
    statement: str
    source: str


@dataclass(frozen=True)
class Claim:
    """A statement and the predicate that tests it.

    Args:
        name: short, with hyphens, unique within an experiment.
        statement: one sentence in plain words.
        source: where it is stated ("Shang et al. 2024, abstract"), or "derived here".
        predicate: dataset → :class:`Finding`; raises :class:`NotMeasurable` where the dataset cannot decide.
        sizes: sizes at which it can show; at others it is reported as not measurable.
    """

    name: str
    statement: str
    source: str
    predicate: "Callable[[xr.Dataset], Finding]"
    sizes: tuple[str, ...] = ("laptop", "paper")

    def check(self, dataset: "xr.Dataset", size: str | None = None) -> Verdict:
        """The verdict on a dataset that was run at ``size``."""
        if size is not None and size not in self.sizes:
            finding = Finding(holds=None, detail=f"shows at size {' or '.join(self.sizes)}, this is {size}")
        else:
            try:
                finding = self.predicate(dataset)
            except NotMeasurable as reason:
                finding = Finding(holds=None, detail=str(reason))
        # Verdicts are stored as JSON, which knows no numpy.bool.
        found = {**asdict(finding), "holds": None if finding.holds is None else bool(finding.holds)}
        return Verdict(claim=self.name, statement=self.statement, source=self.source, **found)


def verdicts_to_json(verdicts: Iterable[Verdict]) -> str:
    """For a dataset's attribute ``verdicts``."""
    return json.dumps([asdict(verdict) for verdict in verdicts], ensure_ascii=False)


def verdicts_from_json(text: str) -> list[Verdict]:
    """The inverse of :func:`verdicts_to_json`."""
    return [Verdict(**fields) for fields in json.loads(text)]


class Converged(NamedTuple):
    """A dataset whose unusable cells are missing, and how many there were."""

    dataset: "xr.Dataset"
    """Floating-point variables read NaN at cells left out."""
    usable: "xr.DataArray"
    """Truth value per cell."""
    left_out: Mapping[str, int]
    """Reason → number of cells: ``not run``, ``diverged``, ``loss above ...``."""

    @property
    def note(self) -> str:
        """``"3 of 240 cells left out: 2 diverged, 1 not run"``, or nothing."""
        if not self.left_out:
            return ""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"{sum(self.left_out.values())} of {self.usable.size} cells left out: {reasons}"


def converged(dataset: "xr.Dataset", loss: float | None = None) -> Converged:
    """Mask the cells that never ran or diverged, and with ``loss`` also those whose ``train_loss`` is above it.

    Raises:
        NotMeasurable: no cell is left.
    """
    status = dataset["status"]
    usable, left_out = status == status, {}
    reasons = {"not run": status < 0, "diverged": status == DIVERGED}
    if loss is not None:
        reasons[f"with train loss above {loss:g}"] = ~(dataset["train_loss"] <= loss)
    for reason, mask in reasons.items():
        count = int((usable & mask).sum())
        usable = usable & ~mask
        if count:
            left_out[reason] = count
    masked = dataset.map(lambda v: v.where(usable) if v.dtype.kind == "f" and set(usable.dims) <= set(v.dims) else v)
    masked.attrs = dict(dataset.attrs)
    result = Converged(masked.transpose(*dataset.dims), usable, left_out)
    if not bool(usable.any()):
        raise NotMeasurable(result.note)
    return result


def at(dataset: "xr.Dataset", **values: Any) -> "xr.Dataset":
    """The part of a dataset at given coordinates, e.g. ``at(dataset, v0=0.5)``; numbers match to 1e-9 relative.

    Raises:
        NotMeasurable: a value is not on the grid, as when the user chose other values for the axis.
    """
    for name, value in values.items():
        if name not in dataset.dims:
            raise NotMeasurable(f"the dataset has no axis {name!r}")
        here = [k for k, found in enumerate(dataset[name].values.tolist()) if _same(found, value)]
        if not here:
            raise NotMeasurable(f"needs {name} = {value:g}, which is not among the values run")
        dataset = dataset.isel({name: here[0]})
    return dataset


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) or isinstance(wanted, str):
        return found == wanted
    return abs(found - wanted) <= 1e-9 * abs(wanted)
