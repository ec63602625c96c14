"""A slider and a number field for one parameter, made from what the parameter says of itself."""

import math
from collections.abc import Callable
from typing import Any

from bokeh.layouts import row
from bokeh.models.widgets import Slider, TextInput

from lemmata.explorer.frame import WIDTH
from lemmata.parameters import Parameter

RATIO = 50
"""A range that spans more than this factor is moved through in its logarithm."""


class Control:
    """Sets one parameter; the field takes any number of its range, the slider those between ``low`` and ``high``.

    Args:
        moved: called when the value has changed.
    """

    def __init__(
        self, name: str, says: Parameter, low: float, high: float, value: Any, moved: Callable[[], None]
    ) -> None:
        self.name, self.says, self._moved = name, says, moved
        self.value: Any = value
        self.log = low > 0 and high / low >= RATIO
        start, end = self._place(low), self._place(high)
        step = 1 if says.kind is int and not self.log else (end - start) / 100
        units = f" ({says.units})" if says.units not in ("", "1") and says.units not in says.label else ""
        self.slider = Slider(
            start=start, end=end, step=step, value=min(max(self._place(value), start), end), show_value=False,
            title=says.label + units, width=WIDTH - 100,
        )  # fmt: skip
        self.field = TextInput(value=_text(value), width=90, title=says.range[:40])
        self.slider.on_change("value", self._slid)
        self.field.on_change("value", self._typed)
        self.layout = row(self.slider, self.field)
        self._setting = False

    def set(self, value: Any) -> None:
        """Show a value, without calling ``moved``."""
        self._setting, self.value = True, value
        self.field.value = _text(value)
        self.slider.value = min(max(self._place(value), self.slider.start), self.slider.end)
        self._setting = False

    def _slid(self, attr: str, old: float, new: float) -> None:
        if self._setting:
            return
        value = 10**new if self.log else new
        self.set(round(value) if self.says.kind is int else float(f"{value:.3g}"))
        self._moved()

    def _typed(self, attr: str, old: str, new: str) -> None:
        if self._setting:
            return
        try:
            self.set(self.says.parse(self.name, new))
        except ValueError:
            self.value = new  # refused by the limits, in words
        self._moved()

    def _place(self, value: float) -> float:
        return math.log10(max(value, 1e-30)) if self.log else float(value)


def _text(value: Any) -> str:
    return repr(value)
