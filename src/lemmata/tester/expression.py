"""Formulas of a user, ``"n * signal**4 / d"`` or ``"kappa >= 1"``: read by a grammar, never evaluated as Python.

formula := number | name | -formula | formula (+ - * / **) formula | exp(formula) | log(formula) | sqrt(formula)
condition := formula (< <= > >= == !=) formula ... | condition and condition | condition or condition
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt}
GRAMMAR = "numbers, names, + - * / ** and exp, log, sqrt"
LONGEST = 500
"""Characters of a formula; a longer one is no formula."""


@dataclass(frozen=True)
class Expression:
    """A formula; call it with the values of its names.

    Raises:
        ValueError: for a text outside the grammar, with what was found.
    """

    text: str
    condition: bool = False

    def __post_init__(self) -> None:
        _check(tree_of(self.text), self.text, self.condition)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in it, in order, each once."""
        return names_in(tree_of(self.text))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value.

        Raises:
            ValueError: a name without a value, or a number that the formula does not take.
        """
        return evaluate(tree_of(self.text), values, self.text)


@lru_cache(maxsize=512)
def tree_of(text: str) -> ast.expr:
    """The syntax tree of a formula; ``^`` is read as ``**``."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"a formula is a text of at most {LONGEST} characters; {str(text)[:60]!r} was given")
    try:
        return ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no formula; write {GRAMMAR}") from error


def names_in(tree: ast.expr) -> tuple[str, ...]:
    """Names in a syntax tree but those of functions, in order, each once."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return tuple(dict.fromkeys(node.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))))


def _check(tree: ast.expr, text: str, condition: bool) -> None:
    """Refuse whatever the grammar does not have."""
    match tree:
        case ast.BoolOp(values=parts) if condition:
            for part in parts:
                _check(part, text, True)
        case ast.Compare(left=left, ops=ops, comparators=others) if condition:
            for part in (left, *others):
                _check(part, text, False)
            if any(type(op) not in _COMPARISONS for op in ops):
                raise ValueError(f"{text!r}: compare by < <= > >= == !=")
        case _ if condition:
            raise ValueError(f"{text!r} is no condition; write e.g. 'kappa >= 1'")
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            pass
        case ast.Name():
            pass
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=part):
            _check(part, text, False)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            _check(left, text, False)
            _check(right, text, False)
        case ast.Call(func=ast.Name(id=name), args=[part], keywords=[]) if name in _FUNCTIONS:
            _check(part, text, False)
        case _:
            raise ValueError(f"{text!r}: {ast.unparse(tree)!r} is not in the grammar of formulas: {GRAMMAR}")


def evaluate(tree: ast.expr, values: Mapping[str, Any], text: str) -> Any:
    """The value of a checked syntax tree.

    Raises:
        ValueError: a name without a value, or a number that the formula does not take.
    """
    try:
        return _evaluate(tree, values)
    except KeyError as missing:
        raise ValueError(f"{text!r}: {missing.args[0]!r} has no value; there are {', '.join(values)}") from None
    except (ArithmeticError, ValueError, TypeError) as error:
        here = ", ".join(f"{name} = {values[name]!r}" for name in names_in(tree) if name in values)
        raise ValueError(f"{text!r} has no value at {here}: {error}") from None


def _evaluate(tree: ast.expr, values: Mapping[str, Any]) -> Any:
    match tree:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return -_evaluate(part, values)
        case ast.UnaryOp(operand=part):
            return _evaluate(part, values)
        case ast.BinOp(left=left, op=op, right=right):
            found = _OPERATIONS[type(op)](float(_evaluate(left, values)), float(_evaluate(right, values)))
            if isinstance(found, complex):
                raise ValueError("the root of a negative number")
            return found
        case ast.Call(func=ast.Name(id=name), args=[part]):
            return _FUNCTIONS[name](_evaluate(part, values))
        case ast.BoolOp(op=op, values=parts):
            return (all if isinstance(op, ast.And) else any)(_evaluate(part, values) for part in parts)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_evaluate(part, values) for part in (left, *others)]
            return all(_COMPARISONS[type(op)](one, other) for op, one, other in zip(ops, sides, sides[1:]))
    raise AssertionError("a checked tree")
