"""How often something fails: a whole-number limit, or a share of independent draws with its exact binomial interval.

Theorems say "with probability 1 − δ over the data". What is drawn independently is then the *data set*, not the cell:
all cells that share their draws count as one, and fail together. For k failures among N draws the interval is that of
Clopper and Pearson 1934, with quantiles of the beta distribution:

    [B⁻¹(α/2; k, N−k+1), B⁻¹(1−α/2; k+1, N−k)].
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from lemmata.claims.band import Band
from lemmata.claims.claim import Finding, NotMeasurable
from lemmata.claims.slices import worst
from lemmata.claims.tolerance import UNDECIDED


def count_at_most(most: int, bad: xr.DataArray, of: str = "cells", **said: Any) -> Finding:
    """At most ``most`` entries of ``bad`` are True; ``of`` says what an entry is.

    Args:
        said: ``expected``, ``detail`` and ``where`` as for every tolerance.
    """
    count = int(bad.sum())
    allowed = f"at most {most} {of}" if most else f"no {of.removesuffix('s')}"
    place = f"one at {worst(bad.astype(float))}" if count and bad.ndim else ""
    return Finding(
        holds=count <= most,
        measured=f"{count} of {bad.size} {of}",
        predicted=said.get("expected", ""),
        tolerance=" ".join(filter(None, [allowed, said.get("where", "")])),
        detail="; ".join(filter(None, [place, said.get("detail", "")])),
    )


def share_at_most(
    share: float, bad: xr.DataArray, per: str | Sequence[str], of: str = "data sets", level: float = 0.95, **said: Any
) -> Finding:
    """At most a share of independent draws has a cell that is bad: holds, fails, or is undecided by its interval.

    Args:
        share: δ, between 0 and 1.
        bad: truth value per cell.
        per: dimensions along which draws are independent (``("n", "seed")``); along the others they are shared, and a
            draw is bad if any of its cells is.
        of: what a draw is, in the plural.

    Raises:
        NotMeasurable: ``bad`` lacks one of the dimensions.
    """
    names = [per] if isinstance(per, str) else list(per)
    if missing := [name for name in names if name not in bad.dims]:
        raise NotMeasurable(f"needs an axis {missing[0]!r} along which {of} are independent")
    draws = bad.any([dim for dim in bad.dims if dim not in names])
    count, size = int(draws.sum()), draws.size
    low, high = binomial_interval(count, size, level)
    band = Band(high=share, unit="%", where=said.get("where", f"of {of}"))
    holds = True if high <= share else False if low > share else None
    place = f"one at {worst(draws.astype(float))}" if count else ""
    shared = f"; {int(bad.sum())} of {bad.size} cells" if bad.size > size else ""
    return Finding(
        holds=holds,
        measured=f"{count} of {size} {of}: {count / size:.1%} [{low:.2%}, {high:.1%}]{shared}",
        predicted=said.get("expected", "all, with high probability"),
        tolerance=str(band),
        detail="; ".join(filter(None, [place, said.get("detail", ""), UNDECIDED if holds is None else ""])),
    )


def binomial_interval(count: int, size: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share from ``count`` of ``size`` independent draws (Clopper and Pearson)."""
    tail = (1 - level) / 2
    low = special.betaincinv(count, size - count + 1, tail) if count else 0.0
    high = special.betaincinv(count + 1, size - count, 1 - tail) if count < size else 1.0
    return float(np.float64(low)), float(np.float64(high))
