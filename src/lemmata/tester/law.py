"""A law such as ``C * n**a * d**b`` as a linear model in logarithms.

    law := constant times powers;  factor := number | constant | base | base ** exponent | exp(rate * base) | exp(base)

A base is any formula of axes without free parameters, ``(1/L - 1/256)``; an exponent is a number, which stays fixed, or
a name, which is estimated. The constant is the one name that is neither axis nor exponent. In logarithms the free
parameters stand before columns: 1 for the constant, log(base) for an exponent, base for a rate.
"""

import ast
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lemmata.tester.expression import Expression, names_in, tree_of

Column = tuple[str, bool]
"""A formula of axes, and whether its logarithm is taken."""


@dataclass(frozen=True)
class Law:
    """A product of powers; :meth:`parse` makes it.

    Args:
        text: as the user wrote it.
        constant: name of the constant.
        free: parameter → the columns that it stands before, with their signs.
        fixed: columns with the numbers they are multiplied by.
    """

    text: str
    constant: str
    free: Mapping[str, tuple[tuple[Column, float], ...]] = field(default_factory=dict)
    fixed: tuple[tuple[Column, float], ...] = ()

    @classmethod
    def parse(cls, text: str, axes: Collection[str]) -> "Law":
        """Read a law; ``axes`` are the names that have values.

        Raises:
            ValueError: for what the grammar does not have, no constant or several, and no axis.
        """
        constants: list[str] = []
        free: dict[str, list[tuple[Column, float]]] = {}
        fixed: list[tuple[Column, float]] = []
        for node, sign in _factors(tree_of(text), 1.0):
            _read(node, sign, axes, text, constants, free, fixed)
        if len(constants) != 1:
            found = ", ".join(constants) or "none"
            raise ValueError(f"law {text!r} needs exactly one constant, as in 'C * n**a'; it has {found}")
        if not free and not fixed:
            raise ValueError(f"law {text!r} has no axis; there are {', '.join(axes)}")
        return cls(text, constants[0], {name: tuple(columns) for name, columns in free.items()}, tuple(fixed))

    @property
    def names(self) -> tuple[str, ...]:
        """Free parameters, the constant first."""
        return (self.constant, *self.free)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names that need values."""
        columns = [column for parts in self.free.values() for column in parts] + list(self.fixed)
        return tuple(dict.fromkeys(name for (formula, _), _ in columns for name in Expression(formula).names))

    def design(self, points: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Columns ``(point, parameter)`` of the free parameters, and the offset ``(point,)`` of the fixed part.

        Raises:
            ValueError: a base that is not positive at a point.
        """
        rows = [
            [1.0, *(sum(sign * _value(column, point) for column, sign in parts) for parts in self.free.values())]
            for point in points
        ]
        offset = [sum(number * _value(column, point) for column, number in self.fixed) for point in points]
        return np.array(rows, float), np.array(offset, float)

    def expected(self, values: Mapping[str, float]) -> "Law":
        """The law with some of its parameters at given values."""
        left = {name: parts for name, parts in self.free.items() if name not in values}
        put = [
            (column, sign * values[name])
            for name, parts in self.free.items()
            if name in values
            for column, sign in parts
        ]
        return Law(self.text, self.constant, left, (*self.fixed, *put))


def check_apart(law: Law, points: Sequence[Mapping[str, Any]]) -> None:
    """Refuse points that do not tell the law's parameters apart.

    Raises:
        ValueError: naming the parameter and what is constant or moves with another.
    """
    design, _ = law.design(points)
    for number in range(1, design.shape[1] + 1):
        if np.linalg.matrix_rank(design[:, :number], tol=1e-8) < number:
            name = law.names[number - 1]
            others = ", ".join(law.names[: number - 1])
            raise ValueError(
                f"{name!r} of the law {law.text!r} cannot be told from {others}: what it stands before is constant, or "
                "moves with another axis; vary it by itself"
            )


def _value(column: Column, point: Mapping[str, Any]) -> float:
    formula, log = column
    value = Expression(formula)(point)
    if log and not value > 0:
        raise ValueError(
            f"a law is taken in logarithms and {formula} is {value:g} at {dict(point)}; leave the point out"
        )
    return math.log(value) if log else float(value)


def _factors(node: ast.expr, sign: float) -> Iterable[tuple[ast.expr, float]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left, sign), *_factors(node.right, sign)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [*_factors(node.left, sign), *_factors(node.right, -sign)]
    return [(node, sign)]


def _read(
    node: ast.expr,
    sign: float,
    axes: Collection[str],
    text: str,
    constants: list[str],
    free: dict[str, list[tuple[Column, float]]],
    fixed: list[tuple[Column, float]],
) -> None:
    """One factor: into the constants, the free or the fixed columns."""
    names = names_in(node)
    unknown = [name for name in names if name not in axes]
    if isinstance(node, ast.Name) and unknown:
        constants.append(node.id)
        if sign < 0:
            raise ValueError(f"law {text!r}: write the constant {node.id!r} above the line")
    elif not unknown:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "exp":
            fixed.append(((_text(node.args[0], text), False), sign))
        else:
            fixed.append(((_text(node, text), True), sign))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        _read_power(node, sign, axes, text, free)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "exp":
        _read_rate(node.args[0], sign, axes, text, free)
    else:
        raise ValueError(f"law {text!r}: {ast.unparse(node)!r} is no power of axes; write e.g. 'C * n**a * d**b'")


def _read_power(
    node: ast.BinOp, sign: float, axes: Collection[str], text: str, free: dict[str, list[tuple[Column, float]]]
) -> None:
    exponent, sign = _unsigned(node.right, sign)
    if not isinstance(exponent, ast.Name) or any(name not in axes for name in names_in(node.left)):
        raise ValueError(
            f"law {text!r}: in {ast.unparse(node)!r} the base is of axes and the exponent one name or number"
        )
    free.setdefault(exponent.id, []).append(((_text(node.left, text), True), sign))


def _read_rate(
    node: ast.expr, sign: float, axes: Collection[str], text: str, free: dict[str, list[tuple[Column, float]]]
) -> None:
    """``exp(-b * kappa)``: one free name times a formula of axes."""
    node, sign = _unsigned(node, sign)
    rates, others = [], []
    for part, power in _factors(node, 1.0):
        part, sign = _unsigned(part, sign)
        if isinstance(part, ast.Name) and part.id not in axes and power > 0:
            rates.append(part.id)
        else:
            others.append(f"({_text(part, text)})" + ("" if power > 0 else "**-1"))
    if len(rates) != 1 or any(name not in (*axes, rates[0]) for name in names_in(node)):
        raise ValueError(f"law {text!r}: write a rate as exp(-b * x), with one free name times a formula of axes")
    free.setdefault(rates[0], []).append(((" * ".join(others) or "1", False), sign))


def _unsigned(node: ast.expr, sign: float) -> tuple[ast.expr, float]:
    """A formula without the minus signs in front of it."""
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -sign
    return node, sign


def _text(node: ast.expr, text: str) -> str:
    try:
        return Expression(ast.unparse(node)).text
    except ValueError as error:
        raise ValueError(f"law {text!r}: {error}") from None
