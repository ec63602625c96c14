"""How an experiment is looked at live: which map, over which axes, with which sliders."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Explore:
    """``Explore(x="n", y="signal", shows="test_error", sliders={"d": (1e3, 1e9)})``.

    Args:
        x, y: axes of the map; their values are those of the size.
        shows: the variable whose colour is shown first.
        limits: of the colours, in the variable's units, so that two maps and two moments compare; None: as measured.
        contours: a predicted variable drawn over the map, at ``levels``; empty for none.
        sliders: further parameters that may be moved, each with its range.
    """

    x: str
    y: str
    shows: str
    limits: tuple[float, float] | None = None
    contours: str = ""
    levels: tuple[float, ...] = ()
    sliders: Mapping[str, tuple[float, float]] = field(default_factory=dict)
