"""When to look, and with which α: doubling numbers of seeds, α divided beforehand: any stopping rule is covered.

Looks at 8, 16, 32, ... seeds each spend α divided by the number of looks that are laid out before the first one;
stopping at any of them, for any reason, then leaves the probability of a false verdict at α (Bonferroni). Looking after
every few seeds with the full α instead refutes 38 % of true laws (measured).

Several conjectures share α by Holm 1979, separately for the two errors there are: a true law refuted, and a false one
called consistent. With m conjectures of which r are refuted, the next is refuted at α/(m − r).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lemmata.tester.conjecture import Judgement

FIRST, MOST, LEAST = 8, 4096, 4
FURTHER = 2
"""Looks for which α is kept beyond those the budget allows, so that more budget can be given later."""


@dataclass(frozen=True)
class Budget:
    """How much may run: cells, or seconds.

    Raises:
        ValueError: it is neither, or not positive.
    """

    cells: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, given: "int | float | str | Budget") -> "Budget":
        """``2000``, ``"2000 cells"``, ``"60 s"``, ``"5 min"``, ``"1 h"``."""
        if isinstance(given, Budget):
            return given
        found = re.fullmatch(r"\s*([\d.]+(?:e\d+)?)\s*(cells?|s|sec|min|h)?\s*", str(given))
        if not found or isinstance(given, bool):
            raise ValueError(
                f"budget = {given!r} was asked for; give cells, e.g. 2000, or a time, e.g. '60 s', '5 min'"
            )
        number, unit = float(found[1]), found[2] or "cells"
        if number <= 0:
            raise ValueError(f"budget = {given!r} was asked for; give a positive number of cells, or a time")
        if unit.startswith("cell"):
            return cls(cells=int(number))
        return cls(seconds=number * {"s": 1, "sec": 1, "min": 60, "h": 3600}[unit])

    def cells_at(self, seconds_per_cell: float) -> int:
        """The budget in cells."""
        if self.cells is not None:
            return self.cells
        return int((self.seconds or 0.0) / max(seconds_per_cell, 1e-9))

    def __str__(self) -> str:
        return f"{self.cells} cells" if self.cells is not None else f"{self.seconds:g} s"


@dataclass(frozen=True)
class Layout:
    """Looks and what each may spend; fixed before the first look.

    Args:
        looks: numbers of seeds, increasing.
        alpha: probability of a false verdict of the whole study.
    """

    looks: tuple[int, ...]
    alpha: float

    @property
    def alpha_of_a_look(self) -> float:
        """α divided by the number of looks."""
        return self.alpha / len(self.looks)


def lay_out(
    cells: int, per_seed: int, alpha: float, spent: int = 0, looks: int | None = None, at_first: int = 0
) -> Layout:
    """Doubling looks that a budget allows, and α for some more.

    Args:
        cells: budget in cells, of which ``spent`` are gone for exploring.
        per_seed: cells that one more seed costs.
        looks: how many to lay out, in place of those the budget allows and :data:`FURTHER` more.
        at_first: cells that a seed of the first look costs beyond.

    Raises:
        ValueError: the budget is too small for four seeds; with the least budget.
    """
    room = (cells - spent) // max(1, per_seed + at_first)
    if room < LEAST:
        least = spent + LEAST * (per_seed + at_first)
        raise ValueError(
            f"a budget of {cells} cells leaves {max(0, room)} seeds after exploring and {LEAST} are needed; "
            f"give {least} cells or more"
        )
    first = min(FIRST, room)
    room = (cells - spent - first * at_first) // max(1, per_seed)
    allowed = 1
    while first * 2**allowed <= min(room, MOST):
        allowed += 1
    count = looks if looks is not None else allowed + FURTHER
    if count < 1:
        raise ValueError(f"looks = {looks} was asked for; give 1 or more")
    return Layout(tuple(first * 2**k for k in range(count)), alpha)


def holm(
    judge: Sequence[Callable[[float], Judgement]], alpha: float, refuted: int = 0, consistent: int = 0
) -> list[Judgement]:
    """Judgements of several conjectures, each a function of the α it may spend.

    Args:
        alpha: of this look.
        refuted, consistent: conjectures of the study that earlier looks decided.
    """
    count = len(judge) + refuted + consistent
    found = [one(alpha / count) for one in judge]
    while True:
        decided = {
            False: refuted + sum(one.holds is False for one in found),
            True: consistent + sum(one.holds is True for one in found),
        }
        moved = False
        for number, one in enumerate(found):
            for verdict, many in decided.items():
                if one.holds is None and 0 < many < count and not moved:
                    again = judge[number](alpha / (count - many))
                    if again.holds is verdict:
                        note = f"decided at 1/{count - many} of the look's α (Holm)"
                        found[number], moved = replace(again, notes=(*again.notes, note)), True
        if not moved:
            return found
