"""What a data model owes, in types: it draws a :class:`~lemmata.data.sample.Sample`, and says what a cell costs."""

from typing import Protocol

from torch import Tensor

from lemmata.data.sample import Sample


class DataModel(Protocol):
    """A distribution of data sets: a frozen dataclass whose fields are parameters."""

    def sample(self, seeds: Tensor, init: Tensor, *, coordinates: str = "compressed") -> Sample:
        """One data set and the initial filters of every cell, from seeds ``(c,)`` and their scale ``(c, r)``."""

    def compresses(self, filters: int) -> bool:
        """Whether compressed coordinates exist for that many filters; otherwise sampling takes explicit ones."""

    def numbers_per_cell(self, filters: int, coordinates: str) -> int:
        """How many numbers a cell holds while it is drawn and trained; what tiles are sized by."""
