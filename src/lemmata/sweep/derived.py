"""Axes of the experimenter's choosing: a body whose own parameters are computed from others, such as κ or n·SNR².

    def at_fixed_kappa(kappa, *, n, d, sigma_p):
        return {"signal": (kappa * sigma_p**4 * d / n) ** 0.25}

    body = derived(RUN, at_fixed_kappa, kappa=parameter("κ = n‖μ‖⁴/(σp⁴d)", above=0))

is swept over ``kappa`` as over any parameter; the change is handed what it asks for by name, its own parameters and the
body's, and returns the parameters of the body that follow. They become coordinates of the dataset, over the axes they
depend on.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lemmata.parameters import OutOfRange, Parameter
from lemmata.sweep.around import Around
from lemmata.sweep.as_body import as_body
from lemmata.sweep.body import Body
from lemmata.sweep.grid import Axis, Grid
from lemmata.sweep.values import plain


def derived(body: Any, change: Callable[..., Mapping[str, Any]], **parameters: Any) -> "Derived":
    """A body with axes of the experimenter's choosing.

    Args:
        body: a :class:`~lemmata.Run` or a body.
        change: called with its own parameters and those of the body that it asks for, all by keyword; returns the
            parameters of the body that follow. Defined at the top of a module where workers are to run it.
        parameters: what the change adds, each a :func:`~lemmata.parameters.parameter` (with a default, or without) or a
            :class:`~lemmata.parameters.Parameter`.

    Raises:
        TypeError: something else than a parameter is given.
        ValueError: the change asks for what neither it adds nor the body has.
    """
    own, values = {}, {}
    for name, given in parameters.items():
        field = isinstance(given, dataclasses.Field)
        says = given.metadata.get("parameter") if field else given
        if not isinstance(says, Parameter):
            raise TypeError(f'{name} = {given!r} was given to derived(); write {name}=parameter("what it is")')
        own[name] = says
        if field and given.default is not dataclasses.MISSING:
            values[name] = given.default
    return Derived(as_body(body), change, tuple(own.items()), tuple(values.items()))


@dataclass(frozen=True)
class Derived(Around):
    """See :func:`derived`.

    Args:
        body: what runs.
        change: own parameters and those of the body → parameters of the body that follow.
        own: what the change adds, by name.
        values: what those are set to that are.
    """

    change: Callable[..., Mapping[str, Any]]
    own: tuple[tuple[str, Parameter], ...]
    values: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        known = {**self.body.parameters(), **dict(self.own)}
        unknown = [name for name in self._asked if name not in known]
        if unknown:
            raise ValueError(
                f"{self._name} asks for {unknown[0]!r}, which neither it adds nor the body has; the body has "
                f"{', '.join(sorted(self.body.parameters()))}"
            )
        for name, value in self.values:
            dict(self.own)[name].check(name, value)

    def parameters(self) -> dict[str, Parameter]:
        """The body's but for those that are computed, and its own."""
        computed = self._computed_names()
        rest = {name: says for name, says in self.body.parameters().items() if name not in computed}
        return {**dict(self.own), **rest}

    def value(self, name: str) -> Any:
        """What a parameter is set to; None for one of its own that is not."""
        return dict(self.values).get(name) if name in dict(self.own) else self.body.value(name)

    def at(self, changes: Mapping[str, Any]) -> Body:
        """Sets its own parameters here, and the others in the body."""
        here, rest = {}, {}
        for name, value in changes.items():
            if name in dict(self.own):
                dict(self.own)[name].check(name, value)
                here[name] = value
            else:
                self._refuse_computed(name)
                rest[name] = value
        values = tuple({**dict(self.values), **here}.items())
        return dataclasses.replace(self, body=self.body.at(rest) if rest else self.body, values=values)

    def configuration(self) -> dict[str, Any]:
        """The body's, what changes it, and what the change's parameters are set to."""
        return {**self.body.configuration(), "derived": {"by": self._name, **dict(self.values)}}

    def check(self, grid: Grid) -> None:
        """Checks every value of its own axes, and what is computed from them at every combination."""
        own = dict(self.own)
        unset = [name for name in own if name in self._asked and name not in {*grid.names, *dict(self.values)}]
        if unset:
            raise ValueError(f"{unset[0]} is set nowhere; give it values on the grid, or one value to the body")
        for axis in grid.axes:
            for value in axis.values if axis.name in own else ():
                own[axis.name].check(axis.name, value)
        for name in grid.names:
            self._refuse_computed(name)
        self.body.check(self._grid_inside(grid))

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """The body's; and if the change computes one of these, all axes that it asks for."""
        shapes = set(self.body.shape_axes(self._grid_inside(grid)))
        if not shapes <= set(grid.names):
            shapes |= {*self._asked}
        return tuple(name for name in grid.names if name in shapes)

    def computed_from(self) -> tuple[str, ...]:
        """What the change asks for."""
        return tuple(dict.fromkeys((*self._asked, *self.body.computed_from())))

    def computed(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """What the change returns at a point, and what the body computes from that."""
        changed = self._change(point)
        return {**changed, **self.body.computed({**self._rest(point), **changed})}

    def labels(self) -> dict[str, Parameter]:
        """The body's, and of what the change returns."""
        return {**self.body.labels(), **self.body.parameters()}

    def inside(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The point of the body."""
        return {**self._rest(point), **self._change(point)}

    @property
    def _name(self) -> str:
        named = getattr(self.change, "__qualname__", None)
        return f"{self.change.__module__}.{named}" if named else repr(self.change)

    @property
    def _asked(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.change).parameters)

    def _rest(self, point: Mapping[str, Any]) -> dict[str, Any]:
        own = dict(self.own)
        return {name: value for name, value in point.items() if name not in own}

    def _change(self, point: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: point[name] if name in point else self.value(name) for name in self._asked}
        at = ", ".join(f"{name} = {value}" for name, value in given.items())
        try:
            found = {name: getattr(value, "item", lambda v=value: v)() for name, value in self.change(**given).items()}
        except Exception as error:
            raise ValueError(f"{self._name} fails at {at} with {type(error).__name__}: {error}") from error
        known = self.body.parameters()
        for name, value in found.items():
            if name not in known:
                raise ValueError(f"{self._name} returns {name!r}, which is no parameter of the body")
            if known[name].kind is int and isinstance(value, float) and value.is_integer():
                found[name] = value = int(value)
            try:
                known[name].check(name, value)
            except OutOfRange as error:
                raise ValueError(f"{self._name} asks at {at} for {error}") from error
        return found

    def _grid_inside(self, grid: Grid) -> Grid:
        """The axes of the body, those that are computed included with all the values they take."""
        points = grid.combinations(self._asked)
        found: dict[str, dict[Any, None]] = {}
        for point in points:
            for name, value in self._change(point).items():
                found.setdefault(name, {})[value] = None
        own = dict(self.own)
        rest = tuple(axis for axis in grid.axes if axis.name not in own and axis.name not in found)
        return Grid((*(Axis(name, tuple(dict.fromkeys(plain(name, values)))) for name, values in found.items()), *rest))

    def _computed_names(self) -> frozenset[str]:
        """What the change returns, asked at what is set and, for its own parameters that are not, at a plain value."""
        plain = {name: self.value(name) for name, _ in self.own}
        plain |= {name: _admissible(says) for name, says in self.own if plain[name] is None}
        try:
            return frozenset(self._change(plain))
        except ValueError:  # not at these values; the check of the grid will tell
            return frozenset()

    def _refuse_computed(self, name: str) -> None:
        if name not in dict(self.own) and name in self._computed_names():
            raise ValueError(
                f"{name} was asked for and is computed by {self._name} from {', '.join(self._asked)}; set those"
            )


def _admissible(says: Parameter) -> Any:
    """Some value in the range of a parameter."""
    low, high = (
        (says.least if says.least is not None else says.above),
        (says.most if says.most is not None else says.below),
    )
    tried: list[Any] = [*says.choices, says.least, says.most, 1, 2, 10, 0.5, True, "x"]
    tried += [] if low is None or high is None else [(low + high) / 2]
    for value in tried:
        try:
            value = says.kind(value)
            says.check("", value)
        except (ValueError, TypeError):
            continue
        return value
    return None
