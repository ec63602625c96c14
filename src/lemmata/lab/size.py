"""A size of an experiment: its axes, what it changes, and how many seeds, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, init=False)
class Size:
    """``Size(n=(10, 20, 40), steps=2000, seeds=12)``: a tuple spans an axis of the grid, a single value is a change.

    Args:
        seeds: how many; 0 for a grid without an axis ``seed``.
        changes: fields of the body that are no parameters, such as the steps recorded, by name.
        values: parameters by name. The order of the tuples is the order of the dataset's dimensions; seeds come last.
    """

    seeds: int
    changes: Mapping[str, Any]
    values: Mapping[str, Any]

    def __init__(self, *, seeds: int = 1, changes: Mapping[str, Any] | None = None, **values: Any):
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "changes", dict(changes or {}))
        object.__setattr__(self, "values", values)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The parameters that span axes."""
        return {name: value for name, value in self.values.items() if isinstance(value, tuple)}

    @property
    def fixed(self) -> dict[str, Any]:
        """The parameters that are changed to one value."""
        return {name: value for name, value in self.values.items() if not isinstance(value, tuple)}
