"""What a sweep asks of the place where tiles run, beside an executor."""

from abc import ABC, abstractmethod
from concurrent.futures import Executor

__all__ = ["Pool"]


class Pool(ABC):
    """An executor, how much fits in it, and what it means when it fails."""

    executor: Executor
    look_seconds = 5.0
    """Time between two looks at whether it is still there, while nothing finishes."""

    @abstractmethod
    def room(self) -> int:
        """Tiles to keep in flight, asked anew each time as clusters grow."""

    def blame(self, error: BaseException) -> str:
        """In a few words, what has died where an error means that and not a fault of the tile; else nothing."""
        return ""

    def renew(self) -> bool:
        """Replace what has died; False where that is not ours to do."""
        return False

    def lost(self) -> str:
        """In a few words, what has gone without an error, so that nothing will ever finish; else nothing."""
        return ""
