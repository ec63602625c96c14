"""Why a cell ended, as numbers that are stored with every dataset. No torch here: claims read it too."""

from enum import IntEnum


class Status(IntEnum):
    """Why a cell stopped."""

    ALL_STEPS = 0
    REACHED_LOSS = 1
    DIVERGED = 2
    CONVERGED = 3
    REACHED_LEVEL = 4
