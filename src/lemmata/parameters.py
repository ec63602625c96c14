"""Checks of what a user hands over: one sentence that says what was asked, what was found and what to do."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from torch import Tensor


def require(name: str, value: Any, holds: Callable[[Any], bool], wanted: str) -> None:
    """Raises ``ValueError`` unless ``holds(value)``. Per-cell tensors pass: their values were checked one by one."""
    if isinstance(value, Tensor):
        return
    number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        fits = (number or isinstance(value, str)) and holds(value)
    except TypeError:  # a text where a number is compared
        fits = False
    if not fits:
        raise ValueError(f"{name} = {value!r} was asked for; {name} must be {wanted}")


def require_whole(name: str, value: Any, least: int, what: str) -> None:
    """Raises ``ValueError`` unless ``value`` is a whole number of at least ``least``. Per-cell tensors pass."""
    if isinstance(value, Tensor):
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{name} = {value!r} was asked for; {name} is {what} and must be a whole number of at least {least}"
        )
