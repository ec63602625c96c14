"""What all iterated attacks are given, looked at before anything is computed."""

from torch import Tensor

from lemmata.robust.attacks.losses import LOSSES
from lemmata.robust.checks import (
    NORMS,
    check_choice,
    check_extremes,
    check_number,
    check_shapes,
    check_whole,
    extremes,
)


def check_attack(x: Tensor, y: Tensor, eps: float, steps: int, restarts: int, loss: str, norm: str) -> None:
    """Refuse a radius, numbers, a loss or a norm out of range, and images that are none.

    Raises:
        ValueError: naming the argument, what was found, and what to give.
    """
    check_number("eps", eps, above=0)
    check_whole("steps", steps, 1)
    check_whole("restarts", restarts, 1)
    check_choice("loss", loss, tuple(LOSSES))
    check_choice("norm", norm, NORMS)
    check_shapes(x, y)
    check_extremes(extremes(x, y), None)
