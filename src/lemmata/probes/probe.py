"""A probe: a named quantity, recorded along training. Those that come with Lemmata are :data:`~lemmata.PROBES`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.probes.snapshot import Snapshot

_TAKEN = ("status", "status_step", "step", "seed", "done")
"""Names that a dataset needs itself."""


@dataclass(frozen=True)
class Probe:
    """A function of a :class:`~lemmata.probes.snapshot.Snapshot` that gives one number per cell, ``(c,)``.

    Args:
        name: of the variable in the dataset; letters, digits and underscores.
        measure: ``Snapshot -> (c,)``; must not mix cells.
        long_name: what a figure writes on the axis.
        units: ``"1"`` for pure numbers.
        at_end: it is taken at the last step recorded and missing before, as it is dear and of interest there alone.

    Raises:
        ValueError: a name that a dataset cannot carry.
    """

    name: str
    measure: Callable[[Snapshot], Tensor]
    long_name: str = ""
    units: str = "1"
    at_end: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier() or self.name in _TAKEN:
            raise ValueError(
                f"a probe called {self.name!r} was asked for; name it with letters, digits and underscores, "
                f"and not {', '.join(_TAKEN)}"
            )
        if not callable(self.measure):
            raise TypeError(f"probe {self.name!r} measures {self.measure!r}; give a function of a snapshot")


def measured(probe: Probe, snapshot: Snapshot, *, last: bool = True) -> Tensor:
    """What a probe gives for a snapshot, ``(c,)``; ``last``: it is that of the last step recorded.

    Raises:
        TypeError: it is not one real number per cell.
    """
    if probe.at_end and not last:
        return torch.full_like(snapshot.loss, torch.nan)
    found, cells = probe.measure(snapshot), len(snapshot.products.A)
    if not isinstance(found, Tensor) or tuple(found.shape) != (cells,) or found.is_complex():
        what = f"a {found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"{found!r}"
        raise TypeError(
            f"probe {probe.name!r} gave {what} for {cells} cells; give a real tensor with one number per cell, e.g. "
            "lambda s: s.noise.mean((1, 2))"
        )
    return found
